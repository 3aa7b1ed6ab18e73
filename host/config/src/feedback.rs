//! Finds handlers whose events come back to them: each such event causes another one, endlessly unless a handler stops it.

use std::collections::{BTreeSet, VecDeque};

use super::Config;

/// A warning for each shortest cycle on which a handler's events come back to it.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut told = BTreeSet::new();
    let ways = (0..config.handlers.len()).filter_map(|start| way_back(config, start));
    ways.filter(|way| told.insert(way.iter().copied().collect::<BTreeSet<_>>()))
        .map(|way| warning(config, &way))
        .collect()
}

/// The handlers on the shortest cycle through the one at `start`, which comes first.
fn way_back(config: &Config, start: usize) -> Option<Vec<usize>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in fed_by(config, *way.last()?) {
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

/// The handlers that consume what one may emit.
fn fed_by(config: &Config, from: usize) -> Vec<usize> {
    let emits = config.handlers.get(from).map(|handler| &handler.emits);
    let topics: BTreeSet<_> = emits
        .into_iter()
        .flatten()
        .map(|event_type| config.kafka.topic(event_type))
        .collect();
    let consumes = |to: &usize| {
        let handler = config.handlers.get(*to);
        handler.is_some_and(|handler| handler.topics.iter().any(|topic| topics.contains(&**topic)))
    };
    (0..config.handlers.len()).filter(consumes).collect()
}

fn warning(config: &Config, way: &[usize]) -> String {
    let names: Vec<_> = way
        .iter()
        .filter_map(|ix| config.handlers.get(*ix))
        .map(|handler| format!("`{}`", handler.name))
        .collect();
    let who = match names.as_slice() {
        [one] => format!("handler {one} may emit what it consumes"),
        several => format!(
            "handlers {} may emit what the next of them consumes, and the last what the first does",
            several.join(", ")
        ),
    };
    format!("{who}: each such event sets off another one, without an end where no handler makes one")
}
