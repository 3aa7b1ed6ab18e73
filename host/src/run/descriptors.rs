//! Open files: whether the system grants the process as many as its configuration may need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::http::Bounds;

/// For everything but connections of clients: the store, the log, Kafka's brokers, components, the runtime.
const OTHERS: usize = 256;
/// A connection, and the uploaded file that it writes or reads.
const FOR_ONE: usize = 2;

/// What is to be done about the limit.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// It is high enough.
    Enough,
    /// It can be raised to what is needed.
    Raise,
    /// It can be raised to this, which is not enough.
    Short(u64),
}

/// Raises the limit of open files to what the configuration may need, and warns where it cannot be had: connections
/// would wait unaccepted, or the store could not open its files.
pub(super) fn ensure(config: &Config) {
    let needed = needed(config);
    let limit = getrlimit(Resource::Nofile);
    let raise = |to| {
        let raised = Rlimit {
            current: Some(to),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).is_ok()
    };
    let had = limit.current.unwrap_or(u64::MAX);
    let most = match plan(limit, needed) {
        Plan::Enough => return,
        Plan::Raise if raise(needed) => {
            tracing::info!(from = had, to = needed, "raised the limit of open files");
            return;
        }
        Plan::Raise => had,
        Plan::Short(most) if raise(most) => most,
        Plan::Short(_) => had,
    };
    tracing::warn!(
        "http.connections is {}, for which the host may need {needed} open files, and the system allows it {most}: raise \
         the limit (`ulimit -Hn`, systemd's LimitNOFILE, docker's --ulimit nofile) or lower http.connections",
        config.http.connections
    );
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

/// A limit that is not there is no limit.
fn plan(limit: Rlimit, needed: u64) -> Plan {
    match limit {
        Rlimit { current: None, .. } => Plan::Enough,
        Rlimit {
            current: Some(current), ..
        } if current >= needed => Plan::Enough,
        Rlimit {
            maximum: Some(maximum), ..
        } if maximum < needed => Plan::Short(maximum),
        _ => Plan::Raise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_the_system_allows() {
        let limit = |current, maximum| Rlimit { current, maximum };
        assert_eq!(plan(limit(Some(1024), Some(4096)), 1024), Plan::Enough);
        assert_eq!(plan(limit(None, None), 1 << 30), Plan::Enough);
        assert_eq!(plan(limit(Some(1024), Some(4096)), 4096), Plan::Raise);
        assert_eq!(plan(limit(Some(1024), None), 1 << 30), Plan::Raise);
        assert_eq!(plan(limit(Some(1024), Some(4096)), 4097), Plan::Short(4096));
    }
}
