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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows with their places, as a statement finds them.
    struct Table(Vec<(&'static str, i32)>);

    impl Table {
        /// The rows that are at their places, or somewhere, which move on to the next page.
        fn run(
            &mut self,
            by_place: bool,
            rows: &[PlacedRow<'_, &'static str, i32>],
        ) -> Vec<ChangedRow<&'static str, i32>> {
            let mut changed = Vec::new();
            for (key, value, place) in rows {
                let here = |(row, page): &&mut (&'static str, i32)| {
                    row == *key && (!by_place || place.as_deref() == Some(&*page.to_string()))
                };
                if let Some((_, page)) = self.0.iter_mut().find(here) {
                    *page += 1;
                    changed.push((**key, page.to_string(), **value));
                }
            }
            changed
        }
    }

    #[test]
    fn rows_are_searched_where_they_were_and_then_by_their_keys() {
        let mut table = Table(vec![("stays", 10), ("moved", 20), ("new", 30)]);
        let hints = [("stays", "10"), ("moved", "19"), ("gone", "40")];
        let mut known: HashMap<_, _> = hints.map(|(key, place)| (key, place.to_owned())).into();
        let keys = ["stays", "moved", "new", "gone"];
        let rows = keys.each_ref().map(|key| (key, &1));
        let mut searched = Vec::new();
        let mut found = |known: &mut _| {
            searched.clear();
            let changed = change(known, &rows, |by_place, rows| {
                searched.push((by_place, rows.iter().map(|(key, ..)| **key).collect::<Vec<_>>()));
                Ok(table.run(by_place, rows))
            });
            let mut changed: Vec<_> = changed.unwrap_or_default().into_keys().collect();
            changed.sort_unstable();
            (changed, searched.clone())
        };
        let there = vec!["moved", "new", "stays"];
        let first = found(&mut known);
        let by_key = vec!["moved", "new", "gone"];
        assert_eq!(
            first,
            (
                there.clone(),
                vec![(true, vec!["stays", "moved", "gone"]), (false, by_key)]
            )
        );
        assert_eq!((&*known["stays"], &*known["moved"], &*known["new"]), ("11", "21", "31"));
        // By now all are known that there are.
        let again = found(&mut known);
        assert_eq!(again, (there, vec![(true, keys.to_vec()), (false, vec!["gone"])]));
    }

    #[test]
    fn without_rows_there_is_no_statement() {
        let none: [(&i32, &i32); 0] = [];
        let changed = change(
            &mut HashMap::new(),
            &none,
            |_, _| -> Result<Vec<ChangedRow<i32, ()>>, _> { Err(PgFault::GivenUp) },
        );
        assert!(changed.is_ok_and(|changed| changed.is_empty()));
    }
}
