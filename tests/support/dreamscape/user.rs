//! A user of DreamScape, with a token.

use serde_json::{Value, json};

use super::form::Form;
use super::token::signed;
use crate::Result;
use crate::client::{Ask, Client, Reply};

/// The path of one's own profile; that of a user has their id behind it.
pub const OWN: &str = "/api/v1/users/profile";
/// A second of the year 2100.
const LATER: i64 = 4_102_444_800;

/// Somebody who uses the service.
#[derive(Clone, Debug)]
pub struct User {
    /// Their id, which is the key of their events.
    pub id: String,
    client: Client,
}

impl User {
    pub(super) fn new(id: &str, client: Client) -> Self {
        Self {
            id: id.to_owned(),
            client,
        }
    }

    /// Somebody else on the same connections.
    #[must_use]
    pub fn called(&self, id: &str) -> Self {
        Self::new(id, self.client.clone())
    }

    /// The claims of their token.
    pub fn claims(&self) -> Value {
        json!({ "userId": self.id, "email": self.token_email(), "type": "access", "exp": LATER })
    }

    /// The address in their token.
    pub fn token_email(&self) -> String {
        format!("{}@token.example", self.id)
    }

    /// Their token.
    pub fn token(&self) -> String {
        signed(&self.claims())
    }

    /// The path of their profile.
    pub fn path(&self) -> String {
        format!("{OWN}/{}", self.id)
    }

    /// Their client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `GET`: everything they have set.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn settings(&self) -> Result<Reply> {
        self.client.ask(&Ask::new("GET", OWN).token(&self.token()))
    }

    /// `PUT` of the settings form.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn put(&self, form: &Value) -> Result<Reply> {
        self.client.ask(&self.putting(form))
    }

    /// The request of [`User::put`], to be given more headers.
    pub fn putting(&self, form: &Value) -> Ask {
        Ask::new("PUT", OWN).token(&self.token()).json(form)
    }

    /// `POST` of a new profile, without a token, as the present clients do.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn create(&self, body: &Value) -> Result<Reply> {
        self.client.ask(&Ask::new("POST", &self.path()).json(body))
    }

    /// `POST` of a picture, likewise.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn picture(&self, form: &Form) -> Result<Reply> {
        self.client.ask(&self.picturing(form))
    }

    /// The request of [`User::picture`], to be given more headers.
    pub fn picturing(&self, form: &Form) -> Ask {
        Ask::new("POST", &format!("{}/avatar", self.path())).body(&Form::media_type(), &form.bytes())
    }

    /// `DELETE` of the profile, likewise.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn delete(&self) -> Result<Reply> {
        self.client.ask(&Ask::new("DELETE", &self.path()))
    }
}
