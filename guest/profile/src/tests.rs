//! The handler as the host calls it. Every event that comes out is checked against its schema.

mod documentation;
mod import;
mod registration;
mod routes;
mod states;
mod values;

use sandman_sdk::testing::Call;
use sandman_sdk::{Change, Event, Failure, Outcome, Request, UploadedFile};
use serde_json::{Value, json};

use crate::requests::{AVATAR, OF_USER, OWN};
use crate::state::Profile;
use crate::{describe, on_event, on_request};

/// The time that [`Call`] gives.
const NOW: &str = "2025-01-01T00:00:00.000Z";

/// What one call did, in JSON.
#[derive(Debug, PartialEq)]
struct Done {
    status: u16,
    reply: Value,
    events: Vec<(String, Value)>,
    state: Change<Profile>,
}

impl Done {
    fn of(outcome: Outcome<Profile>) -> Self {
        let events = outcome.events.iter().map(|event| {
            let payload: Value = event.payload().unwrap();
            let contract = describe();
            let declared = contract
                .emits
                .iter()
                .find(|declared| declared.event_type == event.event_type)
                .unwrap();
            let schema = serde_json::from_str(declared.schema.as_deref().unwrap()).unwrap();
            jsonschema::validate(&schema, &payload).unwrap();
            assert_eq!((event.version.as_str(), &event.key), (declared.version.as_str(), &None));
            (event.event_type.clone(), payload)
        });
        if let Change::Put(profile) = &outcome.state {
            fits_schema(&serde_json::to_value(profile).unwrap());
        }
        let reply = outcome.reply.as_ref();
        Self {
            status: reply.map_or(0, |reply| reply.status),
            reply: reply
                .and_then(|reply| reply.body())
                .map_or(Value::Null, |body| serde_json::from_str(body).unwrap()),
            events: events.collect(),
            state: outcome.state,
        }
    }

    /// The state after the call, given the one before it.
    fn after(&self, before: Option<Profile>) -> Option<Profile> {
        match &self.state {
            Change::Keep => before,
            Change::Put(profile) => Some(profile.clone()),
            Change::Delete => None,
        }
    }

    fn is_refused(&self, status: u16, error: &str) {
        assert_eq!((self.status, &self.reply), (status, &json!({ "error": error })));
        assert_eq!((&self.events, &self.state), (&vec![], &Change::Keep));
    }

    fn changes_nothing(&self) {
        assert_eq!((&self.events, &self.state), (&vec![], &Change::Keep));
    }
}

/// One user and what is known of them, from call to call.
#[derive(Default)]
struct User {
    profile: Option<Profile>,
}

impl User {
    fn call(&mut self, mut call: Call<Request>) -> Done {
        call.state = self
            .profile
            .as_ref()
            .map(|profile| serde_json::to_string(profile).unwrap());
        self.done(call.run(on_request))
    }

    fn done(&mut self, result: Result<Outcome<Profile>, Failure>) -> Done {
        let done = Done::of(result.unwrap());
        self.profile = done.after(self.profile.take());
        done
    }

    fn post(&mut self, body: Value) -> Done {
        self.call(Call::request("POST", OF_USER).body(&body))
    }

    fn put(&mut self, profile: Value) -> Done {
        self.form(&json!({ "profile": profile }))
    }

    /// A whole settings form.
    fn form(&mut self, body: &Value) -> Done {
        self.call(Call::request("PUT", OWN).claims(&claims()).body(body))
    }

    fn get(&mut self) -> Value {
        let done = self.call(Call::request("GET", OWN).claims(&claims()));
        assert_eq!(done.status, 200);
        done.changes_nothing();
        done.reply
    }

    fn delete(&mut self) -> Done {
        self.call(Call::request("DELETE", OF_USER))
    }

    fn upload(&mut self, file: UploadedFile) -> Done {
        let mut call = Call::request("POST", AVATAR);
        call.trigger.files.push(file);
        self.call(call)
    }

    /// What `sandman import` does with a document.
    fn imported(&mut self, document: &Value) -> Done {
        let (method, route) = sandman_sdk::IMPORT;
        self.call(Call::request(method, route).body(document))
    }

    fn registered(&mut self, payload: &Value) -> Result<Done, Failure> {
        let mut call: Call<Event> = Call::event("user.created", "1.0", payload);
        call.state = self
            .profile
            .as_ref()
            .map(|profile| serde_json::to_string(profile).unwrap());
        let outcome = call.run(on_event)?;
        Ok(self.done(Ok(outcome)))
    }
}

/// What is put is what `describe` says of it.
#[track_caller]
fn fits_schema(state: &Value) {
    let schema = serde_json::from_str(describe().state_schema.as_deref().unwrap()).unwrap();
    jsonschema::validate(&schema, state).unwrap();
}

fn claims() -> Value {
    json!({ "userId": "key-1", "email": "token@example.com", "type": "access" })
}

/// The `profile` section of `GET`.
fn section(name: &str, email: &str, photo: Option<&str>) -> Value {
    json!({ "profile": { "name": name, "email": email, "photo": photo } })
}

fn created(more: Value) -> Value {
    let mut payload = json!({ "userId": "key-1", "email": "ada@example.com", "createdAt": "2024-05-01T08:00:00.000Z" });
    payload
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    payload
}

fn picture() -> UploadedFile {
    UploadedFile {
        field: "avatar".to_owned(),
        url: "/uploads/avatars/avatar-1735689600000-42.png".to_owned(),
        media_type: "image/png".to_owned(),
        size: 2 << 20,
        digest: "00".repeat(32),
    }
}

fn profile_updated(profile: Value) -> (String, Value) {
    let payload = json!({ "userId": "key-1", "profile": profile, "updatedAt": NOW });
    ("user.profile.updated".to_owned(), payload)
}

fn updated(changes: Value) -> (String, Value) {
    (
        "user.updated".to_owned(),
        json!({ "userId": "key-1", "changes": changes, "updatedAt": NOW }),
    )
}
