//! Open files: ensures that the process may have as many as its configuration may need.

use rlimit::Resource;

use sandman_config::Config;
use sandman_http::serve::Bounds;

/// For everything but connections of clients: the store, the log, Kafka's brokers, components, the runtime.
const OTHERS: usize = 256;
/// A connection, and the uploaded file that it writes or reads.
const FOR_ONE: usize = 2;

/// Raises the limit of open files to the number that the configuration may need, and warns if that is not possible:
/// connections would have to wait, or the store could not open its files.
pub(super) fn ensure(config: &Config) {
    let needed = needed(config);
    let had = Resource::NOFILE.get_soft().unwrap_or_default();
    let most = rlimit::increase_nofile_limit(needed).unwrap_or(had);
    if most < needed {
        tracing::warn!(
            "http.connections is {}, for which the host may need {needed} open files, and the system allows it {most}: raise \
             the limit (`ulimit -Hn`, systemd's LimitNOFILE, docker's --ulimit nofile) or lower http.connections",
            config.http.connections
        );
    } else if had < needed {
        tracing::info!(from = had, to = needed, "raised the limit of open files");
    }
}

/// Open files that the configuration may need at once.
fn needed(config: &Config) -> u64 {
    let clients = if config.routes.is_empty() {
        0
    } else {
        config.http.connections.saturating_mul(FOR_ONE)
    };
    let all = clients.saturating_add(Bounds::ADMIN.connections).saturating_add(OTHERS);
    u64::try_from(all).unwrap_or(u64::MAX)
}
