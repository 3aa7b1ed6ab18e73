//! What is kept of a user.

use serde::{Deserialize, Serialize};

/// JSON Schema of [`Profile`]. A value that no event could carry has no place in it.
pub const SCHEMA: &str = include_str!("../schemas/state-1.json");

/// A user's profile as it is stored. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Profile {
    /// The name shown to others; `username` in events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address to write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What `user.profile.updated` carries.
    pub details: Details,
    /// `createdAt` of `user.created`; absent while that event has not come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<String>,
    /// Whether a `POST` has made it; [`is_posted`](Self::is_posted) tells it of documents of earlier versions too.
    pub claimed: bool,
    /// When it was begun, ISO 8601.
    pub created_at: String,
    /// When it last changed, ISO 8601.
    pub updated_at: String,
}

/// The part of a profile that `user.profile.updated` carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Where the picture is: a URL or an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// ISO 8601 date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_of_birth: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nationality: Option<String>,
}

impl Profile {
    /// A profile that begins now.
    pub fn begun(now: &str) -> Self {
        Self {
            created_at: now.to_owned(),
            updated_at: now.to_owned(),
            ..Self::default()
        }
    }

    /// Whether a `POST` has made it, so that the next one is refused. Earlier versions set `claimed` for a `PUT` as well, but a
    /// `POST` leaves both names.
    pub fn is_posted(&self) -> bool {
        self.claimed && self.details.first_name.is_some() && self.details.last_name.is_some()
    }

    /// The first and last name as one, where the profile has no name of its own yet. It is where the name begins, not a
    /// change of it.
    pub fn name_from_details(&mut self) {
        if self.name.is_none() {
            let parts = [&self.details.first_name, &self.details.last_name];
            let whole = parts
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" ");
            self.name = (!whole.is_empty()).then_some(whole);
        }
    }
}
