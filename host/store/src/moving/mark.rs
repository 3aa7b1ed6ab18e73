//! What a move notes in its target, and by what it knows its source again.

use super::cell::{self, MovedValue};
use super::tables::{MovedTable, TABLES};
use super::{MoveError, MovingSide};
use sandman_core::store::StoreId;

/// How far a move has come: so many rows of a table, and all of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MovePosition {
    /// The table's number, from 0.
    pub(crate) table: i64,
    /// Its rows.
    pub(crate) rows: i64,
}

impl MovePosition {
    /// Behind so many rows of a table.
    pub(super) fn behind(table: usize, rows: u64) -> Self {
        Self {
            table: i64::try_from(table).unwrap_or(i64::MAX),
            rows: i64::try_from(rows).unwrap_or(i64::MAX),
        }
    }

    pub(super) fn table(self) -> usize {
        usize::try_from(self.table).unwrap_or_default()
    }

    pub(super) fn rows(self) -> u64 {
        u64::try_from(self.rows).unwrap_or_default()
    }
}

/// What a target tells of the move into it. It is there as long as the target is no store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MoveMark {
    /// The source, as [`Inventory::text`].
    pub(crate) source: String,
    pub(crate) at: MovePosition,
}

/// Rows regardless of their order: their number, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RowSum {
    rows: u64,
    hashes: u128,
}

impl RowSum {
    fn of(side: &mut dyn MovingSide, table: &MovedTable) -> Result<Self, MoveError> {
        let mut sum = Self::default();
        side.rows(table, &mut |row: Vec<MovedValue>| {
            sum.rows += 1;
            sum.hashes = sum.hashes.wrapping_add(cell::hash(&row));
            Ok(())
        })?;
        Ok(sum)
    }
}

/// Which store it is, and what all of its tables hold.
pub(super) struct Inventory {
    store: String,
    sums: Vec<(&'static MovedTable, RowSum)>,
}

impl Inventory {
    /// Reads all of a store.
    pub(super) fn of(id: &StoreId, side: &mut dyn MovingSide) -> Result<Self, MoveError> {
        let sums = TABLES.iter().map(|table| Ok((table, RowSum::of(side, table)?)));
        Ok(Self {
            store: id.0.to_string(),
            sums: sums.collect::<Result<_, MoveError>>()?,
        })
    }

    /// The tables, and how many rows each has.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&'static MovedTable, u64)> {
        self.sums.iter().map(|(table, sum)| (*table, sum.rows))
    }

    /// One line for the store, and one for each table.
    pub(super) fn text(&self) -> String {
        let lines = self.sums.iter().map(|(table, sum)| line(table, *sum));
        let all: Vec<String> = std::iter::once(self.store.clone()).chain(lines).collect();
        all.join("\n")
    }

    /// Whether a move that noted this text came from this store as it is.
    pub(super) fn check(&self, noted: &str) -> Result<(), MoveError> {
        let mut lines = noted.lines();
        let store = lines.next().unwrap_or_default();
        if store != self.store {
            return Err(MoveError::OtherSource(store.to_owned()));
        }
        let known: Vec<&str> = lines.collect();
        let is_changed = |(table, sum): &&(&MovedTable, RowSum)| !known.contains(&line(table, *sum).as_str());
        let changed = self.sums.iter().filter(is_changed).map(|(table, _)| table.name);
        let changed: Vec<&str> = changed.collect();
        match changed.is_empty() {
            true => Ok(()),
            false => Err(MoveError::Changed(changed.join(", "))),
        }
    }

    /// Whether a store has the same rows.
    pub(super) fn compare(&self, other: &mut dyn MovingSide) -> Result<(), MoveError> {
        for (table, sum) in &self.sums {
            if RowSum::of(other, table)? != *sum {
                return Err(MoveError::Differ(table.name));
            }
        }
        Ok(())
    }
}

fn line(table: &MovedTable, sum: RowSum) -> String {
    format!("{} {} {:032x}", table.name, sum.rows, sum.hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that has the same row in every table, and in some of them another one.
    struct Filled(&'static [&'static str]);

    impl MovingSide for Filled {
        fn rows(&mut self, table: &MovedTable, each: super::super::EachRow<'_>) -> Result<(), MoveError> {
            each(vec![MovedValue::Number(i64::from(self.0.contains(&table.name)))])
        }
    }

    fn inventory(store: &str, other: &'static [&'static str]) -> Inventory {
        Inventory::of(&StoreId(store.into()), &mut Filled(other)).unwrap()
    }

    #[test]
    fn a_source_is_known_again_by_its_id_and_all_of_its_rows() {
        let noted = inventory("a", &[]).text();
        inventory("a", &[]).check(&noted).unwrap();
        let other = inventory("b", &[]).check(&noted).unwrap_err();
        assert!(matches!(other, MoveError::OtherSource(id) if id == "a"));
        let changed = inventory("a", &["states", "history"]).check(&noted).unwrap_err();
        assert!(matches!(changed, MoveError::Changed(names) if names == "states, history"));
    }

    #[test]
    fn a_target_with_another_row_differs() {
        inventory("a", &[]).compare(&mut Filled(&[])).unwrap();
        let differs = inventory("a", &[]).compare(&mut Filled(&["pauses"])).unwrap_err();
        assert!(matches!(differs, MoveError::Differ("pauses")));
    }
}
