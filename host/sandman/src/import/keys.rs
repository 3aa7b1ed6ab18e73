//! The keys in a file so far, in little memory.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// Bytes of a key's digest that are kept: in files with a million keys, two keys collide once in 10^17 files.
const KEPT: usize = 12;

/// The keys so far, each with its line: 17 to 40 bytes per key, however long the keys are.
#[derive(Default)]
pub(super) struct Keys(HashMap<[u8; KEPT], u32>);

impl Keys {
    /// Records the key of a line; returns the earlier line with the same key, if any.
    pub(super) fn add(&mut self, key: &str, line: u64) -> Option<u64> {
        let digest = Sha256::digest(key);
        let mut kept = [0; KEPT];
        kept.iter_mut().zip(digest).for_each(|(kept, byte)| *kept = byte);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let first = *self.0.entry(kept).or_insert(line);
        (first != line).then_some(first.into())
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn the_first_line_of_a_key_is_told() {
        let mut keys = Keys::default();
        assert_eq!(keys.add("ada", 1), None);
        assert_eq!(keys.add("bob", 2), None);
        assert_eq!(keys.add("ada", 3), Some(1));
        assert_eq!(keys.add("ada", 9), Some(1));
    }
}
