//! Everything that communicates with Kafka: one consumer per group, the transactional publisher, its cursor, topics, health.
//!
//! The only module that names the client library. Every call that can block is made from a plain thread, never from an
//! async runtime, and every wait has a deadline.
//!
//! Partitions: a keyed record goes to `(murmur2(key) & 0x7fffffff) mod partitions`, as the Java and Node.js clients
//! place it; a record without a key goes anywhere. The library's own default would place keys differently, and two
//! producers of one topic would break the order of a key.

mod assignment;
mod broker;
mod client;
mod consume_error;
mod consumer;
mod cursor;
mod delivery;
mod doubt;
mod embedded;
mod extents;
mod group;
mod health;
mod identity;
mod leaders;
mod side_clients;
mod orders;
mod outage;
mod polling;
mod probe;
mod publish_error;
mod publisher;
mod rebalance;
mod record;
mod renewal;
mod scan;
mod served;
mod settings;
mod stall;
mod statistics;
mod topics;
mod trial;
mod verdict;
mod visible;
mod wait;

pub use broker::{BATCH_BYTES, KafkaBroker, cursor_topic};
pub use consume_error::ConsumeError;
pub use consumer::{ConsumerHandle, ConsumerOptions, spawn_consumer};
pub use cursor::{SHARD, read_cursor, read_open_cursor};
pub use embedded::{EmbeddedBroker, EmbeddedError};
pub use extents::{ExtentError, ExtentReader, PartitionExtent, TopicExtents};
pub use group::GroupMember;
pub use health::{ClientHealth, HandlerFault, KafkaHealth};
pub use leaders::LeaderlessTopics;
pub use publisher::{PublisherOptions, TransactionalPublisher};
pub use scan::{ScanBounds, TopicScan, TopicScanner};
pub use served::HandlerTopics;
pub use settings::{KafkaSettings, OptionError, Sasl, SaslMechanism, check_option};
pub use side_clients::{Announcer, Observer, SideClientError};
pub use topics::ensure_topics;
pub use trial::{RefusedClient, check_clients};
pub use visible::any_visible;

#[cfg(test)]
mod tests;
