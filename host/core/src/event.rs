//! Events as Kafka carries them: the bytes of a record, the JSON envelope inside it, and the record we publish.
//!
//! Everything here is pure: bytes in, values or an error with the place of the fault out.

mod dead_letter;
mod decode;
mod encode;
mod envelope;
mod headers;
mod key;
mod provenance;
mod record;
mod time;
mod trace;

pub use dead_letter::{DeadLetter, DeadLetterTopic, RECORD_BYTES, dead_letter, fit_dead_letter};
pub use decode::{DecodeError, decode};
pub use encode::{NewEnvelope, Outgoing, encode};
pub use envelope::Envelope;
pub use headers::{Header, Headers};
pub use key::{EventKey, KeyError, Pointer, key_hash};
pub use provenance::{Provenance, TriggerSource, put_revision};
pub use record::{OutRecord, Record, TopicId, TopicPartition};
pub use time::{iso_millis, millis_of_iso};
pub use trace::TraceContext;
