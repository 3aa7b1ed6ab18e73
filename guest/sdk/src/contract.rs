//! Builds the contract of a handler.

use crate::{ConsumedType, Contract, EmittedType, ServedRoute};

impl Contract {
    /// Creates an empty contract.
    pub fn new() -> Self {
        Self {
            consumes: Vec::new(),
            emits: Vec::new(),
            routes: Vec::new(),
            state_version: 0,
            state_schema: None,
        }
    }

    /// Declares that the handler consumes these payload versions of an event type. `1.0` means `1.0` and every later `1.x`; `=1.0`
    /// means only that version.
    #[must_use]
    pub fn consumes<const N: usize>(self, event_type: &str, versions: [&str; N]) -> Self {
        self.consume(event_type, &versions, None)
    }

    /// Like [`consumes`](Self::consumes), with a JSON Schema for the payload. The host rejects payloads that do not match it. The schema
    /// should allow unknown fields, because later versions add some.
    #[must_use]
    pub fn consumes_schema<const N: usize>(self, event_type: &str, versions: [&str; N], schema: &str) -> Self {
        self.consume(event_type, &versions, Some(schema))
    }

    fn consume(mut self, event_type: &str, versions: &[&str], schema: Option<&str>) -> Self {
        self.consumes.push(ConsumedType {
            event_type: event_type.to_owned(),
            versions: versions.iter().map(|version| (*version).to_owned()).collect(),
            schema: schema.map(str::to_owned),
        });
        self
    }

    /// Declares that the handler may publish this version of an event type.
    #[must_use]
    pub fn emits(self, event_type: &str, version: &str) -> Self {
        self.emit(event_type, version, None)
    }

    /// Like [`emits`](Self::emits), with a JSON Schema for the payload. The host rejects an outcome that does not match it.
    #[must_use]
    pub fn emits_schema(self, event_type: &str, version: &str, schema: &str) -> Self {
        self.emit(event_type, version, Some(schema))
    }

    fn emit(mut self, event_type: &str, version: &str, schema: Option<&str>) -> Self {
        self.emits.push(EmittedType {
            event_type: event_type.to_owned(),
            version: version.to_owned(),
            schema: schema.map(str::to_owned),
        });
        self
    }

    /// Declares that the handler serves this route.
    #[must_use]
    pub fn serves(mut self, method: &str, path: &str) -> Self {
        self.routes.push(ServedRoute {
            method: method.to_owned(),
            path: path.to_owned(),
        });
        self
    }

    /// Declares that the handler processes the documents of `sandman import` itself, as requests for [`IMPORT`](crate::IMPORT). The state that it
    /// puts is imported; a reply with a status of 400 or above rejects the document with the reply's `error`.
    #[must_use]
    pub fn imports(self) -> Self {
        let (method, path) = crate::IMPORT;
        self.serves(method, path)
    }

    /// Sets the version of the state format, starting at 0. A handler must be able to read at least the two previous versions.
    #[must_use]
    pub fn state_version(mut self, version: u32) -> Self {
        self.state_version = version;
        self
    }

    /// Sets the JSON Schema of the state documents. `sandman import` rejects documents that do not match it. The host does not
    /// validate the states that the handler puts; native tests should do so for each outcome.
    #[must_use]
    pub fn state_schema(mut self, schema: &str) -> Self {
        self.state_schema = Some(schema.to_owned());
        self
    }
}

impl Default for Contract {
    fn default() -> Self {
        Self::new()
    }
}
