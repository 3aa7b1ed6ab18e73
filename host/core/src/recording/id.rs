//! The id of a recording: the batch in which it was committed, and its place there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names a recording of one store: `r12-0` is the first one in batch 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RecordingId {
    /// The batch.
    pub batch: u64,
    /// Its place in the batch, from 0.
    pub place: u32,
}

/// A text that is not the id of a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a recording; ids look like `r12-0`, as `sandman recordings` shows them")]
pub struct NoRecordingId(String);

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}-{}", self.batch, self.place)
    }
}

impl FromStr for RecordingId {
    type Err = NoRecordingId;

    fn from_str(text: &str) -> Result<Self, NoRecordingId> {
        let parts = text.strip_prefix('r').and_then(|rest| rest.split_once('-'));
        let read = parts.and_then(|(batch, place)| {
            Some(Self {
                batch: batch.parse().ok()?,
                place: place.parse().ok()?,
            })
        });
        read.ok_or_else(|| NoRecordingId(text.to_owned()))
    }
}

impl From<RecordingId> for String {
    fn from(id: RecordingId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for RecordingId {
    type Error = NoRecordingId;

    fn try_from(text: String) -> Result<Self, NoRecordingId> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_shown() {
        let id = RecordingId { batch: 12, place: 3 };
        assert_eq!("r12-3".parse(), Ok(id));
        assert_eq!(id.to_string(), "r12-3");
        for text in ["", "12-3", "r12", "r-1", "r12-", "rx-1"] {
            assert!(text.parse::<RecordingId>().is_err(), "{text}");
        }
    }
}
