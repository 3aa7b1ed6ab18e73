//! The stateful work of the bench, written as a guest team writes it from the template: keeps a user's profile, and publishes
//! what changed and the profile as it is now.

use std::collections::BTreeMap;

use sandman_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// The payload of the event that comes in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requested {
    /// The user.
    pub user_id: String,
    /// The number of the request.
    pub seq: u64,
    /// The profile as the user wants it.
    pub profile: Profile,
}

/// What is known of a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Phone number.
    pub phone: String,
    /// Nationality.
    pub nationality: String,
}

/// The state: one document for each user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The profile.
    pub profile: Profile,
    /// Requests so far.
    pub count: u64,
    /// The number of the last one.
    pub last_seq: u64,
}

/// A field before and after.
#[derive(Debug, PartialEq, Serialize)]
pub struct Difference<'a> {
    old: &'a str,
    new: &'a str,
}

/// The payload of `user.updated`.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Updated<'a> {
    /// The user.
    pub user_id: &'a str,
    /// The fields that changed.
    pub changes: BTreeMap<&'static str, Difference<'a>>,
}

/// The payload of `user.profile.updated`.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileUpdated<'a> {
    /// The user.
    pub user_id: &'a str,
    /// The profile as it is now.
    pub profile: &'a Profile,
}

/// The fields that differ.
pub fn changes<'a>(old: &'a Profile, new: &'a Profile) -> BTreeMap<&'static str, Difference<'a>> {
    let fields: [(&'static str, &'a str, &'a str); 4] = [
        ("firstName", &old.first_name, &new.first_name),
        ("lastName", &old.last_name, &new.last_name),
        ("phone", &old.phone, &new.phone),
        ("nationality", &old.nationality, &new.nationality),
    ];
    let changed = fields.into_iter().filter(|(_, old, new)| old != new);
    changed
        .map(|(name, old, new)| (name, Difference { old, new }))
        .collect()
}

/// What the handler consumes and emits.
pub fn describe() -> Contract {
    Contract::new()
        .consumes("user.profile.update.requested", ["1.0"])
        .serves("POST", "/users/{key}")
        .emits("user.updated", "1.0")
        .emits("user.profile.updated", "1.0")
}

/// The handler itself.
///
/// # Errors
/// Rejected where the payload does not fit.
pub fn on_event(event: Event, state: Option<Document>, _: Context) -> Result<Outcome<Document>, Failure> {
    Ok(update(event.payload()?, state))
}

/// The same, asked for over HTTP.
///
/// # Errors
/// Rejected where the body does not fit.
pub fn on_request(request: Request, state: Option<Document>, _: Context) -> Result<Outcome<Document>, Failure> {
    Ok(update(request.body()?, state).reply_empty(204))
}

fn update(requested: Requested, state: Option<Document>) -> Outcome<Document> {
    let Requested { user_id, seq, profile } = requested;
    let before = state.unwrap_or_default();
    let updated = Updated {
        user_id: &user_id,
        changes: changes(&before.profile, &profile),
    };
    let profile_updated = ProfileUpdated {
        user_id: &user_id,
        profile: &profile,
    };
    let outcome =
        Outcome::new()
            .emit("user.updated", "1.0", &updated)
            .emit("user.profile.updated", "1.0", &profile_updated);
    outcome.put(Document {
        profile,
        count: before.count + 1,
        last_seq: seq,
    })
}

sandman_sdk::export!(describe, event = on_event, request = on_request);
