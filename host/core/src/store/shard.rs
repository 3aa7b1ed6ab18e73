//! Which shard of the outbox a record belongs to: that of its key, so that a key's records stay in order.

use std::fmt;

/// A shard of the outbox, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u16);

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Shard {
    /// The shard of a record's key, among `shards` from 1. It uses Kafka's own hash, so that the keys of one partition
    /// are in few shards. Records without a key are all in shard 0.
    pub fn of(key: Option<&[u8]>, shards: u16) -> Self {
        match key {
            Some(key) if shards > 1 => {
                let shard = kafka_hash(key) % u32::from(shards);
                Self(u16::try_from(shard).unwrap_or_default())
            }
            _ => Self(0),
        }
    }
}

const SEED: u32 = 0x9747_b28c;
const MIX: u32 = 0x5bd1_e995;

/// Kafka's hash of a key: murmur2 without its highest bit. The partition of a record is this modulo the partitions.
pub fn kafka_hash(key: &[u8]) -> u32 {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, rest) = key.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mixed = u32::from_le_bytes(*word).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ (mixed ^ (mixed >> 24)).wrapping_mul(MIX);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    (hash ^ (hash >> 15)) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test.
    #[test]
    fn the_hash_is_the_one_of_kafkas_clients() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            let expected = hash.cast_unsigned() & 0x7fff_ffff;
            assert_eq!(kafka_hash(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn a_record_without_a_key_and_a_store_with_one_shard_have_shard_0() {
        assert_eq!(Shard::of(None, 8), Shard(0));
        assert_eq!(Shard::of(Some(b"21"), 1), Shard(0));
        let all: std::collections::BTreeSet<_> = (0..100u8).map(|key| Shard::of(Some(&[key]), 8)).collect();
        assert_eq!(all.len(), 8);
    }
}
