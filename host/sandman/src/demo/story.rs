//! The output of the demo: a line for each step, and a summary at the end. As wide as the terminal, and in colour there.

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use console::{Style, Term, style};

use super::check::{DemoVerdict, SeenEvent};
use super::events::TYPES;
use super::users::Request;
use super::wrap::wrap;

/// The width of the step's name, in characters.
const WHAT: usize = 20;
/// The width of the time before it.
const TIME: usize = 8;
/// The width of the names in the summary.
const WORD: usize = 10;
/// Characters of a line without a terminal.
const PIPE: usize = 100;
/// On a narrower terminal lines are not wrapped by us.
const NARROWEST: usize = 70;

/// Prints the steps of the demo.
pub(super) struct DemoStory {
    began: Instant,
    width: usize,
}

impl DemoStory {
    /// Starts the output.
    pub(super) fn begin(title: &str) -> Self {
        let columns = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let width = columns.map_or(PIPE, |columns| columns.max(NARROWEST));
        say(&format!("{}", style(title).bold()));
        let began = Instant::now();
        Self { began, width }
    }

    /// Prints a step.
    pub(super) fn tell(&self, what: &str, how: &str) {
        let time = format!("{:1$.1} s", self.began.elapsed().as_secs_f64(), TIME - 2);
        let head = format!("{}  {}  ", style(time).dim(), style(format!("{what:<WHAT$}")).cyan());
        self.under(&head, TIME + 2 + WHAT + 2, how, &Style::new());
    }

    /// Prints a line of the summary.
    pub(super) fn line(&self, what: &str, how: &str) {
        self.styled(what, how, &Style::new());
    }

    /// Prints a line to copy, which is not wrapped.
    pub(super) fn to_copy(&self, what: &str, text: &str) {
        say(&format!("{}{text}", style(format!("{what:<WORD$}")).cyan()));
    }

    /// Prints a line of other output unchanged.
    pub(super) fn verbatim(&self, text: &str) {
        say(&format!("{:1$}{text}", "", TIME + 2));
    }

    fn styled(&self, what: &str, how: &str, style_of: &Style) {
        let head = style(format!("{what:<WORD$}")).cyan().to_string();
        self.under(&head, WORD, how, style_of);
    }

    /// Prints `text` after a head of this many columns, and wraps it below.
    fn under(&self, head: &str, columns: usize, text: &str, style_of: &Style) {
        for (number, line) in wrap(text, self.width - columns).iter().enumerate() {
            let line = style_of.apply_to(line);
            match number {
                0 => say(&format!("{head}{line}")),
                _ => say(&format!("{:columns$}{line}", "")),
            }
        }
    }

    /// An empty line.
    pub(super) fn pause(&self) {
        say("");
    }

    /// One event of each type, in full.
    pub(super) fn events(&self, registration: Option<&str>, seen: &[SeenEvent]) {
        let event = |way: &str, text: &str| {
            let head = format!("  {way:<4}");
            self.under(&style(&head).dim().to_string(), head.len(), text, &Style::new());
        };
        if let Some(text) = registration {
            event("in", text);
        }
        for event_type in TYPES {
            // The last, so that old and new values are there.
            if let Some(last) = seen.iter().rev().find(|event| event.event_type == event_type) {
                event("out", &last.text);
            }
        }
    }

    /// Prints the latencies of requests in groups: the median, the 99th percentile and the maximum.
    pub(super) fn latencies(&self, groups: &[(&str, Vec<Duration>)]) {
        let row = |[a, b, c, d]: [&str; 4], when: &str| {
            format!("{a:>8}  {b:>8}  {c:>8}  {d:>8}   {when}").trim_end().to_owned()
        };
        self.line("latency", &row(["requests", "p50 ms", "p99 ms", "max ms"], ""));
        for (when, took) in groups {
            let mut took = took.clone();
            took.sort_unstable();
            let at = |part: usize| {
                let index = took.len().saturating_sub(1) * part / 100;
                took.get(index)
                    .map_or("-".to_owned(), |took| format!("{:.1}", took.as_secs_f64() * 1e3))
            };
            let count = took.len().to_string();
            self.line("", &row([&count, &at(50), &at(99), &at(100)], when));
        }
    }

    /// Prints the result of the check, as the last line.
    pub(super) fn verdict(&self, verdict: &DemoVerdict, failed: &[String]) {
        let DemoVerdict { events, aborted, .. } = verdict;
        if verdict.holds() && failed.is_empty() {
            let whole = "none lost, none doubled, every user's old and new values in one chain; \
                         no user met the versions in another order than first, second, first";
            self.styled("check", &format!("✔ {events} events: {whole}"), &Style::new().green());
        }
        for (name, faults) in [
            ("lost", &verdict.lost[..]),
            ("doubled", &verdict.doubled),
            ("disordered", &verdict.disordered),
            ("failed", failed),
        ] {
            if let Some(first) = faults.first() {
                let found = format!("✘ {} {name}, such as {first}", faults.len());
                self.styled("check", &found, &Style::new().red());
            }
        }
        if *aborted > 0 {
            let hidden = "records of the transaction that the outage broke off; Kafka would hide them";
            self.line("", &format!("({aborted} {hidden})"));
        }
    }
}

/// The latencies of these requests.
pub(super) fn took<'a>(requests: impl Iterator<Item = &'a Request>) -> Vec<Duration> {
    requests.map(|request| request.took).collect()
}

/// If the pipe is closed, the rest is dropped.
fn say(line: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
