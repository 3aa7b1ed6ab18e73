//! The relay against a Kafka in memory: topics refuse and accept in turns, outcomes are unknown, transactions stay without
//! an end, and the host is killed at any point. Every record becomes visible exactly once, and in the order of its topic.

mod cluster;
mod shelf;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use cluster::{Fate, RELAY, Shared};
use sandman_core::event::Headers;
use shelf::Shelf;

const TOPICS: u8 = 3;

#[derive(Clone, Debug)]
enum Deed {
    /// A batch with a record for each of these topics.
    Commit(Vec<u8>),
    /// The relay goes on; this is what becomes of its next transaction.
    Step(Fate),
    /// Held topics are tried at once.
    Hurry,
    Refuse(u8),
    Accept(u8),
    /// The store drops what it was told of.
    Drop,
    /// The host is killed and starts again.
    Kill,
}

fn deed() -> impl Strategy<Value = Deed> {
    let fate = prop_oneof![
        6 => Just(Fate::Through),
        1 => Just(Fate::Troubled),
        1 => Just(Fate::Aborted),
        1 => Just(Fate::UnknownAborted),
        1 => Just(Fate::UnknownCommitted),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(confirmed, partly)| Fate::Unended { confirmed, partly }),
    ];
    prop_oneof![
        4 => prop::collection::vec(0..TOPICS, 1..4).prop_map(Deed::Commit),
        8 => fate.prop_map(Deed::Step),
        3 => Just(Deed::Hurry),
        2 => (0..TOPICS).prop_map(Deed::Refuse),
        2 => (0..TOPICS).prop_map(Deed::Accept),
        2 => Just(Deed::Drop),
        2 => Just(Deed::Kill),
    ]
}

fn topic(number: u8) -> Arc<str> {
    format!("t{number}").into()
}

/// A relay, and all around it.
struct World {
    cluster: Shared,
    store: Arc<Shelf>,
    relay: Relay,
    state: RelayState,
    /// Every record that was ever committed, by topic.
    committed: BTreeMap<Arc<str>, Vec<u64>>,
    records: u64,
}

impl World {
    fn new() -> Self {
        let (cluster, store) = (Shared::default(), Arc::new(Shelf::new()));
        let relay = relay(&cluster, &store);
        Self {
            cluster,
            store,
            relay,
            state: state(),
            committed: BTreeMap::new(),
            records: 0,
        }
    }

    fn commit(&mut self, topics: &[u8]) {
        let mut records = Vec::new();
        for number in topics {
            self.records += 1;
            let topic = topic(*number);
            self.committed.entry(Arc::clone(&topic)).or_default().push(self.records);
            records.push(OutRecord {
                topic,
                key: None,
                value: Some(self.records.to_string().into_bytes()),
                headers: Headers::default(),
                timestamp_millis: None,
            });
        }
        self.store.commit_batch(records);
    }

    fn step(&mut self) -> bool {
        // Small transactions: two batches.
        self.state.pace = Pace::of(2);
        match self.relay.step(&mut self.state) {
            Ok(StepResult::Publish) => true,
            Ok(StepResult::Nothing) => false,
            Err(error) => {
                assert!(error.passes(), "the relay stops: {error}");
                self.state.open = None;
                true
            }
        }
    }

    fn does(&mut self, deed: &Deed) {
        match deed {
            Deed::Commit(topics) => self.commit(topics),
            Deed::Step(fate) => {
                self.cluster.lock().fate = *fate;
                self.step();
                self.cluster.lock().fate = Fate::Through;
            }
            Deed::Hurry => self.state.held.hurry(Instant::now()),
            Deed::Refuse(number) => drop(self.cluster.lock().refuse.insert(topic(*number))),
            Deed::Accept(number) => drop(self.cluster.lock().refuse.remove(&topic(*number))),
            Deed::Drop => self.store.drop_up_to(self.state.progress.told),
            Deed::Kill => {
                self.relay = relay(&self.cluster, &self.store);
                self.state = state();
            }
        }
    }

    fn check(&self, last: bool) {
        let cluster = self.cluster.lock();
        for (topic, committed) in &self.committed {
            let seen = cluster.seen(topic);
            assert!(
                committed.starts_with(&seen),
                "`{topic}` shows {seen:?} of {committed:?}"
            );
            assert!(
                !last || seen.len() == committed.len(),
                "`{topic}` lacks some: {seen:?} of {committed:?}"
            );
        }
    }

    /// Until nothing is left to publish, with every topic accepting.
    fn finish(&mut self) {
        self.cluster.lock().refuse.clear();
        // What was confirmed and has no end comes into view with the next transaction of its partition.
        self.commit(&(0..TOPICS).collect::<Vec<_>>());
        for _ in 0..1_000 {
            self.state.held.hurry(Instant::now());
            if !self.step() {
                return;
            }
        }
        panic!("the relay does not come to rest");
    }
}

fn state() -> RelayState {
    RelayState {
        open: None,
        topics: Topics::default(),
        progress: RelayProgress {
            confirmed: 0,
            began: false,
            told: 0,
        },
        held: Held::default(),
        pace: Pace::of(2),
    }
}

fn relay(cluster: &Shared, store: &Arc<Shelf>) -> Relay {
    let (alarm, _) = Alarm::new();
    let meters = Arc::new(Meters::new());
    let store = Arc::clone(store) as Arc<dyn Store>;
    let outbox = OutboxFeed::new(Arc::clone(&store)).unwrap();
    Relay {
        broker: Box::new(cluster.clone()),
        deployment: "d".into(),
        adopt: Arc::default(),
        store,
        lease: ShardLease::default(),
        outbox: Arc::new(outbox),
        meters,
        alarm,
        drain: Arc::default(),
        view: Arc::new(HealthView::new()),
        give_up: Arc::default(),
        ready: crossbeam_channel::bounded(1).0,
    }
}

#[test]
fn a_topic_that_is_tried_before_the_others_went_on_stays_held() {
    let mut world = World::new();
    world.does(&Deed::Refuse(0));
    world.commit(&[0, 1]);
    assert!(world.step());
    // Opening the next publisher took longer than the topic waits.
    world.does(&Deed::Hurry);
    assert!(world.step());
    assert!(world.state.held.holds("t0"));
    assert_eq!(world.cluster.lock().seen("t1"), [2]);
}

#[test]
fn the_relays_own_topic_is_waited_for_and_not_held() {
    let mut world = World::new();
    world.step();
    world.cluster.lock().refuse.insert(RELAY.into());
    world.commit(&[0]);
    let error = world.relay.step(&mut world.state).err();
    assert!(
        error.is_some_and(|error| error.passes()),
        "it is tried again without a pause"
    );
    assert!(!world.state.held.holds(RELAY));
}

#[test]
fn a_topic_that_is_gone_and_may_not_be_made_stops_no_relay_that_runs() {
    let mut world = World::new();
    world.cluster.lock().forbidden = true;
    assert!(world.relay.step(&mut world.state).is_err_and(|error| !error.passes()));
    world.cluster.lock().forbidden = false;
    world.step();
    world.cluster.lock().forbidden = true;
    world.does(&Deed::Refuse(0));
    world.commit(&[0, 1]);
    assert!((0..2).all(|_| world.step()));
    assert_eq!(world.cluster.lock().seen("t1"), [2]);
}

#[test]
fn what_another_host_published_meanwhile_makes_no_old_store() {
    let mut world = World::new();
    world.commit(&[0]);
    let progress = world.state.progress;
    let read = world.relay.size(progress).unwrap();
    // Another host commits, and the one that has the shard publishes that, before the cursor is read.
    world.commit(&[0]);
    let cursor = world.relay.cursor(2);
    let size = world.relay.until_read(read, Some(&cursor)).unwrap();
    assert_eq!((read.last, size.last, size.published), (1, 2, read.published));
    assert_eq!(world.relay.until_read(read, None).unwrap().last, 1);
    let behind = world.relay.cursor(1);
    assert_eq!(
        world.relay.until_read(read, Some(&behind)).unwrap().last,
        1,
        "there is nothing to ask for"
    );
    // A store that is older than the cursor, whenever it is asked, is still that.
    let cursor = world.relay.cursor(3);
    let size = world.relay.until_read(read, Some(&cursor)).unwrap();
    assert_eq!(size.last, 2);
    assert!(reconcile(Some(&cursor), "us", size, false).is_err());
}

/// Requests are answered before Kafka can be reached, and in a fleet one shard is looked at after the other.
#[test]
fn what_is_committed_on_a_restored_backup_before_the_relay_looks_does_not_count_as_published() {
    let mut world = World::new();
    world.commit(&[0]);
    let mut publisher = world.cluster.publisher().unwrap();
    let cursor = world.relay.cursor(3);
    assert_eq!(publisher.publish(&mut [].iter(), &cursor).unwrap(), Published::Clean);
    world.store.skip_numbers().unwrap();
    (0..5).for_each(|_| world.commit(&[0]));
    let refused = world.relay.step(&mut world.state).err();
    let older = matches!(
        refused,
        Some(RelayError::Refused(CursorRefusal::OlderStore { last: 1, cursor: 3 }))
    );
    assert!(older, "{refused:?}");
}

/// A host of a fleet may lose a shard and get it back: by then another one may have the deployment for good.
#[test]
fn a_deployment_is_taken_over_once_whichever_relay_of_the_shard_it_is() {
    let mut world = World::new();
    let others_take_it = |world: &World| {
        let theirs = Cursor {
            store: "them".to_owned(),
            ..world.relay.cursor(0)
        };
        let mut publisher = world.cluster.publisher().unwrap();
        assert_eq!(publisher.publish(&mut [].iter(), &theirs).unwrap(), Published::Clean);
    };
    others_take_it(&world);
    world.relay.adopt.store(true, Ordering::Relaxed);
    world.commit(&[0]);
    assert!(world.step());
    assert_eq!(world.cluster.lock().seen("t0"), [1]);
    others_take_it(&world);
    let adopt = Arc::clone(&world.relay.adopt);
    let again = Relay {
        adopt,
        ..relay(&world.cluster, &world.store)
    };
    let refused = again.step(&mut state()).err();
    let refused = matches!(refused, Some(RelayError::Refused(CursorRefusal::OtherStore { .. })));
    assert!(refused, "it took the deployment back");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn every_record_becomes_visible_once_and_in_the_order_of_its_topic(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut world = World::new();
        for deed in &deeds {
            world.does(deed);
            world.check(false);
        }
        world.finish();
        world.check(true);
    }
}
