//! A store in memory that fails now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use sandman_core::event::{OutRecord, TopicId, TopicPartition};
use sandman_core::outcome::StateChange;
use sandman_core::progress::Progress;
use sandman_core::recent::RecentEvents;
use sandman_core::store::{
    AnswerWrite, Answered, Attempts, BatchNo, Commit, Committed, OutboxBatch, OutboxSize, RowId, Store, StoreError,
    StoreId, Stored,
};

/// A store in memory that refuses every third commit, or none.
pub(super) struct Flaky {
    id: StoreId,
    refuses: bool,
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
    batches: BatchNo,
}

impl Flaky {
    pub(super) fn new() -> Arc<Self> {
        Self::that(true)
    }

    /// A store that takes everything.
    pub(super) fn steady() -> Arc<Self> {
        Self::that(false)
    }

    /// The document of a key that has one.
    pub(super) fn document(&self, handler: &str, key: &str) -> String {
        let tables = self.tables.lock();
        let document = tables.states[&name(handler, key)].document.as_deref();
        document.expect("a document").to_owned()
    }

    fn that(refuses: bool) -> Arc<Self> {
        Arc::new(Self {
            id: StoreId("test".into()),
            refuses,
            tables: Mutex::default(),
            commits: AtomicU64::new(0),
        })
    }
}

pub(super) fn name(handler: &str, key: &str) -> (String, String) {
    (handler.to_owned(), key.to_owned())
}

impl Store for Flaky {
    fn id(&self) -> &StoreId {
        &self.id
    }

    fn state(&self, handler: &str, key: &str) -> Result<Option<Stored>, StoreError> {
        let tables = self.tables.lock();
        Ok(tables.states.get(&name(handler, key)).cloned())
    }

    fn documents(&self, _: RowId, _: usize) -> Result<Vec<(RowId, Arc<str>)>, StoreError> {
        Ok(Vec::new())
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

    fn attempts(&self, _: &str, partition: &TopicPartition) -> Result<Vec<Attempts>, StoreError> {
        let tables = self.tables.lock();
        let theirs = tables.attempts.iter().filter(|((name, _), _)| name == partition);
        Ok(theirs.map(|(_, attempts)| attempts.clone()).collect())
    }

    fn commit(&self, commit: &Commit, _: i64) -> Result<Committed, StoreError> {
        if self.commits.fetch_add(1, Ordering::Relaxed) % 3 == 1 && self.refuses {
            return Err(StoreError::Unavailable("planted".into()));
        }
        let mut tables = self.tables.lock();
        let mut committed = Committed::default();
        for write in &commit.states {
            let count = i64::try_from(tables.states.len()).unwrap();
            let stored = tables.states.remove(&name(&write.handler, &write.key));
            assert_eq!(
                stored.as_ref().map(|stored| (stored.row, stored.revision)),
                write.base,
                "a write stands on another state than the stored one"
            );
            let mut state = stored.unwrap_or(Stored {
                row: RowId(count),
                revision: 0,
                document: None,
                recent: RecentEvents::default(),
            });
            state.revision += 1;
            match &write.change {
                StateChange::Keep => {}
                StateChange::Put(document) => state.document = Some(document.clone()),
                StateChange::Delete => state.document = None,
            }
            state.recent = write.recent.clone().unwrap_or(state.recent);
            let is_kept = state.document.is_some() || !state.recent.is_empty();
            committed.rows.push(is_kept.then_some((state.row, state.revision)));
            if is_kept {
                tables.states.insert(name(&write.handler, &write.key), state);
            }
        }
        tables.answers.extend(commit.answers.iter().cloned());
        tables.outbox.extend(commit.outbox.iter().cloned());
        for write in &commit.progress {
            tables.progress.insert(write.partition.clone(), write.progress.clone());
        }
        for write in &commit.attempts {
            let at = (write.partition.clone(), write.offset);
            match &write.attempts {
                Some(attempts) => tables.attempts.insert(at, attempts.clone()),
                None => tables.attempts.remove(&at),
            };
        }
        if !commit.outbox.is_empty() {
            tables.batches += 1;
            committed.batch = Some((tables.batches, 1));
        }
        Ok(committed)
    }

    fn answered(&self, key: &str, idempotency_key: &str, _: i64) -> Result<Option<Answered>, StoreError> {
        let tables = self.tables.lock();
        let write = tables
            .answers
            .iter()
            .find(|write| &*write.key == key && &*write.idempotency_key == idempotency_key);
        Ok(write.map(|write| write.answered.clone()))
    }

    fn outbox(&self, _: BatchNo, _: u64) -> Result<Vec<OutboxBatch>, StoreError> {
        Ok(Vec::new())
    }

    fn outbox_size(&self) -> Result<OutboxSize, StoreError> {
        Ok(OutboxSize::default())
    }

    fn forget_kafka(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn claimed(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn adopt(&self, _: BatchNo) -> Result<(), StoreError> {
        Ok(())
    }
}
