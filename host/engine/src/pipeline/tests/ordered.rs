//! What an operator orders is confirmed when it is durable, and not before.

use super::*;
use sandman_core::store::{HeldCount, HeldKey, HeldName, LetterWrite, Pause};

/// A pipeline whose handler is paused, and which holds the key `ada`.
fn running(store: &Arc<Flaky>) -> Running {
    let running = Running::start(store, options());
    let name = HeldName {
        handler: "lister".into(),
        key: "ada".into(),
    };
    let held = HeldCount {
        count: 1,
        bytes: 1,
        released: false,
    };
    let pause = Pause {
        at_millis: 0,
        by: "tests".to_owned(),
        reason: "it is tested".to_owned(),
    };
    let held = vec![HeldKey { name, held }];
    running.pipeline.load_letters(held, vec![("lister".into(), pause)]);
    running
}

fn resumed(store: &Flaky) -> usize {
    let tables = store.tables.lock();
    let resumed = tables.letters.iter();
    resumed
        .filter(|write| matches!(write, LetterWrite::Pause(_, None)))
        .count()
}

fn released(store: &Flaky) -> usize {
    let tables = store.tables.lock();
    let released = tables.letters.iter();
    released
        .filter(|write| matches!(write, LetterWrite::Release(_)))
        .count()
}

#[test]
fn an_order_is_confirmed_once_its_own_commit_is_durable() {
    let store = Flaky::steady();
    let running = running(&store);
    store.tables.lock().refused_letters = 20;
    assert!(running.pipeline.release(0, "ada", false).unwrap());
    assert_eq!(released(&store), 1);
    store.tables.lock().refused_letters = 20;
    assert!(running.pipeline.resume(0).unwrap());
    assert_eq!(resumed(&store), 1);
    // There is nothing left to order, and nothing is claimed.
    assert!(!running.pipeline.release(0, "ada", false).unwrap());
    assert!(!running.pipeline.resume(0).unwrap());
    running.stop();
}

#[test]
fn an_order_that_is_not_durable_when_the_host_stops_is_not_confirmed() {
    let store = Flaky::steady();
    let running = running(&store);
    store.tables.lock().refused_letters = u64::MAX;
    let pipeline = &running.pipeline;
    let (release, resume) = std::thread::scope(|scope| {
        let release = scope.spawn(|| pipeline.release(0, "ada", false));
        let resume = scope.spawn(|| pipeline.resume(0));
        // Both have reached the store, which does not take them.
        while pipeline.state.lock().detours.orders_under_way() < 2 {
            std::thread::yield_now();
        }
        pipeline.stop();
        (release.join().unwrap(), resume.join().unwrap())
    });
    assert_eq!((released(&store), resumed(&store)), (0, 0));
    for confirmed in [release, resume] {
        let error = confirmed.unwrap_err().to_string();
        assert!(error.contains("waits for its commit"), "{error}");
    }
    // What is ordered is carried out all the same, once the store takes it.
    store.tables.lock().refused_letters = 0;
    running.stop();
    assert_eq!((released(&store), resumed(&store)), (1, 1));
}
