//! Counts how often a user was seen.
//!
//! A handler is a pure function: an event and the state of its key go in, a new state and new events come out. It sees
//! no clock, no network and no disk, so the same input always gives the same outcome.

use sandman_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// The payload of the event that comes in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    user_id: String,
}

/// The state: one document for each key.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    times: u64,
}

/// The payload of the event that goes out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserSeen<'a> {
    user_id: &'a str,
    times: u64,
}

/// What comes in and what may go out; the host holds it against `sandman.toml`.
fn describe() -> Contract {
    Contract::new()
        .consumes("user.created", ["1.0"])
        .emits("user.seen", "1.0")
}

/// The handler itself.
fn on_event(event: Event, state: Option<Seen>, _: Context) -> Result<Outcome<Seen>, Failure> {
    let Created { user_id } = event.payload()?;
    let times = state.unwrap_or_default().times + 1;
    log::info(format!("seen {times} times"));
    let payload = UserSeen {
        user_id: &user_id,
        times,
    };
    let outcome = Outcome::new().emit("user.seen", "1.0", &payload);
    Ok(outcome.put(Seen { times }))
}

sandman_sdk::export!(describe, event = on_event);

#[cfg(test)]
mod tests;
