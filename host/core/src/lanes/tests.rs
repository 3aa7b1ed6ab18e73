//! Lanes against a model: random offers, runs, failures, commits, reverts and purges.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

#[derive(Debug)]
struct Input {
    key: u8,
    sequence: u32,
    partition: PartitionIx,
}

impl Work for Input {
    fn partition(&self) -> Option<PartitionIx> {
        Some(self.partition)
    }
}

fn lane(key: u8) -> LaneKey {
    LaneKey {
        handler: 0,
        key: key.to_string().into(),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Offer(u8, PartitionIx),
    Take,
    Finish {
        which: usize,
        fails: bool,
    },
    Commit(usize),
    Revert,
    /// Somebody else has changed the state of a key.
    Elsewhere(u8),
    Purge(PartitionIx),
    Pass(Millis),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5u8, 0..2u32).prop_map(|(key, partition)| Step::Offer(key, partition)),
        4 => Just(Step::Take),
        4 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(which, fails)| Step::Finish { which, fails }),
        3 => (1..4usize).prop_map(Step::Commit),
        1 => Just(Step::Revert),
        1 => (0..5u8).prop_map(Step::Elsewhere),
        1 => (0..2u32).prop_map(Step::Purge),
        2 => (1..30u64).prop_map(Step::Pass),
    ]
}

/// The host around the lanes, reduced to what matters: jobs out, units queued, what is committed, in a store.
struct Model {
    lanes: Lanes<Input>,
    now: Millis,
    sequence: HashMap<u8, u32>,
    /// The inputs of a key in the order in which they came, whichever partition they came from.
    expected: HashMap<u8, Vec<(u32, PartitionIx)>>,
    jobs: Vec<Job<Input>>,
    units: Vec<(Arc<Input>, Arc<str>)>,
    store: HashMap<u8, (Arc<str>, u64)>,
}

impl Model {
    fn new() -> Self {
        Self {
            lanes: Lanes::new(500),
            now: 0,
            sequence: HashMap::new(),
            expected: HashMap::new(),
            jobs: Vec::new(),
            units: Vec::new(),
            store: HashMap::new(),
        }
    }

    fn offer(&mut self, key: u8, partition: PartitionIx) {
        let sequence = self.sequence.entry(key).or_insert(0);
        *sequence += 1;
        let input = Input {
            key,
            sequence: *sequence,
            partition,
        };
        self.expected.entry(key).or_default().push((*sequence, partition));
        self.lanes.offer(lane(key), Arc::new(input), 0, None);
    }

    fn take(&mut self) {
        if let Some(job) = self.lanes.take(self.now) {
            let key = job.work.key;
            // Not even beside one that was overtaken: a worker has it until it hands it back.
            assert!(
                self.jobs.iter().all(|other| other.work.key != key),
                "two jobs of one key"
            );
            self.jobs.push(job);
        }
    }

    /// The handler: its state is the list of the sequences it saw.
    fn finish(&mut self, which: usize, fails: bool) {
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs.remove(which % self.jobs.len());
        if fails {
            let failed = job.failed + 1;
            self.lanes.park(job, failed, self.now + 10);
            return;
        }
        let input = Arc::clone(&job.work);
        let stored = self.store.get(&input.key);
        let seen = job.slots[0].state.clone().unwrap_or_else(|| Known {
            base: stored.map(|(_, revision)| Revision::new(u64::from(input.key), *revision)),
            document: stored.map(|(document, _)| Arc::clone(document)),
            ..Known::default()
        });
        let document: Arc<str> = format!("{} {}", seen.document.as_deref().unwrap_or_default(), input.sequence).into();
        let change = StateChange::Put(Arc::clone(&document));
        if self.lanes.ran(
            job,
            vec![Change {
                seen: Some(seen),
                change,
            }],
        ) {
            self.units.push((input, document));
        }
    }

    fn commit(&mut self, count: usize) {
        for (input, document) in self.units.drain(..count.min(self.units.len())).collect::<Vec<_>>() {
            let key = lane(input.key);
            let revision = self.store.get(&input.key).map_or(0, |(_, revision)| *revision);
            assert_eq!(
                self.lanes.base(&key).flatten().map_or(0, |base| base.parts().1),
                revision,
                "commit on a stale base"
            );
            self.store.insert(input.key, (document, revision + 1));
            self.lanes
                .rebase(&key, Some(Revision::new(u64::from(input.key), revision + 1)));
            self.lanes.committed(&key);
        }
    }

    /// Another host writes the state, which only it may number 0; a commit here has found that.
    fn elsewhere(&mut self, key: u8) {
        let (document, revision) = self
            .store
            .get(&key)
            .map_or(("", 0), |(document, revision)| (document, *revision));
        let document = format!("{document} 0").into();
        self.store.insert(key, (document, revision + 1));
        let reverted = self.lanes.refresh([lane(key)]);
        assert_eq!(reverted, [lane(key)].into());
        self.units.retain(|(input, _)| input.key != key);
    }

    fn purge(&mut self, partition: PartitionIx) {
        let in_flight = |model: &Self, key: u8| {
            let out = model
                .jobs
                .iter()
                .filter(|job| job.work.key == key && model.lanes.is_current(job));
            let mut kept: Vec<u32> = out.map(|job| job.work.sequence).collect();
            kept.extend(
                model
                    .units
                    .iter()
                    .filter(|(input, _)| input.key == key)
                    .map(|(input, _)| input.sequence),
            );
            kept
        };
        self.lanes.purge(partition);
        for key in 0..5u8 {
            let kept = in_flight(self, key);
            let stored = stored_sequences(&self.store, key);
            if let Some(expected) = self.expected.get_mut(&key) {
                expected
                    .retain(|(sequence, of)| *of != partition || stored.contains(sequence) || kept.contains(sequence));
            }
        }
    }

    /// What is counted as parked is what waits in lanes that are parked.
    fn parked_adds_up(&self) {
        for partition in 0..2 {
            let parked = self.lanes.lanes.values().filter(|lane| lane.due.is_some());
            let waiting = parked.flat_map(|lane| &lane.waiting);
            let theirs = waiting.filter(|queued| queued.work.partition == partition);
            assert_eq!(self.lanes.parked(partition).records, theirs.count());
        }
    }

    fn settle(&mut self) {
        loop {
            self.now += 50;
            self.take();
            if self.jobs.is_empty()
                && self.units.is_empty()
                && !self.lanes.has_ready()
                && self.lanes.next_due().is_none()
            {
                break;
            }
            self.finish(0, false);
            self.commit(2);
        }
        assert!(self.lanes.is_settled());
        assert!(self.lanes.lanes.is_empty(), "an idle lane is left behind");
        assert_eq!(
            (self.lanes.parked(0).records, self.lanes.parked(1).records),
            (0, 0),
            "parked work is counted that is gone"
        );
        for (key, expected) in &self.expected {
            let expected: Vec<_> = expected.iter().map(|(sequence, _)| *sequence).collect();
            assert_eq!(stored_sequences(&self.store, *key), expected, "key {key}");
        }
    }
}

fn stored_sequences(store: &HashMap<u8, (Arc<str>, u64)>, key: u8) -> Vec<u32> {
    let document = store.get(&key).map_or("", |(document, _)| document);
    document
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .filter(|number| *number > 0)
        .collect()
}

proptest! {
    #[test]
    fn every_input_is_applied_once_and_in_order(steps in prop::collection::vec(step(), 1..200)) {
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Offer(key, partition) => model.offer(key, partition),
                Step::Take => model.take(),
                Step::Finish { which, fails } => model.finish(which, fails),
                Step::Commit(count) => model.commit(count),
                Step::Revert => {
                    model.units.clear();
                    model.lanes.revert();
                }
                Step::Elsewhere(key) => model.elsewhere(key),
                Step::Purge(partition) => model.purge(partition),
                Step::Pass(millis) => model.now += millis,
            }
            model.parked_adds_up();
        }
        model.settle();
    }
}

#[derive(Debug)]
struct Request;

impl Work for Request {
    fn partition(&self) -> Option<PartitionIx> {
        None
    }
}

#[test]
fn joint_work_waits_for_all_its_lanes_and_holds_them() {
    let mut lanes = Lanes::new(1000);
    let both = [lane(1), lane(2)];
    lanes.offer(lane(1), Arc::new(Request), 0, None);
    let joint = Arc::new(Request);
    lanes.offer_joint(&both, &joint);
    lanes.offer(lane(2), Arc::new(Request), 0, None);
    let first = lanes.take(0).unwrap();
    assert!(
        lanes.take(0).is_none(),
        "the joint work waits for lane 1, and lane 2 waits for the joint work"
    );
    let keep = || Change {
        seen: Some(Known::default()),
        change: StateChange::Keep,
    };
    assert!(lanes.ran(first, vec![keep()]));
    let second = lanes.take(0).unwrap();
    assert!(Arc::ptr_eq(&second.work, &joint));
    assert_eq!(second.slots.len(), 2);
    assert!(lanes.ran(second, vec![keep(), keep()]));
    assert!(lanes.take(0).is_some());
    assert_eq!(
        lanes.revert().len(),
        3,
        "requests are answered, not run again, and each once"
    );
}

#[test]
fn a_parked_lane_lets_others_pass_and_keeps_its_order() {
    let mut lanes = Lanes::new(1000);
    for sequence in 1..=2 {
        lanes.offer(
            lane(1),
            Arc::new(Input {
                key: 1,
                sequence,
                partition: 1,
            }),
            0,
            None,
        );
    }
    let job = lanes.take(0).unwrap();
    lanes.park(job, 1, 100);
    assert_eq!(lanes.parked(1).records, 2);
    lanes.offer(
        lane(2),
        Arc::new(Input {
            key: 2,
            sequence: 1,
            partition: 0,
        }),
        0,
        None,
    );
    assert_eq!(lanes.take(99).unwrap().work.key, 2);
    assert!(lanes.take(99).is_none());
    let again = lanes.take(100).unwrap();
    assert_eq!((again.work.sequence, again.failed), (1, 1));
    assert_eq!(lanes.parked(1).records, 0);
}

/// A request holds both lanes, and an event of lane 2 ran ahead on it.
#[test]
fn work_of_several_lanes_runs_again_in_all_of_them_and_other_lanes_go_on() {
    let keep = || Change {
        seen: Some(Known::default()),
        change: StateChange::Keep,
    };
    let mut lanes = Lanes::new(1000);
    let names = [lane(1), lane(2)];
    let works: Vec<_> = (0..4).map(|_| Arc::new(Request)).collect();
    lanes.offer_joint(&names, &works[0]);
    lanes.offer(lane(2), Arc::clone(&works[1]), 0, None);
    lanes.offer(lane(3), Arc::clone(&works[2]), 0, None);
    let third = lanes.take(0).filter(|job| Arc::ptr_eq(&job.work, &works[0]));
    assert!(lanes.ran(third.unwrap(), vec![keep(), keep()]));
    let other = lanes.take(0).unwrap();
    assert!(Arc::ptr_eq(&other.work, &works[2]));
    // Taken, and overtaken while it runs.
    let running = lanes.take(0).unwrap();
    assert!(Arc::ptr_eq(&running.work, &works[1]));
    lanes.offer_joint(&[lane(2), lane(3)], &works[3]);
    assert_eq!(lanes.refresh([lane(1)]), [lane(1), lane(2)].into());
    assert!(lanes.ran(other, vec![keep()]), "its lane was not concerned");
    assert!(lanes.take(0).is_none(), "a worker still has a job of lane 2");
    assert!(!lanes.ran(running, vec![keep()]));
    for (work, count) in [(&works[0], 2), (&works[1], 1), (&works[3], 2)] {
        let job = lanes.take(0).unwrap();
        assert!(Arc::ptr_eq(&job.work, work) && job.slots.len() == count);
        assert!(lanes.ran(job, (0..count).map(|_| keep())));
    }
    assert!(lanes.take(0).is_none());
}

/// Work that waits at the head of one lane, and in front of which something is put back, waits behind that.
#[test]
fn work_that_had_arrived_at_the_head_of_a_lane_waits_behind_what_runs_again() {
    let keep = || Change {
        seen: Some(Known::default()),
        change: StateChange::Keep,
    };
    for ready in [true, false] {
        let mut lanes = Lanes::new(1000);
        let (first, blocker, joint) = (Arc::new(Request), Arc::new(Request), Arc::new(Request));
        lanes.offer(lane(1), Arc::clone(&first), 0, None);
        let job = lanes.take(0).unwrap();
        assert!(lanes.ran(job, vec![keep()]));
        if !ready {
            lanes.offer(lane(2), Arc::clone(&blocker), 0, None);
        }
        let blocking = lanes.take(0);
        lanes.offer_joint(&[lane(1), lane(2)], &joint);
        lanes.refresh([lane(1)]);
        let again = lanes.take(0).unwrap();
        assert!(Arc::ptr_eq(&again.work, &first), "ready: {ready}");
        assert!(lanes.take(0).is_none());
        assert!(lanes.ran(again, vec![keep()]));
        if let Some(blocking) = blocking {
            assert!(lanes.take(0).is_none());
            assert!(lanes.ran(blocking, vec![keep()]));
        }
        assert!(Arc::ptr_eq(&lanes.take(0).unwrap().work, &joint), "ready: {ready}");
        assert!(lanes.take(0).is_none());
    }
}
