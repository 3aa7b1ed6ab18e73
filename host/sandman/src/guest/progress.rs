//! Shows the progress of a build on standard error: a spinner on a terminal, otherwise plain lines.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The output of progress.
pub(crate) enum Progress {
    Quiet,
    Plain,
    Moving(ProgressBar),
}

impl Progress {
    pub(crate) fn new(show: bool) -> Self {
        if !show {
            return Self::Quiet;
        }
        if !io::stderr().is_terminal() {
            return Self::Plain;
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self::Moving(bar)
    }

    /// Shows the current step.
    pub(crate) fn step(&self, doing: &str, what: &str) {
        match self {
            Self::Quiet => {}
            Self::Plain => self.say(&format!("{doing} {what}")),
            Self::Moving(bar) => bar.set_message(format!("{doing} {what}")),
        }
    }

    /// Shows details of the current step; only on a terminal.
    pub(crate) fn passing(&self, doing: &str, what: &str) {
        if let Self::Moving(bar) = self {
            bar.set_message(format!("{doing} {what}"));
        }
    }

    /// Prints a permanent line.
    pub(crate) fn say(&self, line: &str) {
        match self {
            Self::Quiet => {}
            Self::Plain => {
                // Unwritable progress does not stop the build.
                let _ = writeln!(io::stderr(), "{line}");
            }
            Self::Moving(bar) => bar.println(line),
        }
    }

    pub(crate) fn done(&self) {
        if let Self::Moving(bar) = self {
            bar.finish_and_clear();
        }
    }

    /// Whether text may be coloured.
    pub(crate) fn coloured(&self) -> bool {
        matches!(self, Self::Moving(_))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}
