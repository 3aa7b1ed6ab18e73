//! The routes of the preferences, which they share with the profile. The host merges the two replies.

use sandman_sdk::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::events::{UPDATED, Updated, VERSION};
use crate::form::{self, Named};
use crate::import;
use crate::shown::Shown;
use crate::state::{General, Preferences};

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
        ("GET", OWN) => Ok(Outcome::new().reply(200, &Shown::of(&state.unwrap_or_default()))),
        ("PUT", OWN) => Ok(change(&request, state, &context, (form::read, settings))),
        ("POST", OF_USER) => Ok(change(&request, state, &context, (form::read_known, created))),
        ("DELETE", OF_USER) => Ok(remove(state)),
        IMPORT => Ok(import::take_over(&request)),
        (method, route) => Err(rejected(format!("the preferences handler serves no {method} {route}"))),
    }
}

/// Reads a request, given the preferences before it.
type Read = fn(&Request, &Preferences) -> Result<(Preferences, Named), String>;
/// Answers with the preferences after a request.
type Answer = fn(&Preferences) -> Outcome<Preferences>;

/// Takes over what the request sent, publishes what others see of it, and answers.
fn change(
    request: &Request,
    state: Option<Preferences>,
    context: &Context,
    (read, answer): (Read, Answer),
) -> Outcome<Preferences> {
    let before = state.unwrap_or_default();
    let (mut after, named) = match read(request, &before) {
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

/// The answer to `PUT`.
fn settings(after: &Preferences) -> Outcome<Preferences> {
    Outcome::new().reply(200, &Shown::of(after))
}

/// The answer to the profile's `POST`: the preferences that are set, `null` if there are none.
fn created(after: &Preferences) -> Outcome<Preferences> {
    let General {
        language,
        language_name,
        currency,
        timezone,
    } = &after.general;
    let set = Set {
        language: language_name.as_deref().or(language.as_deref()),
        currency: currency.as_deref(),
        timezone: timezone.as_deref(),
    };
    let any = after.general != General::default();
    Outcome::new().reply(201, &json!({ "preferences": any.then_some(set) }))
}

#[derive(Serialize)]
struct Set<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'a str>,
}

/// The profile's handler says whether there was a user to remove; here there need not be anything.
fn remove(state: Option<Preferences>) -> Outcome<Preferences> {
    let outcome = Outcome::new().reply(200, &json!({}));
    if state.is_some() { outcome.delete() } else { outcome }
}
