//! The places of the rows that every commit changes: of the partitions, the shards and their relays.
//!
//! While a transaction elsewhere is open, PostgreSQL keeps the old versions of a row, and a search by its key visits all of
//! them. So the rows are searched where they were last (`ctid`). That is only a hint: a statement that uses it compares the
//! key as well, and finds the current version of the row or none. What is not found there is searched by its key.

use std::collections::HashMap;
use std::hash::Hash;

use super::fault::PgFault;
use super::plan::StatePlace;

/// The last places, as text.
#[derive(Debug, Default)]
pub(super) struct RowPlaces {
    pub(super) progress: HashMap<StatePlace, String>,
    pub(super) shards: HashMap<i32, String>,
    pub(super) relays: HashMap<i32, String>,
}

/// A row to change: its key, what is written, and its last place.
pub(super) type PlacedRow<'a, K, V> = (&'a K, &'a V, Option<String>);

/// A row that was changed: its key, its new place, and what the statement returns of it.
pub(super) type ChangedRow<K, T> = (K, String, T);

/// Changes rows: those with known places there, and those that are not there or whose places are not known by their keys.
/// `run` is told whether to use the places. Returns the rows that were changed.
pub(super) fn change<K: Clone + Eq + Hash, V, T>(
    known: &mut HashMap<K, String>,
    rows: &[(&K, &V)],
    mut run: impl FnMut(bool, &[PlacedRow<'_, K, V>]) -> Result<Vec<ChangedRow<K, T>>, PgFault>,
) -> Result<HashMap<K, T>, PgFault> {
    let mut changed = HashMap::new();
    for by_place in [true, false] {
        let left = rows.iter().filter(|(key, _)| !changed.contains_key(*key));
        let left = left.map(|(key, value)| (*key, *value, known.get(*key).cloned().filter(|_| by_place)));
        let left: Vec<PlacedRow<'_, K, V>> = left.filter(|(.., place)| place.is_some() == by_place).collect();
        if left.is_empty() {
            continue;
        }
        for (key, place, value) in run(by_place, &left)? {
            known.insert(key.clone(), place);
            changed.insert(key, value);
        }
    }
    Ok(changed)
}

/// The places of rows, as a parameter.
pub(super) fn places<K, V>(rows: &[PlacedRow<'_, K, V>]) -> Vec<Option<String>> {
    rows.iter().map(|(.., place)| place.clone()).collect()
}
