//! `DELETE`: everything that is known of a user goes.

use sandman_sdk::prelude::*;
use serde_json::json;

use super::refuse;
use crate::state::Profile;

pub(super) fn remove(state: Option<Profile>) -> Outcome<Profile> {
    match state {
        Some(_) => Outcome::new()
            .delete()
            .reply(200, &json!({ "message": "Profile deleted successfully" })),
        None => refuse(404, "Profile not found"),
    }
}
