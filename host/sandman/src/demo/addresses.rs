//! The hosts' addresses for clients, like a load balancer.

use parking_lot::RwLock;

/// The addresses of the hosts. A host that is down keeps its address until it is replaced: clients notice, and ask another one.
#[derive(Debug)]
pub(super) struct HostAddresses(RwLock<Vec<String>>);

impl HostAddresses {
    /// Hosts at these addresses.
    pub(super) fn new(hosts: impl Iterator<Item = String>) -> Self {
        Self(RwLock::new(hosts.collect()))
    }

    /// The address of the host whose turn it is.
    pub(super) fn host(&self, turn: usize) -> String {
        let hosts = self.0.read();
        let index = turn.checked_rem(hosts.len()).unwrap_or_default();
        hosts.get(index).cloned().unwrap_or_default()
    }

    /// Whether there is another host to ask.
    pub(super) fn has_several(&self) -> bool {
        self.0.read().len() > 1
    }

    /// Replaces the address of a host.
    pub(super) fn replace(&self, index: usize, address: &str) {
        if let Some(host) = self.0.write().get_mut(index) {
            address.clone_into(host);
        }
    }
}
