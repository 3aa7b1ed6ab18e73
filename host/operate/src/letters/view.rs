//! Dead letters as the admin API sends them and the commands read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use sandman_core::event::{iso_millis, key_hash};
use sandman_core::reason::{GivenUp, without_guest_text};
use sandman_core::store::{Hold, KeptLetter, LetterFilter, LetterHead};

/// A filter for letters; absent fields do not restrict them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LetterQuery {
    /// One letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Those of a handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Those of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Those of a code, or of all that begin with it: `trap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Those given up at this time or later: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_millis: Option<i64>,
    /// Those of a redrive job that still exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
}

impl LetterQuery {
    /// Whether it restricts nothing.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

impl From<LetterQuery> for LetterFilter {
    fn from(query: LetterQuery) -> Self {
        let LetterQuery {
            id,
            handler,
            key,
            code,
            since_millis,
            job,
        } = query;
        Self {
            id,
            handler,
            key,
            code,
            since_millis,
            job,
        }
    }
}

/// A list of letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterList {
    /// How many letters match.
    pub count: u64,
    /// The letters by handler, version and code.
    pub groups: Vec<LetterGroup>,
    /// The newest of them, the newest first.
    pub letters: Vec<LetterLine>,
}

/// The reason of a letter: a guest's text may contain user data.
fn reason(head: &LetterHead, reads_data: bool) -> String {
    let GivenUp { code, reason, .. } = &head.given_up;
    match reads_data {
        true => reason.clone(),
        false => without_guest_text(*code, reason).into_owned(),
    }
}

/// Letters that failed in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterGroup {
    /// The handler.
    pub handler: String,
    /// The version that gave them up.
    pub version: u64,
    /// Why.
    pub code: String,
    /// How many.
    pub count: u64,
    /// When the first of them was given up.
    pub oldest: String,
    /// When the last of them was.
    pub newest: String,
    /// The last one's reason, for people; without text of the guest for those who may not read data.
    pub reason: String,
}

impl LetterGroup {
    pub(super) fn of(head: &LetterHead) -> Self {
        Self {
            handler: head.handler.to_string(),
            version: head.given_up.version,
            code: head.given_up.code.to_string(),
            count: 0,
            oldest: iso_millis(head.given_up.at_millis),
            newest: String::new(),
            reason: String::new(),
        }
    }

    pub(super) fn add(&mut self, head: &LetterHead, reads_data: bool) {
        let at = iso_millis(head.given_up.at_millis);
        self.count += 1;
        self.oldest = std::mem::take(&mut self.oldest).min(at.clone());
        if at >= self.newest {
            self.newest = at;
            self.reason = reason(head, reads_data);
        }
    }
}

/// A letter in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterLine {
    /// Its number.
    pub id: u64,
    /// When it was given up, as in an envelope.
    pub at: String,
    /// The handler.
    pub handler: String,
    /// The version that gave it up.
    pub version: u64,
    /// Why.
    pub code: String,
    /// Why, for people; without text of the guest for those who may not read data.
    pub reason: String,
    /// The record's topic.
    pub topic: String,
    /// The record's partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The hash of the key, as in logs; for a letter that never got one, that of the record's key, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_hash: Option<String>,
    /// The key, for those who may read data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How often the guest was called with it, the last time.
    pub attempts: u32,
    /// How often it was redriven.
    pub redriven: u32,
    /// Whether its key is held: `head` for the letter that holds it, `behind` for those that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldAs>,
    /// Whether it is being redriven.
    #[serde(default)]
    pub ordered: bool,
}

/// A letter's part in a key that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldAs {
    /// It holds the key.
    Head,
    /// It waits behind the one that does.
    Behind,
}

impl LetterLine {
    /// A letter in a list; its key is included only for those who may read data.
    pub fn of(head: &LetterHead, reads_data: bool) -> Self {
        // For a letter that never got a key, the record's key is used, as in searches.
        let of_record = head.record_key.as_deref().map(String::from_utf8_lossy);
        let key = head.key.as_deref().or(of_record.as_deref());
        Self {
            id: head.id,
            at: iso_millis(head.given_up.at_millis),
            handler: head.handler.to_string(),
            version: head.given_up.version,
            code: head.given_up.code.to_string(),
            reason: reason(head, reads_data),
            topic: head.topic.to_string(),
            partition: head.partition,
            offset: head.offset,
            key_hash: key.map(key_hash),
            key: key.filter(|_| reads_data).map(str::to_owned),
            attempts: head.given_up.attempts,
            redriven: head.redriven,
            held: match head.hold {
                Hold::No => None,
                Hold::Head => Some(HeldAs::Head),
                Hold::Behind => Some(HeldAs::Behind),
            },
            ordered: head.ordered,
        }
    }
}

/// A letter with all its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterReport {
    /// As in a list.
    #[serde(flatten)]
    pub line: LetterLine,
    /// The component of the version that gave it up: its sha256, lower-case hex.
    pub digest: String,
    /// When the record was produced, if Kafka said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Bytes of the record's value.
    pub bytes: usize,
    /// The record and the state, for those who may read data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<LetterData>,
}

/// The record of a letter, and the state of its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterData {
    /// The record's key; null for Kafka's null.
    pub record_key: Option<Data>,
    /// The record's headers, in order.
    pub headers: Vec<LetterHeader>,
    /// The record's value; null for a tombstone.
    pub value: Option<Data>,
    /// The state that the last attempt saw, JSON text; null if there was none.
    pub state: Option<String>,
}

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterHeader {
    /// Its name.
    pub name: String,
    /// Its value; null for Kafka's null.
    pub value: Option<Data>,
}

/// Bytes without loss: as text if they are UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Data {
    /// The text.
    Text(String),
    /// Base64 of bytes that are not text.
    Base64(String),
}

impl Data {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// For people to read.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Base64(text) => format!("base64:{text}"),
        }
    }
}

impl LetterReport {
    pub(super) fn of(letter: &KeptLetter, reads_data: bool) -> Self {
        let KeptLetter { head, record } = letter;
        let data = reads_data.then(|| LetterData {
            record_key: record.key.as_deref().map(Data::of),
            headers: record
                .headers
                .iter()
                .map(|header| LetterHeader {
                    name: header.name.to_owned(),
                    value: header.value.map(Data::of),
                })
                .collect(),
            value: record.value.as_deref().map(Data::of),
            state: head.given_up.state.as_deref().map(str::to_owned),
        });
        Self {
            line: LetterLine::of(head, reads_data),
            digest: head.given_up.digest.to_string(),
            timestamp: record.timestamp_millis.map(iso_millis),
            bytes: record.value.as_ref().map_or(0, Vec::len),
            data,
        }
    }
}
