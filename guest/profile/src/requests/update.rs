//! `PUT`: the `profile` section of the settings form. It makes the profile if there is none, also where the form has only
//! the sections of the preferences: whoever has preferences is a user, who can be given a picture and be deleted.

use sandman_sdk::form::Form;
use sandman_sdk::prelude::*;
use serde_json::{Value, json};

use super::{Section, claimed_email, refuse};
use crate::events::{Changes, publish_account, publish_profile};
use crate::rules;
use crate::state::Profile;

const UPDATED: &str = match cfg!(feature = "second") {
    false => "Profile updated successfully",
    true => "Profile updated successfully, by the second version",
};

/// What the form sent of the section.
struct Sent {
    name: Option<String>,
    email: Option<String>,
    photo: Option<Photo>,
    /// Whether there was anything in a section that the preferences read.
    elsewhere: bool,
}

/// What becomes of the picture.
enum Photo {
    /// It is at this address.
    At(String),
    /// It is taken away.
    Away,
}

/// The sections that the preferences read.
const ELSEWHERE: [&str; 5] = ["preferences", "notifications", "privacy", "travel", "travelPreferences"];

pub(super) fn update(request: &Request, state: Option<Profile>, now: &str) -> Result<Outcome<Profile>, Failure> {
    let sent = match read(request) {
        Ok(sent) => sent,
        Err(why) => return Ok(refuse(400, why)),
    };
    let claimed = claimed_email(request)?;
    let begins = state.is_none() && sent.elsewhere;
    let before = state.unwrap_or_else(|| Profile::begun(now));
    let mut after = before.clone();
    let mut changes = Changes::default();
    if let Some(name) = sent.name {
        changes.note("username", before.name.as_deref(), &name);
        after.name = Some(name);
    }
    if let Some(email) = sent.email {
        changes.note("email", before.email.as_deref().or(claimed.as_deref()), &email);
        after.email = Some(email);
    }
    match sent.photo {
        Some(Photo::At(address)) => after.details.avatar = Some(address),
        Some(Photo::Away) => after.details.avatar = None,
        None => {}
    }
    let changed = after != before;
    if changed {
        now.clone_into(&mut after.updated_at);
    }
    let section = Section::of(&after, claimed.as_deref());
    let reply = json!({ "message": UPDATED, "profile": section });
    let outcome = Outcome::new().reply(200, &reply);
    let mut outcome = publish_account(outcome, &request.key, &changes, now);
    if after.details != before.details {
        outcome = publish_profile(outcome, &request.key, &after);
    }
    Ok(if changed || begins { outcome.put(after) } else { outcome })
}

fn read(request: &Request) -> Result<Sent, String> {
    let is_away = |photo: &Value| Ok(photo.as_str() == Some(""));
    let away = Form::of(request)?.value("profile.photo", is_away) == Some(true);
    let mut form = Form::of(request)?.without_empty_texts();
    let sent = Sent {
        name: form.text("profile.name", rules::name),
        email: form.text("profile.email", rules::email),
        photo: match form.text("profile.photo", rules::picture) {
            Some(address) => Some(Photo::At(address)),
            None => away.then_some(Photo::Away),
        },
        elsewhere: ELSEWHERE
            .into_iter()
            .any(|section| form.value(section, |value| Ok(says_something(value))) == Some(true)),
    };
    form.finish()?;
    Ok(sent)
}

/// Whether there is any value in it; `null` is none.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(fields) => fields.values().any(says_something),
        _ => true,
    }
}
