//! `POST …/avatar`: the host has stored the file; its address becomes the profile's picture.

use sandman_sdk::prelude::*;
use serde_json::json;

use super::{Whole, claimed_email, refuse};
use crate::events::publish_profile;
use crate::state::Profile;

/// Largest picture, in bytes.
const LARGEST: u64 = 2 << 20;

/// Kinds of picture, as the host knows them by their content.
const KINDS: [&str; 3] = ["image/jpeg", "image/png", "image/gif"];

pub(super) fn avatar(request: &Request, state: Option<Profile>, now: &str) -> Result<Outcome<Profile>, Failure> {
    let [file] = request.files.as_slice() else {
        return Ok(refuse(400, "avatar must be one file"));
    };
    if file.field != "avatar" {
        return Ok(refuse(400, "avatar is required: the file came in another field"));
    }
    if !KINDS.contains(&file.media_type.as_str()) {
        return Ok(refuse(400, "avatar must be a JPEG, PNG or GIF picture"));
    }
    if file.size > LARGEST {
        return Ok(refuse(400, "avatar must be 2 MB at most"));
    }
    let Some(mut profile) = state else {
        return Ok(refuse(404, "Profile not found"));
    };
    profile.details.avatar = Some(file.url.clone());
    now.clone_into(&mut profile.updated_at);
    let email = claimed_email(request)?;
    let reply = json!({
        "message": "Avatar uploaded successfully",
        "avatar": file.url,
        "profile": Whole::of(&request.key, &profile, email.as_deref()),
    });
    let outcome = Outcome::new().reply(200, &reply);
    Ok(publish_profile(outcome, &request.key, &profile).put(profile))
}
