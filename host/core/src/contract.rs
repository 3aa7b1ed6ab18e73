//! The declaration of a handler (`describe`), and whether it fits the grants of the configuration.
//!
//! Pure: the sandbox reads a [`Contract`], the configuration has the [`Grant`], and [`Terms`] is what they agree on.

mod bounds;
mod shape;
mod state;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use thiserror::Error;

pub use crate::schema::Misfit;
pub use state::StateShape;

use crate::event::EventKey;
use crate::schema::{OverBudget, SchemaPlace, at};
use shape::Shape;
use versions::Versions;

/// How many state versions before its own a handler must be able to read; DreamScape requires as many of events.
pub const STATE_VERSIONS_BACK: u32 = 2;

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
    /// JSON Schema of the state documents, as JSON text; `None` is not checked.
    pub state_schema: Option<String>,
}

impl Contract {
    /// Whether it has this route (method, path).
    fn serves(&self, (method, path): (&str, &str)) -> bool {
        let mut routes = self.routes.iter();
        routes.any(|route| route.method == method && route.path == path)
    }
}

/// One event type that a handler consumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumes {
    /// The event type, for example `user.created`.
    pub event_type: String,
    /// The payload versions it reads: `1.0` is every `1.x` from there on, `=1.0` that one alone.
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

/// Method and route of the request with which `sandman import` hands a document to a handler that declares it. No
/// client can send it, because it is neither an HTTP method nor a path.
pub const IMPORT: (&str, &str) = ("IMPORT", "state");

/// What the configuration grants a handler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Event types in the handler's `emits`.
    pub emits: BTreeSet<String>,
    /// Whether the handler has topics to consume.
    pub has_topics: bool,
    /// Routes (method, path) that name the handler.
    pub routes: BTreeSet<(String, String)>,
}

impl Grant {
    /// Everything that a contract asks for: the grant of a component that runs without a configuration.
    pub fn all(contract: &Contract) -> Self {
        Self {
            emits: contract.emits.iter().map(|emits| emits.event_type.clone()).collect(),
            has_topics: !contract.consumes.is_empty(),
            routes: contract
                .routes
                .iter()
                .map(|route| (route.method.clone(), route.path.clone()))
                .collect(),
        }
    }
}

/// How a component's contract does not fit what the configuration grants, or contradicts itself.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ContractError {
    /// The handler may publish something it was not granted.
    #[error("it emits `{0}`, which `emits` of the handler does not list; add it there, or take it out of the contract")]
    NotGranted(String),
    /// The handler is given topics, but says that it consumes nothing.
    #[error("it has `topics` but consumes no event type; list the types in its contract, or remove `topics`")]
    ConsumesNothing,
    /// The handler is given a route that it does not serve.
    #[error("the configuration gives it the route `{0}`, which its contract does not serve")]
    RouteNotServed(String),
    /// A schema is invalid or exceeds the limits.
    #[error("the schema of `{event_type}` {version} cannot be used: {message}")]
    BadSchema {
        /// The event type.
        event_type: String,
        /// Its version.
        version: String,
        /// What is wrong with it.
        message: String,
    },
    /// A version has no name, or one that only a consumer can declare.
    #[error("`{version}` is not a version of `{event_type}`")]
    BadVersion {
        /// The event type.
        event_type: String,
        /// The name that is not a version.
        version: String,
    },
    /// The schema of the state is invalid or exceeds the limits.
    #[error("the schema of its state cannot be used: {0}")]
    BadStateSchema(String),
}

/// Why an incoming or outgoing event violates the contract. The text goes into the dead letter.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TermsError {
    /// The handler does not read the version of an incoming event.
    #[error("version `{version}` of `{event_type}` is not consumed; the handler reads {known}")]
    UnknownVersion {
        /// The event type.
        event_type: String,
        /// The version it has.
        version: String,
        /// The versions the handler reads.
        known: String,
    },
    /// The handler emitted an event that its contract does not declare.
    #[error("the handler emitted `{event_type}` {version}, which its contract does not declare")]
    NotDeclared {
        /// The event type.
        event_type: String,
        /// Its version.
        version: String,
    },
    /// A payload does not fit its schema.
    #[error(
        "the payload of `{event_type}` {version} does not fit its schema {}: {message}",
        at(place)
    )]
    Payload {
        /// The event type.
        event_type: String,
        /// Its version.
        version: String,
        /// JSON pointer to the value that is wrong; empty for the payload itself.
        place: String,
        /// What is wrong with it: the rule, never the value.
        message: String,
    },
    /// Checking the payload exceeds the limits.
    #[error("the payload of `{event_type}` {version} cannot be checked: {over}")]
    TooCostly {
        /// The event type.
        event_type: String,
        /// Its version.
        version: String,
        /// The bound.
        over: OverBudget,
    },
}

/// A contract that fits its grant, as the pipeline uses it: which events come in, which may go out, and to which topics.
#[derive(Debug, Default)]
pub struct Terms {
    consumes: HashMap<String, Versions<Shape>>,
    emits: HashMap<String, Emission>,
    state: StateShape,
    state_version: u32,
    takes_imports: bool,
}

#[derive(Debug)]
struct Emission {
    topic: Arc<str>,
    versions: HashMap<String, Shape>,
}

/// How the contract treats an incoming event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// It is for the handler.
    Consumed,
    /// The handler does not consume its type.
    Ignored,
}

impl Terms {
    /// Compares a component's contract with what the configuration grants. `topic` names the topic of an event type.
    ///
    /// # Errors
    /// Every way in which the two do not fit.
    pub fn new(
        contract: &Contract,
        grant: &Grant,
        topic: impl Fn(&str) -> Arc<str>,
    ) -> Result<Self, Vec<ContractError>> {
        let mut terms = Self {
            state_version: contract.state_version,
            takes_imports: contract.serves(IMPORT),
            ..Self::default()
        };
        let mut errors = Vec::new();
        if grant.has_topics && contract.consumes.is_empty() {
            errors.push(ContractError::ConsumesNothing);
        }
        for (method, path) in &grant.routes {
            if !contract.serves((method, path)) {
                errors.push(ContractError::RouteNotServed(format!("{method} {path}")));
            }
        }
        for consumes in &contract.consumes {
            terms.consume(consumes, &mut errors);
        }
        for Emits {
            event_type,
            version,
            schema,
        } in &contract.emits
        {
            if !grant.emits.contains(event_type) {
                errors.push(ContractError::NotGranted(event_type.clone()));
            }
            if version.is_empty() || version.starts_with('=') {
                errors.push(bad_version(event_type, version));
            }
            match Shape::new(event_type, version, schema.as_deref()) {
                Ok(shape) => {
                    let emission = terms.emits.entry(event_type.clone()).or_insert_with(|| Emission {
                        topic: topic(event_type),
                        versions: HashMap::new(),
                    });
                    emission.versions.insert(version.clone(), shape);
                }
                Err(error) => errors.push(error),
            }
        }
        match StateShape::new(contract.state_schema.as_deref()) {
            Ok(shape) => terms.state = shape,
            Err(error) => errors.push(error),
        }
        if errors.is_empty() { Ok(terms) } else { Err(errors) }
    }

    fn consume(&mut self, consumes: &Consumes, errors: &mut Vec<ContractError>) {
        let Consumes {
            event_type,
            versions,
            schema,
        } = consumes;
        // Compiled once, however many versions it is for.
        match Shape::new(event_type, &versions.join(", "), schema.as_deref()) {
            Ok(shape) => {
                for version in versions {
                    let known = self.consumes.entry(event_type.clone()).or_default();
                    if !known.add(version, shape.clone()) {
                        errors.push(bad_version(event_type, version));
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }

    /// The shape of the handler's states, for documents from outside: those that the handler itself puts are not checked.
    pub fn state(&self) -> &StateShape {
        &self.state
    }

    /// Whether the handler itself reads the documents of `sandman import`.
    pub fn takes_imports(&self) -> bool {
        self.takes_imports
    }

    /// The event types that the handler consumes, in alphabetical order.
    pub fn consumed(&self) -> Vec<&str> {
        let mut types: Vec<&str> = self.consumes.keys().map(String::as_str).collect();
        types.sort_unstable();
        types
    }

    /// Event types that the handler both consumes and emits to one of `topics`, its own: each such event causes another one.
    pub fn feeds_itself(&self, topics: &[Arc<str>]) -> Vec<&str> {
        let emits = self.emits.iter();
        let fed =
            emits.filter(|(name, emission)| self.consumes.contains_key(*name) && topics.contains(&emission.topic));
        fed.map(|(name, _)| name.as_str()).collect()
    }

    /// Payloads that, by their schemas, cannot have the handler's key or do not list it: their events become dead letters.
    pub fn without_key(&self, key: &EventKey) -> Vec<String> {
        let EventKey::Payload(pointer) = key else {
            return Vec::new();
        };
        let consumed = self.consumes.iter().flat_map(|(event_type, versions)| {
            let declared = versions.declared();
            declared.map(move |(version, shape)| (event_type, version, shape.place(pointer.tokens())))
        });
        let mut told: Vec<_> = consumed
            .filter_map(|(event_type, version, place)| {
                let why = match place {
                    SchemaPlace::Impossible => "cannot have a string or a number",
                    SchemaPlace::Unlisted => "has no member in its schema",
                    SchemaPlace::Open | SchemaPlace::Listed => return None,
                };
                Some(format!("the payload of `{event_type}` {version} {why} at `{pointer}`"))
            })
            .collect();
        told.sort_unstable();
        told
    }

    /// Version of the format of the state documents that the handler puts.
    pub fn state_version(&self) -> u32 {
        self.state_version
    }

    /// Whether an incoming event is for the handler, and fits.
    ///
    /// # Errors
    /// [`TermsError`] if the handler consumes the event type, but not this version or payload.
    pub fn incoming(&self, event_type: &str, version: &str, payload: &str) -> Result<Incoming, TermsError> {
        let Some(versions) = self.consumes.get(event_type) else {
            return Ok(Incoming::Ignored);
        };
        let Some(shape) = versions.find(version) else {
            return Err(TermsError::UnknownVersion {
                event_type: event_type.to_owned(),
                version: version.to_owned(),
                known: versions.told(),
            });
        };
        shape.check(event_type, version, payload)?;
        Ok(Incoming::Consumed)
    }

    /// The topic of an event that the handler emitted.
    ///
    /// # Errors
    /// [`TermsError`] if the contract does not declare it, or the payload does not fit.
    pub fn outgoing(&self, event_type: &str, version: &str, payload: &str) -> Result<Arc<str>, TermsError> {
        let declared = self.emits.get(event_type);
        let Some((emission, shape)) = declared.and_then(|emission| Some((emission, emission.versions.get(version)?)))
        else {
            return Err(TermsError::NotDeclared {
                event_type: event_type.to_owned(),
                version: version.to_owned(),
            });
        };
        shape.check(event_type, version, payload)?;
        Ok(Arc::clone(&emission.topic))
    }
}

fn bad_version(event_type: &str, version: &str) -> ContractError {
    ContractError::BadVersion {
        event_type: event_type.to_owned(),
        version: version.to_owned(),
    }
}
