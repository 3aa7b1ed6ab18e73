//! `user.created`: a user has registered elsewhere.

use sandman_sdk::prelude::*;

use crate::events::{Changes, Created, publish};
use crate::rules;
use crate::state::Profile;

/// Begins the profile, or fills what is still unknown of one that a client was faster to make. It never replaces what a
/// client has set, and a second registration of the same user changes nothing.
///
/// # Errors
///
/// Rejected where the payload does not fit, or is about another user than the record's key names.
pub fn on_event(event: Event, state: Option<Profile>, context: Context) -> Result<Outcome<Profile>, Failure> {
    let created: Created = event.payload()?;
    if created.user_id != event.key {
        return Err(rejected(
            "payload.userId is not the record's key, which is the user whose events these are",
        ));
    }
    let now = context.now_iso();
    let before = state.unwrap_or_else(|| Profile::begun(&now));
    if before.registered_at.is_some() {
        return Ok(Outcome::new());
    }
    let mut after = before.clone();
    after.registered_at = Some(created.created_at);
    fill(&mut after.email, Some(created.email));
    fill(&mut after.details.first_name, name(created.first_name));
    fill(&mut after.details.last_name, name(created.last_name));
    after.name_from_details();
    after.updated_at = now;
    let outcome = publish(
        Outcome::new(),
        &event.key,
        &Changes::default(),
        (&before.details, &after),
    );
    Ok(outcome.put(after))
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
