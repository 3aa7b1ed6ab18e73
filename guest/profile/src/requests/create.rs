//! `POST`: the user's own first word on their profile.

use sandman_sdk::form::Form;
use sandman_sdk::prelude::*;

use super::{Whole, refuse};
use crate::events::{Changes, publish};
use crate::rules;
use crate::state::{Details, Profile};

pub(super) fn create(request: &Request, state: Option<Profile>, now: &str) -> Outcome<Profile> {
    let sent = match read(request) {
        Ok(sent) => sent,
        Err(why) => return refuse(400, why),
    };
    let before = state.unwrap_or_else(|| Profile::begun(now));
    if before.claimed {
        return refuse(409, "Profile already exists for this user");
    }
    let known = before.details.clone();
    let mut after = Profile {
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
        ..before.clone()
    };
    after.name_from_details();
    let reply = Outcome::new().reply(201, &Whole::of(&request.key, &after));
    publish(reply, &request.key, &Changes::default(), (&before.details, &after)).put(after)
}

/// The body; a `userId` in it is ignored, the path has said whose profile it is.
fn read(request: &Request) -> Result<Details, String> {
    let mut form = Form::of(request)?;
    form.require("firstName");
    form.require("lastName");
    let details = Details {
        first_name: form.text("firstName", rules::name),
        last_name: form.text("lastName", rules::name),
        phone: form.text("phone", rules::phone),
        avatar: form.text("avatar", rules::picture),
        date_of_birth: form.text("dateOfBirth", rules::date),
        nationality: form.text("nationality", rules::nationality),
    };
    form.finish()?;
    Ok(details)
}
