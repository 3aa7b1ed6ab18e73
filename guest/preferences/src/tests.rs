//! The handler as the host calls it. Every event that comes out is checked against its schema.

// One text for the events of both handlers.
#[path = "../../profile/src/tests/documentation.rs"]
mod documentation;
mod import;
mod routes;
mod sections;
mod states;
mod values;

use sandman_sdk::testing::Call;
use sandman_sdk::{Change, Failure, Request};
use serde_json::{Value, json};

use crate::requests::{OF_USER, OWN};
use crate::state::Preferences;
use crate::{describe, on_request};

/// The time that [`Call`] gives.
const NOW: &str = "2025-01-01T00:00:00.000Z";

/// What one call did, in JSON.
#[derive(Debug, PartialEq)]
struct Done {
    status: u16,
    reply: Value,
    /// The `preferences` of the event, if there was one.
    event: Option<Value>,
    state: Change<Preferences>,
}

impl Done {
    fn is_refused(&self, error: &str) {
        assert_eq!((self.status, &self.reply), (400, &json!({ "error": error })));
        assert_eq!((&self.event, &self.state), (&None, &Change::Keep));
    }
}

/// One user and their preferences, from call to call.
#[derive(Default)]
struct User {
    preferences: Option<Preferences>,
}

impl User {
    fn call(&mut self, mut call: Call<Request>) -> Done {
        call.state = self
            .preferences
            .as_ref()
            .map(|state| serde_json::to_string(state).unwrap());
        let outcome = call.run(on_request).unwrap();
        assert!(outcome.events.len() <= 1);
        let event = outcome.events.first().map(|event| {
            let payload: Value = event.payload().unwrap();
            let contract = describe();
            let declared = &contract.emits[0];
            assert_eq!(
                (&event.event_type, &event.version),
                (&declared.event_type, &declared.version)
            );
            let schema = serde_json::from_str(declared.schema.as_deref().unwrap()).unwrap();
            jsonschema::validate(&schema, &payload).unwrap();
            assert_eq!(
                (&payload["userId"], &payload["updatedAt"]),
                (&json!("key-1"), &json!(NOW))
            );
            payload["preferences"].clone()
        });
        match &outcome.state {
            Change::Keep => {}
            Change::Put(state) => {
                fits_schema(&serde_json::to_value(state).unwrap());
                self.preferences = Some(state.clone());
            }
            Change::Delete => self.preferences = None,
        }
        let reply = outcome.reply.unwrap();
        Done {
            status: reply.status,
            reply: serde_json::from_str(reply.body().unwrap()).unwrap(),
            event,
            state: outcome.state,
        }
    }

    fn put(&mut self, body: Value) -> Done {
        self.call(Call::request("PUT", OWN).body(&body))
    }

    /// What `sandman import` does with a document.
    fn imported(&mut self, document: &Value) -> Done {
        let (method, route) = sandman_sdk::IMPORT;
        self.call(Call::request(method, route).body(document))
    }

    fn post(&mut self, preferences: Value) -> Done {
        let body = json!({ "firstName": "Ada", "lastName": "King", "preferences": preferences });
        self.call(Call::request("POST", OF_USER).body(&body))
    }

    /// What is read back of a section.
    fn section(&mut self, name: &str) -> Value {
        self.call(Call::request("GET", OWN)).reply[name].clone()
    }
}

/// What is put is what `describe` says of it.
#[track_caller]
fn fits_schema(state: &Value) {
    let schema = serde_json::from_str(describe().state_schema.as_deref().unwrap()).unwrap();
    jsonschema::validate(&schema, state).unwrap();
}

fn switches(email: bool, sms: bool, push: bool) -> Value {
    json!({ "dealAlerts": email, "tripReminders": sms, "priceAlerts": push, "newsletter": false })
}

/// What `GET` answers of a user who never set anything.
fn defaults() -> Value {
    json!({
        "preferences": { "language": "English", "currency": "USD", "timezone": "UTC" },
        "notifications": { "dealAlerts": true, "tripReminders": true, "priceAlerts": true, "newsletter": false },
        "privacy": { "profileVisibility": "public", "dataSharing": false, "marketing": true },
        "travel": { "preferredDestinations": [], "accommodationType": [], "activities": [], "dietary": [] },
    })
}

/// A section of the defaults with something laid over it.
fn with(section: &str, more: Value) -> Value {
    let mut fields = defaults()[section].clone();
    fields
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    fields
}
