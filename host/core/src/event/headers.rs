//! The headers of a record, in one block of memory: a record has half a dozen of them and an event leads to several
//! records, so that a string for each name and value would be most of the host's allocations.

use std::fmt;
use std::io::Write as _;
use std::iter::FusedIterator;

/// A header of a record. Kafka allows repeated names and absent values, so both are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The header's name.
    pub name: &'a str,
    /// The header's bytes; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header with a text value, as DreamScape's clients write them.
    pub fn text(name: &'a str, value: &'a str) -> Self {
        let value = Some(value.as_bytes());
        Self { name, value }
    }
}

/// Headers in order. Each is encoded as the length of its name, the length of its value, the name and the value;
/// lengths have four bytes, little-endian.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Vec<u8>,
    count: usize,
}

/// The length that means a null value. Kafka's lengths are signed, so none is as large.
const NULL: u32 = u32::MAX;

/// Kafka's overhead for a header: lengths and framing, rounded up.
const AROUND: usize = 10;

impl Headers {
    /// No headers, with room for `bytes` of names and values of `count` headers.
    pub fn with_room(count: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes + 8 * count),
            count: 0,
        }
    }

    /// Headers as [`Headers::as_bytes`] gave them; `None` if these are not such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut count = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = split(rest)?.1;
            count += 1;
        }
        let bytes = bytes.to_vec();
        Some(Self { bytes, count })
    }

    /// All headers as bytes, for the outbox.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a header at the end. Name and value are shorter than 2 GiB, as Kafka has it.
    pub fn push(&mut self, header: Header<'_>) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(NULL - 1).to_le_bytes();
        self.bytes.extend(length(header.name.as_bytes()));
        self.bytes.extend(header.value.map_or(NULL.to_le_bytes(), length));
        self.bytes.extend(header.name.as_bytes());
        self.bytes.extend(header.value.unwrap_or_default());
        self.count += 1;
    }

    /// Adds a header at the end, whose value is formatted in place.
    pub fn push_shown(&mut self, name: &str, value: impl fmt::Display) {
        let start = self.bytes.len();
        self.push(Header { name, value: Some(&[]) });
        let value_start = self.bytes.len();
        // Writing into a vector does not fail.
        write!(self.bytes, "{value}").ok();
        let length = u32::try_from(self.bytes.len() - value_start).unwrap_or(NULL - 1);
        if let Some(place) = self.bytes.get_mut(start + 4..start + 8) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// Adds all headers of `other` at the end.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
    }

    /// Takes the last header away.
    pub fn pop(&mut self) {
        let mut rest = self.bytes.as_slice();
        let mut last = rest.len();
        while let Some((_, behind)) = split(rest) {
            last = rest.len();
            rest = behind;
        }
        self.bytes.truncate(self.bytes.len() - last.min(self.bytes.len()));
        self.count = self.count.saturating_sub(1);
    }

    /// Every header, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.bytes)
    }

    /// The values of all headers of that name, in order; nothing for a null.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.iter().filter(move |header| header.name == name);
        named.map(|header| header.value.unwrap_or_default())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size of all of them as Kafka counts it, or a little more.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.count * (AROUND - 8)
    }
}

impl<'a> Extend<Header<'a>> for Headers {
    fn extend<T: IntoIterator<Item = Header<'a>>>(&mut self, headers: T) {
        for header in headers {
            self.push(header);
        }
    }
}

impl<'a> FromIterator<Header<'a>> for Headers {
    fn from_iter<T: IntoIterator<Item = Header<'a>>>(headers: T) -> Self {
        let mut all = Self::default();
        all.extend(headers);
        all
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Headers, one after the other.
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let (header, rest) = split(self.0)?;
        self.0 = rest;
        Some(header)
    }
}

impl FusedIterator for Iter<'_> {}

/// The first header, and what follows it.
fn split(bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let (name, bytes) = bytes.split_first_chunk()?;
    let (value, bytes) = bytes.split_first_chunk()?;
    let length = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
    let (name, bytes) = bytes.split_at_checked(length(name)?)?;
    let name = std::str::from_utf8(name).ok()?;
    if u32::from_le_bytes(*value) == NULL {
        return Some((Header { name, value: None }, bytes));
    }
    let (value, bytes) = bytes.split_at_checked(length(value)?)?;
    let value = Some(value);
    Some((Header { name, value }, bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_come_back_as_they_went(
            given in proptest::collection::vec((".{0,8}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20))), 0..6)
        ) {
            let all = given.iter().map(|(name, value)| Header { name, value: value.as_deref() });
            let headers: Headers = all.clone().collect();
            prop_assert!(headers.iter().eq(all));
            prop_assert_eq!(headers.len(), given.len());
            let mut twice = headers.clone();
            twice.append(&headers);
            prop_assert!(twice.iter().eq(headers.iter().chain(headers.iter())));
            prop_assert_eq!(twice.len(), 2 * headers.len());
            headers.iter().for_each(|_| twice.pop());
            prop_assert_eq!(&twice, &headers);
            prop_assert_eq!(Headers::from_bytes(headers.as_bytes()), Some(headers));
        }

        #[test]
        fn any_bytes_are_headers_or_refused(bytes in proptest::collection::vec(prop_oneof![Just(0), Just(255), any::<u8>()], 0..40)) {
            if let Some(headers) = Headers::from_bytes(&bytes) {
                prop_assert_eq!(headers.iter().count(), headers.len());
            }
        }
    }
}
