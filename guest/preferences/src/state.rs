//! What is kept of a user's preferences.

use serde::{Deserialize, Deserializer, Serialize};

/// JSON Schema of [`Preferences`]. A value that no event could carry has no place in it.
pub const SCHEMA: &str = include_str!("../schemas/state-1.json");

/// A user's preferences as they are stored. What was never chosen is absent, except for the notification switches,
/// which begin as on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preferences {
    /// Language, currency and time zone.
    pub general: General,
    /// Which notifications to send.
    pub notifications: Notifications,
    /// Whether the newsletter is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newsletter: Option<bool>,
    /// Who sees what.
    pub privacy: Privacy,
    /// Seat, meal and class.
    pub travel_preferences: TravelPreferences,
    /// The form's older lists.
    pub travel_lists: TravelLists,
    /// When anything last changed, ISO 8601.
    pub updated_at: String,
}

/// The `preferences` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct General {
    /// ISO 639-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The language as the client wrote it, where that was a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_name: Option<String>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The name of a time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// The notification switches, by the names that events use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notifications {
    /// `dealAlerts` on the form.
    pub email: bool,
    /// `tripReminders` on the form.
    pub sms: bool,
    /// `priceAlerts` on the form.
    pub push: bool,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            email: true,
            sms: true,
            push: true,
        }
    }
}

/// The `privacy` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Privacy {
    /// Who sees the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_visibility: Option<String>,
    /// Whether data may be shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_sharing: Option<bool>,
    /// Whether marketing is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marketing: Option<bool>,
}

/// Seat, meal and class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TravelPreferences {
    /// One of [`SEATS`](crate::rules::SEATS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_preference: Option<String>,
    /// One of [`MEALS`](crate::rules::MEALS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meal_preference: Option<String>,
    /// One of [`CLASSES`](crate::rules::CLASSES).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_preference: Option<String>,
}

impl TravelPreferences {
    /// Whether nothing was ever chosen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The older lists of the `travel` section. A list that was never set is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TravelLists {
    /// Where a user would like to go.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list_or_text")]
    pub preferred_destinations: Vec<String>,
    /// Where they like to stay.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list_or_text")]
    pub accommodation_type: Vec<String>,
    /// What they like to do.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list_or_text")]
    pub activities: Vec<String>,
    /// What they eat, or do not.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list_or_text")]
    pub dietary: Vec<String>,
}

/// A list as it is put now, or the single text that earlier versions put where a client had sent one.
fn list_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ListOrText {
        List(Vec<String>),
        Text(String),
    }
    Ok(match ListOrText::deserialize(deserializer)? {
        ListOrText::List(list) => list,
        ListOrText::Text(text) if text.is_empty() => Vec::new(),
        ListOrText::Text(text) => vec![text],
    })
}
