//! The routes of a profile.

mod avatar;
mod create;
mod remove;
mod show;
mod update;

use sandman_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::state::{Details, Profile};

/// The profile of whoever sends the token.
pub const OWN: &str = "/api/v1/users/profile";
/// The profile of a user.
pub const OF_USER: &str = "/api/v1/users/profile/{userId}";
/// The picture of a user.
pub const AVATAR: &str = "/api/v1/users/profile/{userId}/avatar";

/// Serves one request.
///
/// # Errors
///
/// Rejected where the request is on a route that this handler does not serve.
pub fn on_request(request: Request, state: Option<Profile>, context: Context) -> Result<Outcome<Profile>, Failure> {
    let now = context.now_iso();
    match (request.method.as_str(), request.route.as_str()) {
        ("GET", OWN) => show::show(&request, state),
        ("PUT", OWN) => update::update(&request, state, &now),
        ("POST", OF_USER) => Ok(create::create(&request, state, &now)),
        ("DELETE", OF_USER) => Ok(remove::remove(state)),
        ("POST", AVATAR) => Ok(avatar::avatar(&request, state, &now)),
        (method, route) => Err(rejected(format!("the profile handler serves no {method} {route}"))),
    }
}

/// Refuses a request: nothing of it is kept, and the client reads why.
fn refuse(status: u16, why: impl Into<String>) -> Outcome<Profile> {
    Outcome::new().reply(status, &json!({ "error": why.into() }))
}

/// What the handler needs of a token.
#[derive(Deserialize)]
struct Claims {
    email: Option<Value>,
}

/// The address in the verified token, which stands in while no other is known. A claim that says none, because it is
/// blank or no text, counts as absent.
fn claimed_email(request: &Request) -> Result<Option<String>, Failure> {
    let claim = request.claims::<Claims>()?.and_then(|claims| claims.email);
    let address = claim.as_ref().and_then(Value::as_str).map(str::trim);
    Ok(address.filter(|text| !text.is_empty()).map(str::to_owned))
}

/// The `profile` section of `GET` and `PUT`.
#[derive(Serialize)]
struct Section<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<&'a str>,
}

impl<'a> Section<'a> {
    fn of(profile: &'a Profile, claimed_email: Option<&'a str>) -> Self {
        Self {
            name: profile.name.as_deref(),
            email: profile.email.as_deref().or(claimed_email),
            photo: profile.details.avatar.as_deref(),
        }
    }
}

/// The whole profile, as `POST` answers it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(flatten)]
    details: &'a Details,
    created_at: &'a str,
    updated_at: &'a str,
}

impl<'a> Whole<'a> {
    fn of(user_id: &'a str, profile: &'a Profile) -> Self {
        Self {
            user_id,
            name: profile.name.as_deref(),
            email: profile.email.as_deref(),
            details: &profile.details,
            created_at: &profile.created_at,
            updated_at: &profile.updated_at,
        }
    }
}
