//! `sandman import`: states from a file into the store, before the handler serves the users they are of.
//!
//! A first pass looks at every line; a second one writes, and only if nothing was wrong anywhere. It goes through the one
//! commit point in batches, so it can end at any moment and be run again: a line whose state is in the store is done.

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

/// What is imported, and how.
pub struct Import<'a> {
    /// The handler whose states they are.
    pub handler: Arc<str>,
    /// What its states look like.
    pub shape: &'a StateShape,
    /// The handler, where it reads the documents itself.
    pub reader: Option<Reader<'a>>,
    /// Bytes of the longest state: what the handler itself may return.
    pub longest: u64,
    /// Where they go; `None` only looks at the file.
    pub store: Option<&'a dyn Store>,
    /// Whether a state that is there and differs is replaced; else it is a mistake of its line.
    pub overwrite: bool,
    /// Whether progress goes to standard error.
    pub show: bool,
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineVerdict {
    /// Every state of the file is in the store; or would be, where there was none to write to.
    Imported(Counts),
    /// There are mistakes, and nothing was written.
    Refused(Mistakes),
}

/// How many states there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In the file.
    pub states: u64,
    /// Written for keys that had none.
    pub added: u64,
    /// Written over others.
    pub replaced: u64,
    /// In the store already, from an earlier run.
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
    /// Where in the line: `key`, `state`, or a JSON pointer from there, such as `state/details/phone`; empty for the line
    /// as a whole.
    pub place: String,
    /// What is wrong, without the value itself.
    pub problem: String,
}

/// How a line compares with the store.
enum LineStanding {
    /// The key has no state, and perhaps a row for the events that it remembers.
    New(Option<Revision>),
    Same,
    Other(Revision),
}

impl Import<'_> {
    /// Reads the file twice, and writes the second time.
    ///
    /// # Errors
    /// [`ImportError`] if the file cannot be read, or not all of it be written; running it again goes on.
    pub fn run(&self, mut file: File) -> Result<LineVerdict, ImportError> {
        let bytes = file.metadata()?.len();
        let rules = Rules {
            shape: self.shape,
            reader: self.reader,
            longest: usize::try_from(self.longest).unwrap_or(usize::MAX),
        };
        let progress = ImportProgress::new(self.show, bytes);
        let (counts, mistakes) = self.check(&rules, &mut Lines::new(&file, rules.longest_line()), &progress)?;
        if !mistakes.problems.is_empty() {
            return Ok(LineVerdict::Refused(mistakes));
        }
        if let Some(store) = self.store
            && counts.added + counts.replaced > 0
        {
            file.seek(SeekFrom::Start(0))?;
            let lines = &mut Lines::new(&file, rules.longest_line());
            self.write(store, &rules, lines, (&progress, counts.states))?;
        }
        progress.done();
        Ok(LineVerdict::Imported(counts))
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
