//! Maps and sets that are iterated in one order, whatever was called before.
//!
//! The standard library's start from keys that are drawn when a program starts and counted up with each map: two instances, or two calls
//! of one instance, iterate in different orders. These start from nothing, so that the order depends on what was inserted alone. It
//! is not the order of insertion, and another build of the guest may have another one: where people look at it, sort it, or use a
//! `BTreeMap`.
//!
//! Whoever may choose the keys can choose such as collide; what that costs is bounded by the handler's `limits.time`, and fails the
//! sender's own event.

use std::hash::{BuildHasherDefault, DefaultHasher};

/// What hashes without a random start.
pub type FixedState = BuildHasherDefault<DefaultHasher>;

/// A [`std::collections::HashMap`] in one order. `HashMap::default()` is an empty one.
pub type HashMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// A [`std::collections::HashSet`] in one order. `HashSet::default()` is an empty one.
pub type HashSet<T> = std::collections::HashSet<T, FixedState>;

#[cfg(test)]
mod tests {
    use super::{HashMap, HashSet};

    #[test]
    fn what_holds_the_same_is_iterated_in_the_same_order() {
        let words: Vec<_> = (0..100).map(|word| format!("word {word}")).collect();
        let maps = [(); 2].map(|()| words.iter().zip(0..).collect::<HashMap<_, _>>());
        assert!(maps[0].keys().eq(maps[1].keys()));
        let sets = [(); 2].map(|()| words.iter().collect::<HashSet<_>>());
        assert!(sets[0].iter().eq(sets[1].iter()));
    }
}
