//! `sandman import`: imports states from a file into the store, before the handler serves their users.
//!
//! A first pass checks every line; a second one writes, and only if there was no mistake. It uses ordinary commits, in
//! batches, so it can be interrupted at any time and run again: lines whose states are in the store are done.

mod check;
mod error;
mod file;
mod keys;
mod line;
mod progress;
mod reader;
mod same;
mod write;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use serde::Serialize;

pub use error::ImportError;
pub use line::LONGEST_KEY;
pub use reader::Reader;

use file::Lines;
use line::Rules;
use progress::ImportProgress;
use same::same;
use sandman_core::contract::StateShape;
use sandman_core::store::{Revision, Store, StoreError};

/// An import.
pub struct Import<'a> {
    /// The handler of the states.
    pub handler: Arc<str>,
    /// The shape of its states.
    pub shape: &'a StateShape,
    /// The handler, if it reads the documents itself.
    pub reader: Option<Reader<'a>>,
    /// Bytes of the longest state: what the handler itself may return.
    pub longest: u64,
    /// The target; `None` only checks the file.
    pub store: Option<&'a dyn Store>,
    /// Whether existing states that differ are replaced; otherwise they are mistakes.
    pub overwrite: bool,
    /// Whether progress goes to standard error.
    pub show: bool,
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportResult {
    /// Every state of the file is in the store, or would be, without a store to write to.
    Imported(Counts),
    /// There are mistakes, and nothing was written.
    Refused(Mistakes),
}

/// Counts of states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the file.
    pub states: u64,
    /// Written for keys that had none.
    pub added: u64,
    /// Written in place of others.
    pub replaced: u64,
    /// Already in the store, from an earlier run.
    pub same: u64,
}

/// The mistakes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mistakes {
    /// The first ones, in the order of the lines.
    pub problems: Vec<LineProblem>,
    /// How many more there are.
    pub more: u64,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineProblem {
    /// The line, from 1.
    pub line: u64,
    /// The place in the line: `key`, `state`, or a JSON pointer from there, such as `state/details/phone`; empty for
    /// the whole line.
    pub place: String,
    /// What is wrong, without the value itself.
    pub problem: String,
}

/// How a line compares with the store.
enum LineStanding {
    /// The key has no state, but perhaps a row for its recent events.
    New(Option<Revision>),
    Same,
    Other(Revision),
}

impl Import<'_> {
    /// Reads the file twice, and writes the second time.
    ///
    /// # Errors
    /// [`ImportError`] if the file cannot be read, or not all of it could be written; running it again continues.
    pub fn run(&self, mut file: File) -> Result<ImportResult, ImportError> {
        let bytes = file.metadata()?.len();
        let rules = Rules {
            shape: self.shape,
            reader: self.reader,
            longest: usize::try_from(self.longest).unwrap_or(usize::MAX),
        };
        let progress = ImportProgress::new(self.show, bytes);
        let (counts, mistakes) = self.check(&rules, &mut Lines::new(&file, rules.longest_line()), &progress)?;
        if !mistakes.problems.is_empty() {
            return Ok(ImportResult::Refused(mistakes));
        }
        if let Some(store) = self.store
            && counts.added + counts.replaced > 0
        {
            file.seek(SeekFrom::Start(0))?;
            let lines = &mut Lines::new(&file, rules.longest_line());
            self.write(store, &rules, lines, (&progress, counts.states))?;
        }
        progress.done();
        Ok(ImportResult::Imported(counts))
    }

    fn standing(&self, store: &dyn Store, line: &line::Line) -> Result<LineStanding, StoreError> {
        let Some(stored) = store.state(&self.handler, &line.key)? else {
            return Ok(LineStanding::New(None));
        };
        let base = stored.revision;
        Ok(match stored.document {
            None => LineStanding::New(Some(base)),
            Some(document) if same(&document, &line.state) => LineStanding::Same,
            Some(_) => LineStanding::Other(base),
        })
    }
}

#[cfg(test)]
mod tests;
