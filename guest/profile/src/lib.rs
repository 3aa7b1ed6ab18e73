//! DreamScape's user profile: who a user is and how they are reached.
//!
//! A profile begins with `user.created`, a `POST` or a `PUT`, whichever comes first. What clients change of it is
//! published: the account (`username`, `email`) as `user.updated`, a profile that was created by `POST` and a new photo
//! as `user.profile.updated`. The HTTP surface is that of the service this replaces; what a client sends is read in
//! [`rules`], field by field.

pub mod codes;
pub mod created;
pub mod events;
pub mod requests;
pub mod rules;
pub mod state;

use sandman_sdk::prelude::*;

pub use created::on_event;
pub use requests::on_request;

/// What the handler consumes, emits and serves.
pub fn describe() -> Contract {
    Contract::new()
        .consumes_schema(events::CREATED, [events::VERSION], events::CREATED_SCHEMA)
        .emits_schema(events::UPDATED, events::VERSION, events::UPDATED_SCHEMA)
        .emits_schema(events::PROFILE_UPDATED, events::VERSION, events::PROFILE_UPDATED_SCHEMA)
        .serves("GET", requests::OWN)
        .serves("PUT", requests::OWN)
        .serves("POST", requests::OF_USER)
        .serves("DELETE", requests::OF_USER)
        .serves("POST", requests::AVATAR)
        .imports()
        .state_version(1)
        .state_schema(state::SCHEMA)
}

sandman_sdk::export!(describe, event = on_event, request = on_request);

#[cfg(test)]
mod tests;
