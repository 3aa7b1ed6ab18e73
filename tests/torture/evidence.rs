//! Writes `docs/evidence.md` from saved reports, the lines that `torture --json` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;

use crate::Result;

use super::all;

/// The section that was written by hand, of runs whose reports were not kept.
const BY_HAND: &str = include_str!("reports/by-hand.md");
const HEAD: &str = "\
# Evidence

<!-- Generated: torture --evidence tests/torture/reports/*.json > docs/evidence.md -->

What the torture scenarios have shown so far. [guarantees.md](guarantees.md) says what is promised and how a run is judged. `torture --evidence` writes
this page from the reports in `tests/torture/reports`; its last part, [Earlier runs](#earlier-runs), is written by hand. To add a run:

```sh
cargo run --release -p sandman-tests --bin torture -- --json > tests/torture/reports/DAY-NAME.json
cargo run -p sandman-tests --bin torture -- --evidence tests/torture/reports/*.json > docs/evidence.md
```
";

/// A report as `torture --json` prints it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Saved {
    scenario: String,
    seed: u64,
    #[serde(default)]
    day: String,
    #[serde(default)]
    full: bool,
    #[serde(default)]
    release: bool,
    #[serde(default)]
    plant: Option<String>,
    faults: usize,
    #[serde(default)]
    notes: Vec<String>,
    lives: Vec<SavedLife>,
    clean: bool,
    inputs: u64,
    events: u64,
    dead_letters: u64,
    anomalies: Vec<SavedAnomaly>,
    #[serde(default)]
    error: Option<String>,
}

/// A host's life in a report.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SavedLife {
    consumed: BTreeMap<String, u64>,
    committed: BTreeMap<String, u64>,
    answered: BTreeMap<String, u64>,
    in_flight: u64,
    at_work: bool,
}

/// An anomaly in a report.
#[derive(Debug, Deserialize)]
struct SavedAnomaly {
    kind: String,
}

/// The text of `docs/evidence.md`, from the files of reports, one JSON object a line.
///
/// # Errors
/// If a file cannot be read or a line is not a report; the error names both.
pub fn evidence(files: &[PathBuf]) -> Result<String> {
    let mut reports = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        reports.extend(read(&file.display().to_string(), &text)?);
    }
    Ok(page(&reports))
}

fn read(file: &str, text: &str) -> Result<Vec<Saved>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{file}, line {}: not a report", number + 1))
        })
        .collect()
}

fn page(reports: &[Saved]) -> String {
    let (planted, honest): (Vec<_>, Vec<_>) = reports.iter().partition(|report| report.plant.is_some());
    let groups = grouped(&honest);
    [
        HEAD.to_owned(),
        runs(&groups),
        hits(&groups),
        not_clean(&honest),
        with_bugs(&planted),
        measured(&honest),
        without_report(&honest),
        BY_HAND.to_owned(),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect::<Vec<_>>()
    .join("\n")
}

/// Runs of one scenario in one form and one build.
struct Group<'r> {
    scenario: &'r str,
    form: String,
    reports: Vec<&'r Saved>,
}

impl Group<'_> {
    fn clean(&self) -> impl Iterator<Item = &Saved> {
        self.reports.iter().copied().filter(|report| report.clean)
    }

    fn sum(&self, of: fn(&Saved) -> u64) -> String {
        grouped_digits(self.clean().map(of).sum())
    }
}

/// The groups in the order of the scenarios; those that are not there any more come last.
fn grouped<'r>(reports: &[&'r Saved]) -> Vec<Group<'r>> {
    let mut groups: BTreeMap<(usize, &str, String), Vec<&Saved>> = BTreeMap::new();
    for report in reports {
        let place = all().position(|scenario| scenario.name == report.scenario);
        let key = (place.unwrap_or(usize::MAX), report.scenario.as_str(), form(report));
        groups.entry(key).or_default().push(report);
    }
    let groups = groups.into_iter().map(|((_, scenario, form), reports)| Group {
        scenario,
        form,
        reports,
    });
    groups.collect()
}

fn form(report: &Saved) -> String {
    let form = if report.full { "full" } else { "short" };
    let build = if report.release { "release" } else { "debug" };
    format!("{form}, {build}")
}

fn runs(groups: &[Group<'_>]) -> String {
    let mut text = "\
## Runs

*Clean*: the checker found nothing, the lag was back at zero, and the scenario ran to its end. Inputs, events, dead letters and faults are sums over the
clean runs. *Full* is what `torture` runs, *short* what `cargo test` runs.

| scenario | form | runs | clean | days | seeds | inputs | events | dead letters | faults |
|---|---|---|---|---|---|---|---|---|---|
"
    .to_owned();
    for group in groups {
        let days: BTreeSet<_> = group.reports.iter().map(|report| report.day.as_str()).collect();
        let seeds: Vec<_> = group.reports.iter().map(|report| report.seed.to_string()).collect();
        let cells = [
            group.scenario.to_owned(),
            group.form.clone(),
            group.reports.len().to_string(),
            group.clean().count().to_string(),
            days.into_iter().collect::<Vec<_>>().join(", "),
            seeds.join(", "),
            group.sum(|report| report.inputs),
            group.sum(|report| report.events),
            group.sum(|report| report.dead_letters),
            group.sum(|report| report.faults as u64),
        ];
        row(&mut text, &cells);
    }
    text
}

fn hits(groups: &[Group<'_>]) -> String {
    let mut text = "\
## What the faults hit

Each fault waits for a host at work: one that has consumed, committed and published since its start or the last fault. The columns are sums over the
lives of hosts that such a fault ended, in clean runs, with the least, the median and the most of one life. *In flight*: how many of these faults hit records that
were consumed and not committed, by the last reading before the fault. *Starting*: lives that were meant to end before the host is at work, or ended with the run.

| scenario | form | faults at work | in flight | records consumed | events committed | requests answered | starting |
|---|---|---|---|---|---|---|---|
"
    .to_owned();
    for group in groups {
        let lives: Vec<_> = group.clean().flat_map(|report| &report.lives).collect();
        let (hit, other): (Vec<_>, Vec<_>) = lives.into_iter().partition(|life| life.at_work);
        if hit.is_empty() {
            continue;
        }
        let cells = [
            group.scenario.to_owned(),
            group.form.clone(),
            hit.len().to_string(),
            hit.iter().filter(|life| life.in_flight > 0).count().to_string(),
            spread(&hit, |life| life.consumed.values().sum()),
            spread(&hit, |life| life.committed.values().sum()),
            spread(&hit, |life| life.answered.values().sum()),
            other.len().to_string(),
        ];
        row(&mut text, &cells);
    }
    text
}

/// The sum, and in parentheses the least, the median and the most.
fn spread(lives: &[&SavedLife], of: fn(&SavedLife) -> u64) -> String {
    let mut counts: Vec<u64> = lives.iter().map(|life| of(life)).collect();
    counts.sort_unstable();
    let at = |place: usize| grouped_digits(counts.get(place).copied().unwrap_or_default());
    let sum = grouped_digits(counts.iter().sum());
    format!(
        "{sum} ({}, {}, {})",
        at(0),
        at(counts.len() / 2),
        at(counts.len().saturating_sub(1))
    )
}

fn not_clean(reports: &[&Saved]) -> String {
    let faulty: Vec<_> = reports.iter().filter(|report| !report.clean).collect();
    let mut text = "## Runs that were not clean\n\n".to_owned();
    if faulty.is_empty() {
        text += "None of the saved reports.\n";
    }
    for report in faulty {
        let (scenario, form, seed, day) = (&report.scenario, form(report), report.seed, &report.day);
        let _ = writeln!(text, "- `{scenario}` ({form}, {day}, seed {seed}): {}", wrong(report));
    }
    text
}

/// What was wrong: the anomalies by kind, or why the run did not end.
fn wrong(report: &Saved) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for anomaly in &report.anomalies {
        *kinds.entry(&anomaly.kind).or_default() += 1;
    }
    let kinds = kinds.iter().map(|(kind, count)| format!("{kind}: {count}"));
    let error = report.error.as_deref().map(|error| error.replace('\n', " "));
    kinds.chain(error).collect::<Vec<_>>().join("; ")
}

fn with_bugs(reports: &[&Saved]) -> String {
    if reports.is_empty() {
        return String::new();
    }
    let mut text = "## Runs with a planted bug\n\nThese must not be clean.\n\n".to_owned();
    for report in reports {
        let (scenario, form, seed) = (&report.scenario, form(report), report.seed);
        let plant = report.plant.as_deref().unwrap_or_default();
        let found = if report.clean {
            "**not found**".to_owned()
        } else {
            wrong(report)
        };
        let _ = writeln!(text, "- `{scenario}` with `{plant}` ({form}, seed {seed}): {found}");
    }
    text
}

fn measured(reports: &[&Saved]) -> String {
    let noted: Vec<_> = reports
        .iter()
        .filter(|report| report.clean && !report.notes.is_empty())
        .collect();
    if noted.is_empty() {
        return String::new();
    }
    let mut text = "## What scenarios measured\n\n".to_owned();
    for report in noted {
        let (scenario, form, seed) = (&report.scenario, form(report), report.seed);
        let _ = writeln!(
            text,
            "- `{scenario}` ({form}, seed {seed}): {}",
            report.notes.join("; ")
        );
    }
    text
}

fn without_report(reports: &[&Saved]) -> String {
    let full = |name: &str| {
        reports
            .iter()
            .any(|report| report.scenario == name && report.full && report.clean)
    };
    let missing: Vec<_> = all().map(|scenario| scenario.name).filter(|name| !full(name)).collect();
    let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(
            "## Scenarios without a report of a clean full run\n\n{}.\n",
            names.join(", ")
        ),
    }
}

fn row(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// `1234567` as `1,234,567`.
fn grouped_digits(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn life(consumed: u64, at_work: bool) -> Value {
        json!({
            "host": 1, "fault": "kill -9", "consumed": { "witness": consumed }, "committed": { "witness": consumed / 2 },
            "answered": { "/work/{key}": 3 }, "units": 9, "transactions": 1, "published": 2, "inFlight": consumed / 2,
            "atWork": at_work,
        })
    }

    fn report(seed: u64, with: &Value) -> String {
        let mut report = json!({
            "scenario": "crash-anywhere", "seed": seed, "day": "2026-01-02", "full": true, "release": true, "seconds": 1.5,
            "faults": 3, "lives": [life(1_000, true), life(7, true), life(40, true), life(0, false)], "clean": true,
            "inputs": 1_234, "acknowledged": 1_234, "unknown": 0, "events": 2_468, "deadLetters": 0, "seenLive": 0,
            "states": 3, "anomalies": [],
        });
        for (name, value) in with.as_object().unwrap() {
            report[name] = value.clone();
        }
        report.to_string()
    }

    fn page_of(lines: &[String]) -> String {
        page(&read("small.json", &lines.join("\n")).unwrap())
    }

    #[test]
    fn runs_of_a_scenario_are_one_row_of_sums_over_the_clean_ones() {
        let torn =
            json!({ "clean": false, "anomalies": [{ "kind": "torn", "what": "a" }, { "kind": "torn", "what": "b" }] });
        let page = page_of(&[report(1, &json!({})), report(2, &json!({})), report(3, &torn)]);
        let row = "| crash-anywhere | full, release | 3 | 2 | 2026-01-02 | 1, 2, 3 | 2,468 | 4,936 | 0 | 6 |";
        assert!(page.contains(row), "{page}");
        assert!(
            page.contains("- `crash-anywhere` (full, release, 2026-01-02, seed 3): torn: 2"),
            "{page}"
        );
    }

    #[test]
    fn only_lives_that_ended_at_work_count_as_hit() {
        let page = page_of(&[report(1, &json!({}))]);
        let row =
            "| crash-anywhere | full, release | 3 | 3 | 1,047 (7, 40, 1,000) | 523 (3, 20, 500) | 9 (3, 3, 3) | 1 |";
        assert!(page.contains(row), "{page}");
    }

    #[test]
    fn forms_and_builds_are_told_apart_and_planted_bugs_are_no_evidence() {
        let short = report(2, &json!({ "full": false, "release": false }));
        let planted = report(3, &json!({ "plant": "drop-batch:50", "clean": true }));
        let page = page_of(&[report(1, &json!({})), short, planted]);
        assert!(page.contains("| crash-anywhere | full, release | 1 | 1 |"), "{page}");
        assert!(page.contains("| crash-anywhere | short, debug | 1 | 1 |"), "{page}");
        assert!(
            page.contains("`crash-anywhere` with `drop-batch:50` (full, release, seed 3): **not found**"),
            "{page}"
        );
    }

    #[test]
    fn scenarios_without_a_clean_full_run_are_named() {
        let page = page_of(&[
            report(1, &json!({})),
            report(2, &json!({ "scenario": "keys-hot", "full": false })),
        ]);
        let (_, missing) = page.split_once("## Scenarios without a report").unwrap();
        let missing = missing.split("\n## ").next().unwrap();
        assert!(
            missing.contains("`keys-hot`") && !missing.contains("`crash-anywhere`"),
            "{missing}"
        );
    }

    #[test]
    fn what_is_no_report_is_named_by_its_file_and_line() {
        let text = format!("{}\n\n{{}}\n", report(1, &json!({})));
        let error = read("small.json", &text).unwrap_err();
        assert!(error.to_string().contains("small.json, line 3"), "{error:#}");
    }
}
