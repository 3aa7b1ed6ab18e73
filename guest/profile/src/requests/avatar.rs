//! `POST …/avatar`: the host has stored the file; its address becomes the profile's picture.

use sandman_sdk::prelude::*;
use serde_json::json;

use super::{Whole, refuse};
use crate::events::{Changes, publish};
use crate::state::Profile;

/// Largest picture, in bytes.
const LARGEST: u64 = 2 << 20;

/// Kinds of picture, as the host knows them by their content.
const KINDS: [&str; 3] = ["image/jpeg", "image/png", "image/gif"];

pub(super) fn avatar(request: &Request, state: Option<Profile>, now: &str) -> Outcome<Profile> {
    let [file] = request.files.as_slice() else {
        return refuse(400, "avatar must be one file");
    };
    if file.field != "avatar" {
        return refuse(400, "avatar is required: the file came in another field");
    }
    if !KINDS.contains(&file.media_type.as_str()) {
        return refuse(400, "avatar must be a JPEG, PNG or GIF picture");
    }
    if file.size > LARGEST {
        return refuse(400, "avatar must be 2 MB at most");
    }
    let Some(before) = state else {
        return refuse(404, "Profile not found");
    };
    let mut after = before.clone();
    after.details.avatar = Some(file.url.clone());
    now.clone_into(&mut after.updated_at);
    let reply = json!({
        "message": "Avatar updated successfully",
        "avatar": file.url,
        "profile": Whole::of(&request.key, &after),
    });
    let outcome = Outcome::new().reply(200, &reply);
    publish(outcome, &request.key, &Changes::default(), (&before.details, &after)).put(after)
}
