//! `POST`: the user's own first word on their profile.

use sandman_sdk::form::Form;
use sandman_sdk::prelude::*;

use super::{Whole, claimed_email, refuse};
use crate::events::publish_profile;
use crate::rules;
use crate::state::{Details, Profile};

pub(super) fn create(request: &Request, state: Option<Profile>, now: &str) -> Result<Outcome<Profile>, Failure> {
    let sent = match read(request) {
        Ok(sent) => sent,
        Err(why) => return Ok(refuse(400, why)),
    };
    let before = state.unwrap_or_else(|| Profile::begun(now));
    if before.is_posted() {
        return Ok(refuse(409, "Profile already exists for this user"));
    }
    let known = before.details;
    let mut profile = Profile {
        details: Details {
            first_name: sent.first_name.or(known.first_name),
            last_name: sent.last_name.or(known.last_name),
            phone: sent.phone.or(known.phone),
            avatar: sent.avatar.or(known.avatar),
            date_of_birth: sent.date_of_birth.or(known.date_of_birth),
            nationality: sent.nationality.or(known.nationality),
        },
        claimed: true,
        updated_at: now.to_owned(),
        ..before
    };
    profile.name_from_details();
    let email = claimed_email(request)?;
    let outcome = Outcome::new().reply(201, &Whole::of(&request.key, &profile, email.as_deref()));
    Ok(publish_profile(outcome, &request.key, &profile).put(profile))
}

/// The body; a `userId` in it is ignored, the path has said whose profile it is.
fn read(request: &Request) -> Result<Details, String> {
    let mut form = Form::of(request)?.without_empty_texts();
    form.require("firstName");
    form.require("lastName");
    let details = details(&mut form, "");
    form.finish()?;
    Ok(details)
}

/// Reads the details from fields whose names have this in front.
pub(super) fn details(form: &mut Form, prefix: &str) -> Details {
    let mut text = |name: &str, rule: fn(&str) -> rules::Ruled| form.text(&format!("{prefix}{name}"), rule);
    Details {
        first_name: text("firstName", rules::name),
        last_name: text("lastName", rules::name),
        phone: text("phone", rules::phone),
        avatar: text("avatar", rules::picture),
        date_of_birth: text("dateOfBirth", rules::date),
        nationality: text("nationality", rules::nationality),
    }
}
