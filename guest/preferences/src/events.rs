//! The event of a user's preferences, to the letter of its documentation (`docs/events.md`).

use serde::Serialize;

use crate::form::Named;
use crate::state::{Notifications, Preferences, TravelPreferences};

/// Preferences have changed.
pub const UPDATED: &str = "user.preferences.updated";
/// Its version.
pub const VERSION: &str = "1.0";
/// JSON Schema of [`Updated`].
pub const UPDATED_SCHEMA: &str = include_str!("../schemas/user.preferences.updated-1.0.json");

/// Payload of [`UPDATED`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Updated<'a> {
    user_id: &'a str,
    preferences: Sections<'a>,
    updated_at: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sections<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notifications: Option<Notifications>,
    #[serde(skip_serializing_if = "Option::is_none")]
    travel_preferences: Option<&'a TravelPreferences>,
}

impl<'a> Updated<'a> {
    /// What to publish of a change: `None` if nothing that events carry is different. The sections are those that the
    /// request named, each whole.
    pub fn of(user_id: &'a str, named: Named, before: &Preferences, after: &'a Preferences) -> Option<Self> {
        let same = before.general.language == after.general.language
            && before.general.currency == after.general.currency
            && before.notifications == after.notifications
            && before.travel_preferences == after.travel_preferences;
        if same {
            return None;
        }
        let general = named.general.then_some(&after.general);
        let preferences = Sections {
            language: general.and_then(|general| general.language.as_deref()),
            currency: general.and_then(|general| general.currency.as_deref()),
            notifications: named.notifications.then_some(after.notifications),
            travel_preferences: named.travel.then_some(&after.travel_preferences),
        };
        Some(Self {
            user_id,
            preferences,
            updated_at: &after.updated_at,
        })
    }
}
