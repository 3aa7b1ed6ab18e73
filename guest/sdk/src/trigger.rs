//! Typed access to triggers.

use serde::de::DeserializeOwned;

use crate::locate::describe_fault;
use crate::objects;
use crate::{Context, Event, Failure, Request, rejected};

impl Event {
    /// Reads the payload as the handler's type.
    ///
    /// # Errors
    ///
    /// Rejected, with the name of the invalid field, for example
    /// ``user.created 1.0: payload.age: invalid type: string, expected u8``.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read("payload", &self.payload).map_err(|fault| self.fault(&fault))
    }

    /// Reads the metadata as the handler's type; `None` if the event has none.
    ///
    /// # Errors
    ///
    /// Rejected, with the name of the invalid field.
    pub fn metadata<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let metadata = self.metadata.as_deref().map(|text| read("metadata", text));
        metadata.transpose().map_err(|fault| self.fault(&fault))
    }

    fn fault(&self, fault: &str) -> Failure {
        rejected(format!("{} {}: {fault}", self.event_type, self.version))
    }
}

impl Request {
    /// Reads the body as the handler's type. A request without a body is read as JSON `null`.
    ///
    /// # Errors
    ///
    /// Rejected, with the name of the invalid field. A handler that answers 400 itself should read the text
    /// in `body` instead.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read("body", self.body.as_deref().unwrap_or("null")).map_err(|fault| self.fault(&fault))
    }

    /// Reads the token's claims as the handler's type; `None` if no token was sent.
    ///
    /// # Errors
    ///
    /// Rejected, with the name of the invalid claim.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let claims = self.claims.as_deref().map(|text| read("claims", text));
        claims.transpose().map_err(|fault| self.fault(&fault))
    }

    /// The path parameter with this name.
    pub fn param(&self, name: &str) -> Option<&str> {
        first(&self.params, name)
    }

    /// The first query parameter with this name.
    pub fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    fn fault(&self, fault: &str) -> Failure {
        rejected(format!("{} {}: {fault}", self.method, self.route))
    }
}

impl Context {
    /// Reads the handler's settings as its own type.
    ///
    /// # Errors
    ///
    /// Rejected, with the name of the invalid setting.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read("settings", &self.settings).map_err(rejected)
    }
}

fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, String> {
    objects::read(text).map_err(|fault| describe_fault(what, text, &fault))
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}
