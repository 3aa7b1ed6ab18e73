//! A pipeline that stops while its store takes nothing.

use super::*;

/// The commits that fail before the store is back, and the pause after each.
const AWAY: u32 = 6;
const PAUSE: Duration = Duration::from_millis(30);

#[test]
fn a_host_that_stops_tries_a_store_that_takes_nothing_at_the_usual_pace() {
    let store = Flaky::steady();
    let options = Options {
        store_pause: PAUSE,
        ..options()
    };
    let running = Running::start(&store, options);
    store.tables.lock().away = AWAY;
    let published = ShardPublished {
        shard: Shard::default(),
        epoch: Epoch::default(),
        batch: 1,
    };
    running.pipeline.outbox().published(published);
    let began = Instant::now();
    running.stop();
    let took = began.elapsed();
    let tables = store.tables.lock();
    assert_eq!((tables.away, &*tables.published), (0, &[published][..]));
    // At most one pause began before the stop, which cuts that one short. A pause is never shorter, however busy the machine is.
    assert!(
        took >= PAUSE * (AWAY - 1),
        "{AWAY} commits failed within {took:?}, without a pause between them"
    );
}
