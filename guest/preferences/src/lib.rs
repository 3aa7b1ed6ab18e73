//! DreamScape's user preferences: language and currency, notifications, privacy, travel.
//!
//! The sections of the settings form come by `PUT` (or with the profile's `POST`). What other services act on is
//! published as `user.preferences.updated`; privacy, time zone, newsletter and the form's older travel lists are kept and
//! given back only.

pub mod codes;
pub mod events;
pub mod form;
pub mod requests;
pub mod rules;
pub mod state;

use sandman_sdk::prelude::*;

pub use requests::on_request;

/// What the handler emits and serves.
pub fn describe() -> Contract {
    Contract::new()
        .emits_schema(events::UPDATED, events::VERSION, events::UPDATED_SCHEMA)
        .serves("GET", requests::OWN)
        .serves("PUT", requests::OWN)
        .serves("POST", requests::OF_USER)
        .serves("DELETE", requests::OF_USER)
        .state_version(1)
        .state_schema(state::SCHEMA)
}

sandman_sdk::export!(describe, request = on_request);

#[cfg(test)]
mod tests;
