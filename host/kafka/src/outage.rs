//! When a consumer last lost its session in the group by an outage, and not because another member took its place.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long after an outage the group may refuse late requests of the member from before it.
const OUTAGE: Duration = Duration::from_secs(30);

/// The library's log facility for a session that timed out. The log is heard at once; the revocation that follows reaches the
/// consumer's thread later, when a late request may already have been refused for good.
const TIMED_OUT: &str = "SESSTMOUT";

/// The last outage.
#[derive(Debug, Default)]
pub(super) struct LastOutage(Mutex<Option<Instant>>);

impl LastOutage {
    /// A line of the library's log.
    pub(super) fn heard(&self, facility: &str) {
        if facility == TIMED_OUT {
            self.began();
        }
    }

    /// The session was lost just now.
    pub(super) fn began(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Whether requests from before an outage may still be refused.
    pub(super) fn is_recent(&self) -> bool {
        self.0.lock().is_some_and(|lost| lost.elapsed() < OUTAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_timed_out_is_known_from_the_log_before_its_partitions_are_revoked() {
        let outage = LastOutage::default();
        for facility in ["FAIL", "FATAL", "COMMITFAIL"] {
            outage.heard(facility);
        }
        assert!(
            !outage.is_recent(),
            "a member that another one has fenced has lost nothing before"
        );
        outage.heard("SESSTMOUT");
        assert!(outage.is_recent());
    }
}
