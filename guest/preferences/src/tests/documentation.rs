//! `docs/dreamscape/events.md` shows the schemas and payloads as they are.

use super::*;

const DOCUMENT: &str = include_str!("../../../../docs/dreamscape/events.md");

/// The JSON blocks under the heading of an event type.
fn blocks(event_type: &str) -> Vec<Value> {
    let section = DOCUMENT.split(&format!("\n## `{event_type}`")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```json\n").skip(1);
    blocks
        .map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap())
        .collect()
}

#[test]
fn every_event_is_documented_with_its_schema_and_an_envelope_that_fits() {
    let contract = describe();
    let emitted = contract.emits.iter().map(|event| (&event.event_type, &event.schema));
    for (event_type, schema) in emitted {
        let schema: Value = serde_json::from_str(schema.as_deref().unwrap()).unwrap();
        let [envelope, documented] = &blocks(event_type)[..] else {
            panic!("{event_type} needs an example and a schema")
        };
        assert_eq!(documented, &schema, "{event_type}");
        assert_eq!(
            (&envelope["eventType"], &envelope["version"]),
            (&json!(event_type), &json!("1.0"))
        );
        jsonschema::validate(&schema, &envelope["payload"]).unwrap();
    }
}
