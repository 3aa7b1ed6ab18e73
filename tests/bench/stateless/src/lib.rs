//! The stateless work of the bench: publishes the profile that a request holds.

use sandman_sdk::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Requested {
    user_id: String,
    profile: Profile,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    first_name: String,
    last_name: String,
    phone: String,
    nationality: String,
}

/// What the handler consumes and emits.
pub fn describe() -> Contract {
    Contract::new()
        .consumes("user.profile.update.requested", ["1.0"])
        .emits("user.profile.updated", "1.0")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Updated {
    user_id: String,
    profile: Profile,
}

/// The handler itself.
///
/// # Errors
/// Rejected where the payload does not fit.
pub fn on_event(event: Event, _: Option<()>, _: Context) -> Result<Outcome<()>, Failure> {
    let Requested { user_id, profile } = event.payload()?;
    Ok(Outcome::new().emit("user.profile.updated", "1.0", &Updated { user_id, profile }))
}

sandman_sdk::export!(describe, event = on_event);
