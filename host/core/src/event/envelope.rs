//! The JSON envelope that every event travels in.

/// How many fields an envelope has.
const FIELDS: usize = 9;

/// A decoded envelope. The payload and the metadata stay the JSON text that was sent: the host never re-writes them.
///
/// Its fields are in one string: with a string for each field, allocations would be most of the cost of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    text: Box<str>,
    /// Where each field ends, in the order of [`EnvelopeFields`].
    ends: [u32; FIELDS],
}

/// The fields of an envelope; an empty optional field is absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EnvelopeFields<'a> {
    pub(super) event_id: &'a str,
    pub(super) event_type: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) version: &'a str,
    pub(super) source: &'a str,
    pub(super) correlation_id: &'a str,
    pub(super) causation_id: &'a str,
    pub(super) metadata: &'a str,
    pub(super) payload: &'a str,
}

impl Envelope {
    /// Records are smaller than 2 GiB, and so are the texts within.
    pub(super) fn new(fields: &EnvelopeFields<'_>) -> Self {
        let fields = [
            fields.event_id,
            fields.event_type,
            fields.timestamp,
            fields.version,
            fields.source,
            fields.correlation_id,
            fields.causation_id,
            fields.metadata,
            fields.payload,
        ];
        let mut text = String::with_capacity(fields.iter().map(|field| field.len()).sum());
        let ends = fields.map(|field| {
            text.push_str(field);
            u32::try_from(text.len()).unwrap_or(u32::MAX)
        });
        let text = text.into_boxed_str();
        Self { text, ends }
    }

    fn field(&self, at: usize) -> &str {
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let start = at.checked_sub(1).map_or(0, end);
        self.text.get(start..end(at)).unwrap_or_default()
    }

    fn present(&self, at: usize) -> Option<&str> {
        Some(self.field(at)).filter(|field| !field.is_empty())
    }

    /// `eventId`, never empty.
    pub fn event_id(&self) -> &str {
        self.field(0)
    }

    /// `eventType`, for example `user.created`.
    pub fn event_type(&self) -> &str {
        self.field(1)
    }

    /// `timestamp`, as the sender wrote it.
    pub fn timestamp(&self) -> &str {
        self.field(2)
    }

    /// `version` of the payload's shape.
    pub fn version(&self) -> &str {
        self.field(3)
    }

    /// `source`: who published it.
    pub fn source(&self) -> &str {
        self.field(4)
    }

    /// `correlationId`; an empty one counts as absent.
    pub fn correlation_id(&self) -> Option<&str> {
        self.present(5)
    }

    /// `causationId`; an empty one counts as absent.
    pub fn causation_id(&self) -> Option<&str> {
        self.present(6)
    }

    /// `metadata`, JSON text.
    pub fn metadata(&self) -> Option<&str> {
        self.present(7)
    }

    /// `payload`, JSON text.
    pub fn payload(&self) -> &str {
        self.field(8)
    }
}
