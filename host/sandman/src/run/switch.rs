//! What a reload changes, ready to be switched to in the host's loop.

use std::sync::Arc;

use crossbeam_channel::Sender;

use sandman_config::{Config, HandlerConfig};
use sandman_core::event::TopicPartition;
use sandman_core::lanes::HandlerIx;
use sandman_core::progress::Progress;
use sandman_core::version::Version;
use sandman_operate::deploy::ReadyHandler;

/// A switch that the host's loop is to make, and where it tells how it went.
pub(super) struct Switch {
    pub(super) plan: Plan,
    pub(super) answer: Sender<Result<(), String>>,
}

/// Everything that is to change, ready.
pub(super) struct Plan {
    pub(super) config: Config,
    /// The active versions of handlers that go on, with what they are given now.
    pub(super) again: Vec<(HandlerIx, Version)>,
    pub(super) added: Vec<Added>,
    pub(super) removed: Vec<Arc<str>>,
}

/// A handler that is new.
pub(super) struct Added {
    pub(super) handler: HandlerConfig,
    pub(super) ready: ReadyHandler,
    pub(super) progress: Vec<(TopicPartition, Progress)>,
}
