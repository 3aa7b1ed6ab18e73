//! A handler that pauses itself because a trigger, or too many of them, failed.

use std::sync::Arc;

use crate::clock;
use crate::registry::Handler;
use sandman_core::event::TopicPartition;
use sandman_core::lanes::Millis;
use sandman_core::store::{Attempts, LetterWrite, Pause};
use sandman_core::unit::{Finish, Unit};
use sandman_core::work::EventWork;

use super::detours::PAUSED;
use super::letter;

/// Pauses a handler because of a trigger, which stays where it is, and notes that it may have to be rolled back.
pub(super) fn unit(handler: &Handler, work: &EventWork, reason: String) -> Unit {
    let TopicPartition { topic, partition } = &work.record.source;
    let reason = format!("{reason} ({topic}/{partition}/{})", work.record.offset);
    tracing::error!(handler = &*handler.name, reason, "paused; `sandman resume` ends it");
    let pause = Pause {
        at_millis: clock::wall_millis(),
        by: "sandman".to_owned(),
        reason,
    };
    // It starts again when the handler is resumed.
    let attempts = Attempts {
        offset: work.record.offset,
        failed: 0,
        due_millis: 0,
    };
    Unit {
        letters: vec![LetterWrite::Pause(Arc::clone(&handler.name), Some(pause))],
        ..letter::nothing(Finish::Attempt {
            partition: work.partition,
            attempts,
        })
    }
}

/// The time until which the triggers of a paused handler are parked.
pub(super) fn until() -> Millis {
    clock::monotonic_millis() + PAUSED
}
