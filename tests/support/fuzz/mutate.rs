//! Mutations of kept inputs, from a seed: the same seed, the same inputs.

/// Longest input that is made.
const LONGEST: usize = 16 << 10;
/// What formats are made of.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x80\x80\x80\x80\x80\x01",
    b"\r\n",
    b"\n\n",
    b"--XX",
    b"\"",
    b"{}",
    b"[[[[",
    b"null",
    b"-1",
    b"1e999",
    b"9223372036854775807",
    b"\\u0000",
    b"\\ud800",
    b"%00",
    b"%ff",
    b"../",
    b"//",
    b"{",
    b"}",
    b":",
    b"=",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"true",
];

/// SplitMix64: enough to choose with.
#[derive(Clone, Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where the bound is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// A range of a slice of this length, at most `most` long.
    fn range(&mut self, length: usize, most: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(most + 1)).min(length)
    }
}

/// One of the kept inputs, changed in a few places.
pub(super) fn mutated(kept: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = chance.one(kept).cloned().unwrap_or_default();
    for _ in 0..=chance.below(4) {
        change(&mut bytes, kept, chance);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(bytes: &mut Vec<u8>, kept: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.range(bytes.len(), 0).start;
    match chance.below(8) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(chance.below(256)).unwrap_or(0);
            }
        }
        2 => drop(bytes.drain(chance.range(bytes.len(), 32))),
        3 => bytes.truncate(at),
        4 => {
            let word = chance.one(WORDS).copied().unwrap_or_default();
            bytes.splice(at..at, word.iter().copied());
        }
        5 => {
            // The same once more, or a few hundred times.
            let piece = bytes[chance.range(bytes.len(), 64)].to_vec();
            let times = if chance.below(8) == 0 { 200 } else { 1 };
            bytes.splice(at..at, piece.repeat(times));
        }
        6 => {
            let other = chance.one(kept).cloned().unwrap_or_default();
            let piece = other[chance.range(other.len(), other.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            let word = chance.one(WORDS).copied().unwrap_or_default();
            let end = (at + word.len()).min(bytes.len());
            bytes.splice(at..end, word.iter().copied());
        }
    }
}
