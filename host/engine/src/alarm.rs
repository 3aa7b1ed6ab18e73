//! Lets any thread stop the host through its main loop.

use std::fmt::Display;

use crossbeam_channel::{Receiver, Sender};

/// Raised by a part that cannot continue without breaking a promise; the host then stops with an error.
#[derive(Clone, Debug)]
pub struct Alarm(Sender<String>);

impl Alarm {
    /// An alarm and its receiver. Only the first one counts.
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
