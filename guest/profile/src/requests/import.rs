//! `sandman import`: a document from the service before this one, held to the rules of requests and written as this
//! handler puts it.

use sandman_sdk::form::Form;
use sandman_sdk::prelude::*;
use serde_json::json;

use super::create::details;
use super::refuse;
use crate::rules;
use crate::state::Profile;

/// Takes over one document.
pub(super) fn take_over(request: &Request) -> Outcome<Profile> {
    match read(request) {
        Ok(profile) => Outcome::new().reply(200, &json!({})).put(profile),
        Err(why) => refuse(400, why),
    }
}

fn read(request: &Request) -> Result<Profile, String> {
    let mut form = Form::of(request)?.without_empty_texts();
    // A field that is misspelt would be lost without a word.
    form.only(
        "",
        &[
            "name",
            "email",
            "details",
            "registeredAt",
            "claimed",
            "createdAt",
            "updatedAt",
        ],
    );
    form.only(
        "details",
        &["firstName", "lastName", "phone", "avatar", "dateOfBirth", "nationality"],
    );
    for field in ["claimed", "createdAt", "updatedAt"] {
        form.require(field);
    }
    let profile = Profile {
        name: form.text("name", rules::whole_name),
        email: form.text("email", rules::email),
        details: details(&mut form, "details."),
        registered_at: form.text("registeredAt", rules::time),
        claimed: form.flag("claimed").unwrap_or_default(),
        created_at: form.text("createdAt", rules::time).unwrap_or_default(),
        updated_at: form.text("updatedAt", rules::time).unwrap_or_default(),
    };
    form.finish()?;
    Ok(profile)
}
