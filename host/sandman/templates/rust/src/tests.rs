//! The handler as a plain function: no WebAssembly, no Kafka, no host.

use sandman_sdk::testing::Call;
use serde_json::{Value, json};

use super::*;

#[test]
fn a_user_is_counted_and_that_is_told() -> Result<(), Failure> {
    let created = Call::event("user.created", "1.0", &json!({ "userId": "u-1" }));
    let outcome = created.state(&Seen { times: 1 }).run(on_event)?;
    assert_eq!(outcome.state.document(), Some(&Seen { times: 2 }));
    let told: Value = outcome.events[0].payload()?;
    assert_eq!(told, json!({ "userId": "u-1", "times": 2 }));
    Ok(())
}

#[test]
fn an_event_without_a_user_is_rejected() {
    let nobody = Call::event("user.created", "1.0", &json!({}));
    assert!(matches!(nobody.run(on_event), Err(Failure::Rejected(_))));
}
