//! What counts as a difference, and how differences are grouped.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::attempt::FailureCause;

fn emission(event_type: &str, payload: &str) -> RecordedEmission {
    RecordedEmission {
        event_id: Some("drawn".to_owned()),
        topic: "t".to_owned(),
        key: "k".to_owned(),
        event_type: event_type.to_owned(),
        version: "1.0".to_owned(),
        metadata: None,
        payload: payload.to_owned(),
    }
}

fn decided(state: &str, events: Vec<RecordedEmission>) -> RecordedOutcome {
    RecordedOutcome::Decided {
        state: RecordedChange::Put(state.to_owned()),
        events,
        reply: None,
    }
}

fn failed(reason: &str) -> RecordedOutcome {
    RecordedOutcome::Failed {
        cause: FailureCause::Trap,
        code: String::new(),
        reason: reason.to_owned(),
    }
}

fn found(first: &RecordedOutcome, second: &RecordedOutcome) -> Vec<(String, DifferenceKind)> {
    let found = differences(first, second);
    found.into_iter().map(|found| (found.path, found.kind)).collect()
}

#[test]
fn each_difference_is_named_by_its_place_and_kind() {
    let first = decided(
        r#"{"name":"Ada","tags":[{"id":1},{"id":2}],"old":true}"#,
        vec![emission("a", "1"), emission("b", r#"{"x":1}"#), emission("b", "2")],
    );
    let second = decided(
        r#"{"name":"Bea","tags":[{"id":1},{"id":3},{"id":4}],"new":null}"#,
        vec![emission("a", "1"), emission("b", r#"{"x":2}"#), emission("c", "3")],
    );
    let expected = [
        ("state.name", DifferenceKind::Value),
        ("state.new", DifferenceKind::Extra),
        ("state.old", DifferenceKind::Missing),
        ("state.tags[*].id", DifferenceKind::Value),
        ("state.tags[*]", DifferenceKind::Extra),
        ("events.b.payload.x", DifferenceKind::Value),
        ("events.b", DifferenceKind::MissingEvent),
        ("events.c", DifferenceKind::ExtraEvent),
    ];
    let expected: Vec<_> = expected.map(|(path, kind)| (path.to_owned(), kind)).into();
    assert_eq!(found(&first, &second), expected);
    assert_eq!(
        found(&decided(r#"{"a":1}"#, vec![]), &decided(r#"{ "a":1}"#, vec![])),
        [("state (as text)".to_owned(), DifferenceKind::Value)]
    );
    let swapped = [emission("a", "1"), emission("b", "1")];
    let mut other = swapped.clone();
    other.reverse();
    assert_eq!(
        found(&decided("1", swapped.into()), &decided("1", other.into())),
        [("events".to_owned(), DifferenceKind::Value)]
    );
}

#[test]
fn failures_come_and_go_and_change() {
    let good = decided("1", vec![]);
    let kinds = |first: &RecordedOutcome, second: &RecordedOutcome| {
        found(first, second)
            .into_iter()
            .map(|(_, kind)| kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(&good, &failed("x")), [DifferenceKind::NewFailure]);
    assert_eq!(kinds(&failed("x"), &good), [DifferenceKind::FailureGone]);
    assert_eq!(kinds(&failed("x"), &failed("y")), [DifferenceKind::OtherFailure]);
    assert_eq!(kinds(&failed("x"), &failed("x")), []);
}

#[test]
fn groups_count_recordings_and_keep_the_first_example() {
    let mut comparison = Comparison::default();
    let run = |outcome: RecordedOutcome, millis, memory| Rerun {
        outcome,
        cpu: Duration::from_millis(millis),
        memory,
    };
    for n in 0..5 {
        let id = RecordingId { batch: n, place: 0 };
        let first = decided(&format!(r#"{{"n":{n}}}"#), vec![]);
        let outcome = match n {
            4 => failed("late"),
            _ => decided(r#"{"n":0}"#, vec![]),
        };
        let cost = run(first.clone(), 1, 1 << 20);
        comparison.add(Some(id), &first, &run(outcome, 9, 1 << 20), Some(&cost));
    }
    assert_eq!((comparison.compared(), comparison.differing()), (5, 4));
    assert_eq!(comparison.count(DifferenceKind::NewFailure), 1);
    let groups = comparison.groups();
    let shown: Vec<_> = groups
        .iter()
        .map(|group| (group.kind, &*group.path, group.count))
        .collect();
    let expected = [
        (DifferenceKind::NewFailure, "outcome", 1),
        (DifferenceKind::Value, "state.n", 3),
        (DifferenceKind::Slower, "cpu", 5),
    ];
    assert_eq!(shown, expected);
    let example = &groups[1].example;
    assert_eq!(example.recording, Some(RecordingId { batch: 1, place: 0 }));
    assert_eq!((&*example.first, &*example.second), ("1", "0"));
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..5).prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn documents_differ_exactly_where_they_are_not_equal(first in document(), second in document()) {
        let found = json_differences(&first.to_string(), &second.to_string());
        prop_assert_eq!(found.is_empty(), first == second);
    }
}
