//! DreamScape's user preferences: language and currency, notifications, privacy, travel.
//!
//! The sections of the settings form come by `PUT` (or with the profile's `POST`), and are answered complete. A change of
//! them is published as `user.preferences.updated`; privacy, time zone and the form's older travel lists are in no
//! payload, and the newsletter is kept only.

pub mod codes;
pub mod events;
pub mod form;
pub mod import;
pub mod languages;
pub mod requests;
pub mod rules;
pub mod shown;
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
        .imports()
        .state_version(1)
        .state_schema(state::SCHEMA)
}

sandman_sdk::export!(describe, request = on_request);

#[cfg(test)]
mod tests;
