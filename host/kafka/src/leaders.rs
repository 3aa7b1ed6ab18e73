//! Whether every partition of a topic has a leader, before anything is written to it: a transaction with a partition that
//! nobody leads cannot end before somebody does, and holds up all other topics meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::{Client, ClientContext};

use super::wait::Deadline;

/// How long an answer is taken for the truth. A connection that is lost makes a new publisher, which asks anew.
const FRESH: Duration = Duration::from_secs(10);
/// How long a cluster may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a topic may be without a leader before it is given up for now: an election takes less.
const ELECTION: Duration = Duration::from_secs(3);
/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_millis(100);

/// Topics that were given up; kept over publishers, so that nobody waits for an election that did not happen.
#[derive(Clone, Debug, Default)]
pub struct LeaderlessTopics(Arc<Mutex<BTreeSet<Arc<str>>>>);

/// What one publisher knows of leaders.
#[derive(Default)]
pub(super) struct Leaders {
    asked: HashMap<Arc<str>, Instant>,
    leaderless: LeaderlessTopics,
}

impl Leaders {
    pub(super) fn new(leaderless: &LeaderlessTopics) -> Self {
        Self {
            asked: HashMap::new(),
            leaderless: leaderless.clone(),
        }
    }

    /// The first of these topics that has a partition without a leader, and what is wrong. A cluster that does not answer says
    /// nothing about a topic.
    pub(super) fn lacking<'a, C: ClientContext>(
        &mut self,
        client: &Client<C>,
        topics: impl IntoIterator<Item = &'a Arc<str>>,
    ) -> Option<(Arc<str>, String)> {
        for topic in topics {
            if self.asked.get(topic).is_some_and(|asked| asked.elapsed() < FRESH) {
                continue;
            }
            if let Some(lacks) = self.lacks(client, topic) {
                return Some((Arc::clone(topic), lacks));
            }
            self.asked.insert(Arc::clone(topic), Instant::now());
        }
        None
    }

    /// Forgets what was answered: something does not get on.
    pub(super) fn doubt(&mut self) {
        self.asked.clear();
    }

    fn lacks<C: ClientContext>(&self, client: &Client<C>, topic: &Arc<str>) -> Option<String> {
        let is_known = self.leaderless.0.lock().contains(topic);
        let patience = Deadline::after(if is_known { Duration::ZERO } else { ELECTION });
        loop {
            let Some(lacks) = without_leader(client, topic) else {
                self.leaderless.0.lock().remove(topic);
                return None;
            };
            if patience.passed() {
                self.leaderless.0.lock().insert(Arc::clone(topic));
                return Some(lacks);
            }
            thread::park_timeout(AGAIN);
        }
    }
}

fn without_leader<C: ClientContext>(client: &Client<C>, topic: &str) -> Option<String> {
    let metadata = client.fetch_metadata(Some(topic), ANSWER).ok()?;
    let known = metadata.topics().iter().find(|known| known.name() == topic)?;
    let led_by_nobody = known.partitions().iter().filter(|partition| partition.leader() < 0);
    let names: Vec<_> = led_by_nobody
        .map(|partition| format!("{topic}[{}]", partition.id()))
        .collect();
    (!names.is_empty()).then(|| format!("nobody leads {}", names.join(", ")))
}
