//! The metrics of versions and deploys. Off the hot path: handles are created when they are used.

use std::time::Duration;

use metrics::{Label, counter, gauge, with_local_recorder};

use super::Meters;

impl Meters {
    /// Sets whether a version is active. The counts of its handler's deploys are shown from then on: a counter that
    /// appears only with the first deploy would show no increase.
    pub fn serves(&self, handler: &str, (number, digest): (u64, &str), serves: bool) {
        let labels = vec![
            Label::new("handler", handler.to_owned()),
            Label::new("version", number.to_string()),
            Label::new("digest", digest.to_owned()),
        ];
        for outcome in ["active", "unchanged", "refused"] {
            self.count_deploys(handler, outcome, 0);
        }
        let value = f64::from(u8::from(serves));
        with_local_recorder(&self.recorder, || gauge!("sandman_handler_version", labels).set(value));
    }

    /// Counts a deploy or a rollback.
    pub fn deployed(&self, handler: &str, outcome: &'static str) {
        self.count_deploys(handler, outcome, 1);
    }

    fn count_deploys(&self, handler: &str, outcome: &'static str, more: u64) {
        let labels = vec![
            Label::new("handler", handler.to_owned()),
            Label::from_static_parts("outcome", outcome),
        ];
        with_local_recorder(&self.recorder, || {
            counter!("sandman_deploys_total", labels).increment(more);
        });
    }

    /// Records how long compiling took.
    pub fn compiled(&self, handler: &str, took: Duration) {
        let labels = vec![Label::new("handler", handler.to_owned())];
        with_local_recorder(&self.recorder, || {
            gauge!("sandman_compile_seconds", labels).set(took.as_secs_f64());
        });
    }
}
