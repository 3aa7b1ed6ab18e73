//! `user.created`: a user has registered elsewhere.

use sandman_sdk::prelude::*;

use crate::events::Created;
use crate::rules;
use crate::state::Profile;

/// Begins the profile, or fills what is still unknown of one that a client was faster to make. It never replaces what a
/// client has set, and a second registration of the same user changes nothing. Nothing is published: clients take the
/// first `user.profile.updated` after their `POST` for the answer to it.
///
/// # Errors
///
/// Rejected where the payload does not fit, or is about another user than the one whose state this is: `sandman.toml` takes
/// the key from the payload, whatever the record's is.
pub fn on_event(event: Event, state: Option<Profile>, context: Context) -> Result<Outcome<Profile>, Failure> {
    let created: Created = event.payload()?;
    if created.user_id != event.key {
        return Err(rejected(
            "payload.userId is not the event's key; set `key = \"payload:/userId\"` for the handler in sandman.toml",
        ));
    }
    let now = context.now_iso();
    let mut profile = state.unwrap_or_else(|| Profile::begun(&now));
    if profile.registered_at.is_some() {
        return Ok(Outcome::new());
    }
    // The names would make a profile of an earlier version, which only a `PUT` began, look posted.
    profile.claimed = profile.is_posted();
    profile.registered_at = Some(created.created_at);
    fill(&mut profile.email, Some(created.email));
    fill(&mut profile.details.first_name, name(created.first_name));
    fill(&mut profile.details.last_name, name(created.last_name));
    profile.name_from_details();
    profile.updated_at = now;
    Ok(Outcome::new().put(profile))
}

/// A name as a client may send it. One that would be refused is left out: the registration itself still counts.
fn name(sent: Option<String>) -> Option<String> {
    sent.and_then(|text| rules::name(&text).ok())
}

/// Sets what is not set, unless the new value says nothing either.
fn fill(field: &mut Option<String>, value: Option<String>) {
    if field.is_none() {
        *field = value.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    }
}
