//! Where two JSON documents differ.

use std::collections::BTreeSet;

use serde_json::Value;

use super::DifferenceKind;

/// A place inside a document, what kind of difference is there, and what each of the two has.
type Found = (String, DifferenceKind, String, String);

/// The places where two JSON texts differ; elements of arrays share one place, `[*]`. Empty if one of them is not JSON.
pub fn differences(first: &str, second: &str) -> Vec<Found> {
    let mut found = Vec::new();
    if let (Ok(first), Ok(second)) = (serde_json::from_str(first), serde_json::from_str(second)) {
        walk("", &first, &second, &mut found);
    }
    found
}

fn walk(path: &str, first: &Value, second: &Value, found: &mut Vec<Found>) {
    match (first, second) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let inside = format!("{path}.{name}");
                pair(&inside, left.get(name), right.get(name), found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            let inside = format!("{path}[*]");
            for place in 0..left.len().max(right.len()) {
                pair(&inside, left.get(place), right.get(place), found);
            }
        }
        (first, second) if first == second => {}
        (first, second) => found.push((
            path.to_owned(),
            DifferenceKind::Value,
            first.to_string(),
            second.to_string(),
        )),
    }
}

fn pair(path: &str, first: Option<&Value>, second: Option<&Value>, found: &mut Vec<Found>) {
    match (first, second) {
        (Some(first), Some(second)) => walk(path, first, second, found),
        (Some(first), None) => found.push((
            path.to_owned(),
            DifferenceKind::Missing,
            first.to_string(),
            String::new(),
        )),
        (None, Some(second)) => found.push((
            path.to_owned(),
            DifferenceKind::Extra,
            String::new(),
            second.to_string(),
        )),
        (None, None) => {}
    }
}
