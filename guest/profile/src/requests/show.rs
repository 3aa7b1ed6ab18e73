//! `GET`: the `profile` section. A user of whom nothing is known yet has an empty one.

use sandman_sdk::prelude::*;
use serde_json::json;

use super::{Section, claimed_email};
use crate::state::Profile;

pub(super) fn show(request: &Request, state: Option<Profile>) -> Result<Outcome<Profile>, Failure> {
    let email = claimed_email(request)?;
    let profile = state.unwrap_or_default();
    let section = Section::of(&profile, email.as_deref());
    Ok(Outcome::new().reply(200, &json!({ "profile": section })))
}
