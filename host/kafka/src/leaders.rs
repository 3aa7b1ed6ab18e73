//! Whether every partition of a topic has a leader, before anything is written to it: a transaction with a leaderless
//! partition cannot end until it has a leader, and holds up all other topics until then.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::Client;
use rdkafka::error::KafkaResult;

use super::delivery::Deliveries;
use super::wait::Deadline;

/// How long an answer is valid. A lost connection leads to a new publisher, which asks again.
const FRESH: Duration = Duration::from_secs(10);
/// How long a cluster may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// The same for one leader.
const REACHED: Duration = Duration::from_secs(2);
/// How long a topic may be without a leader before it is skipped for now: an election takes less.
const ELECTION: Duration = Duration::from_secs(3);
/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_millis(100);

/// Topics without a leader; kept across publishers, so that an election that did not happen is waited for only once.
#[derive(Clone, Debug, Default)]
pub struct LeaderlessTopics(Arc<Mutex<BTreeSet<Arc<str>>>>);

/// How many partitions topics have.
pub(super) type PartitionCounts = HashMap<Arc<str>, u32>;

/// The leaders that one publisher knows.
#[derive(Default)]
pub(super) struct Leaders {
    asked: HashMap<Arc<str>, Instant>,
    /// As of the last answer.
    partitions: PartitionCounts,
    /// Brokers that have answered a request for a partition that they lead.
    reached: HashSet<i32>,
    /// The client's count of troubles at that time.
    troubles: u64,
    leaderless: LeaderlessTopics,
}

impl Leaders {
    pub(super) fn new(leaderless: &LeaderlessTopics) -> Self {
        Self {
            leaderless: leaderless.clone(),
            ..Self::default()
        }
    }

    /// The first of these topics that has a partition without a leader, and the problem. A cluster that does not answer
    /// says nothing about a topic. After new errors, such as a lost connection, everything is asked again.
    pub(super) fn lacking<'a>(
        &mut self,
        client: &Client<Deliveries>,
        topics: impl IntoIterator<Item = &'a Arc<str>>,
    ) -> Option<(Arc<str>, String)> {
        let troubles = troubles(client);
        if troubles != self.troubles {
            self.troubles = troubles;
            self.asked.clear();
            self.reached.clear();
        }
        for topic in topics {
            if self.asked.get(topic).is_some_and(|asked| asked.elapsed() < FRESH) {
                continue;
            }
            match self.lacks(client, topic) {
                Ok(None) => drop(self.asked.insert(Arc::clone(topic), Instant::now())),
                Ok(Some(lacks)) => return Some((Arc::clone(topic), lacks)),
                // Asking for the others would only take as long.
                Err(error) => {
                    tracing::debug!(topic = &**topic, %error, "its leaders are not known");
                    return None;
                }
            }
        }
        None
    }

    /// How many partitions the topics have that were asked for.
    pub(super) fn partitions(&self) -> &PartitionCounts {
        &self.partitions
    }

    /// Forgets the answers, because a transaction does not progress.
    pub(super) fn doubt(&mut self) {
        self.asked.clear();
        self.reached.clear();
    }

    fn lacks(&mut self, client: &Client<Deliveries>, topic: &Arc<str>) -> KafkaResult<Option<String>> {
        let is_known = self.leaderless.0.lock().contains(topic);
        let patience = Deadline::after(if is_known { Duration::ZERO } else { ELECTION });
        loop {
            let Some(lacks) = self.without_leader(client, topic)? else {
                self.leaderless.0.lock().remove(topic);
                return Ok(None);
            };
            if patience.passed() {
                self.leaderless.0.lock().insert(Arc::clone(topic));
                return Ok(Some(lacks));
            }
            thread::park_timeout(AGAIN);
        }
    }

    /// A killed broker remains the leader until the controller notices, so the leaders themselves are asked as well.
    fn without_leader(&mut self, client: &Client<Deliveries>, topic: &Arc<str>) -> KafkaResult<Option<String>> {
        let metadata = client.fetch_metadata(Some(topic), ANSWER)?;
        let Some(known) = metadata.topics().iter().find(|known| known.name() == &**topic) else {
            return Ok(None);
        };
        let count = u32::try_from(known.partitions().len()).unwrap_or(1);
        self.partitions.insert(Arc::clone(topic), count);
        let named = |id: i32| format!("{topic}[{id}]");
        let led_by_nobody = known.partitions().iter().filter(|partition| partition.leader() < 0);
        let names: Vec<_> = led_by_nobody.map(|partition| named(partition.id())).collect();
        if !names.is_empty() {
            return Ok(Some(format!("{} without a leader", names.join(", "))));
        }
        for partition in known.partitions() {
            let leader = partition.leader();
            if self.reached.contains(&leader) {
                continue;
            }
            let before = troubles(client);
            let answer = client.fetch_watermarks(topic, partition.id(), REACHED);
            // A leader that is only slow is reachable.
            if answer.is_err() && troubles(client) != before {
                let place = named(partition.id());
                return Ok(Some(format!("broker {leader}, which leads {place}, cannot be reached")));
            }
            self.reached.insert(leader);
        }
        Ok(None)
    }
}

/// How often the client reported an error or lost a connection.
fn troubles(client: &Client<Deliveries>) -> u64 {
    client.context().monitor().health().troubles()
}
