//! What fits a contract, and what does not.

use super::*;

fn contract() -> Contract {
    let schema = r#"{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}"#;
    Contract {
        consumes: vec![Consumes {
            event_type: "a".into(),
            versions: vec!["1.0".into(), "1.1".into()],
            schema: Some(schema.into()),
        }],
        emits: vec![Emits {
            event_type: "b".into(),
            version: "1.0".into(),
            schema: None,
        }],
        ..Contract::default()
    }
}

fn terms(contract: &Contract, emits: &[&str]) -> Result<Terms, Vec<ContractError>> {
    let grant = Grant {
        emits: emits.iter().map(|event_type| (*event_type).to_owned()).collect(),
        has_topics: true,
        ..Grant::default()
    };
    Terms::new(contract, &grant, |event_type| format!("t.{event_type}").into())
}

#[test]
fn everything_that_does_not_fit_is_said_at_once() {
    let mut contract = contract();
    contract.emits.push(Emits {
        event_type: "c".into(),
        version: "1.0".into(),
        schema: Some("{".into()),
    });
    contract.consumes.clear();
    contract.state_schema = Some(r#"{"type":7}"#.into());
    let errors = terms(&contract, &["b"]).unwrap_err();
    assert_eq!(errors.len(), 4, "{errors:?}");
}

#[test]
fn incoming_events_are_checked_by_type_version_and_schema() {
    let terms = terms(&contract(), &["b"]).unwrap();
    assert_eq!(terms.incoming("a", "1.1", r#"{"n":1}"#), Ok(Incoming::Consumed));
    assert_eq!(terms.incoming("x", "9", "not json"), Ok(Incoming::Ignored));
    let error = terms.incoming("a", "2.0", "{}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "version `2.0` of `a` is not consumed; the handler reads 1.0 and later 1.x, 1.1 and later 1.x"
    );
    let error = terms.incoming("a", "1.0", r#"{"n":"secret"}"#).unwrap_err();
    assert!(error.to_string().contains("at `/n`"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    let large = format!("{{\"n\":{}}}", " ".repeat(9 << 20));
    let error = terms.incoming("a", "1.0", &large).unwrap_err();
    assert!(error.to_string().contains("8 MiB"), "{error}");
    // Of a version that it does not know, the schema of the latest one before it counts.
    assert_eq!(
        terms.incoming("a", "1.2", r#"{"n":1,"more":2}"#),
        Ok(Incoming::Consumed)
    );
    assert!(terms.incoming("a", "1.2", r#"{"n":"x"}"#).is_err());
}

#[test]
fn what_nobody_reads_is_no_fault_of_a_payload() {
    let terms = terms(&contract(), &["b"]).unwrap();
    for payload in [
        r#"{"n":1,"x":"\ud800"}"#,
        r#"{"n":1,"x":[1e999]}"#,
        r#"{"n":1,"\udfff":-1e999}"#,
    ] {
        assert_eq!(terms.incoming("a", "1.0", payload), Ok(Incoming::Consumed), "{payload}");
    }
    // Where the schema reads it, it is judged.
    let error = terms.incoming("a", "1.0", r#"{"n":"\ud800"}"#).unwrap_err();
    assert!(error.to_string().contains("at `/n`"), "{error}");
    assert_eq!(
        terms.incoming("a", "1.0", r#"{"n":123456789012345678901}"#),
        Ok(Incoming::Consumed)
    );
}

#[test]
fn versions_without_a_name_are_refused() {
    let mut contract = contract();
    contract.consumes[0].versions.push("=".into());
    contract.emits[0].version = "=1.0".into();
    assert_eq!(terms(&contract, &["b"]).unwrap_err().len(), 2);
}

#[test]
fn outgoing_events_must_be_declared() {
    let terms = terms(&contract(), &["b"]).unwrap();
    assert_eq!(terms.outgoing("b", "1.0", "{}").as_deref(), Ok("t.b"));
    assert!(terms.outgoing("b", "1.1", "{}").is_err());
    assert!(terms.outgoing("a", "1.0", "{}").is_err());
}
