//! What `GET` and `PUT` answer: every section complete, with a default for what was never set.

use serde::Serialize;

use crate::state::{General, Preferences, Privacy, TravelLists, TravelPreferences};

/// The sections of the settings form that this handler keeps.
#[derive(Serialize)]
pub struct Shown<'a> {
    preferences: ShownGeneral<'a>,
    notifications: ShownNotifications,
    privacy: ShownPrivacy<'a>,
    travel: ShownTravel<'a>,
}

#[derive(Serialize)]
struct ShownGeneral<'a> {
    language: &'a str,
    currency: &'a str,
    timezone: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownNotifications {
    deal_alerts: bool,
    trip_reminders: bool,
    price_alerts: bool,
    newsletter: bool,
}

/// The privacy that is in force.
#[derive(PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownPrivacy<'a> {
    profile_visibility: &'a str,
    data_sharing: bool,
    marketing: bool,
}

/// The lists, and what the form does not have only where it was chosen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownTravel<'a> {
    preferred_destinations: &'a [String],
    accommodation_type: &'a [String],
    activities: &'a [String],
    dietary: &'a [String],
    #[serde(skip_serializing_if = "TravelPreferences::is_empty")]
    travel_preferences: &'a TravelPreferences,
}

impl General {
    /// The language as the user chose it: by its code or by its name.
    pub fn shown_language(&self) -> &str {
        let chosen = self.language_name.as_deref().or(self.language.as_deref());
        chosen.unwrap_or("English")
    }

    /// The currency.
    pub fn shown_currency(&self) -> &str {
        self.currency.as_deref().unwrap_or("USD")
    }

    /// The time zone.
    pub fn shown_timezone(&self) -> &str {
        self.timezone.as_deref().unwrap_or("UTC")
    }
}

impl<'a> ShownPrivacy<'a> {
    /// The privacy, with the defaults.
    pub fn of(privacy: &'a Privacy) -> Self {
        Self {
            profile_visibility: privacy.profile_visibility.as_deref().unwrap_or("public"),
            data_sharing: privacy.data_sharing.unwrap_or(false),
            marketing: privacy.marketing.unwrap_or(true),
        }
    }
}

impl<'a> Shown<'a> {
    /// All of the preferences.
    pub fn of(preferences: &'a Preferences) -> Self {
        let (general, switches) = (&preferences.general, preferences.notifications);
        let TravelLists {
            preferred_destinations,
            accommodation_type,
            activities,
            dietary,
        } = &preferences.travel_lists;
        Self {
            preferences: ShownGeneral {
                language: general.shown_language(),
                currency: general.shown_currency(),
                timezone: general.shown_timezone(),
            },
            notifications: ShownNotifications {
                deal_alerts: switches.email,
                trip_reminders: switches.sms,
                price_alerts: switches.push,
                newsletter: preferences.newsletter.unwrap_or(false),
            },
            privacy: ShownPrivacy::of(&preferences.privacy),
            travel: ShownTravel {
                preferred_destinations,
                accommodation_type,
                activities,
                dietary,
                travel_preferences: &preferences.travel_preferences,
            },
        }
    }
}
