//! The prepared changes of a reload, for the switch in the main loop.

use std::sync::Arc;

use crossbeam_channel::Sender;

use sandman_config::{Config, HandlerConfig};
use sandman_core::event::TopicPartition;
use sandman_core::lanes::HandlerIx;
use sandman_core::progress::Progress;
use sandman_core::version::Version;
use sandman_operate::deploy::ReadyHandler;

/// A switch for the main loop, and the channel for its result.
pub(super) struct Switch {
    pub(super) plan: Plan,
    pub(super) answer: Sender<Result<(), String>>,
}

/// All prepared changes.
pub(super) struct Plan {
    pub(super) config: Config,
    /// The active versions of the remaining handlers, with their new configuration.
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
