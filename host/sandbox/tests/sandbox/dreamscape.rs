//! DreamScape's guests as components: what they declare fits what `sandman.toml` grants, and they answer as they do
//! natively, to the byte, each time.

use std::path::Path;
use std::sync::LazyLock;

use sandman::build_guest::build;
use sandman_core::contract::{Grant, Incoming, Terms};
use sandman_core::limits::{Instances, Limits};
use sandman_core::outcome::{Context, Outcome, RequestView, StateChange, Trigger};
use sandman_sandbox::SandboxedGuest;
use serde_json::{Value, json};

use crate::support::{SANDBOX, build_options, label, tell};

const OWN: &str = "/api/v1/users/profile";
const OF_USER: &str = "/api/v1/users/profile/{userId}";
const AVATAR: &str = "/api/v1/users/profile/{userId}/avatar";

fn built(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest").join(name);
    let built = build(&dir, &build_options()).unwrap_or_else(|fault| panic!("{fault}"));
    std::fs::read(built.path).unwrap()
}

pub(crate) static PROFILE: LazyLock<Vec<u8>> = LazyLock::new(|| built("profile"));
pub(crate) static PREFERENCES: LazyLock<Vec<u8>> = LazyLock::new(|| built("preferences"));

fn load(name: &str, wasm: &[u8], instances: Instances) -> SandboxedGuest {
    SANDBOX.load(label(name), wasm, Limits::default(), instances).unwrap()
}

/// The contract of a guest with exactly these grants.
fn terms(guest: &SandboxedGuest, topics: bool, emits: &[&str], routes: &[(&str, &str)]) -> Terms {
    let grant = Grant {
        emits: emits.iter().map(|event_type| (*event_type).to_owned()).collect(),
        has_topics: topics,
        routes: routes
            .iter()
            .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
            .collect(),
    };
    Terms::new(guest.contract(), &grant, |event_type| {
        format!("dreamscape.{event_type}").into()
    })
    .unwrap()
}

fn ask(guest: &SandboxedGuest, (method, route): (&str, &str), body: &Value, state: Option<&str>) -> Outcome {
    let body = body.to_string();
    let request = RequestView {
        key: "k",
        method,
        route,
        params: &[],
        query: &[],
        claims: Some(r#"{"userId":"k","email":"token@example.com","type":"access","exp":1}"#),
        body: Some(&body),
        files: &[],
        correlation_id: "c",
    };
    let context = Context {
        now_millis: 1_735_689_600_000,
        attempt: 1,
        settings: "{}",
    };
    let outcome = guest.invoke(Trigger::Request(request), state, context).unwrap();
    let again = guest.invoke(Trigger::Request(request), state, context).unwrap();
    assert_eq!(outcome, again);
    outcome
}

fn reply(outcome: &Outcome) -> (u16, Value) {
    let reply = outcome.reply.as_ref().unwrap();
    (
        reply.status,
        serde_json::from_str(reply.body.as_deref().unwrap()).unwrap(),
    )
}

#[test]
fn the_profile_follows_a_user_from_registration_to_change() {
    let routes = [
        ("GET", OWN),
        ("PUT", OWN),
        ("POST", OF_USER),
        ("DELETE", OF_USER),
        ("POST", AVATAR),
    ];
    for instances in [Instances::Fresh, Instances::Reused] {
        let guest = load("profile", &PROFILE, instances);
        let terms = terms(&guest, true, &["user.updated", "user.profile.updated"], &routes);
        let payload = r#"{"userId":"k","email":"ada@example.com","firstName":"Ada","lastName":null,"createdAt":"2025-01-01T00:00:00.000Z"}"#;
        assert_eq!(terms.incoming("user.created", "1.0", payload), Ok(Incoming::Consumed));
        let registered = tell(&guest, "user.created", payload, None).unwrap();
        let StateChange::Put(state) = registered.state else {
            panic!("no state")
        };
        let body = json!({ "profile": { "name": "Countess", "photo": "/c.png" } });
        let changed = ask(&guest, ("PUT", OWN), &body, Some(&state));
        let payloads: Vec<_> = changed.events.iter().map(|event| event.payload.as_str()).collect();
        let expected = [
            r#"{"userId":"k","changes":{"username":{"old":"Ada","new":"Countess"}},"updatedAt":"2025-01-01T00:00:00.000Z"}"#,
            r#"{"userId":"k","profile":{"firstName":"Ada","avatar":"/c.png"},"updatedAt":"2025-01-01T00:00:00.000Z"}"#,
        ];
        assert_eq!(payloads, expected);
        for event in &changed.events {
            terms
                .outgoing(&event.event_type, &event.version, &event.payload)
                .unwrap();
        }
        let section = json!({ "name": "Countess", "email": "ada@example.com", "photo": "/c.png" });
        let answer = json!({ "message": "Profile updated successfully", "profile": section });
        assert_eq!(reply(&changed), (200, answer));
    }
}

#[test]
fn the_preferences_are_kept_published_and_refused() {
    let routes = [("GET", OWN), ("PUT", OWN), ("POST", OF_USER), ("DELETE", OF_USER)];
    let guest = load("preferences", &PREFERENCES, Instances::Fresh);
    let terms = terms(&guest, false, &["user.preferences.updated"], &routes);
    let body = json!({ "preferences": { "language": "fr" }, "notifications": { "tripReminders": false } });
    let changed = ask(&guest, ("PUT", OWN), &body, None);
    let [event] = &changed.events[..] else {
        panic!("{changed:?}")
    };
    let payload = r#"{"userId":"k","preferences":{"language":"fr","notifications":{"email":true,"sms":false,"push":true}},"updatedAt":"2025-01-01T00:00:00.000Z"}"#;
    assert_eq!(event.payload, payload);
    let topic = terms.outgoing(&event.event_type, &event.version, payload).unwrap();
    assert_eq!(&*topic, "dreamscape.user.preferences.updated");

    let refused = ask(
        &guest,
        ("PUT", OWN),
        &json!({ "preferences": { "language": "klingon" } }),
        None,
    );
    let error = "preferences.language must be a language in ISO 639-1, for example fr, or its English name";
    assert_eq!(reply(&refused), (400, json!({ "error": error })));
    assert_eq!((refused.events, refused.state), (vec![], StateChange::Keep));
}
