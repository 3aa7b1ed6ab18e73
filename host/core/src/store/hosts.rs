//! The hosts that share a deployment's store.

use std::sync::Arc;

use super::{Shard, StoreError};

/// A host of the deployment, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// Its name.
    pub name: Arc<str>,
    /// Milliseconds since its last heartbeat.
    pub silent_millis: u64,
    /// Whether it still counts as running.
    pub live: bool,
    /// Whether it is the host that asks.
    pub own: bool,
    /// The shards of the outbox that it publishes.
    pub shards: Vec<Shard>,
    /// Its report about itself; empty until the first one.
    pub report: String,
}

/// Statistics of a store that several hosts share, for operators; all zero for one that is not shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatistics {
    /// Hosts that count as running.
    pub live_hosts: u64,
    /// Statements that this host has sent on the connection that commits.
    pub round_trips: u64,
    /// Shards that this host has taken or lost.
    pub lease_changes: u64,
    /// Transactions since the oldest snapshot that is still in use: the rows that they have deleted cannot be vacuumed.
    pub oldest_snapshot: u64,
    /// Milliseconds since the oldest transaction in the database began.
    pub oldest_transaction_millis: u64,
    /// The bytes of each table, its indexes included.
    pub tables: Vec<(Arc<str>, u64)>,
}

/// The store, for what the hosts know of each other.
pub trait HostStore: Send + Sync {
    /// The hosts of the deployment by name, those included that were not seen for a while.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn hosts(&self) -> Result<Vec<HostEntry>, StoreError>;

    /// Sets this host's report about itself. The others can read it a second later at most. Does not wait for the store.
    fn tell(&self, name: &str, report: String);

    /// Statistics of the store, as of a few seconds ago. Does not wait for the store.
    fn statistics(&self) -> StoreStatistics;
}
