//! A recording: one invocation, with everything that its outcome depends on.
//!
//! A recording is one line of JSON, in the store and in exported files. JSON texts are kept in it as strings, so that a
//! replay sees them to the byte.

mod bytes;
mod capture;
mod find;
mod id;
mod outcome;
mod run;
mod sampler;
mod trigger;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

pub use bytes::RecordedBytes;
pub use capture::{Capture, Cost};
pub use find::{RecordingQuery, RelatedBy};
pub use id::{NoRecordingId, RecordingId};
pub use outcome::{RecordedChange, RecordedEmission, RecordedOutcome, RecordedReply};
pub use sampler::Sampler;
pub use trigger::{RecordedEvent, RecordedRequest, RecordedTrigger};

/// The format that this version writes, and the only one that it reads.
pub const RECORDING_FORMAT: u32 = 1;

/// One invocation, with what went in and what came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// The format, [`RECORDING_FORMAT`].
    pub format: u32,
    /// Where it is kept; `None` in the store itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RecordingId>,
    /// The handler's name.
    pub handler: String,
    /// The number of the version that ran.
    pub version: u64,
    /// That version's component: its SHA-256, lower-case hex.
    pub digest: String,
    /// The key that ordered the trigger.
    pub key: String,
    /// What invoked the handler.
    pub trigger: RecordedTrigger,
    /// The key's state before, JSON text; `None` where it had none.
    pub state: Option<String>,
    /// The rest of the handler's input, and its limits.
    pub context: RecordedContext,
    /// What came of it.
    pub outcome: RecordedOutcome,
    /// Whether the trigger was given up after it.
    #[serde(default)]
    pub dead_letter: bool,
    /// The dead letter that it redrove.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<u64>,
    /// CPU time of the invocation in microseconds, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_micros: Option<u64>,
    /// Linear memory that the instance held after it, in bytes.
    pub memory_bytes: u64,
}

/// The input of a handler besides trigger and state, and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedContext {
    /// The time that it saw: milliseconds since 1970.
    pub now_millis: i64,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// The handler's settings, a JSON object as text.
    pub settings: String,
    /// `[host] source`.
    pub source: String,
    /// The limits of the invocation.
    pub limits: Limits,
    /// Whether the instance may have been called before: `instances = "reused"`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reused: bool,
}

/// Why a line is not a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is not JSON, or another document.
    #[error("not a recording: {0}")]
    Json(#[from] serde_json::Error),
    /// A newer version wrote it.
    #[error("it is a recording of format {found}; this version reads format {RECORDING_FORMAT}")]
    Format {
        /// The format it has.
        found: u32,
    },
}

impl Recording {
    /// The recording in a line.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn read(line: &str) -> Result<Self, RecordingError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_str(line)?;
        if format != RECORDING_FORMAT {
            return Err(RecordingError::Format { found: format });
        }
        Ok(serde_json::from_str(line)?)
    }

    /// The recording as a line, without its end.
    ///
    /// # Errors
    /// None in practice: all of it is strings and numbers.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The key's state after it, JSON text.
    pub fn state_after(&self) -> Option<&str> {
        match &self.outcome {
            RecordedOutcome::Decided {
                state: RecordedChange::Put(document),
                ..
            } => Some(document),
            RecordedOutcome::Decided {
                state: RecordedChange::Delete,
                ..
            } => None,
            _ => self.state.as_deref(),
        }
    }
}
