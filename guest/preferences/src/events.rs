//! The event of a user's preferences, to the letter of its documentation (`docs/dreamscape/events.md`).

use serde::Serialize;

use crate::form::Named;
use crate::shown::ShownPrivacy;
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
    /// What to publish of a change: `None` if nothing that others act on is different. The sections are those that the
    /// request named, each whole. Where it named none that the event carries, such as the privacy alone, they are all
    /// that is known, so that a receiver that acts on a change finds what it acts on.
    pub fn of(user_id: &'a str, named: Named, before: &Preferences, after: &'a Preferences) -> Option<Self> {
        if is_same(before, after) {
            return None;
        }
        let sections = Sections::of(named, after);
        Some(Self {
            user_id,
            preferences: if sections.is_empty() {
                Sections::of(Named::ALL, after)
            } else {
                sections
            },
            updated_at: &after.updated_at,
        })
    }
}

impl<'a> Sections<'a> {
    fn of(named: Named, preferences: &'a Preferences) -> Self {
        let general = named.general.then_some(&preferences.general);
        let travel = named.travel.then_some(&preferences.travel_preferences);
        Self {
            language: general.and_then(|general| general.language.as_deref()),
            currency: general.and_then(|general| general.currency.as_deref()),
            notifications: named.notifications.then_some(preferences.notifications),
            travel_preferences: travel.filter(|travel| !travel.is_empty()),
        }
    }

    fn is_empty(&self) -> bool {
        self.language.is_none()
            && self.currency.is_none()
            && self.notifications.is_none()
            && self.travel_preferences.is_none()
    }
}

/// Whether nobody would act on the difference. Language and currency are unset in events until they are set, so setting
/// one is a change; of all else only what is in force counts. The newsletter is nobody's concern, and neither is whether
/// the language was written by its code or by its name.
fn is_same(before: &Preferences, after: &Preferences) -> bool {
    let (one, other) = (&before.general, &after.general);
    one.language == other.language
        && one.currency == other.currency
        && one.shown_timezone() == other.shown_timezone()
        && before.notifications == after.notifications
        && before.travel_preferences == after.travel_preferences
        && ShownPrivacy::of(&before.privacy) == ShownPrivacy::of(&after.privacy)
        && before.travel_lists == after.travel_lists
}
