//! A trigger as it waits in a lane: the event with the bytes it came from.

use std::sync::Arc;

use crate::event::{Envelope, Record};
use crate::lanes::{HandlerIx, PartitionIx, Work};
use crate::outcome::{EventView, Trigger};
use crate::progress::Span;

/// An event from a topic, decoded.
#[derive(Debug)]
pub struct EventWork {
    /// The handler it is for.
    pub handler: HandlerIx,
    /// The partition it came from.
    pub partition: PartitionIx,
    /// The offsets it accounts for.
    pub span: Span,
    /// The key of its lane.
    pub key: Arc<str>,
    /// Its envelope.
    pub envelope: Envelope,
    /// The record as it came: a dead letter must hold these bytes.
    pub record: Record,
}

impl EventWork {
    /// The event as the guest sees it.
    pub fn trigger(&self) -> Trigger<'_> {
        let envelope = &self.envelope;
        Trigger::Event(EventView {
            key: &self.key,
            event_id: &envelope.event_id,
            event_type: &envelope.event_type,
            version: &envelope.version,
            timestamp: &envelope.timestamp,
            source: &envelope.source,
            correlation_id: envelope.correlation_id.as_deref(),
            causation_id: envelope.causation_id.as_deref(),
            metadata: envelope.metadata.as_ref().map(|raw| raw.get()),
            payload: envelope.payload.get(),
        })
    }
}

impl Work for EventWork {
    fn partition(&self) -> Option<PartitionIx> {
        Some(self.partition)
    }
}
