//! One run of a scenario: its seed, its clients, its readers, and the end at which all is held against each other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sandman_kafka::cursor_topic;
use witness::{Asked, Memory};

use crate::checker::{Fate, Journal, Observed, Rules, Verdict, judge};
use crate::consumer::Reader;
use crate::wait::PATIENCE;
use crate::{Client, Host, Result, World};

use super::live::{Live, Topics};
use super::lives::{Life, Lives};
use super::load::{Numbers, next};
use super::plant::Plant;
use super::tries::tries;

/// Between two looks at what the readers have.
const LOOK: Duration = Duration::from_millis(100);
/// The host says that nothing is left to do, and nothing came for so long: what is not there now will not come.
const QUIET: Duration = Duration::from_secs(3);
/// States that are compared at the end.
const STATES: usize = 300;

/// A run of a scenario.
pub struct Run<'a> {
    /// Its world.
    pub world: &'a World,
    /// What its choices follow from.
    pub seed: u64,
    /// Whether to do all of it, or as much as `cargo test` has time for.
    pub full: bool,
    /// What clients sent.
    pub journal: Journal,
    /// The scenario's choices. The clients, who go on beside it at their own pace, have others.
    random: Mutex<fastrand::Rng>,
    pub(super) client_random: Mutex<fastrand::Rng>,
    numbers: Numbers,
    input: String,
    topics: Topics,
    live: Mutex<Option<Live>>,
    pub(super) address: Mutex<Option<String>>,
    faults: AtomicUsize,
    notes: Mutex<Vec<String>>,
    pub(super) lives: Lives,
    /// A bug that every host is to have, where the checker is to be tried out.
    pub(super) plant: Option<Plant>,
}

impl<'a> Run<'a> {
    /// Makes the topics and starts to read.
    ///
    /// # Errors
    /// If there is no broker.
    pub fn new(world: &'a World, seed: u64, full: bool) -> Result<Self> {
        Self::read_by(world, seed, full, |topic| world.reader(topic))
    }

    /// The same with readers that are shown aborted transactions: what the checker must notice.
    ///
    /// # Errors
    /// If there is no broker.
    pub fn careless(world: &'a World, seed: u64) -> Result<Self> {
        let brokers = world.cluster()?.brokers();
        Self::read_by(world, seed, false, |topic| {
            Reader::open(brokers, topic, "read_uncommitted")
        })
    }

    fn read_by(world: &'a World, seed: u64, full: bool, reader: impl Fn(&str) -> Result<Reader>) -> Result<Self> {
        let input = world.make_topic("work.asked")?;
        let dead = world.make_topic("work.asked.dlq")?;
        let [first, second] = witness::TYPES;
        let topics = Topics {
            events: [world.make_topic(first)?, world.make_topic(second)?],
            dead,
        };
        let live = Live::start(&topics, reader)?;
        Ok(Self {
            world,
            seed,
            full,
            journal: Journal::default(),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            client_random: Mutex::new(fastrand::Rng::with_seed(!seed)),
            numbers: Numbers::default(),
            input,
            topics,
            live: Mutex::new(Some(live)),
            address: Mutex::new(None),
            faults: AtomicUsize::new(0),
            notes: Mutex::default(),
            lives: Lives::default(),
            plant: None,
        })
    }

    /// Every host is to have this bug.
    pub fn plant(&mut self, bug: Plant) {
        self.plant = Some(bug);
    }

    /// The topic that the events go to.
    pub fn input_topic(&self) -> &str {
        &self.input
    }

    /// The topics that come out: first events, second events.
    pub fn output_topics(&self) -> &[String; 2] {
        &self.topics.events
    }

    /// A number below `bound`, for the scenario.
    pub fn below(&self, bound: u64) -> u64 {
        below(&self.random, bound)
    }

    /// `full`, or `short` in `cargo test`.
    pub fn size<T>(&self, short: T, full: T) -> T {
        if self.full { full } else { short }
    }

    /// Counts a fault.
    pub fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// How many faults there were.
    pub fn faults(&self) -> usize {
        self.faults.load(Ordering::Relaxed)
    }

    /// What each host did until a fault hit it.
    pub fn lives(&self) -> Vec<Life> {
        self.lives.all()
    }

    /// Has the report say this too.
    pub fn note(&self, line: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// What the report is to say beside the verdict.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next input of a key, entered in the journal.
    pub fn enter(&self, key: &str, asked: Asked) -> (Arc<str>, Asked) {
        let (key, number) = next(&self.numbers, key);
        let asked = self.journal.enter(&key, number, asked);
        (key, asked)
    }

    /// How many first events, second events and dead letters the readers have seen.
    pub fn seen(&self) -> [usize; 3] {
        self.live().as_ref().map_or([0; 3], Live::counts)
    }

    /// How many inputs from Kafka the readers have seen answered. Requests are answered by a host that consumes nothing, too.
    pub fn answered_events(&self) -> usize {
        self.live().as_ref().map_or(0, Live::of_events)
    }

    /// Lets the load go on until the readers have seen so many more inputs from Kafka answered, or for `longest`.
    pub fn until_seen(&self, more: usize, longest: Duration) {
        let (wanted, end) = (self.answered_events() + more, Instant::now() + longest);
        while self.answered_events() < wanted && Instant::now() < end {
            thread::park_timeout(LOOK / 10);
        }
    }

    /// Lets the load go on for a random while of at most so long.
    pub fn for_a_while(&self, longest: Duration) {
        let millis = self.below(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
        self.for_long(Duration::from_millis(millis));
    }

    /// Lets the load go on for so long.
    pub fn for_long(&self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(left) = end
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            thread::park_timeout(left);
        }
    }

    /// Waits until everything is done, stops the host, reads everything, and judges.
    ///
    /// # Errors
    /// If the host or the broker does not answer, or the host does not end well.
    pub fn finish(&self, host: Host) -> Result<Verdict> {
        self.finish_by(host, Rules::default())
    }

    /// The same by other rules.
    ///
    /// # Errors
    /// Likewise.
    pub fn finish_by(&self, host: Host, rules: Rules) -> Result<Verdict> {
        self.finish_of("witness", host, rules)
    }

    /// The same where the handler goes by another name.
    ///
    /// # Errors
    /// Likewise.
    pub fn finish_of(&self, handler: &str, host: Host, rules: Rules) -> Result<Verdict> {
        self.settle_of(handler, &host)?;
        let states = self.states(&host)?;
        self.stops(&host)?;
        let ended = host.terminate()?;
        ensure!(ended.code() == 0, "the host ended with {}", ended.status);
        let verdict = self.judge(states, rules)?;
        let lag = self.lag_of(handler)?;
        ensure!(
            lag == 0,
            "the lag is not back at zero: {lag} records are not done; the checker found {:?}",
            verdict.counts()
        );
        Ok(verdict)
    }

    /// Records that the handler's group has not done, as Kafka's own tools see it.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn lag(&self) -> Result<i64> {
        self.lag_of("witness")
    }

    fn lag_of(&self, handler: &str) -> Result<i64> {
        let sent = self.world.cluster()?.end(&self.input)?;
        Ok(sent - self.world.group_offsets(handler, &self.input)?)
    }

    /// The verdict on a host that may be wrong in any way: it may have ended, or end badly.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn verdict(&self, host: Host) -> Result<Verdict> {
        let settled = self.settle(&host).and_then(|()| self.states(&host));
        let _ = host.terminate();
        self.judge(settled.unwrap_or_default(), Rules::default())
    }

    /// Judges without a host: what it left is all there is.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub fn judge(&self, states: Vec<(Arc<str>, Memory)>, rules: Rules) -> Result<Verdict> {
        let live = self.live().take().context("judged already")?.stop()?;
        let stuck = self.stuck()?;
        let (last, made) = self.topics.read(self.world)?;
        let observed = Observed {
            live,
            stuck,
            last,
            states,
            attempts: tries(&self.world.logs_of_each(), (!rules.clock_jumps).then_some(&made)),
        };
        Ok(judge(&self.journal.inputs(), &observed, rules))
    }

    /// How far it came, for the report of a run that could not go on.
    pub(super) fn so_far(&self) -> String {
        let lie = |topic: &String| match self.world.cluster().and_then(|cluster| cluster.end(topic)) {
            Ok(end) => end.to_string(),
            Err(error) => format!("? ({error:#})"),
        };
        let [first, second] = &self.topics.events;
        format!(
            "it came so far: {} inputs were sent, {} acknowledged, {} lie in Kafka; readers saw {:?} first events, second \
             events and dead letters of {}, {} and {} records",
            self.journal.len(),
            self.journal.acknowledged(),
            lie(&self.input),
            self.seen(),
            lie(first),
            lie(second),
            lie(&self.topics.dead)
        )
    }

    /// Waits until the readers have what must come, or the host says that nothing is left and nothing comes.
    ///
    /// # Errors
    /// If the host ends.
    pub fn settle(&self, host: &Host) -> Result {
        self.settle_of("witness", host)
    }

    fn settle_of(&self, handler: &str, host: &Host) -> Result {
        let inputs = self.journal.inputs();
        let acknowledged = inputs.iter().filter(|input| input.fate == Fate::Acknowledged);
        let dead = acknowledged
            .clone()
            .filter(|input| input.expected.is_given_up())
            .count();
        // What comes of them may be more than what must, and hide that something is missing still.
        let doubtful = inputs.iter().any(|input| input.fate == Fate::Unknown);
        let answers = acknowledged.filter(|input| input.expected.is_answered()).count();
        let mut end = Instant::now() + PATIENCE;
        let (mut before, mut since) = (self.seen(), Instant::now());
        loop {
            host.still_runs()?;
            let seen = self.seen();
            let idle = is_idle(host)?;
            if seen != before {
                // As long as something comes, it is not over, on however slow a machine.
                end = Instant::now() + PATIENCE;
            }
            if seen != before || !idle {
                (before, since) = (seen, Instant::now());
            }
            let complete = !doubtful && seen[0] >= answers && seen[1] >= answers && seen[2] >= dead;
            let quiet = if complete { LOOK * 3 } else { QUIET };
            if Instant::now() >= end || (since.elapsed() >= quiet && (complete || self.lag_of(handler)? == 0)) {
                return Ok(());
            }
            thread::park_timeout(LOOK);
        }
    }

    /// What the host knows of keys.
    fn states(&self, host: &Host) -> Result<Vec<(Arc<str>, Memory)>> {
        let client = Client::new(host.http()?);
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = numbers.values().map(|(key, _)| Arc::clone(key)).collect();
        drop(numbers);
        keys.sort();
        let step = keys.len().div_ceil(STATES).max(1);
        let asked = keys.into_iter().step_by(step).map(|key| {
            let known = client.get(&format!("/work/{key}"))?.has(200)?;
            Ok((key, serde_json::from_value(known)?))
        });
        asked.collect()
    }

    /// Partitions whose readers are held up by a transaction, although nobody writes any more.
    fn stuck(&self) -> Result<Vec<String>> {
        let cluster = self.world.cluster()?;
        let cursor = cursor_topic(self.world.deployment(), 0);
        let topics = self.topics.events.iter().chain([&self.topics.dead, &cursor]);
        let end = Instant::now() + QUIET;
        loop {
            let mut stuck = Vec::new();
            for topic in topics.clone() {
                stuck.extend(cluster.held_up(topic)?);
            }
            if stuck.is_empty() || Instant::now() >= end {
                return Ok(stuck);
            }
            thread::park_timeout(LOOK);
        }
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn below(random: &Mutex<fastrand::Rng>, bound: u64) -> u64 {
    let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
    random.u64(..bound.max(1))
}

/// Whether the host says that it has nothing to do.
fn is_idle(host: &Host) -> Result<bool> {
    let metrics = host.metrics()?;
    let none = |name: &str| metrics.sum(name, &[]).unwrap_or_default() == 0.0;
    Ok([
        "sandman_group_lag_messages",
        "sandman_in_flight_triggers",
        "sandman_outbox_batches",
        "sandman_parked_triggers",
    ]
    .iter()
    .all(|name| none(name)))
}
