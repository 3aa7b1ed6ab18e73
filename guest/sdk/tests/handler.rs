//! A handler made with the SDK, called natively as the host would call it.
#![cfg(test)]

use std::collections::BTreeMap;

use sandman_sdk::prelude::*;
use sandman_sdk::testing::Call;
use sandman_sdk::{Change, UploadedFile};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    display_name: String,
    #[serde(default)]
    edits: u32,
}

#[derive(Deserialize)]
struct Settings {
    greeting: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    user_id: String,
}

fn describe() -> Contract {
    Contract::new()
        .consumes("user.created", ["1.0", "1.1"])
        .consumes_schema("user.renamed", ["1.0"], r#"{"type":"object"}"#)
        .emits("user.greeted", "1.0")
        .emits_schema("user.updated", "2.0", "{}")
        .serves("PUT", "/users/:id")
        .state_version(3)
        .state_schema(r#"{"required":["displayName"]}"#)
}

fn on_event(event: Event, state: Option<Profile>, context: Context) -> Result<Outcome<Profile>, Failure> {
    if event.event_type == "user.deleted" {
        return Ok(Outcome::new().delete());
    }
    if context.attempt < 2 && state.is_some() {
        return Err(retry("not yet"));
    }
    let profile: Profile = event.payload()?;
    let settings: Settings = context.settings()?;
    let trace: Option<BTreeMap<String, String>> = event.metadata()?;
    let greeting = format!("{} {}", settings.greeting, profile.display_name);
    let greeted = Emitted::new(
        "user.greeted",
        "1.0",
        &json!({ "text": greeting, "at": context.now_millis }),
    );
    let greeted = greeted.key("greetings").metadata(&trace.unwrap_or_default());
    Ok(Outcome::new()
        .emit_event(greeted)
        .emit("user.updated", "2.0", &profile)
        .put(profile))
}

fn on_request(request: Request, state: Option<Profile>, _: Context) -> Result<Outcome<Profile>, Failure> {
    let claims: Claims = request.claims()?.ok_or_else(|| rejected("no token"))?;
    if request.param("id") != Some(claims.user_id.as_str()) {
        return Ok(Outcome::new().reply(403, &json!({ "error": "not yours" })));
    }
    if request.query("dry") == Some("yes") {
        return Ok(Outcome::new().reply_empty(204));
    }
    let mut profile: Profile = request.body()?;
    profile.edits = state.map_or(0, |state| state.edits) + 1;
    Ok(Outcome::new().reply(200, &profile).put(profile))
}

sandman_sdk::export!(describe, event = on_event, request = on_request);

fn created(payload: &serde_json::Value) -> Call<Event> {
    Call::event("user.created", "1.0", payload).settings(&json!({ "greeting": "hello" }))
}

#[test]
fn a_contract_holds_what_was_said() {
    let contract = describe();
    assert_eq!(contract.consumes[0].versions, ["1.0", "1.1"]);
    assert_eq!(contract.consumes[0].schema, None);
    assert_eq!(contract.consumes[1].schema.as_deref(), Some(r#"{"type":"object"}"#));
    assert_eq!(contract.emits[1].version, "2.0");
    assert_eq!(contract.routes[0].path, "/users/:id");
    assert_eq!(contract.state_version, 3);
    assert_eq!(
        contract.state_schema.as_deref(),
        Some(r#"{"required":["displayName"]}"#)
    );
    assert_eq!(Contract::new().state_schema, None);
}

#[test]
fn an_event_becomes_state_and_events_in_order() {
    let mut call = created(&json!({ "displayName": "Ada" })).now_millis(5);
    call.trigger.metadata = Some(r#"{"trace":"t1"}"#.to_owned());
    let outcome = call.run(on_event).unwrap();
    let profile = Profile {
        display_name: "Ada".to_owned(),
        edits: 0,
    };
    assert_eq!(
        outcome.events[1].payload(),
        Ok(json!({ "displayName": "Ada", "edits": 0 }))
    );
    assert_eq!(outcome.events[0].payload_json(), Some(r#"{"at":5,"text":"hello Ada"}"#));
    assert_eq!(outcome.events[0].key.as_deref(), Some("greetings"));
    assert_eq!(outcome.state, Change::Put(profile));
}

#[test]
fn whatever_does_not_fit_is_rejected_by_its_name() {
    let reason = |call: Call<Event>| match call.run(on_event) {
        Err(Failure::Rejected(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(created(&json!({ "name": 1 }))),
        "user.created 1.0: payload: missing field `displayName`"
    );
    let wrong = created(&json!({ "displayName": ["Ada"] }));
    assert_eq!(
        reason(wrong),
        "user.created 1.0: payload.displayName: invalid type: sequence, expected a string"
    );
    let unset = created(&json!({ "displayName": "Ada" })).settings(&json!({}));
    assert_eq!(reason(unset), "settings: missing field `greeting`");
    let old = created(&json!({ "displayName": "Ada" })).state(&json!({ "displayName": 7 }));
    assert_eq!(
        reason(old),
        "state.displayName: invalid type: integer, expected a string"
    );
}

#[test]
fn a_failure_that_may_pass_is_to_be_retried() {
    let call = || created(&json!({ "displayName": "Ada" })).state(&json!({ "displayName": "Ada" }));
    assert_eq!(call().run(on_event), Err(retry("not yet")));
    assert!(call().attempt(2).run(on_event).is_ok());
}

#[test]
fn a_state_can_go() {
    let outcome = Call::event("user.deleted", "1.0", &()).run(on_event).unwrap();
    assert_eq!(outcome.state, Change::Delete);
    assert_eq!(outcome.state.document(), None);
}

#[test]
fn a_request_is_answered() {
    let put = || {
        let mut call = Call::request("PUT", "/users/:id").claims(&json!({ "userId": "u1" }));
        call.trigger.params.push(("id".to_owned(), "u1".to_owned()));
        call
    };
    let stored = json!({ "displayName": "Ada", "edits": 4 });
    let outcome = put()
        .body(&json!({ "displayName": "Eve" }))
        .state(&stored)
        .run(on_request)
        .unwrap();
    let reply = outcome.reply.unwrap();
    assert_eq!(
        (reply.status, reply.body()),
        (200, Some(r#"{"displayName":"Eve","edits":5}"#))
    );

    let mut other = put();
    other.trigger.params[0].1 = "u2".to_owned();
    assert_eq!(other.run(on_request).unwrap().reply.unwrap().status, 403);

    let mut dry = put();
    dry.trigger.query.push(("dry".to_owned(), "yes".to_owned()));
    assert_eq!(dry.run(on_request).unwrap().reply.unwrap().body(), None);

    let bare = put().run(on_request).unwrap_err();
    assert!(
        matches!(&bare, Failure::Rejected(reason) if reason.starts_with("PUT /users/:id: body: invalid type: null"))
    );
    assert_eq!(
        Call::request("PUT", "/users/:id").run(on_request),
        Err(rejected("no token"))
    );
}

#[test]
fn what_cannot_be_json_is_rejected_and_not_lost() {
    let no_text_key = BTreeMap::from([((1, 2), 3)]);
    let emits = |_: Event, _: Option<()>, _: Context| Ok(Outcome::new().emit("a.b", "1.0", &no_text_key));
    let refused = Call::event("x", "1.0", &()).run(emits).unwrap_err();
    assert_eq!(
        refused,
        rejected("the payload of a.b cannot be JSON: key must be a string")
    );

    let replies = |_: Event, _: Option<()>, _: Context| Ok(Outcome::new().reply(200, &no_text_key));
    let refused = Call::event("x", "1.0", &()).run(replies).unwrap_err();
    assert_eq!(
        refused,
        rejected("the reply's body cannot be JSON: key must be a string")
    );
}

#[test]
fn a_request_carries_its_files() {
    let mut call = Call::request("POST", "/avatar");
    call.trigger.files.push(UploadedFile {
        field: "avatar".to_owned(),
        url: "/uploads/a.png".to_owned(),
        media_type: "image/png".to_owned(),
        size: 3,
        digest: "00".repeat(32),
    });
    let url = |request: Request, _: Option<String>, _: Context| {
        Ok(Outcome::new().put(request.files.into_iter().map(|file| file.url).collect()))
    };
    assert_eq!(call.run(url).unwrap().state, Change::Put("/uploads/a.png".to_owned()));
}

#[test]
fn a_double_is_put_as_it_was_read() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Position {
        at: f64,
        trail: Vec<serde_json::Value>,
    }
    fn keep(event: Event, state: Option<Position>, _: Context) -> Result<Outcome<Position>, Failure> {
        let mut position: Position = event.payload()?;
        position.trail.extend(state.into_iter().map(|state| json!(state.at)));
        Ok(Outcome::new().emit("moved", "1.0", &position).put(position))
    }
    // One that the usual way of reading is one bit off.
    let sent: Box<serde_json::value::RawValue> =
        serde_json::from_str(r#"{"at":117.63331139400017,"trail":[117.63331139400017]}"#).unwrap();
    let outcome = Call::event("moved", "1.0", &sent).run(keep).unwrap();
    assert_eq!(outcome.events[0].payload_json(), Some(sent.get()));
    let put = outcome
        .state
        .document()
        .map(|position| serde_json::to_string(position).unwrap());
    assert_eq!(put.as_deref(), Some(sent.get()));
}

#[test]
fn an_array_is_no_struct_of_a_handler() {
    let profile = json!(["Ada", 3]);
    let refused = created(&profile).run(on_event).unwrap_err();
    assert_eq!(
        refused,
        rejected("user.created 1.0: payload: invalid type: sequence, expected struct Profile")
    );
    let refused = created(&json!({ "displayName": "Ada" }))
        .state(&profile)
        .run(on_event)
        .unwrap_err();
    assert!(matches!(refused, Failure::Rejected(reason) if reason.starts_with("state: invalid type: sequence")));
}
