//! Creates the topics that the host needs, if it is allowed to.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;

use super::client::Monitor;
use super::health::KafkaHealth;
use super::settings::KafkaSettings;
use super::wait::{Deadline, drop_apart};
use sandman_core::broker::{TopicSpec, TopicsError};

/// How long to wait before checking again whether a new topic has its leaders.
const AGAIN: Duration = Duration::from_millis(50);
const CLOSE: Duration = Duration::from_secs(3);
/// How long a broker may take to return a topic's configuration. Some never answer (the embedded one, some proxies),
/// and a check that only leads to a warning must not use up the time for the rest.
const CONFIG: Duration = Duration::from_secs(2);

/// Creates the topics that are missing, with the cluster's default replication, and waits until they can be used.
/// Returns the names of those it created. Existing topics are not changed, but must be compacted if that is required.
///
/// # Errors
/// [`TopicsError`]
pub fn ensure_topics(
    settings: &KafkaSettings,
    topics: &[TopicSpec],
    health: &Arc<KafkaHealth>,
    patience: Duration,
) -> Result<Vec<String>, TopicsError> {
    let admin: AdminClient<Monitor> = settings
        .admin()
        .create_with_context(Monitor::new(health.transient("topics")))
        .map_err(|error| TopicsError::Settings(error.to_string()))?;
    let work = TopicsWork {
        admin: &admin,
        brokers: &settings.brokers,
        deadline: Deadline::after(patience),
    };
    let made = work.ensure(topics);
    drop_apart("topics", admin, CLOSE);
    made
}

/// The largest record that a topic takes, in bytes, with its framing; `None` if the cluster does not say.
pub(super) fn largest_record(settings: &KafkaSettings, topic: &str, health: &Arc<KafkaHealth>) -> Option<usize> {
    let context = Monitor::new(health.transient("topics"));
    let admin: AdminClient<Monitor> = settings.admin().create_with_context(context).ok()?;
    let work = TopicsWork {
        admin: &admin,
        brokers: &settings.brokers,
        deadline: Deadline::after(CONFIG),
    };
    let resource = [ResourceSpecifier::Topic(topic)];
    let options = work.options().request_timeout(Some(CONFIG));
    let asked = admin.describe_configs(&resource, &options);
    let answer = work.answer(asked).ok().and_then(|mut all| all.pop()?.ok());
    let largest = answer.and_then(|config| config.get("max.message.bytes")?.value.as_ref()?.parse().ok());
    drop_apart("topics", admin, CLOSE);
    largest
}

struct TopicsWork<'a> {
    admin: &'a AdminClient<Monitor>,
    brokers: &'a str,
    deadline: Deadline,
}

impl TopicsWork<'_> {
    fn ensure(&self, topics: &[TopicSpec]) -> Result<Vec<String>, TopicsError> {
        let known = self.known()?;
        let (there, missing): (Vec<_>, Vec<_>) = topics.iter().partition(|topic| known.contains_key(&topic.name));
        let created = if missing.is_empty() {
            Vec::new()
        } else {
            self.create(&missing)?
        };
        self.check_compaction(&there)?;
        self.wait_until_led(&missing)?;
        for topic in there {
            if known.get(&topic.name) == Some(&false) {
                tracing::warn!(
                    topic = topic.name,
                    "the topic has partitions without a leader; their records wait"
                );
            }
        }
        Ok(created)
    }

    /// The topics that exist, and whether all partitions of each have a leader. All topics are listed, because asking for
    /// one by its name may create it.
    fn known(&self) -> Result<HashMap<String, bool>, TopicsError> {
        let metadata = self
            .admin
            .inner()
            .fetch_metadata(None, self.deadline.left())
            .map_err(|error| self.unreachable(&error))?;
        let there = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
        let led = |topic: &MetadataTopic| topic.partitions().iter().all(|partition| partition.leader() >= 0);
        Ok(there.map(|topic| (topic.name().to_owned(), led(topic))).collect())
    }

    fn create(&self, missing: &[&TopicSpec]) -> Result<Vec<String>, TopicsError> {
        let new: Vec<NewTopic<'_>> = missing.iter().map(|topic| new_topic(topic)).collect();
        let asked = self.admin.create_topics(&new, &self.options());
        let answers = self.answer(asked)?;
        let mut created = Vec::new();
        let mut forbidden = Vec::new();
        for answer in answers {
            match answer {
                Ok(topic) => created.push(topic),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) if not_allowed(code) => forbidden.push(topic),
                Err((topic, code)) => {
                    return Err(TopicsError::Refused {
                        topic,
                        reason: code.to_string(),
                    });
                }
            }
        }
        if forbidden.is_empty() {
            Ok(created)
        } else {
            Err(TopicsError::NotAllowed(forbidden))
        }
    }

    /// A topic that somebody else created may delete records by age, and with them the only record of the relay's cursor.
    fn check_compaction(&self, topics: &[&TopicSpec]) -> Result<(), TopicsError> {
        for topic in topics.iter().filter(|topic| topic.compacted) {
            let resource = [ResourceSpecifier::Topic(&topic.name)];
            let options = self.options().request_timeout(Some(self.deadline.slice(CONFIG)));
            let asked = self.admin.describe_configs(&resource, &options);
            let answer = self.answer(asked).ok().and_then(|mut all| all.pop()?.ok());
            let Some(config) = answer else {
                tracing::warn!(
                    topic = topic.name,
                    "cannot see whether the topic is compacted; it must be"
                );
                continue;
            };
            let policy = config.get("cleanup.policy").and_then(|entry| entry.value.as_deref());
            if policy.is_some_and(|policy| policy != "compact") {
                return Err(TopicsError::NotCompacted(topic.name.clone()));
            }
        }
        Ok(())
    }

    /// Waits until the created topics can be used. A topic that gets no leader in time does not hold up the others.
    fn wait_until_led(&self, made: &[&TopicSpec]) -> Result<(), TopicsError> {
        let until = Deadline::after(self.deadline.left() / 2);
        loop {
            let known = self.known()?;
            let Some(waiting) = made.iter().find(|topic| known.get(&topic.name) != Some(&true)) else {
                return Ok(());
            };
            if until.passed() {
                tracing::warn!(topic = waiting.name, "the topic was created but has no leader yet");
                return Ok(());
            }
            thread::park_timeout(until.slice(AGAIN));
        }
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.deadline.left()))
            .operation_timeout(Some(self.deadline.left()))
    }

    fn answer<T>(&self, asked: impl Future<Output = Result<T, KafkaError>>) -> Result<T, TopicsError> {
        match block_on(asked, self.deadline) {
            Some(answer) => answer.map_err(|error| self.unreachable(&error)),
            None => Err(self.unreachable(&KafkaError::Canceled)),
        }
    }

    fn unreachable(&self, error: &KafkaError) -> TopicsError {
        TopicsError::Unreachable {
            brokers: self.brokers.to_owned(),
            reason: format!("{error} ({})", self.admin.inner().context().health().last_words()),
        }
    }
}

fn new_topic(topic: &TopicSpec) -> NewTopic<'_> {
    // -1: the cluster's default number of replicas.
    let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(-1));
    if topic.compacted {
        // Only closed segments are compacted, and the topic is read from its beginning at each start: by default it would
        // grow to 1 GiB first.
        new.set("cleanup.policy", "compact").set("segment.bytes", "4194304")
    } else {
        new
    }
}

fn not_allowed(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

/// Wakes the waiting thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The admin client has only async methods; this waits for a future on the calling thread. `None` after the deadline.
fn block_on<T>(future: impl Future<Output = T>, deadline: Deadline) -> Option<T> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return Some(answer),
            Poll::Pending if deadline.passed() => return None,
            Poll::Pending => thread::park_timeout(deadline.left()),
        }
    }
}
