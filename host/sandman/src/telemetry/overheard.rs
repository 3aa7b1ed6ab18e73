//! Captures logs of a function on this thread instead of writing them.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// The target of guests' logs.
const GUEST: &str = "sandman::guest";

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CapturedLine {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The text.
    pub message: String,
}

/// Runs a function on this thread, and returns the logs of guests and the host's own warnings.
pub fn overheard<T>(run: impl FnOnce() -> T) -> (T, Vec<CapturedLine>) {
    let lines = OverheardLines::default();
    let result = tracing::subscriber::with_default(registry().with(lines.clone()), run);
    let lines = std::mem::take(&mut *lines.0.lock());
    (result, lines)
}

#[derive(Clone, Default)]
struct OverheardLines(Arc<Mutex<Vec<CapturedLine>>>);

impl<S: Subscriber> Layer<S> for OverheardLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != GUEST && *metadata.level() > Level::WARN {
            return;
        }
        let mut message = LogMessage::default();
        event.record(&mut message);
        self.0.lock().push(CapturedLine {
            level: metadata.level().as_str().to_ascii_lowercase(),
            message: message.0,
        });
    }
}

#[derive(Default)]
struct LogMessage(String);

impl Visit for LogMessage {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_and_warnings_are_heard() {
        let ((), lines) = overheard(|| {
            tracing::debug!(target: "sandman::guest", "a {}", 1);
            tracing::info!("not this");
            tracing::warn!("but this");
        });
        let lines: Vec<_> = lines
            .iter()
            .map(|line| (line.level.as_str(), line.message.as_str()))
            .collect();
        assert_eq!(lines, [("debug", "a 1"), ("warn", "but this")]);
    }
}
