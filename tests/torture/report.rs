//! What is told of a scenario.

use serde::Serialize;

use crate::checker::Verdict;

use super::lives::{Life, summary};

/// How many anomalies a report names.
const SHOWN: usize = 10;

/// One scenario, run once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The scenario.
    pub scenario: String,
    /// What it was run with; the same seed makes the same choices: keys, steps, pauses.
    pub seed: u64,
    /// The day on which it ended, in UTC: `2026-01-31`.
    pub day: String,
    /// Whether it was run in full, or in the short form of `cargo test`.
    pub full: bool,
    /// Whether the host was a release build.
    pub release: bool,
    /// The bug that every host had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plant: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// How many faults happened.
    pub faults: usize,
    /// What it measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What each host did until a fault hit it.
    pub lives: Vec<Life>,
    /// Whether nothing is wrong.
    pub clean: bool,
    /// What the checker says.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Why it could not be run to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Report {
    /// For a person: a line, and what is wrong below it.
    pub fn text(&self) -> String {
        let Self {
            scenario,
            seed,
            seconds,
            faults,
            notes,
            lives,
            clean,
            verdict,
            error,
            ..
        } = self;
        let word = if *clean { "clean" } else { "FAULTY" };
        let mut text = format!(
            "{word:6} {scenario:32} seed {seed:<20} {seconds:6.1} s  {faults} faults, {} inputs ({} unknown), {} events, {} dead letters",
            verdict.inputs, verdict.unknown, verdict.events, verdict.dead_letters
        );
        for note in notes.iter().chain(&summary(lives)) {
            text += &format!("\n  {note}");
        }
        for (kind, count) in verdict.counts() {
            text += &format!("\n  {kind}: {count}");
            let of_kind = verdict.anomalies.iter().filter(|anomaly| anomaly.kind == kind);
            for anomaly in of_kind.take(SHOWN) {
                text += &format!("\n    {}", anomaly.what);
            }
        }
        if let Some(error) = error {
            text += &format!("\n  {error}");
        }
        text
    }
}
