//! Why a consumer ends on its own.

use std::sync::Arc;

use thiserror::Error;

use sandman_core::broker::Recreated;
use sandman_core::store::StoreError;

/// Why a consumer cannot continue.
#[derive(Debug, Error)]
pub enum ConsumeError {
    /// The consumer cannot be created with these settings.
    #[error("kafka consumer cannot be created: {0}; check [kafka] and [kafka.options]")]
    Settings(String),
    /// The thread cannot be started.
    #[error("thread of the consumer cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The next record no longer exists.
    #[error("{reason}")]
    OffsetGone {
        /// Its topic, or one of several, if known.
        topic: Option<Arc<str>>,
        /// Which one, and what to do.
        reason: String,
    },
    /// The group has offsets of this store for which the store has no progress any more.
    #[error(
        "the store has no progress of {0}, although the group was told by this very store that it is done: the progress was \
         deleted, or the store is an old copy; handling those records again would do them twice. Restore the store from \
         a backup, or, if that is accepted, start once with `sandman run --adopt`"
    )]
    ProgressGone(String),
    /// A topic's name belongs to another topic than the progress.
    #[error("{0}")]
    Recreated(Box<Recreated>),
    /// The cluster does not allow it.
    #[error("not allowed to {what}: {reason}; grant it to the user of the host")]
    NotAllowed {
        /// What was tried.
        what: String,
        /// What Kafka said.
        reason: String,
    },
    /// Partitions could not be assigned or given back.
    #[error("rebalance failed: {0}")]
    Rebalance(String),
    /// Progress could not be read.
    #[error("start of the partitions cannot be read: {0}")]
    Store(#[source] StoreError),
    /// The group has a newer member with our name.
    #[error(
        "another process has joined the group `{0}` as this very member, and has its partitions now: a second host runs with \
         the same host.deployment, such as one that took it over with --adopt. One deployment has one host: stop one of \
         them, or give it a host.deployment of its own"
    )]
    Fenced(String),
    /// A record cannot be read.
    #[error(
        "the next record cannot be read: {reason}; continuing would lose it. The log's segment on the broker may be damaged, or the \
         batch unpacks to more than `receive.message.max.bytes` of [kafka.options]; fix that and restart the host, or, if \
         the loss is accepted, delete the records up to there (kafka-delete-records.sh) and give the handler a new name"
    )]
    Unreadable {
        /// Its topic, if known.
        topic: Option<Arc<str>>,
        /// Which one, and why.
        reason: String,
    },
    /// The library gave up.
    #[error("kafka consumer failed: {0}")]
    Failed(String),
    /// The consumer was told to stop but did not within the given time; it is left behind.
    #[error("consumer of handler `{0}` did not end in time; kafka will notice after `session.timeout.ms`")]
    NotClosed(String),
}

impl ConsumeError {
    /// The topic that has the error, if it is of one alone.
    pub(super) fn topic(&self) -> Option<&str> {
        match self {
            Self::OffsetGone { topic, .. } | Self::Unreadable { topic, .. } => topic.as_deref(),
            Self::Recreated(recreated) => Some(&recreated.topic),
            _ => None,
        }
    }

    /// Whether the whole host must stop: the store has lost data, or another host has taken over.
    pub fn ends_host(&self) -> bool {
        matches!(self, Self::Store(_) | Self::ProgressGone(_) | Self::Fenced(_))
    }
}
