//! Building what a handler says of itself.

use crate::{ConsumedType, Contract, EmittedType, ServedRoute};

impl Contract {
    /// A contract that names nothing yet.
    pub fn new() -> Self {
        Self {
            consumes: Vec::new(),
            emits: Vec::new(),
            routes: Vec::new(),
            state_version: 0,
            state_schema: None,
        }
    }

    /// The handler consumes these payload versions of an event type. `1.0` stands for itself and for every later `1.x`, `=1.0`
    /// for that version alone.
    #[must_use]
    pub fn consumes<const N: usize>(self, event_type: &str, versions: [&str; N]) -> Self {
        self.consume(event_type, &versions, None)
    }

    /// As [`consumes`](Self::consumes), with the payload's JSON Schema: the host turns away what does not fit. Let it pass
    /// fields that it does not know, which later versions add.
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

    /// The handler may publish this event type in this version.
    #[must_use]
    pub fn emits(self, event_type: &str, version: &str) -> Self {
        self.emit(event_type, version, None)
    }

    /// As [`emits`](Self::emits), with the payload's JSON Schema: the host refuses an outcome that does not fit.
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

    /// The handler serves this route.
    #[must_use]
    pub fn serves(mut self, method: &str, path: &str) -> Self {
        self.routes.push(ServedRoute {
            method: method.to_owned(),
            path: path.to_owned(),
        });
        self
    }

    /// The handler takes the documents of `sandman import`, as requests of [`IMPORT`](crate::IMPORT): what it puts is what
    /// is imported, and a reply of 400 or above refuses the document with its `error`.
    #[must_use]
    pub fn imports(self) -> Self {
        let (method, path) = crate::IMPORT;
        self.serves(method, path)
    }

    /// The version of the format of the state documents, from 0. A handler reads those of the two versions before, at least.
    #[must_use]
    pub fn state_version(mut self, version: u32) -> Self {
        self.state_version = version;
        self
    }

    /// The JSON Schema of the state documents: `sandman import` takes no document that does not fit. The host does not
    /// check what the handler itself puts; a native test should, for each outcome it looks at.
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
