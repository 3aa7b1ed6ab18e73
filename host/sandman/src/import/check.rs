//! The first pass: checks every line, and writes nothing.

use std::io::Read;

use super::file::{Lines, Text};
use super::keys::Keys;
use super::line::Rules;
use super::progress::ImportProgress;
use super::{Counts, Import, ImportError, LineProblem, LineStanding, Mistakes};
use sandman_core::contract::Misfit;
use sandman_core::printable;

/// Bytes of a mistake, which may contain a name from the file.
const SHOWN: usize = 512;
/// Mistakes that are reported; the others are only counted.
const TOLD: usize = 1_000;

impl Import<'_> {
    pub(super) fn check(
        &self,
        rules: &Rules<'_>,
        lines: &mut Lines<impl Read>,
        progress: &ImportProgress,
    ) -> Result<(Counts, Mistakes), ImportError> {
        let (mut counts, mut mistakes, mut keys) = (Counts::default(), Mistakes::default(), Keys::default());
        progress.begin("checking");
        while let Some((number, text)) = lines.next()? {
            counts.states += 1;
            match text {
                Text::Whole(text) => match rules.read(text) {
                    Ok(line) => {
                        let first = keys.add(&line.key, number);
                        let problem = match first {
                            Some(first) => Some(format!("is also the key of line {first}; a key has only one state")),
                            None => self.compare(&line, &mut counts)?,
                        };
                        mistakes.add(number, problem.map(|problem| misfit("key", problem)));
                    }
                    Err(misfits) => mistakes.add(number, misfits),
                },
                Text::TooLong => {
                    let problem = format!(
                        "the line is longer than {} bytes, so its state is longer than the handler's limits.output",
                        rules.longest_line()
                    );
                    mistakes.add(number, [misfit("", problem)]);
                }
            }
            progress.at(lines.bytes, counts.states);
        }
        Ok((counts, mistakes))
    }

    /// Counts the action for a line; returns why it is refused.
    fn compare(&self, line: &super::line::Line, counts: &mut Counts) -> Result<Option<String>, ImportError> {
        let Some(store) = self.store else { return Ok(None) };
        let failed = |source| ImportError::Store { written: 0, source };
        match self.standing(store, line).map_err(failed)? {
            LineStanding::New(_) => counts.added += 1,
            LineStanding::Same => counts.same += 1,
            LineStanding::Other(..) if self.overwrite => counts.replaced += 1,
            LineStanding::Other(..) => {
                return Ok(Some(
                    "has another state in the store; --overwrite replaces it".to_owned(),
                ));
            }
        }
        Ok(None)
    }
}

impl Mistakes {
    fn add(&mut self, line: u64, misfits: impl IntoIterator<Item = Misfit>) {
        for Misfit { place, problem } in misfits {
            let problem = printable::line(&problem, SHOWN).into_owned();
            if self.problems.len() < TOLD {
                self.problems.push(LineProblem { line, place, problem });
            } else {
                self.more += 1;
            }
        }
    }
}

fn misfit(place: &str, problem: String) -> Misfit {
    Misfit {
        place: place.to_owned(),
        problem,
    }
}
