//! The origin of a published record, as headers beside those of DreamScape's clients.

use std::fmt;

use super::{Headers, TopicPartition};

/// Room for the names and values of the headers.
const ROOM: usize = 200;

/// Hexadecimal digits of a digest that are enough for a person to tell components apart; commands accept as many.
const DIGEST_DIGITS: usize = 12;

/// The invocation that emitted an event, as its headers describe it.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    /// The handler's name.
    pub handler: &'a str,
    /// The number of the version that ran.
    pub version: u64,
    /// That version's digest, lower-case hex.
    pub digest: &'a str,
    /// What invoked it.
    pub trigger: TriggerSource<'a>,
    /// Which attempt it was, from 1.
    pub attempt: u32,
}

/// The trigger of a handler, in a form by which it can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerSource<'a> {
    /// A record of a topic, at this offset.
    Record(&'a TopicPartition, i64),
    /// A request, by its correlation id.
    Request(&'a str),
    /// An event that is in no topic: `sandman invoke`.
    Nowhere,
}

impl fmt::Display for TriggerSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(source, offset) => write!(f, "{}/{}/{offset}", source.topic, source.partition),
            Self::Request(correlation_id) => write!(f, "http:{correlation_id}"),
            Self::Nowhere => f.write_str("-"),
        }
    }
}

impl Provenance<'_> {
    /// The headers, the same for every record of one invocation, without the revision.
    pub fn headers(&self) -> Headers {
        let digest = self.digest.get(..DIGEST_DIGITS).unwrap_or(self.digest);
        let mut headers = Headers::with_room(5, ROOM);
        headers.push_shown("sandman.handler", self.handler);
        headers.push_shown("sandman.version", self.version);
        headers.push_shown("sandman.digest", digest);
        headers.push_shown("sandman.trigger", self.trigger);
        headers.push_shown("sandman.attempt", self.attempt);
        headers
    }
}

/// Adds the revision of the state of the trigger's key after an emitted event; 0 if the key has no state. It is known
/// only when units are folded into a commit, and is therefore the last header.
pub fn put_revision(headers: &mut Headers, revision: u64) {
    headers.push_shown("sandman.revision", revision);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_is_named_by_six_headers() {
        let source = TopicPartition {
            topic: "t.a".into(),
            partition: 2,
        };
        let provenance = Provenance {
            handler: "profile",
            version: 7,
            digest: "0123456789abcdef",
            trigger: TriggerSource::Record(&source, 40),
            attempt: 3,
        };
        let mut headers = provenance.headers();
        put_revision(&mut headers, 12);
        let shown: Vec<_> = headers
            .iter()
            .map(|header| (header.name, std::str::from_utf8(header.value.unwrap()).unwrap()))
            .collect();
        let expected = [
            ("sandman.handler", "profile"),
            ("sandman.version", "7"),
            ("sandman.digest", "0123456789ab"),
            ("sandman.trigger", "t.a/2/40"),
            ("sandman.attempt", "3"),
            ("sandman.revision", "12"),
        ];
        assert_eq!(shown, expected);
        assert_eq!(Headers::from_bytes(headers.as_bytes()), Some(headers));
        assert_eq!(TriggerSource::Request("c-1").to_string(), "http:c-1");
    }
}
