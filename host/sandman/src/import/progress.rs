//! Shows the progress of an import on standard error: a bar on a terminal, otherwise occasional lines.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// States between two lines without a terminal.
const SAID: u64 = 100_000;
/// States between two updates of the bar.
const MOVED: u64 = 100;

/// The output of progress.
pub(super) enum ImportProgress {
    Quiet,
    Plain,
    Bar(ProgressBar),
}

impl ImportProgress {
    /// Progress for a file of this size in bytes.
    pub(super) fn new(show: bool, bytes: u64) -> Self {
        if !show {
            return Self::Quiet;
        }
        if !io::stderr().is_terminal() {
            return Self::Plain;
        }
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent}%, {eta} left") {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// Begins a pass through the file.
    pub(super) fn begin(&self, doing: &'static str) {
        match self {
            Self::Quiet => {}
            Self::Plain => say(doing),
            Self::Bar(bar) => {
                bar.reset();
                bar.set_message(doing);
            }
        }
    }

    /// Reports the bytes and states of the pass that are done.
    pub(super) fn at(&self, bytes: u64, states: u64) {
        match self {
            Self::Plain if states.is_multiple_of(SAID) => say(&format!("{states} states")),
            Self::Bar(bar) if states.is_multiple_of(MOVED) => bar.set_position(bytes),
            _ => {}
        }
    }

    pub(super) fn done(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Drop for ImportProgress {
    fn drop(&mut self) {
        self.done();
    }
}

fn say(line: &str) {
    // Unwritable progress does not stop the import.
    let _ = writeln!(io::stderr(), "{line}");
}
