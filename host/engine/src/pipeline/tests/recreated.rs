//! Progress that is about a topic which was deleted and created again.

use super::*;
use sandman_core::broker::{IntakeError, NamedTopic};
use sandman_core::event::TopicId;

fn named(id: &str) -> [NamedTopic; 1] {
    [("t".into(), Some(TopicId(id.into())))]
}

/// A store in which three records of the topic `old` are done.
fn done() -> Arc<Flaky> {
    let store = Flaky::steady();
    let running = Running::start(&store, options());
    running.intake.assigned(&[partition(0)], &named("old")).unwrap();
    for offset in 0..3 {
        running.intake.record(record(1, 1, 0, offset));
    }
    running.intake.caught_up();
    running.settle();
    running.stop();
    store
}

fn started(store: &Arc<Flaky>, recreation: Recreation) -> (Running, HandlerIntake) {
    let running = Running::start(store, options());
    let intake = HandlerIntake::new(Arc::clone(&running.pipeline), 0, recreation);
    (running, intake)
}

#[test]
fn the_same_topic_goes_on_and_one_without_an_id_too() {
    let store = done();
    for topics in [named("old").to_vec(), vec![("t".into(), None)], Vec::new()] {
        let (running, intake) = started(&store, Recreation::Stop);
        assert_eq!(intake.assigned(&[partition(0)], &topics).unwrap(), [Start::At(3)]);
        running.stop();
    }
}

#[test]
fn a_store_without_ids_adopts_the_one_that_it_meets_first() {
    let store = done();
    store.tables.lock().topics.clear();
    let (running, intake) = started(&store, Recreation::Stop);
    assert_eq!(intake.assigned(&[partition(0)], &named("met")).unwrap(), [Start::At(3)]);
    intake.revoked(&[partition(0)]);
    let end = intake.assigned(&[partition(0)], &named("another"));
    assert!(matches!(end, Err(IntakeError::Recreated(_))), "{end:?}");
    running.stop();
}

#[test]
fn another_topic_is_a_stop_that_names_the_partition_and_its_offset() {
    let store = done();
    let (running, intake) = started(&store, Recreation::Stop);
    let error = intake.assigned(&[partition(1)], &named("new")).unwrap_err().to_string();
    for words in [
        "`t` was deleted and created again",
        "was old and is new",
        "t[0] was done up to offset 3",
        "recreated",
    ] {
        assert!(error.contains(words), "nothing of {words:?} in {error}");
    }
    running.stop();
}

#[test]
fn another_topic_is_handled_from_its_beginning_where_that_is_set() {
    let store = done();
    let (running, intake) = started(&store, Recreation::Restart);
    assert_eq!(
        intake.assigned(&[partition(0)], &named("new")).unwrap(),
        [Start::Beginning]
    );
    for offset in 0..2 {
        assert_eq!(intake.record(record(1, 1, 0, offset)), Flow::Go);
    }
    intake.caught_up();
    running.settle();
    let progress = |store: &Flaky| store.tables.lock().progress.get(&partition(0)).map(|done| done.next());
    assert_eq!(progress(&store), Some(2));
    // While a partition of the old one is held, nothing is forgotten.
    let held = intake.assigned(&[partition(1)], &named("newer"));
    assert!(matches!(held, Err(IntakeError::NotYet(_))), "{held:?}");
    assert_eq!(progress(&store), Some(2));
    running.stop();
}

#[test]
fn progress_counts_for_another_topic_where_it_is_adopted() {
    let store = done();
    let (running, intake) = started(&store, Recreation::Adopt);
    assert_eq!(intake.assigned(&[partition(0)], &named("new")).unwrap(), [Start::At(3)]);
    running.stop();
    let (running, intake) = started(&store, Recreation::Stop);
    assert_eq!(intake.assigned(&[partition(0)], &named("new")).unwrap(), [Start::At(3)]);
    running.stop();
}
