//! The events of a profile, to the letter of their documentation (`docs/dreamscape/events.md`).

use std::collections::BTreeMap;

use sandman_sdk::Outcome;
use serde::{Deserialize, Serialize};

use crate::state::{Details, Profile};

/// A user has registered; from auth-service.
pub const CREATED: &str = "user.created";
/// The account has changed.
pub const UPDATED: &str = "user.updated";
/// The profile was created or has changed.
pub const PROFILE_UPDATED: &str = "user.profile.updated";
/// The version of all of them.
pub const VERSION: &str = "1.0";

/// JSON Schema of [`Created`].
pub const CREATED_SCHEMA: &str = include_str!("../schemas/user.created-1.0.json");
/// JSON Schema of [`Updated`].
pub const UPDATED_SCHEMA: &str = include_str!("../schemas/user.updated-1.0.json");
/// JSON Schema of [`ProfileUpdated`].
pub const PROFILE_UPDATED_SCHEMA: &str = include_str!("../schemas/user.profile.updated-1.0.json");

/// Payload of [`CREATED`]. Names may be `null`: other services write them from their databases.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    /// The user.
    pub user_id: String,
    /// The address they registered with.
    pub email: String,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// When they registered, ISO 8601.
    pub created_at: String,
}

/// Payload of [`UPDATED`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Updated<'a> {
    user_id: &'a str,
    changes: &'a Changes,
    updated_at: &'a str,
}

/// What changed of an account: values before and after, by the names that events use.
#[derive(Debug, Default, Serialize)]
pub struct Changes(BTreeMap<&'static str, Change>);

/// A value before and after.
#[derive(Debug, Serialize)]
struct Change {
    /// `null` where there was none.
    old: Option<String>,
    new: String,
}

impl Changes {
    /// Notes a new value for a field if it differs from the old one.
    pub fn note(&mut self, field: &'static str, old: Option<&str>, new: &str) {
        if old != Some(new) {
            let (old, new) = (old.map(str::to_owned), new.to_owned());
            self.0.insert(field, Change { old, new });
        }
    }
}

/// Payload of [`PROFILE_UPDATED`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileUpdated<'a> {
    user_id: &'a str,
    profile: &'a Details,
    updated_at: &'a str,
}

/// Adds the event of the account, if anything in it changed.
pub fn publish_account(
    outcome: Outcome<Profile>,
    user_id: &str,
    changes: &Changes,
    updated_at: &str,
) -> Outcome<Profile> {
    if changes.0.is_empty() {
        return outcome;
    }
    let payload = Updated {
        user_id,
        changes,
        updated_at,
    };
    outcome.emit(UPDATED, VERSION, &payload)
}

/// Adds the event of the profile.
pub fn publish_profile(outcome: Outcome<Profile>, user_id: &str, profile: &Profile) -> Outcome<Profile> {
    let payload = ProfileUpdated {
        user_id,
        profile: &profile.details,
        updated_at: &profile.updated_at,
    };
    outcome.emit(PROFILE_UPDATED, VERSION, &payload)
}
