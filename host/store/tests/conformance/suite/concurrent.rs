//! Several hosts at once, and random histories.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

const HOSTS: usize = 4;
const EACH: usize = 25;

/// Adds one to a number until nobody else is faster.
fn add_one(store: &dyn Store, key: &str) {
    loop {
        let stored = store.state("profile", key).unwrap();
        let number: u32 = stored
            .as_ref()
            .map_or(0, |stored| stored.document.as_deref().unwrap().parse().unwrap());
        let next = put(key, stored.map(|stored| stored.revision), &(number + 1).to_string());
        let commit = Commit {
            outbox: publish(&[(key, "event")]).outbox,
            ..states(vec![next])
        };
        if let CommitResult::Committed(_) = store.commit(&commit, 7).unwrap() {
            return;
        }
    }
}

/// Whatever waits below waits on a thread that may.
pub(crate) fn a_store_may_be_asked_from_asynchronous_code(backend: &mut impl Backend) {
    let store = backend.host();
    let versions = backend.versions();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let on_a_worker = Arc::clone(&store);
    let asked = runtime.spawn(async move {
        add_one(&*on_a_worker, "k");
        assign(&*on_a_worker, 0);
        on_a_worker.list_files(&["f"], 1).unwrap();
        on_a_worker.take_unnamed_files(2, 1).unwrap().len()
    });
    runtime.block_on(async {
        assert_eq!(asked.await.unwrap(), 1);
        assert_eq!(document(&*store, "k").as_deref(), Some("1"));
        assert_eq!(store.letters_size().unwrap().count, 0);
        assert_eq!(store.recordings("profile", None, 1).unwrap(), []);
        assert_eq!(versions.active("profile").unwrap(), None);
        store.hosts().unwrap();
    });
}

pub(crate) fn no_update_is_lost_between_hosts(backend: &mut impl Backend) {
    let stores: Vec<_> = (0..HOSTS).map(|_| backend.host()).collect();
    std::thread::scope(|scope| {
        for store in &stores {
            scope.spawn(|| {
                for number in 0..EACH {
                    add_one(&**store, if number % 2 == 0 { "hot" } else { "warm" });
                }
            });
        }
    });
    let of = |key| document(&*stores[0], key).unwrap().parse::<usize>().unwrap();
    assert_eq!(of("hot") + of("warm"), HOSTS * EACH);
}

pub(crate) fn a_batch_that_is_visible_has_none_before_it_to_come(backend: &mut impl Backend) {
    let stores: Vec<_> = (0..HOSTS).map(|_| backend.host()).collect();
    let reader = backend.host();
    let shard = committed(&*reader, &publish(&[("k", "0")])).batches[0].shard;
    let done = AtomicBool::new(false);
    let write = |store: &dyn Store| {
        for _ in 0..EACH {
            committed(store, &publish(&[("k", "1"), ("j", "2")]));
        }
    };
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                for batch in reader.outbox(shard, last, u64::MAX).unwrap() {
                    assert_eq!(batch.number, last + 1, "a batch came late");
                    last = batch.number;
                }
            }
        });
        let begin = |store: &Arc<dyn DeploymentStore>| {
            let store = Arc::clone(store);
            scope.spawn(move || write(&*store))
        };
        let writers: Vec<_> = stores.iter().map(begin).collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        watching.join().unwrap();
    });
    let last = reader.outbox_size(shard).unwrap().last;
    assert!(last > u64::try_from(HOSTS * EACH).unwrap());
}

type Writes = HashMap<u8, Option<String>>;

#[derive(Clone, Debug)]
enum Step {
    Commit(Writes),
    /// The same, but one write is made from a version that is not there.
    Stale(Writes),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writes = || proptest::collection::hash_map(0u8..12, proptest::option::of("[^\\x00]{0,40}"), 0..8);
    let step = prop_oneof![
        8 => writes().prop_map(Step::Commit),
        2 => writes().prop_map(Step::Stale),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..20)
}

type Model = HashMap<u8, (Revision, String)>;

pub(crate) fn random_histories_agree_with_a_map(backend: &mut impl Backend) {
    let mut model = Model::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..12 {
        for step in steps().new_tree(&mut runner).unwrap().current() {
            take(backend, &mut model, step);
        }
    }
}

fn commit_of(model: &Model, writes: &Writes) -> Commit {
    let write = |(key, document): (&u8, &Option<String>)| StateWrite {
        base: model.get(key).map(|(revision, _)| *revision),
        change: match document {
            Some(document) => StateChange::Put(document.as_str().into()),
            None => StateChange::Delete,
        },
        ..put(&key.to_string(), None, "")
    };
    states(writes.iter().map(write).collect())
}

fn take(backend: &mut impl Backend, model: &mut Model, step: Step) {
    let store = backend.host();
    match step {
        Step::Commit(writes) => {
            let committed = committed(&*store, &commit_of(model, &writes));
            for ((key, document), revision) in writes.iter().zip(committed.revisions) {
                match document {
                    Some(document) => drop(model.insert(*key, (revision.unwrap(), document.clone()))),
                    None => drop(model.remove(key)),
                }
            }
        }
        Step::Stale(writes) => {
            let mut commit = commit_of(model, &writes);
            let stale = Some(Revision::new(1 << 40, 1));
            commit.states.push(put("no such key", stale, "x"));
            assert_eq!(conflict(&*store, &commit).states.len(), 1);
        }
        Step::Restart => {
            drop(store);
            return backend.restart();
        }
    }
    for key in 0u8..12 {
        let stored = store.state("profile", &key.to_string()).unwrap();
        let stored = stored.map(|state| (state.revision, state.document.unwrap().to_string()));
        assert_eq!(stored.as_ref(), model.get(&key));
    }
}
