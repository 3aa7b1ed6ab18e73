//! The last events of a key, so that an event that an at-least-once producer sends again is handled once.
//!
//! An event is remembered by a hash of its `eventId`, in the commit that holds its outcome. The event of a dead letter
//! is not remembered, so that it can be sent again or redriven later.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Bytes of a remembered event.
const HASH: usize = 8;

/// How an event is remembered: the first eight bytes of the SHA-256 of its `eventId`. Among a thousand remembered
/// events, one in 10^16 new ones is mistaken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHash([u8; HASH]);

impl EventHash {
    /// The hash of an `eventId`.
    pub fn of(event_id: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(event_id).into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        Self([a, b, c, d, e, f, g, h])
    }
}

/// The last events of a key, the oldest first; cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecentEvents(Option<Arc<[u8]>>);

impl RecentEvents {
    /// As [`as_bytes`](Self::as_bytes) gave them.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self((!bytes.is_empty()).then(|| bytes.into()))
    }

    /// The hashes, one after the other.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the event is one of them.
    pub fn contains(&self, event: EventHash) -> bool {
        self.as_bytes().chunks_exact(HASH).any(|known| known == event.0)
    }

    /// These and one more event, of which the newest `most` are kept.
    #[must_use]
    pub fn with(&self, event: EventHash, most: usize) -> Self {
        let known = self.as_bytes();
        let kept = most.saturating_sub(1).saturating_mul(HASH).min(known.len());
        let newest = known.split_at(known.len() - kept).1;
        Self((most > 0).then(|| newest.iter().copied().chain(event.0).collect()))
    }
}

impl fmt::Debug for RecentEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} recent events", self.as_bytes().len() / HASH)
    }
}

#[cfg(test)]
mod tests {
    use super::{EventHash, RecentEvents};

    #[test]
    fn the_newest_are_remembered_and_the_oldest_make_room() {
        let mut recent = RecentEvents::default();
        for id in 0..20 {
            let event = EventHash::of(&id.to_string());
            assert!(!recent.contains(event), "{id}");
            recent = recent.with(event, 16);
        }
        let remembered = |id: u32| recent.contains(EventHash::of(&id.to_string()));
        assert!((4..20).all(remembered) && !(0..4).any(remembered), "{recent:?}");
        assert_eq!(RecentEvents::from_bytes(recent.as_bytes()), recent);
        let fewer = recent.with(EventHash::of("20"), 2);
        assert!(fewer.contains(EventHash::of("19")) && !fewer.contains(EventHash::of("18")));
        assert!(recent.with(EventHash::of("20"), 0).is_empty());
    }

    #[test]
    fn the_hash_of_an_id_is_the_same_for_ever() {
        // It stands in stores.
        let recent = RecentEvents::default().with(EventHash::of("e-1"), 1);
        assert_eq!(recent.as_bytes(), EXPECTED);
    }

    const EXPECTED: [u8; 8] = [0xb9, 0x4f, 0x52, 0x31, 0x96, 0xaa, 0xac, 0xd8];
}
