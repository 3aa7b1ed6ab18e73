//! The routes of a profile.

mod avatar;
mod create;
mod import;
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
        ("POST", OF_USER) => create::create(&request, state, &now),
        ("DELETE", OF_USER) => Ok(remove::remove(state)),
        ("POST", AVATAR) => avatar::avatar(&request, state, &now),
        IMPORT => Ok(import::take_over(&request)),
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

/// The `profile` section of `GET` and `PUT`, complete.
#[derive(Serialize)]
struct Section<'a> {
    name: &'a str,
    email: &'a str,
    photo: Option<&'a str>,
}

impl<'a> Section<'a> {
    fn of(profile: &'a Profile, claimed_email: Option<&'a str>) -> Self {
        Self {
            name: profile.name.as_deref().unwrap_or_default(),
            email: profile.email.as_deref().or(claimed_email).unwrap_or_default(),
            photo: profile.details.avatar.as_deref(),
        }
    }
}

/// The whole profile, as `POST` answers it: `null` for what is not set. A user has one profile, so their id is its id too.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    id: &'a str,
    user_id: &'a str,
    name: Option<&'a str>,
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    phone: Option<&'a str>,
    avatar: Option<&'a str>,
    date_of_birth: Option<&'a str>,
    nationality: Option<&'a str>,
    user: Account<'a>,
    created_at: &'a str,
    updated_at: &'a str,
}

/// The user in an answer to `POST`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Account<'a> {
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
}

impl<'a> Whole<'a> {
    fn of(user_id: &'a str, profile: &'a Profile, claimed_email: Option<&'a str>) -> Self {
        let email = profile.email.as_deref().or(claimed_email);
        let Details {
            first_name,
            last_name,
            phone,
            avatar,
            date_of_birth,
            nationality,
        } = &profile.details;
        let (first_name, last_name) = (first_name.as_deref(), last_name.as_deref());
        Self {
            id: user_id,
            user_id,
            name: profile.name.as_deref(),
            email,
            first_name,
            last_name,
            phone: phone.as_deref(),
            avatar: avatar.as_deref(),
            date_of_birth: date_of_birth.as_deref(),
            nationality: nationality.as_deref(),
            user: Account {
                email,
                first_name,
                last_name,
            },
            created_at: &profile.created_at,
            updated_at: &profile.updated_at,
        }
    }
}
