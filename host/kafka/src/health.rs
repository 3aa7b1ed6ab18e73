//! Whether the clients of this host can reach Kafka.
//!
//! Each signal alone misses failures that the others catch: the error callback reports a lost cluster at once but not
//! its return; the statistics report both, two seconds late; the poll watch sees a consumer that hangs in our own code,
//! which the library can report only to the thread that hangs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode;

/// A consumer that has not polled for this long is reported; the group removes it after twice as long.
const POLL_LIMIT: Duration = Duration::from_secs(30);

/// The health of all clients of this host.
#[derive(Default)]
pub struct KafkaHealth {
    clients: Mutex<Vec<Weak<ClientHealth>>>,
    last_error: Mutex<Option<String>>,
    breaches: AtomicU64,
    /// By handler.
    faults: Mutex<BTreeMap<Arc<str>, HandlerFault>>,
}

/// Why a handler does not consume everything that it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerFault {
    /// What is wrong, and where.
    pub reason: String,
    /// Whether its consumer has ended; otherwise it continues with unaffected partitions.
    pub stopped: bool,
}

/// The health of one client, fed by the client itself; gone from [`KafkaHealth`] when dropped.
pub struct ClientHealth {
    name: String,
    all: Arc<KafkaHealth>,
    up: AtomicBool,
    born: Instant,
    /// Milliseconds after `born` of the last poll plus one; 0 for a client that need not poll.
    polled: AtomicU64,
    breached: AtomicBool,
    troubles: AtomicU64,
}

impl fmt::Debug for KafkaHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KafkaHealth(connected: {}, last error: {:?})",
            self.connected(),
            self.last_error()
        )
    }
}

impl KafkaHealth {
    /// Health without clients.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn clients(&self) -> Vec<Arc<ClientHealth>> {
        let mut clients = self.clients.lock();
        clients.retain(|client| client.strong_count() > 0);
        clients.iter().filter_map(Weak::upgrade).collect()
    }

    /// Whether there are clients and each of them has a broker.
    pub fn connected(&self) -> bool {
        let clients = self.clients();
        !clients.is_empty() && clients.iter().all(|client| client.up.load(Ordering::Relaxed))
    }

    /// The names of the clients without a connection to a broker.
    pub fn disconnected(&self) -> Vec<String> {
        let down = |client: &Arc<ClientHealth>| !client.up.load(Ordering::Relaxed);
        self.clients()
            .into_iter()
            .filter(down)
            .map(|client| client.name.clone())
            .collect()
    }

    /// The last error of the library, from any client.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }

    /// A consumer that has not polled for too long, or was removed from its group for that and has not rejoined yet.
    pub fn poll_breach(&self) -> Option<String> {
        self.clients().iter().find_map(|client| client.breach())
    }

    /// The handlers that do not consume everything that they should.
    pub fn faults(&self) -> BTreeMap<Arc<str>, HandlerFault> {
        self.faults.lock().clone()
    }

    /// The consumer of a handler has ended until an operator intervenes.
    pub fn stopped(&self, handler: &Arc<str>, error: &dyn fmt::Display) {
        tracing::error!(handler = &**handler, %error, "the handler consumes nothing any more; everything else continues");
        let fault = HandlerFault {
            reason: error.to_string(),
            stopped: true,
        };
        self.faults.lock().insert(Arc::clone(handler), fault);
    }

    /// The consumer of a handler cannot read everything that it should.
    pub(super) fn degraded(&self, handler: &Arc<str>, reason: &str) {
        let mut faults = self.faults.lock();
        if faults.get(handler).is_some_and(|known| known.reason == reason) {
            return;
        }
        tracing::warn!(
            handler = &**handler,
            reason,
            "the handler does not consume everything that it should"
        );
        let fault = HandlerFault {
            reason: reason.to_owned(),
            stopped: false,
        };
        faults.insert(Arc::clone(handler), fault);
    }

    /// Clears the fault of a handler that works, has a new consumer, or was removed.
    pub fn well(&self, handler: &str) {
        self.faults.lock().remove(handler);
    }

    /// How often a consumer was removed from its group because it did not poll.
    pub fn poll_breaches(&self) -> u64 {
        self.breaches.load(Ordering::Relaxed)
    }

    /// A client that lives as long as the host; [`KafkaHealth::connected`] includes it.
    pub(super) fn client(self: &Arc<Self>, name: &str) -> Arc<ClientHealth> {
        let client = self.transient(name);
        self.clients.lock().push(Arc::downgrade(&client));
        client
    }

    /// A short-lived client: only its errors are kept.
    pub(super) fn transient(self: &Arc<Self>, name: &str) -> Arc<ClientHealth> {
        Arc::new(ClientHealth {
            name: name.to_owned(),
            all: Arc::clone(self),
            up: AtomicBool::new(false),
            born: Instant::now(),
            polled: AtomicU64::new(0),
            breached: AtomicBool::new(false),
            troubles: AtomicU64::new(0),
        })
    }
}

impl ClientHealth {
    /// The client's name, for logs and the health page.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets whether the client is connected to a broker.
    pub(super) fn set_connected(&self, up: bool) {
        let was = self.up.swap(up, Ordering::Relaxed);
        if was && !up {
            tracing::warn!(client = %self.name, "kafka cannot be reached; consuming and publishing wait");
        } else if !was && up {
            tracing::info!(client = %self.name, "connected to kafka");
        }
    }

    /// Whether the client is connected to a broker, as far as it knows.
    pub(super) fn is_connected(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Records an error of the library.
    pub(super) fn error(&self, code: RDKafkaErrorCode, reason: &str) {
        self.troubles.fetch_add(1, Ordering::Relaxed);
        *self.all.last_error.lock() = Some(format!("{}: {reason}", self.name));
        match code {
            RDKafkaErrorCode::AllBrokersDown => self.set_connected(false),
            RDKafkaErrorCode::PollExceeded => {
                self.breached.store(true, Ordering::Relaxed);
                self.all.breaches.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// The last error of the library, for errors that say only "timed out".
    pub(super) fn last_words(&self) -> String {
        self.all.last_error().unwrap_or_else(|| "no answer in time".to_owned())
    }

    /// A connection to one broker is gone; the library opens a new one.
    pub(super) fn connection_lost(&self) {
        self.troubles.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the library reported an error or lost a connection; a change across a commit means that a request of
    /// it may still arrive.
    pub(super) fn troubles(&self) -> u64 {
        self.troubles.load(Ordering::Relaxed)
    }

    /// The consumer polls; to be called about every second.
    pub(super) fn polled(&self) {
        let millis = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.polled.store(millis + 1, Ordering::Relaxed);
    }

    /// The group gave the consumer its partitions.
    pub(super) fn joined(&self) {
        self.breached.store(false, Ordering::Relaxed);
    }

    fn breach(&self) -> Option<String> {
        if self.breached.load(Ordering::Relaxed) {
            return Some(format!(
                "{} was removed from its group: it did not poll in time",
                self.name
            ));
        }
        let polled = self.polled.load(Ordering::Relaxed).checked_sub(1)?;
        let silent = self.born.elapsed().saturating_sub(Duration::from_millis(polled));
        (silent > POLL_LIMIT).then(|| format!("{} has not polled for {} s", self.name, silent.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connected_means_every_client() {
        let health = KafkaHealth::new();
        assert!(!health.connected(), "without clients");
        let one = health.client("one");
        let two = health.client("two");
        one.set_connected(true);
        assert!(!health.connected());
        assert_eq!(health.disconnected(), ["two"]);
        two.set_connected(true);
        assert!(health.connected());
        two.error(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        assert!(!health.connected());
        assert_eq!(health.last_error().as_deref(), Some("two: 1/1 brokers are down"));
        drop(two);
        assert!(health.connected(), "a client that is gone does not count");
    }

    #[test]
    fn a_breach_shows_until_the_consumer_is_back() {
        let health = KafkaHealth::new();
        let client = health.client("consumer profile");
        client.polled();
        assert_eq!(health.poll_breach(), None);
        client.error(RDKafkaErrorCode::PollExceeded, "maximum poll interval exceeded");
        assert!(health.poll_breach().unwrap().contains("consumer profile"));
        client.joined();
        assert_eq!(health.poll_breach(), None);
        assert_eq!(health.poll_breaches(), 1);
    }
}
