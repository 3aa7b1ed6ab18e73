//! The hosts that share a deployment's store.

use std::sync::Arc;

use super::{Shard, StoreError};

/// A host of the deployment, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// Its name.
    pub name: Arc<str>,
    /// Milliseconds since its last sign of life.
    pub silent_millis: u64,
    /// Whether it still counts as running.
    pub live: bool,
    /// Whether it is the host that asks.
    pub own: bool,
    /// The shards of the outbox that it publishes.
    pub shards: Vec<Shard>,
    /// What it says of itself; empty before it has said anything.
    pub report: String,
}

/// What a store that several hosts share tells of itself, for its operators; all zero for one that is not shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatistics {
    /// Hosts that count as running.
    pub live_hosts: u64,
    /// Statements that this host has sent on the connection that commits.
    pub round_trips: u64,
    /// Shards that this host has taken or lost.
    pub lease_changes: u64,
    /// Transactions since the oldest one that somebody in the database still has to see: what they have deleted is not
    /// cleared away.
    pub oldest_snapshot: u64,
    /// Milliseconds since the oldest transaction in the database began.
    pub oldest_transaction_millis: u64,
    /// The bytes of each table, its indexes included.
    pub tables: Vec<(Arc<str>, u64)>,
}

/// The store, for what its hosts know of one another.
pub trait HostStore: Send + Sync {
    /// The hosts of the deployment by name, those included that were not seen for a while.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn hosts(&self) -> Result<Vec<HostEntry>, StoreError>;

    /// What this host says of itself from now on. The others can read it a second later at most. Does not wait for the store.
    fn tell(&self, name: &str, report: String);

    /// What the store tells of itself, as of a few seconds ago. Does not wait for the store.
    fn statistics(&self) -> StoreStatistics;
}
