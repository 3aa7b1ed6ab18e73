//! Typed access to what calls a handler.

use serde::de::DeserializeOwned;

use crate::locate::describe_fault;
use crate::objects;
use crate::{Context, Event, Failure, Request, rejected};

impl Event {
    /// The payload as the type that the handler works with.
    ///
    /// # Errors
    ///
    /// Rejected, with the field that does not fit named, for example
    /// ``user.created 1.0: payload.age: invalid type: string, expected u8``.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read("payload", &self.payload).map_err(|fault| self.fault(&fault))
    }

    /// The metadata as the type that the handler works with; `None` if the event has none.
    ///
    /// # Errors
    ///
    /// Rejected, with the field that does not fit named.
    pub fn metadata<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let metadata = self.metadata.as_deref().map(|text| read("metadata", text));
        metadata.transpose().map_err(|fault| self.fault(&fault))
    }

    fn fault(&self, fault: &str) -> Failure {
        rejected(format!("{} {}: {fault}", self.event_type, self.version))
    }
}

impl Request {
    /// The body as the type that the handler works with. A request without a body reads as JSON's `null`.
    ///
    /// # Errors
    ///
    /// Rejected, with the field that does not fit named. A handler that would rather answer 400 itself reads the text
    /// in `body`.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        read("body", self.body.as_deref().unwrap_or("null")).map_err(|fault| self.fault(&fault))
    }

    /// The token's claims as the type that the handler works with; `None` if no token was sent.
    ///
    /// # Errors
    ///
    /// Rejected, with the claim that does not fit named.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let claims = self.claims.as_deref().map(|text| read("claims", text));
        claims.transpose().map_err(|fault| self.fault(&fault))
    }

    /// The path parameter of that name.
    pub fn param(&self, name: &str) -> Option<&str> {
        first(&self.params, name)
    }

    /// The first query parameter of that name.
    pub fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    fn fault(&self, fault: &str) -> Failure {
        rejected(format!("{} {}: {fault}", self.method, self.route))
    }
}

impl Context {
    /// The handler's settings as the type that it works with.
    ///
    /// # Errors
    ///
    /// Rejected, with the setting that does not fit named.
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
