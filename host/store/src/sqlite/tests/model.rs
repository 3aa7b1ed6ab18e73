//! Random histories against a plain map: the store agrees after every commit, every refusal and every restart.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;

/// What becomes of some keys, and what they remember.
type Writes = BTreeMap<u8, (StateChange, Option<RecentEvents>)>;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// Writes to some keys, and as many records as the number says.
    Commit(Writes, u8),
    /// The same, but one write stands on a revision that is not there.
    Stale(Writes),
    /// So many of the batches that wait are on Kafka.
    Publish(u8),
    Full(Writes),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = || {
        prop_oneof![
            3 => ".{0,40}".prop_map(|document| StateChange::Put(document.into())),
            1 => Just(StateChange::Delete),
            1 => Just(StateChange::Keep),
        ]
    };
    let recent = || proptest::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| RecentEvents::from_bytes(&bytes));
    let writes = || proptest::collection::btree_map(0u8..12, (change(), proptest::option::of(recent())), 0..8);
    let step = prop_oneof![
        6 => (writes(), 0u8..4).prop_map(|(writes, records)| Step::Commit(writes, records)),
        1 => writes().prop_map(Step::Stale),
        2 => (0u8..4).prop_map(Step::Publish),
        1 => writes().prop_map(Step::Full),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..25)
}

/// What the store should hold.
#[derive(Default)]
struct Model {
    states: HashMap<u8, Stored>,
    waiting: BTreeMap<BatchNo, Vec<OutRecord>>,
    last: BatchNo,
    published: BatchNo,
}

impl Model {
    fn commit(&self, writes: &Writes) -> Commit {
        states(
            writes
                .iter()
                .map(|(key, (change, recent))| StateWrite {
                    handler: "profile".into(),
                    key: key.to_string().into(),
                    base: self.states.get(key).map(|stored| stored.revision),
                    change: change.clone(),
                    recent: recent.clone(),
                })
                .collect(),
        )
    }

    fn apply(&mut self, writes: &Writes, commit: &Commit, committed: &Committed) {
        for ((key, (change, recent)), revision) in writes.iter().zip(&committed.revisions) {
            let (mut document, mut remembered) = match self.states.remove(key) {
                Some(stored) => (stored.document, stored.recent),
                None => (None, RecentEvents::default()),
            };
            match change {
                StateChange::Keep => {}
                StateChange::Put(new) => document = Some(new.clone()),
                StateChange::Delete => document = None,
            }
            remembered = recent.clone().unwrap_or(remembered);
            assert_eq!(revision.is_some(), document.is_some() || !remembered.is_empty());
            if let Some(revision) = *revision {
                let stored = Stored {
                    revision,
                    document,
                    recent: remembered,
                    since_millis: 0,
                    held: None,
                };
                self.states.insert(*key, stored);
            }
        }
        if let Some((number, _)) = batch_of(committed) {
            assert_eq!(number, self.last + 1);
            self.last = number;
            self.waiting.insert(number, commit.outbox.clone());
        }
    }

    fn check(&self, store: &SqliteStore) {
        for key in 0u8..12 {
            let stored = store.state("profile", &key.to_string()).unwrap();
            assert_eq!(stored.as_ref(), self.states.get(&key));
        }
        let batches = outbox(store, 0, u64::MAX);
        let bytes = batches.iter().map(|batch| batch.bytes).sum();
        let oldest_millis = batches.first().map(|batch| batch.committed_millis);
        let held: BTreeMap<_, _> = batches.into_iter().map(|batch| (batch.number, batch.records)).collect();
        assert_eq!(held, self.waiting);
        let expected = OutboxSize {
            batches: held.len() as u64,
            bytes,
            last: self.last,
            published: self.published,
            claimed: false,
            oldest_millis,
        };
        assert_eq!(size(store), expected);
    }
}

fn take(scene: &mut Scene, model: &mut Model, step: Step) {
    match step {
        Step::Commit(writes, records) => {
            let mut commit = model.commit(&writes);
            commit.outbox = (0..records)
                .map(|number| record(&format!("{number} of {}", model.last)))
                .collect();
            let committed = scene.commit(commit.clone());
            model.apply(&writes, &commit, &committed);
        }
        Step::Stale(writes) => {
            let mut commit = model.commit(&writes);
            commit.outbox = vec![record("never")];
            commit
                .states
                .push(put("no such key", Some(Revision::new(1 << 40, 1)), "x"));
            assert_eq!(conflict(scene.store(), &commit).states.len(), 1);
        }
        Step::Publish(count) => {
            let newest = model.waiting.keys().copied().take(count.into()).max();
            if let Some(newest) = newest {
                scene.commit(published(newest));
            }
            model.published = model.published.max(newest.unwrap_or(0));
            model.waiting.retain(|number, _| *number > model.published);
        }
        Step::Full(writes) => {
            scene.disk_full(true);
            let mut commit = model.commit(&writes);
            commit.outbox = vec![record(&"x".repeat(5 << 20))];
            scene.store().commit(&commit, 7).unwrap_err();
            scene.disk_full(false);
        }
        Step::Reopen => scene.reopen(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_a_map_and_a_queue(steps in steps()) {
        let (mut scene, mut model) = (Scene::new(), Model::default());
        for step in steps {
            take(&mut scene, &mut model, step);
            model.check(scene.store());
        }
    }
}
