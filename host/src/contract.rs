//! What a handler says of itself (`describe`), and whether that fits what the configuration grants it.
//!
//! Pure: the sandbox fills a [`Contract`], the configuration gives the [`Grant`], and [`check`] compares the two.

use std::collections::BTreeSet;

/// What a component declares: what it consumes, emits and serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// Event types and versions the handler understands.
    pub consumes: Vec<Consumes>,
    /// Event types and versions the handler may publish, with the payload's JSON Schema.
    pub emits: Vec<Emits>,
    /// Routes the handler serves.
    pub routes: Vec<ServedRoute>,
    /// Version of the format of the handler's state documents, from 0.
    pub state_version: u32,
}

/// One event type that a handler consumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumes {
    /// The event type, for example `user.created`.
    pub event_type: String,
    /// The payload versions it reads, for example `1.0`.
    pub versions: Vec<String>,
    /// JSON Schema of the payload, as JSON text; `None` is not checked.
    pub schema: Option<String>,
}

/// One event type that a handler publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emits {
    /// The event type, for example `user.updated`.
    pub event_type: String,
    /// The payload version it writes.
    pub version: String,
    /// JSON Schema of the payload, as JSON text; `None` is not checked.
    pub schema: Option<String>,
}

/// One route that a handler serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedRoute {
    /// The HTTP method, upper case.
    pub method: String,
    /// The path as in `[[routes]]`, for example `/api/v1/users/profile`.
    pub path: String,
}

/// What the configuration grants a handler.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// Event types that `emits` of the handler lists.
    pub emits: BTreeSet<String>,
    /// Whether the handler has topics to consume.
    pub has_topics: bool,
    /// Routes (method, path) that name the handler.
    pub routes: BTreeSet<(String, String)>,
}
