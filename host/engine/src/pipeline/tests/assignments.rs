//! The pipeline step by step, without threads: records come, partitions come and go, tries fail, commits fail, the host is
//! killed and starts again, in any order. After each commit the store must say what it would say had nothing gone wrong.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::careful::{Careful, Tries, becomes_a_letter, is_no_event};
use super::*;
use sandman_core::lanes::{Job, PartitionIx};
use sandman_core::progress::Progress;
use sandman_core::store::CommitResult;
use sandman_core::work::Input;

const PARTITIONS: usize = 3;
const KEYS: u8 = 6;

#[derive(Clone, Debug)]
enum Step {
    /// A record is produced, some offsets behind the last one of its partition. A key that comes from the payload may be in
    /// any partition.
    Produce {
        key: u8,
        partition: usize,
        gap: i64,
    },
    /// The consumer hands on what is next in the partition.
    Deliver {
        partition: usize,
        count: usize,
    },
    /// A worker takes a job, before or after back-offs have ended.
    Take {
        late: bool,
    },
    /// A worker hands one back.
    Finish(usize),
    /// The committer commits, or cannot.
    Commit {
        fails: bool,
    },
    /// A partition is given up, in time or not.
    Revoke {
        partition: usize,
        forced: bool,
    },
    Assign(usize),
    /// Another host writes the state of a key.
    Elsewhere(u8),
    /// Another host takes the partition over and is gone again; this one hears of it from the store alone.
    Overtaken(usize),
    /// The host is killed, and starts again.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let partition = 0..PARTITIONS;
    prop_oneof![
        6 => (0..KEYS, partition.clone(), 0..3i64).prop_map(|(key, partition, gap)| Step::Produce { key, partition, gap }),
        6 => (partition.clone(), 1..4usize).prop_map(|(partition, count)| Step::Deliver { partition, count }),
        8 => any::<bool>().prop_map(|late| Step::Take { late }),
        8 => any::<usize>().prop_map(Step::Finish),
        5 => prop::bool::weighted(0.25).prop_map(|fails| Step::Commit { fails }),
        1 => (partition.clone(), any::<bool>()).prop_map(|(partition, forced)| Step::Revoke { partition, forced }),
        2 => partition.clone().prop_map(Step::Assign),
        3 => (0..KEYS).prop_map(Step::Elsewhere),
        1 => partition.prop_map(Step::Overtaken),
        1 => Just(Step::Crash),
    ]
}

/// A host, and everything around it.
struct World {
    store: Arc<Flaky>,
    pipeline: Arc<Pipeline>,
    intake: HandlerIntake,
    /// What is on the broker: payloads, keys and records.
    log: [Vec<(u32, u8, Record)>; PARTITIONS],
    produced: u32,
    /// Where the consumer reads next in the partitions it has, and whether it is held.
    reading: HashMap<usize, (i64, bool)>,
    jobs: Vec<Job<Input>>,
    /// Jobs that were taken before another host had their partition: partition and offset. What they try counts nowhere.
    strays: HashSet<(i32, i64)>,
    /// What other hosts have written to the state of each key.
    elsewhere: HashMap<u8, Vec<String>>,
    slow: Arc<Mutex<HashSet<u32>>>,
    tries: Tries,
}

fn started(store: &Arc<Flaky>, slow: &Arc<Mutex<HashSet<u32>>>, tries: &Tries) -> Arc<Pipeline> {
    let (alarm, _) = Alarm::new();
    let shared = Arc::clone(store) as Arc<dyn Store>;
    let options = Options {
        in_flight: 12,
        parked: 4,
        batch: 5,
        store_pause: Duration::ZERO,
        ..options()
    };
    let registry = registry_of(Box::new(Careful::new(Arc::clone(slow), Arc::clone(tries))), 0);
    Pipeline::new(options, registry, shared, (alarm, Meters::new().host)).unwrap()
}

/// The partition and the offset of an event's job.
fn place(job: &Job<Input>) -> (i32, i64) {
    let Input::Event(work) = &*job.work else {
        panic!("events only")
    };
    (work.record.source.partition, work.record.offset)
}

impl World {
    fn new() -> Self {
        let store = Flaky::shared();
        let (slow, tries) = (Arc::default(), Tries::default());
        let pipeline = started(&store, &slow, &tries);
        Self {
            intake: HandlerIntake::new(Arc::clone(&pipeline), 0, Recreation::Stop),
            pipeline,
            store,
            log: Default::default(),
            produced: 0,
            reading: HashMap::new(),
            jobs: Vec::new(),
            strays: HashSet::new(),
            elsewhere: HashMap::new(),
            slow,
            tries,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Produce { key, partition, gap } => self.produce(key, partition, gap),
            Step::Deliver { partition, count } => (0..count).for_each(|_| self.deliver(partition)),
            Step::Take { late } => self.take(late),
            Step::Finish(which) => self.finish(which),
            Step::Commit { fails } => self.commit(fails),
            Step::Revoke { partition, forced } => self.revoke(partition, forced),
            Step::Assign(partition) => self.assign(partition),
            Step::Elsewhere(key) => {
                let words = self.elsewhere.entry(key).or_default();
                words.push(format!("x{}", words.len()));
                self.store
                    .write_elsewhere("lister", &key.to_string(), words.last().unwrap());
            }
            Step::Overtaken(number) => {
                let name = partition(i32::try_from(number).unwrap());
                self.store.assign_elsewhere(&name);
            }
            Step::Crash => {
                self.jobs.clear();
                self.strays.clear();
                self.reading.clear();
                self.tries.lock().clear();
                self.pipeline = started(&self.store, &self.slow, &self.tries);
                self.intake = HandlerIntake::new(Arc::clone(&self.pipeline), 0, Recreation::Stop);
            }
        }
        self.adds_up();
    }

    fn produce(&mut self, key: u8, partition: usize, gap: i64) {
        let log = &mut self.log[partition];
        let offset = log.last().map_or(gap, |(_, _, last)| last.offset + 1 + gap);
        let mut record = record(key, self.produced, i32::try_from(partition).unwrap(), offset);
        if is_no_event(self.produced) {
            record.value = Some(b"{".to_vec());
        }
        log.push((self.produced, key, record));
        self.produced += 1;
    }

    fn deliver(&mut self, partition: usize) {
        let Some((next, held)) = self.reading.get_mut(&partition) else {
            return;
        };
        let record = self.log[partition].iter().find(|(_, _, record)| record.offset >= *next);
        if let Some((_, _, record)) = record.filter(|_| !*held) {
            *next = record.offset + 1;
            *held = self.intake.record(record.clone()) == Flow::Pause;
        }
        for resumed in self.intake.resumed() {
            let partition = usize::try_from(resumed.partition).unwrap();
            self.reading.get_mut(&partition).expect("resumed without being ours").1 = false;
        }
    }

    fn take(&mut self, late: bool) {
        let now = if late { u64::MAX } else { 0 };
        let Some(job) = self.pipeline.state.lock().scheduler.take(now) else {
            return;
        };
        let lane = &job.slots[0].lane;
        assert!(
            self.jobs.iter().all(|other| other.slots[0].lane != *lane),
            "two jobs of {lane:?}"
        );
        self.jobs.push(job);
    }

    fn finish(&mut self, which: usize) {
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs.remove(which % self.jobs.len());
        let stray = self.strays.remove(&place(&job)).then(|| self.tries.lock().clone());
        let ran = self.pipeline.attempt(&job);
        if let Some(known) = stray {
            *self.tries.lock() = known;
        }
        let mut state = self.pipeline.state.lock();
        if let Some(unit) = state.scheduler.hand_back(job, ran) {
            state.queue(unit);
        }
    }

    fn commit(&mut self, fails: bool) {
        let mut state = self.pipeline.state.lock();
        if state.commits.is_empty() {
            return;
        }
        let batch = self.pipeline.gather(&mut state);
        drop(state);
        if fails {
            self.pipeline.fail(batch);
            return;
        }
        match self.store.commit(&batch.commit, 0).unwrap() {
            CommitResult::Committed(committed) => self.pipeline.settle(batch, committed, 0),
            CommitResult::Conflict(conflict) => {
                if !conflict.partitions.is_empty() {
                    // What was tried while another host had the partition is not known to anybody.
                    self.tries.lock().clear();
                    let lost = |(number, _): &(i32, i64)| {
                        let mut taken = conflict.partitions.iter();
                        taken.any(|(_, taken)| taken.partition == *number)
                    };
                    self.strays.extend(self.jobs.iter().map(place).filter(lost));
                }
                self.pipeline.rerun(batch, &conflict);
            }
        }
        self.check();
    }

    /// The consumer gives back what the store has refused, and gets it again.
    fn rejoin(&mut self) {
        for fenced in self.intake.fenced() {
            let number = usize::try_from(fenced.partition).unwrap();
            self.revoke(number, false);
            self.assign(number);
        }
    }

    /// As [`HandlerIntake::revoked`], with the workers and the committer going on meanwhile. By force, where nothing can be
    /// committed, all of the partition goes but its failed tries.
    fn revoke(&mut self, number: usize, forced: bool) {
        if self.reading.remove(&number).is_none() {
            return;
        }
        let name = partition(i32::try_from(number).unwrap());
        let found = self.pipeline.state.lock().let_go(0, &[name]);
        let mut rounds = 0;
        while self.is_under_way(&found, forced) {
            self.take(false);
            self.finish(0);
            if !forced {
                self.commit(false);
            }
            rounds += 1;
            assert!(rounds < 10_000, "the partition is not given up");
        }
        while self.pipeline.state.lock().admission.is_under_way(&found, true) {
            self.commit(false);
        }
    }

    fn is_under_way(&self, found: &[PartitionIx], forced: bool) -> bool {
        let mut state = self.pipeline.state.lock();
        if forced {
            state.revert(Vec::new());
        }
        state.purge(found[0]);
        state.admission.is_under_way(found, !forced)
    }

    fn assign(&mut self, number: usize) {
        if self.reading.contains_key(&number) {
            return;
        }
        let starts = self
            .intake
            .assigned(&[partition(i32::try_from(number).unwrap())], &[])
            .unwrap();
        let next = match starts[0] {
            Start::Beginning => 0,
            Start::At(offset) => offset,
        };
        self.reading.insert(number, (next, false));
    }

    /// What is counted per partition is what is counted per handler, and what is parked is part of it.
    fn adds_up(&self) {
        let state = self.pipeline.state.lock();
        let in_flight: usize = state.admission.of(0).map(|(_, partition)| partition.in_flight).sum();
        assert_eq!(in_flight, state.admission.load(0).0);
        for (ix, partition) in state.admission.of(0) {
            let parked = state.scheduler.parked(ix);
            assert!(parked.records <= partition.in_flight, "{parked:?}");
            assert_eq!(parked.records == 0, parked.bytes == 0);
        }
    }

    /// An offset is passed exactly where what is at it has had its effect: once, and in the order of its key and partition.
    fn check(&self) {
        let tables = self.store.tables.lock();
        let mut letters = HashSet::new();
        for letter in tables.outbox.iter().filter(|record| &*record.topic == "t.dlq") {
            let header = |name: &str| {
                let found = letter.headers.iter().find(|header| header.name == name);
                std::str::from_utf8(found.unwrap().value.unwrap()).unwrap().to_owned()
            };
            let place = (header("sandman.partition"), header("sandman.offset"));
            assert!(letters.insert(place.clone()), "two dead letters of {place:?}");
        }
        let mut lists: HashMap<(u8, i32), Vec<String>> = HashMap::new();
        let mut partitions: HashMap<String, i32> = HashMap::new();
        for (payload, key, record) in self.log.iter().flatten() {
            let progress = tables.progress.get(&record.source);
            let passed = progress.is_some_and(|progress| progress.contains(record.offset));
            let place = (record.source.partition.to_string(), record.offset.to_string());
            let letter = letters.contains(&place);
            assert_eq!(
                letter,
                passed && becomes_a_letter(*payload),
                "dead letter of {payload} at {place:?}"
            );
            if passed && !letter {
                let list = lists.entry((*key, record.source.partition)).or_default();
                list.push(payload.to_string());
                partitions.insert(payload.to_string(), record.source.partition);
            }
        }
        for key in 0..KEYS {
            let state = tables.states.get(&name("lister", &key.to_string()));
            let state = state.and_then(|state| state.document.as_deref()).unwrap_or_default();
            let (foreign, list): (Vec<_>, Vec<_>) = state.split_whitespace().partition(|word| word.starts_with('x'));
            let written = self.elsewhere.get(&key).cloned().unwrap_or_default();
            assert_eq!(foreign, written, "what others have written to the state of {key}");
            for number in 0..3 {
                let expected = lists.remove(&(key, number)).unwrap_or_default();
                let of_partition = |payload: &&&str| partitions.get(**payload) == Some(&number);
                let seen: Vec<_> = list.iter().filter(of_partition).copied().collect();
                assert_eq!(seen, expected, "state of {key}, partition {number}");
            }
            assert!(
                list.iter().all(|payload| partitions.contains_key(*payload)),
                "state of {key}: {state}"
            );
            let told = |record: &&sandman_core::event::OutRecord| {
                &*record.topic == "listed" && record.key.as_deref() == Some(key.to_string().as_bytes())
            };
            let events = tables.outbox.iter().filter(told).count();
            assert_eq!(events, list.len(), "events of {key}");
        }
    }

    /// Everything that was produced comes in and is committed, and nothing is left in memory.
    fn settle(&mut self) {
        (0..PARTITIONS).for_each(|partition| self.assign(partition));
        let mut rounds = 0;
        loop {
            for partition in 0..PARTITIONS {
                self.step(Step::Deliver { partition, count: 1 });
            }
            self.step(Step::Take { late: true });
            self.step(Step::Finish(0));
            self.step(Step::Commit { fails: false });
            self.rejoin();
            let at_the_end = |(partition, (next, _)): (&usize, &(i64, bool))| {
                self.log[*partition]
                    .last()
                    .is_none_or(|(_, _, last)| last.offset < *next)
            };
            let state = self.pipeline.state.lock();
            if self.reading.iter().all(at_the_end) && state.admission.load(0).0 == 0 && state.commits.is_empty() {
                break;
            }
            rounds += 1;
            assert!(rounds < 10_000, "it does not come to rest");
        }
        self.check();
        let state = self.pipeline.state.lock();
        assert_eq!(
            (state.admission.load(0), state.scheduler.lanes().count(0)),
            ((0, 0), 0),
            "left in memory"
        );
        assert!(state.scheduler.lanes().is_settled() && self.jobs.is_empty());
        assert!(state.admission.of(0).all(|(_, partition)| partition.noting == 0));
        let tables = self.store.tables.lock();
        for (_, _, record) in self.log.iter().filter_map(|log| log.last()) {
            let progress = &tables.progress[&record.source];
            assert_eq!(*progress, Progress::starting_at(record.offset + 1));
        }
        assert!(
            tables.attempts.is_empty(),
            "attempts of records that are done: {:?}",
            tables.attempts
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_and_goes_the_store_says_what_happened(steps in prop::collection::vec(step(), 1..250)) {
        let mut world = World::new();
        (0..PARTITIONS).for_each(|partition| world.assign(partition));
        for step in steps {
            world.step(step);
        }
        world.settle();
    }
}

#[test]
fn a_drain_waits_for_the_commit_that_is_under_way() {
    let mut world = World::new();
    world.assign(0);
    while !is_no_event(world.produced) {
        world.produced += 1;
    }
    world.produce(0, 0, 0);
    world.deliver(0);
    let is_drained = |world: &World| world.pipeline.drain(Instant::now());
    assert!(!is_drained(&world), "its dead letter waits");
    let batch = world.pipeline.gather(&mut world.pipeline.state.lock());
    assert!(!is_drained(&world), "it is being committed");
    let CommitResult::Committed(committed) = world.store.commit(&batch.commit, 0).unwrap() else {
        panic!("a conflict")
    };
    world.pipeline.settle(batch, committed, 0);
    assert!(is_drained(&world));
}

#[test]
fn a_try_that_failed_just_before_its_partition_went_is_known_when_it_comes_back() {
    let mut world = World::new();
    world.assign(2);
    // The second payload fails at its first try; the handler itself says so if it sees a first try of it again.
    (0..2).for_each(|_| world.produce(2, 2, 0));
    for _ in 0..2 {
        world.deliver(2);
        world.take(false);
        world.finish(0);
    }
    world.revoke(2, false);
    let failed = |(_, attempts): (_, &Attempts)| attempts.failed;
    assert_eq!(
        world
            .store
            .tables
            .lock()
            .attempts
            .iter()
            .map(failed)
            .collect::<Vec<_>>(),
        [1]
    );
    world.settle();
}
