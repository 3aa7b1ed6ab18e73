//! A consumer waits for a while before it pauses, which would throw away what it has fetched.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use sandman_core::store::{BatchNo, CommittedBatch};

/// No test waits for as long; whoever waited that long would see it fail.
fn patient(options: Options) -> Options {
    Options {
        patience: Duration::from_secs(60),
        ..options
    }
}

#[test]
fn a_handler_that_is_full_is_waited_for_and_not_paused() {
    let store = Flaky::steady();
    let options = Options {
        in_flight: 1,
        ..patient(options())
    };
    let running = Running::start(&store, options);
    running.intake.assigned(&[partition(0)], &[]).unwrap();
    for offset in 0..20 {
        assert_eq!(
            running.intake.record(record(1, 1, 0, offset)),
            Flow::Go,
            "record {offset}"
        );
    }
    running.settle();
    running.stop();
}

#[test]
fn a_relay_that_is_behind_is_waited_for_until_it_has_published() {
    let store = Flaky::steady();
    let running = Running::start(&store, patient(options()));
    running.intake.assigned(&[partition(0)], &[]).unwrap();
    let outbox = running.pipeline.outbox();
    let number: BatchNo = 1;
    let shard = Shard::default();
    let bytes = 9 << 20;
    let batch = CommittedBatch { shard, number, bytes };
    outbox.committed(Vec::new(), (&[batch], 0), false);
    outbox.ask_for_ever();
    let taken = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The record is admitted under the lock that nothing but the wait lets go of.
            let is_admitted = || {
                let state = running.pipeline.state.lock();
                let mut known = state.admission.of(0);
                known.any(|(_, known)| known.in_flight > 0 || known.committed().is_some())
            };
            while !is_admitted() {
                std::thread::yield_now();
            }
            taken.store(true, Ordering::Relaxed);
            assert_eq!(outbox.next(shard, 0, u64::MAX).unwrap().len(), 1);
            outbox.published(ShardPublished {
                shard,
                epoch: Epoch::default(),
                batch: number,
            });
        });
        assert_eq!(running.intake.record(record(1, 1, 0, 0)), Flow::Go);
        assert!(taken.load(Ordering::Relaxed), "nobody waited for the relay");
    });
    running.settle();
    running.stop();
}

#[test]
fn a_full_handler_that_shares_its_consumer_is_paused_at_once_and_the_others_go_on() {
    let store = Flaky::steady();
    // No worker runs, so nobody would make room; whoever waits for it at all fails, because there is no such time.
    let options = Options {
        in_flight: 4,
        patience: Duration::MAX,
        ..options()
    };
    let registry = registry();
    let other = registry.add(handler("other", version(1, Terms::default(), Box::new(Lister))));
    assert_eq!(other, Some(1));
    let (alarm, _) = Alarm::new();
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let pipeline = Pipeline::new(options, registry, shared, (alarm, Meters::new().host)).unwrap();
    let sharing = |handler, topic: &str| SharingHandler {
        handler,
        topics: vec![topic.into()],
        recreation: Recreation::Stop,
    };
    let intake = SharedIntake::new(pipeline, vec![sharing(0, "t"), sharing(1, "u")]);
    let of_other = TopicPartition {
        topic: "u".into(),
        partition: 0,
    };
    let both = [of_other.clone(), partition(0)];
    assert_eq!(intake.assigned(&both, &[]).unwrap(), [Start::Beginning; 2]);
    for offset in 0..3 {
        assert_eq!(intake.record(record(1, 1, 0, offset)), Flow::Go);
    }
    assert_eq!(intake.record(record(1, 1, 0, 3)), Flow::Pause);
    let of_other = Record {
        source: of_other,
        ..record(2, 1, 0, 0)
    };
    assert_eq!(intake.record(of_other), Flow::Go);
    assert!(intake.resumed().is_empty(), "the first one is still full");
}
