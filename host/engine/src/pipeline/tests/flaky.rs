//! A store in memory that fails now and then, and to which other hosts write.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use sandman_core::event::{OutRecord, TopicId, TopicPartition};
use sandman_core::outcome::StateChange;
use sandman_core::progress::Progress;
use sandman_core::store::{
    AnswerWrite, Answered, Assigned, Attempts, BatchNo, Commit, CommitConflict, CommitResult, Committed,
    CommittedBatch, Epoch, LetterId, LetterWrite, OutboxBatch, OutboxSize, Revision, Shard, ShardLease, ShardPublished,
    StateKey, Store, StoreError, StoreId, Stored,
};

/// A store in memory that refuses every third commit, or none.
pub(super) struct Flaky {
    id: StoreId,
    refuses: bool,
    shared: bool,
    pub(super) tables: Mutex<Tables>,
    commits: AtomicU64,
}

#[derive(Default)]
pub(super) struct Tables {
    pub(super) states: HashMap<(String, String), Stored>,
    pub(super) progress: HashMap<TopicPartition, Progress>,
    pub(super) attempts: HashMap<(TopicPartition, i64), Attempts>,
    pub(super) topics: HashMap<String, TopicId>,
    pub(super) answers: Vec<AnswerWrite>,
    pub(super) outbox: Vec<OutRecord>,
    pub(super) published: Vec<ShardPublished>,
    /// The files that each state names.
    pub(super) files: HashMap<(String, String), BTreeSet<String>>,
    /// How often that has changed.
    pub(super) named: usize,
    /// Conflicts so far.
    pub(super) conflicts: u64,
    /// Since when the version serves that other hosts have.
    pub(super) since: i64,
    /// What was committed of dead letters, held keys and pauses.
    pub(super) letters: Vec<LetterWrite>,
    /// So many commits of these come to nothing.
    pub(super) refused_letters: u64,
    /// The store is away for so many commits.
    pub(super) away: u32,
    /// Dead letters that other hosts have handled.
    pub(super) handled: BTreeSet<LetterId>,
    /// So many looks for an answer come before it was committed.
    hidden: u32,
    epochs: HashMap<TopicPartition, Epoch>,
    revisions: u64,
    batches: BatchNo,
}

impl Flaky {
    pub(super) fn new() -> Arc<Self> {
        Self::that(true, false)
    }

    /// A store that takes everything.
    pub(super) fn steady() -> Arc<Self> {
        Self::that(false, false)
    }

    /// A store that takes everything, and that other hosts may write to.
    pub(super) fn shared() -> Arc<Self> {
        Self::that(false, true)
    }

    /// The document of a key that has one.
    pub(super) fn document(&self, handler: &str, key: &str) -> String {
        let tables = self.tables.lock();
        let document = tables.states[&name(handler, key)].document.as_deref();
        document.expect("a document").to_owned()
    }

    fn that(refuses: bool, shared: bool) -> Arc<Self> {
        Arc::new(Self {
            id: StoreId("test".into()),
            refuses,
            shared,
            tables: Mutex::default(),
            commits: AtomicU64::new(0),
        })
    }

    /// Another host adds a word to a state.
    pub(super) fn write_elsewhere(&self, handler: &str, key: &str, word: &str) {
        let tables = &mut *self.tables.lock();
        let state = tables.states.remove(&name(handler, key));
        let (document, recent) = state.map_or_else(Default::default, |state| (state.document, state.recent));
        let document = format!("{} {word}", document.as_deref().unwrap_or_default());
        tables.revisions += 1;
        let state = Stored {
            revision: Revision::new(0, tables.revisions),
            document: Some(document.trim().into()),
            recent,
            since_millis: tables.since,
            held: None,
        };
        tables.states.insert(name(handler, key), state);
    }

    /// Another host commits an answer, which a look does not find yet.
    pub(super) fn answer_elsewhere(&self, answer: AnswerWrite) {
        let mut tables = self.tables.lock();
        tables.hidden = 1;
        tables.answers.push(answer);
    }

    /// Another host takes the partition over, for the time being.
    pub(super) fn assign_elsewhere(&self, partition: &TopicPartition) {
        self.tables.lock().begin(partition);
    }
}

impl Tables {
    fn note_attempts(&mut self, commit: &Commit) {
        for write in &commit.attempts {
            let at = (write.partition.clone(), write.offset);
            match &write.attempts {
                Some(attempts) => self.attempts.insert(at, attempts.clone()),
                None => self.attempts.remove(&at),
            };
        }
    }

    /// Whether this commit is one of those of dead letters that come to nothing.
    fn refuses_letters(&mut self, commit: &Commit) -> bool {
        let refuses = !commit.letters.is_empty() && self.refused_letters > 0;
        self.refused_letters -= u64::from(refuses);
        refuses
    }

    /// Whether the store is away for this commit.
    fn is_away(&mut self) -> bool {
        let away = self.away > 0;
        self.away = self.away.saturating_sub(1);
        away
    }

    fn begin(&mut self, partition: &TopicPartition) -> Epoch {
        let epoch = self.epochs.entry(partition.clone()).or_default();
        epoch.0 += 1;
        *epoch
    }

    fn conflict(&self, commit: &Commit) -> CommitConflict {
        let writes = commit
            .states
            .iter()
            .map(|write| (&write.handler, &write.key, write.base));
        let reads = commit.reads.iter().map(|read| (&read.handler, &read.key, read.base));
        let stale = writes.chain(reads).filter(|(handler, key, base)| {
            let stored = self.states.get(&name(handler, key));
            stored.map(|stored| stored.revision) != *base
        });
        let over = |partition: &TopicPartition, epoch| self.epochs.get(partition).is_some_and(|last| epoch < *last);
        let progress = commit
            .progress
            .iter()
            .map(|write| (&write.handler, &write.partition, write.epoch));
        let attempts = commit
            .attempts
            .iter()
            .map(|write| (&write.handler, &write.partition, write.epoch));
        let taken = progress
            .chain(attempts)
            .filter(|(_, partition, epoch)| over(partition, *epoch));
        let given = |write: &&AnswerWrite| self.answers.iter().any(|known| is_same(known, write));
        let answers = commit.answers.iter().filter(given);
        let handled = commit.letters.iter().filter_map(|write| match write {
            LetterWrite::Done(id) | LetterWrite::Duplicate(id) | LetterWrite::Failed(id, _) => {
                Some(*id).filter(|id| self.handled.contains(id))
            }
            _ => None,
        });
        CommitConflict {
            states: stale
                .map(|(handler, key, _)| StateKey {
                    handler: handler.clone(),
                    key: key.clone(),
                })
                .collect(),
            partitions: taken
                .map(|(handler, partition, _)| (handler.clone(), partition.clone()))
                .collect(),
            answers: answers
                .map(|write| (write.key.clone(), write.idempotency_key.clone()))
                .collect(),
            letters: handled.collect(),
        }
    }
}

fn is_same(one: &AnswerWrite, other: &AnswerWrite) -> bool {
    one.key == other.key && one.idempotency_key == other.idempotency_key
}

pub(super) fn name(handler: &str, key: &str) -> (String, String) {
    (handler.to_owned(), key.to_owned())
}

impl Store for Flaky {
    fn id(&self) -> &StoreId {
        &self.id
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    fn shards(&self) -> u16 {
        1
    }

    fn leases(&self) -> Vec<ShardLease> {
        vec![ShardLease::default()]
    }

    fn state(&self, handler: &str, key: &str) -> Result<Option<Stored>, StoreError> {
        let tables = self.tables.lock();
        Ok(tables.states.get(&name(handler, key)).cloned())
    }

    fn progress(&self, _: &str) -> Result<Vec<(TopicPartition, Progress)>, StoreError> {
        Ok(self.tables.lock().progress.clone().into_iter().collect())
    }

    fn topic_id(&self, _: &str, topic: &str) -> Result<Option<TopicId>, StoreError> {
        Ok(self.tables.lock().topics.get(topic).cloned())
    }

    fn adopt_topic(&self, _: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError> {
        self.tables.lock().topics.insert(topic.to_owned(), id.clone());
        Ok(())
    }

    fn restart_topic(&self, _: &Arc<str>, topic: &str, id: &TopicId) -> Result<(), StoreError> {
        let mut tables = self.tables.lock();
        tables.topics.insert(topic.to_owned(), id.clone());
        tables.progress.retain(|partition, _| &*partition.topic != topic);
        tables.attempts.retain(|(partition, _), _| &*partition.topic != topic);
        Ok(())
    }

    fn assign(&self, _: &Arc<str>, partitions: &[TopicPartition]) -> Result<Vec<Assigned>, StoreError> {
        let mut tables = self.tables.lock();
        let assigned = partitions.iter().map(|partition| {
            let epoch = tables.begin(partition);
            let theirs = tables.attempts.iter().filter(|((name, _), _)| name == partition);
            Assigned {
                epoch,
                progress: tables.progress.get(partition).cloned(),
                attempts: theirs.map(|(_, attempts)| attempts.clone()).collect(),
            }
        });
        Ok(assigned.collect())
    }

    fn commit(&self, commit: &Commit, _: i64) -> Result<CommitResult, StoreError> {
        let turn = self.commits.fetch_add(1, Ordering::Relaxed);
        let mut tables = self.tables.lock();
        if turn % 3 == 1 && self.refuses || tables.is_away() || tables.refuses_letters(commit) {
            return Err(StoreError::Unavailable("planted".into()));
        }
        let conflict = tables.conflict(commit);
        if !conflict.is_empty() {
            tables.conflicts += 1;
            return Ok(CommitResult::Conflict(conflict));
        }
        let mut committed = Committed::default();
        for write in &commit.states {
            let stored = tables.states.remove(&name(&write.handler, &write.key));
            tables.revisions += 1;
            let revision = Revision::new(0, tables.revisions);
            let (mut document, mut recent) =
                stored.map_or_else(Default::default, |stored| (stored.document, stored.recent));
            match &write.change {
                StateChange::Keep => {}
                StateChange::Put(new) => document = Some(new.clone()),
                StateChange::Delete => document = None,
            }
            recent = write.recent.clone().unwrap_or(recent);
            let is_kept = document.is_some() || !recent.is_empty();
            committed.revisions.push(is_kept.then_some(revision));
            if is_kept {
                let state = Stored {
                    revision,
                    document,
                    recent,
                    since_millis: 0,
                    held: None,
                };
                tables.states.insert(name(&write.handler, &write.key), state);
            }
        }
        tables.named += commit.files.len();
        for write in &commit.files {
            let names = write.names.iter().map(ToString::to_string).collect();
            tables.files.insert(name(&write.handler, &write.key), names);
        }
        tables.answers.extend(commit.answers.iter().cloned());
        tables.published.extend(commit.published.iter().copied());
        tables.outbox.extend(commit.outbox.iter().cloned());
        tables.letters.extend(commit.letters.iter().cloned());
        for write in &commit.progress {
            tables.progress.insert(write.partition.clone(), write.progress.clone());
        }
        tables.note_attempts(commit);
        if !commit.outbox.is_empty() {
            tables.batches += 1;
            committed.batches.push(CommittedBatch {
                shard: Shard::default(),
                number: tables.batches,
                bytes: 1,
            });
        }
        Ok(CommitResult::Committed(committed))
    }

    fn answered(&self, key: &str, idempotency_key: &str, _: i64) -> Result<Option<Answered>, StoreError> {
        let mut tables = self.tables.lock();
        if tables.hidden > 0 {
            tables.hidden -= 1;
            return Ok(None);
        }
        let write = tables
            .answers
            .iter()
            .find(|write| &*write.key == key && &*write.idempotency_key == idempotency_key);
        Ok(write.map(|write| write.answered.clone()))
    }

    fn outbox(&self, _: Shard, _: BatchNo, _: u64) -> Result<Vec<OutboxBatch>, StoreError> {
        Ok(Vec::new())
    }

    fn outbox_size(&self, _: Shard) -> Result<OutboxSize, StoreError> {
        Ok(OutboxSize::default())
    }

    fn backlog(&self) -> Result<OutboxSize, StoreError> {
        Ok(OutboxSize::default())
    }

    fn skip_numbers(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn skipped(&self, _: Shard, _: BatchNo) -> Result<Option<BatchNo>, StoreError> {
        Ok(None)
    }

    fn forget_kafka(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn claimed(&self, _: Shard) -> Result<(), StoreError> {
        Ok(())
    }

    fn adopt(&self, _: Shard, _: BatchNo) -> Result<(), StoreError> {
        Ok(())
    }
}
