//! The story as it is told: a line for each thing that happens, and a screen at the end. In colour on a terminal.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use console::{Style, style};

use super::check::{Seen, Verdict};
use super::users::Request;

/// Room for what happened, in characters.
const WIDTH: usize = 20;

/// Tells what happens.
pub(super) struct Story {
    began: Instant,
}

impl Story {
    /// A story that begins now.
    pub(super) fn begin(title: &str) -> Self {
        say(&format!("{}", style(title).bold()));
        Self { began: Instant::now() }
    }

    /// Something happened.
    pub(super) fn tell(&self, what: &str, how: &str) {
        let time = format!("{:6.1} s", self.began.elapsed().as_secs_f64());
        say(&format!(
            "{}  {}  {how}",
            style(time).dim(),
            style(format!("{what:<WIDTH$}")).cyan()
        ));
    }

    /// A line of the screen at the end.
    pub(super) fn line(&self, what: &str, how: &str) {
        say(&format!("{}{how}", style(format!("{what:<10}")).cyan()));
    }

    /// An empty line.
    pub(super) fn pause(&self) {
        say("");
    }

    /// One event of each type, in full.
    pub(super) fn events(&self, registration: Option<&str>, seen: &[Seen]) {
        self.line("one each", "");
        if let Some(text) = registration {
            say(&format!("  {} {text}", style("in ").dim()));
        }
        for event_type in ["user.updated", "user.profile.updated", "user.preferences.updated"] {
            // The last, so that old and new values are there.
            if let Some(event) = seen.iter().rev().find(|event| event.event_type == event_type) {
                say(&format!("  {} {}", style("out").dim(), event.text));
            }
        }
    }

    /// What the check found. Nothing more is said after it.
    pub(super) fn verdict(&self, verdict: &Verdict, failed: &[String]) {
        let Verdict { events, aborted, .. } = verdict;
        if verdict.holds() && failed.is_empty() {
            self.line(
                "check",
                &format!(
                    "{} {events} events: none lost, none doubled, every user's old and new values in one chain",
                    style("✔").green()
                ),
            );
        }
        for (name, faults) in [
            ("lost", &verdict.lost[..]),
            ("doubled", &verdict.doubled),
            ("disordered", &verdict.disordered),
            ("failed", failed),
        ] {
            if let Some(first) = faults.first() {
                let bad = Style::new().red();
                self.line(
                    "check",
                    &bad.apply_to(format!("✘ {} {name}, such as {first}", faults.len()))
                        .to_string(),
                );
            }
        }
        if *aborted > 0 {
            self.line("", &format!("({aborted} records of the transaction that the outage broke off; the embedded broker shows them, Kafka hides them)"));
        }
    }
}

/// Half of the requests took no longer than the first number, 99 % than the second, all than the third; in milliseconds.
pub(super) fn latency<'a>(requests: impl Iterator<Item = &'a Request>) -> String {
    let mut took: Vec<Duration> = requests.map(|request| request.took).collect();
    took.sort_unstable();
    let at = |part: usize| {
        let index = took.len().saturating_sub(1) * part / 100;
        took.get(index).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    format!("{:.1} / {:.1} / {:.1}", at(50), at(99), at(100))
}

/// Whoever closed the pipe does not want the rest.
fn say(line: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
