//! Maps and sets with a deterministic iteration order.
//!
//! The standard library seeds its hash maps with random keys that change with every map, so two instances, or two calls
//! of one instance, iterate in different orders. These maps use a fixed seed, so the order depends only on the insertions. It
//! is not the insertion order, and another build of the guest may have a different one. If people see the order, sort the entries or use a
//! `BTreeMap`.
//!
//! A sender who chooses the keys can make them collide. The cost is limited by the handler's `limits.time`, and only that
//! sender's event fails.

use std::hash::{BuildHasherDefault, DefaultHasher};

/// A hasher without a random seed.
pub type FixedState = BuildHasherDefault<DefaultHasher>;

/// A [`std::collections::HashMap`] with a deterministic order. `HashMap::default()` is an empty one.
pub type HashMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// A [`std::collections::HashSet`] with a deterministic order. `HashSet::default()` is an empty one.
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
