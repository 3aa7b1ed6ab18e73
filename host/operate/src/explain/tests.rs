use sandman_core::event::{EventKey, Header, Headers, Record, TopicPartition};

use super::*;

fn record(topic: &str, offset: i64, value: &str, headers: &[(&str, &str)]) -> Record {
    Record {
        source: TopicPartition {
            topic: topic.into(),
            partition: 1,
        },
        offset,
        key: Some(b"ada".to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: headers
            .iter()
            .map(|(name, value)| Header::text(name, value))
            .collect::<Headers>(),
        timestamp_millis: Some(0),
    }
}

#[test]
fn what_belongs_to_an_event_is_told_from_what_does_not() {
    let question = Question {
        event: Some("e-1".to_owned()),
        ..Question::default()
    };
    let mut matcher = Matcher::new(&question, &[], KeyRules::new());
    matcher.learn(None, true);
    let is = |record: &Record| matcher.found(record).map(|found| found.is);
    let itself = record("a", 4, r#"{"eventId":"e-1"}"#, &[]);
    assert_eq!(is(&itself), Some(Relation::Itself));
    assert_eq!(is(&record("a", 5, r#"{"eventId":"e-9"}"#, &[])), None);
    let effect = record("b", 1, r#"{"eventId":"e-2","causationId":"e-1"}"#, &[]);
    assert_eq!(is(&effect), Some(Relation::Effect));
    let letter = record("a.dlq", 0, r#"{"eventId":"e-1"}"#, &[("sandman.reason", "no")]);
    assert_eq!(is(&letter), Some(Relation::DeadLetter));
    let related = record("c", 0, r#"{"eventId":"e-3","correlationId":"e-1"}"#, &[]);
    assert_eq!(is(&related), Some(Relation::Related));
}

#[test]
fn only_ids_name_an_event_and_only_whole_ones() {
    let found = |event: &str, value: &str| {
        let question = Question {
            event: Some(event.to_owned()),
            ..Question::default()
        };
        let matcher = Matcher::new(&question, &[], KeyRules::new());
        matcher.found(&record("t", 4, value, &[])).is_some()
    };
    assert!(!found("well", r#"{"eventId":"e-1","payload":{"do":"well"}}"#));
    assert!(!found("e-1", r#"{"eventId":"e-12"}"#));
    // However it is written.
    assert!(found("k\u{fc}che", r#"{"eventId":"k\u00fcche"}"#));
    assert!(found("a\u{1b}\r\nb", r#"{"correlationId":"a\u001b\r\nb"}"#));
    assert!(found("http:web-42", r#"{"correlationId":"web-42"}"#));
    // A record that is cut is found by what can be no coincidence.
    assert!(found(
        "4d28722d-9524-4ae2-a3bc",
        r#"{"eventId":"4d28722d-9524-4ae2-a3bc","#
    ));
    assert!(!found("told", r#"{"eventType":"told","#));
}

#[test]
fn a_key_is_the_one_that_the_handler_reads() {
    let question = Question {
        key: Some("u-77".to_owned()),
        ..Question::default()
    };
    let rule = EventKey::parse("payload:/user").unwrap();
    let rules = KeyRules::from([("t".to_owned(), vec![EventKey::Record, rule])]);
    let matcher = Matcher::new(&question, &[], rules);
    let value = |user: &str| {
        format!(
            r#"{{"eventId":"e","eventType":"t","timestamp":"x","version":"1.0","source":"s","payload":{{"user":"{user}"}}}}"#
        )
    };
    assert!(matcher.found(&record("t", 1, &value("u-77"), &[])).is_some());
    assert!(matcher.found(&record("t", 1, &value("u-78"), &[])).is_none());
    assert!(matcher.found(&record("u", 1, &value("u-77"), &[])).is_none());
}

#[test]
fn a_place_and_a_key_are_questions_too() {
    let question = Question {
        event: Some("t/1/4".to_owned()),
        ..Question::default()
    };
    let matcher = Matcher::new(&question, &[], KeyRules::new());
    assert_eq!(
        matcher.found(&record("t", 4, "{}", &[])).map(|found| found.is),
        Some(Relation::Itself)
    );
    let effect = record("u", 9, "{}", &[("sandman.trigger", "t/1/4"), ("sandman.version", "3")]);
    let found = matcher.found(&effect).unwrap();
    assert_eq!(found.is, Relation::Effect);
    assert!(found.says.contains(&("version".to_owned(), "3".to_owned())));
    let question = Question {
        key: Some("ada".to_owned()),
        ..Question::default()
    };
    let matcher = Matcher::new(&question, &[], KeyRules::new());
    assert_eq!(
        matcher.found(&record("t", 4, "{}", &[])).map(|found| found.is),
        Some(Relation::Related)
    );
    assert_eq!(place("a/b/2/30"), Some(("a/b", 2, 30)));
    assert_eq!(place("0e7a-11"), None);
    assert_eq!(place("/1/2"), None);
}

#[test]
fn a_state_is_shown_by_what_changed_in_it() {
    let seen = changed(Some(r#"{"a":1,"b":{"c":2}}"#), Some(r#"{"a":1,"b":{"c":3}}"#));
    assert_eq!(seen, [("b.c".to_owned(), "2".to_owned(), "3".to_owned())]);
    assert_eq!(
        changed(None, Some("{}")),
        [(String::new(), String::new(), "{}".to_owned())]
    );
    assert!(changed(Some("{}"), Some("{}")).is_empty());
}
