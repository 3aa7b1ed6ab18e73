//! The figures of a run as a table and as JSON.

use std::fmt::Write;

use sandman_tests::Result;
use serde::Serialize;

use super::Plan;
use super::latency::Latencies;
use super::measure::Figures;

/// The median of some runs, and the least and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |ix: usize| values.get(ix).copied().unwrap_or_default();
        let middle = values.len() / 2;
        Self {
            median: if values.len() % 2 == 1 {
                at(middle)
            } else {
                f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
            },
            least: at(0),
            most: at(values.len().wrapping_sub(1)),
        }
    }

    fn text(&self, digits: usize) -> String {
        let Self { median, least, most } = self;
        if least == most {
            return format!("{median:.digits$}");
        }
        format!("{median:.digits$} ({least:.digits$}-{most:.digits$})")
    }
}

/// One figure of one contender in one case.
#[derive(Debug, Serialize)]
struct Row {
    case: &'static str,
    contender: String,
    figure: &'static str,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    events: u64,
    rounds: usize,
    /// The machine's load average before and after: how much else it had to do.
    load: [String; 2],
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn begin(plan: &Plan) -> Self {
        Self {
            events: plan.events,
            rounds: plan.rounds,
            load: [load(), String::new()],
            rows: Vec::new(),
        }
    }

    pub(crate) fn end(&mut self) {
        self.load[1] = load();
    }

    /// What a contender did with a topic that was full.
    pub(crate) fn saturated(&mut self, case: &'static str, contender: &str, runs: &[Figures]) {
        let of = |figure: fn(&Figures) -> f64| Spread::of(runs.iter().map(figure));
        self.add((case, contender), ("rate", "events/s"), of(|run| run.rate));
        self.add((case, contender), ("CPU", "s per million events"), of(|run| run.cpu));
        self.add(
            (case, contender),
            ("CPU with start", "s per million events"),
            of(|run| run.cpu_whole),
        );
        self.add((case, contender), ("peak memory", "MB"), of(|run| run.memory / 1e6));
    }

    /// How long its events took at half of what it takes.
    pub(crate) fn latencies(&mut self, case: &'static str, contender: &str, latencies: &Latencies) {
        self.add(
            (case, contender),
            ("p50 at half", "ms"),
            Spread::of([latencies.part(0.5)]),
        );
        self.add(
            (case, contender),
            ("p99 at half", "ms"),
            Spread::of([latencies.part(0.99)]),
        );
    }

    /// A figure of a contender.
    pub(crate) fn add(
        &mut self,
        (case, contender): (&'static str, &str),
        (figure, unit): (&'static str, &'static str),
        spread: Spread,
    ) {
        self.rows.push(Row {
            case,
            contender: contender.to_owned(),
            figure,
            unit,
            spread,
        });
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut cases: Vec<_> = self.rows.iter().map(|row| row.case).collect();
        cases.dedup();
        for case in cases {
            self.case(&mut text, case);
        }
        let [before, after] = &self.load;
        let _ = write!(
            text,
            "median (least-most) of {} rounds, {} events each; load average before: {before}; after: {after}",
            self.rounds, self.events
        );
        text
    }

    /// A Markdown table: a line per contender, a column per figure.
    fn case(&self, text: &mut String, case: &str) {
        let rows: Vec<_> = self.rows.iter().filter(|row| row.case == case).collect();
        let (mut figures, mut contenders) = (Vec::new(), Vec::new());
        for row in &rows {
            if !figures.contains(&(row.figure, row.unit)) {
                figures.push((row.figure, row.unit));
            }
            if !contenders.contains(&&*row.contender) {
                contenders.push(&row.contender);
            }
        }
        let _ = write!(text, "| {case} |");
        for (figure, unit) in &figures {
            let _ = write!(text, " {figure}, {unit} |");
        }
        let _ = write!(text, "\n|---|");
        for _ in &figures {
            let _ = write!(text, "---|");
        }
        text.push('\n');
        for contender in contenders {
            let _ = write!(text, "| {contender} |");
            for (figure, unit) in &figures {
                let row = rows
                    .iter()
                    .find(|row| row.contender == contender && (row.figure, row.unit) == (figure, unit));
                let shown = row.map(|row| row.spread.text(if row.spread.median < 100.0 { 1 } else { 0 }));
                let _ = write!(text, " {} |", shown.unwrap_or_default());
            }
            text.push('\n');
        }
        text.push('\n');
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
