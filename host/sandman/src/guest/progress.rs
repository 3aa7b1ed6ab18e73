//! Shows how far a build is: a moving line on a terminal, plain lines elsewhere, on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Where the progress goes.
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

    /// What is being done now.
    pub(crate) fn step(&self, doing: &str, what: &str) {
        match self {
            Self::Quiet => {}
            Self::Plain => self.say(&format!("{doing} {what}")),
            Self::Moving(bar) => bar.set_message(format!("{doing} {what}")),
        }
    }

    /// How far it is with that; only where it can be shown in passing.
    pub(crate) fn passing(&self, doing: &str, what: &str) {
        if let Self::Moving(bar) = self {
            bar.set_message(format!("{doing} {what}"));
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        match self {
            Self::Quiet => {}
            Self::Plain => {
                // Progress that nobody can read is no reason to stop the build.
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

    /// Whether text may carry the colours of a terminal.
    pub(crate) fn coloured(&self) -> bool {
        matches!(self, Self::Moving(_))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}
