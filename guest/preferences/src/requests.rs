//! The routes of the preferences, which they share with the profile. The host merges the two replies.

use std::collections::BTreeMap;

use sandman_sdk::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use crate::events::{UPDATED, Updated, VERSION};
use crate::form;
use crate::state::{General, Preferences, Privacy, TravelPreferences};

/// The settings of whoever sends the token.
pub const OWN: &str = "/api/v1/users/profile";
/// The profile of a user, whose `POST` may bring preferences.
pub const OF_USER: &str = "/api/v1/users/profile/{userId}";

/// Serves one request.
///
/// # Errors
///
/// Rejected where the request is on a route that this handler does not serve.
pub fn on_request(
    request: Request,
    state: Option<Preferences>,
    context: Context,
) -> Result<Outcome<Preferences>, Failure> {
    match (request.method.as_str(), request.route.as_str()) {
        ("GET", OWN) => Ok(Outcome::new().reply(200, &Sections::of(&state.unwrap_or_default()))),
        ("PUT", OWN) => Ok(change(&request, state, &context, |after| {
            Outcome::new().reply(200, &Sections::of(after))
        })),
        ("POST", OF_USER) => Ok(change(&request, state, &context, created)),
        ("DELETE", OF_USER) => Ok(remove(state)),
        (method, route) => Err(rejected(format!("the preferences handler serves no {method} {route}"))),
    }
}

/// Takes over what the request sent, publishes what others see of it, and answers.
fn change(
    request: &Request,
    state: Option<Preferences>,
    context: &Context,
    answer: impl FnOnce(&Preferences) -> Outcome<Preferences>,
) -> Outcome<Preferences> {
    let before = state.unwrap_or_default();
    let (mut after, named) = match form::read(request, &before) {
        Ok(read) => read,
        Err(why) => return Outcome::new().reply(400, &json!({ "error": why })),
    };
    if after == before {
        return answer(&after);
    }
    after.updated_at = context.now_iso();
    let outcome = answer(&after);
    let outcome = match Updated::of(&request.key, named, &before, &after) {
        Some(payload) => outcome.emit(UPDATED, VERSION, &payload),
        None => outcome,
    };
    outcome.put(after)
}

/// The answer to the profile's `POST`: the preferences, if there are any.
fn created(after: &Preferences) -> Outcome<Preferences> {
    let body = if after.general == General::default() {
        json!({})
    } else {
        json!({ "preferences": after.general })
    };
    Outcome::new().reply(201, &body)
}

/// The profile's handler says whether there was a user to remove; here there need not be anything.
fn remove(state: Option<Preferences>) -> Outcome<Preferences> {
    let outcome = Outcome::new().reply(200, &json!({}));
    if state.is_some() { outcome.delete() } else { outcome }
}

/// The sections that `GET` and `PUT` answer.
#[derive(Serialize)]
struct Sections<'a> {
    preferences: &'a General,
    notifications: Switches,
    privacy: &'a Privacy,
    travel: Travel<'a>,
}

/// The switches under both of their names, so that either kind of client finds its own.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Switches {
    email: bool,
    sms: bool,
    push: bool,
    deal_alerts: bool,
    trip_reminders: bool,
    price_alerts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    newsletter: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Travel<'a> {
    #[serde(flatten)]
    lists: &'a BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "TravelPreferences::is_empty")]
    travel_preferences: &'a TravelPreferences,
}

impl<'a> Sections<'a> {
    fn of(preferences: &'a Preferences) -> Self {
        let switches = preferences.notifications;
        Self {
            preferences: &preferences.general,
            notifications: Switches {
                email: switches.email,
                sms: switches.sms,
                push: switches.push,
                deal_alerts: switches.email,
                trip_reminders: switches.sms,
                price_alerts: switches.push,
                newsletter: preferences.newsletter,
            },
            privacy: &preferences.privacy,
            travel: Travel {
                lists: &preferences.travel_lists,
                travel_preferences: &preferences.travel_preferences,
            },
        }
    }
}
