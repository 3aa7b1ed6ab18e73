//! How the outcomes of two versions differ in many recordings: grouped by place and kind, with a count and one example each.

mod json;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::recording::{RecordedChange, RecordedEmission, RecordedOutcome, RecordedReply, RecordingId};

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The second fails where the first did not.
    NewFailure,
    /// The first fails where the second does not.
    FailureGone,
    /// Both fail, but differently.
    OtherFailure,
    /// The second has an event that the first has not.
    ExtraEvent,
    /// The second lacks an event.
    MissingEvent,
    /// Both have a value, but not the same.
    Value,
    /// The second lacks a value.
    Missing,
    /// The second has a value that the first has not.
    Extra,
    /// The second took more CPU time.
    Slower,
    /// The second held more memory.
    MoreMemory,
}

impl DifferenceKind {
    /// Its name, as it is shown.
    pub fn words(self) -> &'static str {
        match self {
            Self::NewFailure => "new failure",
            Self::FailureGone => "failure gone",
            Self::OtherFailure => "other failure",
            Self::ExtraEvent => "extra event",
            Self::MissingEvent => "missing event",
            Self::Value => "value",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Slower => "slower",
            Self::MoreMemory => "more memory",
        }
    }

    /// Whether the outcome differs, and not only its cost.
    pub fn is_of_outcome(self) -> bool {
        !matches!(self, Self::Slower | Self::MoreMemory)
    }
}

/// One difference between two outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeDifference {
    /// Where: `state.profile.name`, `events.user.updated.payload.items[*].id`, `reply.status`.
    pub path: String,
    /// What kind.
    pub kind: DifferenceKind,
    /// What the first has; empty where it has nothing.
    pub first: String,
    /// What the second has; empty where it has nothing.
    pub second: String,
}

/// The result of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerun {
    /// The outcome.
    pub outcome: RecordedOutcome,
    /// CPU time.
    pub cpu: Duration,
    /// Linear memory that the instance held after it, in bytes.
    pub memory: u64,
}

/// Differences of one place and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceGroup {
    /// Where.
    pub path: String,
    /// What kind.
    pub kind: DifferenceKind,
    /// In how many recordings.
    pub count: u64,
    /// The first recording that shows it.
    pub example: DifferenceExample,
}

/// One difference of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceExample {
    /// The recording; `None` if it is not from a store.
    pub recording: Option<RecordingId>,
    /// What the first version has.
    pub first: String,
    /// What the second version has.
    pub second: String,
}

/// The differences over many recordings.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    compared: u64,
    differing: u64,
    groups: BTreeMap<(DifferenceKind, String), (u64, DifferenceExample)>,
}

/// Texts of an example are cut at this many characters.
const SHOWN: usize = 160;
/// Groups that are kept; a payload with keys of its own in every event would make as many groups as events.
const GROUPS: usize = 500;
/// A run that takes more than twice the time, and this much more, is slower.
const SLOWER: Duration = Duration::from_millis(1);
/// A run that holds a quarter more, and this much more, takes more memory: one page of WebAssembly.
const MORE_MEMORY: u64 = 64 << 10;

impl Comparison {
    /// Compares the two runs of a recording; the cost of the first is `None` if it is not known.
    pub fn add(
        &mut self,
        recording: Option<RecordingId>,
        first: &RecordedOutcome,
        second: &Rerun,
        cost: Option<&Rerun>,
    ) {
        let mut found = differences(first, &second.outcome);
        self.compared += 1;
        self.differing += u64::from(!found.is_empty());
        if let Some(first) = cost {
            found.extend(costs(first, second));
        }
        for OutcomeDifference {
            path,
            kind,
            first,
            second,
        } in found
        {
            let is_full = self.groups.len() >= GROUPS;
            let name = (kind, path);
            match self.groups.get_mut(&name) {
                Some((count, _)) => *count += 1,
                None if is_full => {}
                None => {
                    let example = DifferenceExample {
                        recording,
                        first: cut(&first),
                        second: cut(&second),
                    };
                    self.groups.insert(name, (1, example));
                }
            }
        }
    }

    /// Recordings that were compared.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Recordings whose outcomes differ.
    pub fn differing(&self) -> u64 {
        self.differing
    }

    /// How many recordings show a kind, at any place.
    pub fn count(&self, kind: DifferenceKind) -> u64 {
        let of_kind = self.groups.iter().filter(|((known, _), _)| *known == kind);
        of_kind.map(|(_, (count, _))| count).sum()
    }

    /// The groups, failures first, the larger ones of a kind before the smaller ones.
    pub fn groups(&self) -> Vec<DifferenceGroup> {
        let groups = self.groups.iter();
        let mut groups: Vec<_> = groups
            .map(|((kind, path), (count, example))| DifferenceGroup {
                path: path.clone(),
                kind: *kind,
                count: *count,
                example: example.clone(),
            })
            .collect();
        groups.sort_by(|a, b| (a.kind, b.count, &a.path).cmp(&(b.kind, a.count, &b.path)));
        groups
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn costs(first: &Rerun, second: &Rerun) -> Vec<OutcomeDifference> {
    let mut found = Vec::new();
    let mut add = |path: &str, kind, (first, second): (String, String)| {
        found.push(OutcomeDifference {
            path: path.to_owned(),
            kind,
            first,
            second,
        });
    };
    if second.cpu > first.cpu * 2 + SLOWER {
        let shown = |cpu: Duration| format!("{:.1} ms", cpu.as_secs_f64() * 1e3);
        add("cpu", DifferenceKind::Slower, (shown(first.cpu), shown(second.cpu)));
    }
    if second.memory > first.memory + (first.memory / 4).max(MORE_MEMORY) {
        let shown = |bytes: u64| format!("{} KiB", bytes >> 10);
        add(
            "memory",
            DifferenceKind::MoreMemory,
            (shown(first.memory), shown(second.memory)),
        );
    }
    found
}

/// Where two outcomes differ; ids that the host generates are ignored.
pub fn differences(first: &RecordedOutcome, second: &RecordedOutcome) -> Vec<OutcomeDifference> {
    if first.comparable() == second.comparable() {
        return Vec::new();
    }
    let (first, second) = (first.repeatable(), second.repeatable());
    let mut found = Differing::default();
    match (&first, &second) {
        (
            RecordedOutcome::Decided { state, events, reply },
            RecordedOutcome::Decided {
                state: other_state,
                events: other_events,
                reply: other_reply,
            },
        ) => {
            found.states(state, other_state);
            found.events(events, other_events);
            found.replies(reply.as_ref(), other_reply.as_ref());
        }
        (RecordedOutcome::Failed { .. }, RecordedOutcome::Failed { .. }) => {
            found.add("outcome", DifferenceKind::OtherFailure, (&said(&first), &said(&second)));
        }
        (RecordedOutcome::Failed { .. }, _) => {
            found.add("outcome", DifferenceKind::FailureGone, (&said(&first), &said(&second)));
        }
        (_, RecordedOutcome::Failed { .. }) => {
            found.add("outcome", DifferenceKind::NewFailure, (&said(&first), &said(&second)));
        }
        _ => found.add("outcome", DifferenceKind::Value, (&said(&first), &said(&second))),
    }
    found.0
}

fn said(outcome: &RecordedOutcome) -> String {
    match outcome {
        failed @ RecordedOutcome::Failed { reason, .. } => format!("{}: {reason}", failed.word()),
        other => other.word().to_owned(),
    }
}

/// Differences of one pair of outcomes, each place once.
#[derive(Default)]
struct Differing(Vec<OutcomeDifference>);

impl Differing {
    fn add(&mut self, path: &str, kind: DifferenceKind, (first, second): (&str, &str)) {
        let is_known = |known: &OutcomeDifference| known.kind == kind && known.path == path;
        if !self.0.iter().any(is_known) {
            self.0.push(OutcomeDifference {
                path: path.to_owned(),
                kind,
                first: first.to_owned(),
                second: second.to_owned(),
            });
        }
    }

    fn states(&mut self, first: &RecordedChange, second: &RecordedChange) {
        match (first, second) {
            (RecordedChange::Put(first), RecordedChange::Put(second)) => self.texts("state", first, second),
            (first, second) if first == second => {}
            (first, second) => {
                let word = |change: &RecordedChange| match change {
                    RecordedChange::Keep => "stays",
                    RecordedChange::Put(_) => "is written",
                    RecordedChange::Delete => "is deleted",
                };
                self.add("state", DifferenceKind::Value, (word(first), word(second)));
            }
        }
    }

    /// Compares events by type, the first of a type with the first of the same type.
    fn events(&mut self, first: &[RecordedEmission], second: &[RecordedEmission]) {
        let (left, right) = (by_type(first), by_type(second));
        let mut types: Vec<&str> = left.keys().chain(right.keys()).copied().collect();
        types.sort_unstable();
        types.dedup();
        for event_type in types {
            let none = Vec::new();
            let (left, right) = (
                left.get(event_type).unwrap_or(&none),
                right.get(event_type).unwrap_or(&none),
            );
            let path = format!("events.{event_type}");
            for (left, right) in left.iter().zip(right) {
                self.event(&path, left, right);
            }
            for extra in right.iter().skip(left.len()) {
                self.add(&path, DifferenceKind::ExtraEvent, ("", &extra.payload));
            }
            for missing in left.iter().skip(right.len()) {
                self.add(&path, DifferenceKind::MissingEvent, (&missing.payload, ""));
            }
        }
        let order = |events: &[RecordedEmission]| -> Vec<String> {
            events.iter().map(|event| event.event_type.clone()).collect()
        };
        let (left, right) = (order(first), order(second));
        if left != right && left.len() == right.len() && self.0.iter().all(|found| !found.path.starts_with("events.")) {
            self.add("events", DifferenceKind::Value, (&left.join(", "), &right.join(", ")));
        }
    }

    fn event(&mut self, path: &str, first: &RecordedEmission, second: &RecordedEmission) {
        self.values(&format!("{path}.key"), &first.key, &second.key);
        self.values(&format!("{path}.version"), &first.version, &second.version);
        self.optional(
            &format!("{path}.metadata"),
            first.metadata.as_deref(),
            second.metadata.as_deref(),
        );
        self.texts(&format!("{path}.payload"), &first.payload, &second.payload);
    }

    fn replies(&mut self, first: Option<&RecordedReply>, second: Option<&RecordedReply>) {
        match (first, second) {
            (Some(first), Some(second)) => {
                self.values("reply.status", &first.status.to_string(), &second.status.to_string());
                self.optional("reply.body", first.body.as_deref(), second.body.as_deref());
            }
            (Some(_), None) => self.add("reply", DifferenceKind::Missing, ("a reply", "")),
            (None, Some(_)) => self.add("reply", DifferenceKind::Extra, ("", "a reply")),
            (None, None) => {}
        }
    }

    fn values(&mut self, path: &str, first: &str, second: &str) {
        if first != second {
            self.add(path, DifferenceKind::Value, (first, second));
        }
    }

    fn optional(&mut self, path: &str, first: Option<&str>, second: Option<&str>) {
        match (first, second) {
            (Some(first), Some(second)) => self.texts(path, first, second),
            (Some(first), None) => self.add(path, DifferenceKind::Missing, (first, "")),
            (None, Some(second)) => self.add(path, DifferenceKind::Extra, ("", second)),
            (None, None) => {}
        }
    }

    /// Compares JSON texts by their values and, if these are equal, as texts.
    fn texts(&mut self, path: &str, first: &str, second: &str) {
        if first == second {
            return;
        }
        let before = self.0.len();
        for (inside, kind, first, second) in json::differences(first, second) {
            self.add(&format!("{path}{inside}"), kind, (&first, &second));
        }
        if self.0.len() == before {
            self.add(&format!("{path} (as text)"), DifferenceKind::Value, (first, second));
        }
    }
}

fn by_type(events: &[RecordedEmission]) -> BTreeMap<&str, Vec<&RecordedEmission>> {
    let mut types: BTreeMap<&str, Vec<&RecordedEmission>> = BTreeMap::new();
    for event in events {
        types.entry(&event.event_type).or_default().push(event);
    }
    types
}

pub use json::differences as json_differences;
