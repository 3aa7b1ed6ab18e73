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

/// The store, for what its hosts know of one another.
pub trait HostStore: Send + Sync {
    /// The hosts of the deployment by name, those included that were not seen for a while.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn hosts(&self) -> Result<Vec<HostEntry>, StoreError>;

    /// What this host says of itself from now on. The others can read it a second later at most. Does not wait for the store.
    fn tell(&self, name: &str, report: String);
}
