//! The unit: all results of one trigger, as data. None of them takes effect before the commit.
//!
//! Pure: the time and the random ids come in through [`EnvelopeContext`].

use std::sync::Arc;

use smallvec::SmallVec;
use uuid::Uuid;

use crate::contract::{Terms, TermsError};
use crate::event::{Headers, NewEnvelope, OutRecord, Outgoing, RECORD_BYTES, TraceContext, encode, iso_millis};
use crate::lanes::{LaneKey, PartitionIx};
use crate::outcome::{EmittedEvent, StateChange};
use crate::progress::Span;
use crate::recent::RecentEvents;
use crate::store::{AnswerWrite, Attempts, LetterId, LetterWrite, RecordingWrite};
use crate::work::{Answer, RequestId};

/// The results of one trigger; committed completely or not at all.
#[derive(Debug)]
pub struct Unit {
    /// The lanes that run ahead of its commit, and the changes of their states; empty if nothing depends on it.
    pub changes: SmallVec<[(LaneKey, StateChange); 1]>,
    /// The recent events of its lanes from now on, if it handled an event that is to be remembered.
    pub recent: Option<RecentEvents>,
    /// The uploaded files that the states of its lanes name from now on, if they have changed.
    pub files: Vec<(LaneKey, Vec<Arc<str>>)>,
    /// Records to publish, in order.
    pub records: Vec<OutRecord>,
    /// Changes to dead letters; nearly always none.
    pub letters: Vec<LetterWrite>,
    /// Which of the records its lanes have emitted; none where they are dead letters.
    pub emitted: UnitEmissions,
    /// What it means for the trigger.
    pub finish: Finish,
    /// Its invocations, where they are recorded.
    pub recordings: Vec<RecordingWrite>,
}

/// Which records of a unit are events that its handlers emitted.
#[derive(Clone, Debug, Default)]
pub struct UnitEmissions {
    /// How many, one lane of the unit after the other, in their order.
    pub counts: SmallVec<[usize; 1]>,
    /// Whether each already has a header with the revision of its state after the unit.
    pub revised: bool,
}

impl UnitEmissions {
    /// These numbers of events of the lanes.
    pub fn of(counts: impl IntoIterator<Item = usize>) -> Self {
        let (counts, revised) = (counts.into_iter().collect(), false);
        Self { counts, revised }
    }
}

/// What a unit means for its trigger.
#[derive(Clone, Debug)]
pub enum Finish {
    /// The record is done, by an outcome or a dead letter.
    Done {
        /// The record's partition.
        partition: PartitionIx,
        /// The offsets it accounts for.
        span: Span,
        /// How often it failed before; its attempts are forgotten.
        failed: u32,
        /// When it was produced, milliseconds since 1970, if that is known.
        produced_millis: Option<i64>,
        /// About how many bytes it held in memory.
        weight: usize,
    },
    /// A request is answered.
    Answered {
        /// The request.
        request: RequestId,
        /// What its client is answered after the commit.
        answer: Answer,
        /// The answer to keep for repetitions of the request.
        remember: Option<AnswerWrite>,
    },
    /// A dead letter was redriven; the result is in the unit's letters.
    Redriven(LetterId),
    /// It comes from an operator rather than a trigger: the number of the order, from 1; 0 if nobody waits for it.
    Ordered(u64),
    /// The record failed and will be run again.
    Attempt {
        /// The record's partition.
        partition: PartitionIx,
        /// The attempts, which are kept across a restart.
        attempts: Attempts,
    },
}

/// What an envelope takes from the host and from the trigger.
pub struct EnvelopeContext<'a> {
    /// `[host] source`.
    pub source: &'a str,
    /// The time of this unit, milliseconds since 1970.
    pub now_millis: i64,
    /// Carried over from the trigger.
    pub correlation_id: Option<&'a str>,
    /// The trigger's `eventId`; a request has none.
    pub causation_id: Option<&'a str>,
    /// The trace that the trigger belongs to.
    pub trace: Option<TraceContext>,
    /// Where its events come from, as headers.
    pub provenance: Headers,
    /// A new random UUID v4.
    pub id: fn() -> Uuid,
}

/// The records of the events that a handler emitted, each checked against its terms; `key` is the trigger's.
///
/// # Errors
/// [`EmitError`] names the event that is against the contract; then the outcome has no effect.
pub fn records(
    events: Vec<EmittedEvent>,
    key: &str,
    terms: &Terms,
    context: &EnvelopeContext<'_>,
) -> Result<Vec<OutRecord>, EmitError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let timestamp = iso_millis(context.now_millis);
    // The same trace, a span of its own. Without a valid context, a new trace.
    let (span, _) = (context.id)().as_u64_pair();
    let begun = || TraceContext::new((context.id)().as_u128());
    let trace = context.trace.clone().unwrap_or_else(begun);
    let traceparent = trace.traceparent(span);
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        let topic = terms.outgoing(&event.event_type, &event.version, &event.payload)?;
        let mut id = Uuid::encode_buffer();
        let envelope = NewEnvelope {
            event_id: (context.id)().hyphenated().encode_lower(&mut id),
            event_type: &event.event_type,
            timestamp: &timestamp,
            version: &event.version,
            source: context.source,
            correlation_id: context.correlation_id,
            causation_id: context.causation_id,
            metadata: event.metadata.as_deref(),
            payload: &event.payload,
        };
        let key = event.key.as_deref().unwrap_or(key);
        let record = encode(&Outgoing {
            topic,
            key,
            envelope,
            traceparent: &traceparent,
            tracestate: trace.tracestate(),
            provenance: &context.provenance,
        })?;
        let bytes = record.bytes();
        if bytes > RECORD_BYTES {
            return Err(EmitError::TooLarge {
                event_type: event.event_type,
                bytes,
            });
        }
        records.push(record);
    }
    Ok(records)
}

/// Why an emitted event cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// Against the contract.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// Larger than Kafka accepts.
    #[error("an emitted `{event_type}` is {bytes} bytes with its envelope; Kafka accepts {RECORD_BYTES} at most")]
    TooLarge {
        /// The event type.
        event_type: String,
        /// The size of its value and key.
        bytes: usize,
    },
    /// Not text that JSON can hold.
    #[error("an emitted event cannot be encoded: {0}")]
    Json(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Contract, Emits, Grant};
    use crate::event::Header;

    fn terms() -> Terms {
        let contract = Contract {
            emits: vec![Emits {
                event_type: "b".into(),
                version: "1.0".into(),
                schema: None,
            }],
            ..Contract::default()
        };
        let grant = Grant {
            emits: ["b".to_owned()].into(),
            ..Grant::default()
        };
        Terms::new(&contract, &grant, |event_type| format!("t.{event_type}").into()).unwrap()
    }

    fn event(event_type: &str, payload: &str) -> EmittedEvent {
        EmittedEvent {
            event_type: event_type.into(),
            version: "1.0".into(),
            payload: payload.into(),
            key: None,
            metadata: None,
        }
    }

    fn context() -> EnvelopeContext<'static> {
        EnvelopeContext {
            source: "user-service",
            now_millis: 1_765_535_400_000,
            correlation_id: None,
            causation_id: Some("cause"),
            trace: TraceContext::read(
                [&b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"[..]],
                [&b"vendor=1"[..]],
            ),
            provenance: Headers::from_iter([Header::text("sandman.handler", "h")]),
            id: || Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef),
        }
    }

    #[test]
    fn the_host_fills_in_the_envelope_and_the_headers() {
        let records = records(vec![event("b", " {\"x\": 1}\n")], "k", &terms(), &context()).unwrap();
        let value = String::from_utf8(records[0].value.clone().unwrap()).unwrap();
        assert_eq!(
            value,
            "{\"eventId\":\"12345678-9abc-4def-8123-456789abcdef\",\"eventType\":\"b\",\
             \"timestamp\":\"2025-12-12T10:30:00.000Z\",\"version\":\"1.0\",\"source\":\"user-service\",\
             \"causationId\":\"cause\",\"payload\":{\"x\": 1}}"
        );
        let headers: Vec<_> = records[0].headers.iter().map(|h| (h.name, h.value.unwrap())).collect();
        assert_eq!(headers[3], ("correlationId", &b""[..]));
        assert_eq!(
            headers[5],
            (
                "traceparent",
                &b"00-0af7651916cd43dd8448eb211c80319c-123456789abc4def-01"[..]
            )
        );
        assert_eq!(headers[6], ("tracestate", &b"vendor=1"[..]));
        assert_eq!(headers[7], ("sandman.handler", &b"h"[..]));
    }

    #[test]
    fn what_is_against_the_contract_or_too_large_is_refused() {
        let huge = format!("\"{}\"", "x".repeat(RECORD_BYTES));
        for bad in [event("x", "{}"), event("b", &huge)] {
            assert!(records(vec![event("b", "1"), bad], "k", &terms(), &context()).is_err());
        }
    }

    #[test]
    fn without_a_trace_context_a_trace_begins() {
        let context = EnvelopeContext {
            trace: None,
            ..context()
        };
        let records = records(vec![event("b", "{}")], "k", &terms(), &context).unwrap();
        let headers: Vec<_> = records[0]
            .headers
            .iter()
            .skip(5)
            .map(|h| (h.name, h.value.unwrap()))
            .collect();
        let begun = &b"00-123456789abc4def8123456789abcdef-123456789abc4def-01"[..];
        assert_eq!(headers, [("traceparent", begun), ("sandman.handler", &b"h"[..])]);
    }
}
