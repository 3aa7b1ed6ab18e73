//! The way from any thread to the host's main loop when it must not go on.

use std::fmt::Display;

use crossbeam_channel::{Receiver, Sender};

/// Raised by a part that cannot go on without risking a promise; the host then stops, loudly.
#[derive(Clone, Debug)]
pub struct Alarm(Sender<String>);

impl Alarm {
    /// An alarm, and where it is heard. Only the first one counts.
    pub fn new() -> (Self, Receiver<String>) {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        (Self(sender), receiver)
    }

    /// Stops the host because of `reason`.
    pub fn raise(&self, reason: &dyn Display) {
        tracing::error!(%reason, "the host stops");
        // A full channel means that an earlier alarm is being dealt with.
        self.0.try_send(reason.to_string()).ok();
    }
}
