//! The shape of payloads.

use std::sync::Arc;

use serde_json::Value;

use super::{ContractError, Misfit, TermsError};
use crate::json;
use crate::schema::{Schema, SchemaPlace};

/// The compiled schema of a payload; `None` accepts everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape(Option<Arc<Schema>>);

impl Shape {
    pub(super) fn new(event_type: &str, version: &str, schema: Option<&str>) -> Result<Self, ContractError> {
        let Some(text) = schema else { return Ok(Self(None)) };
        let bad = |message: String| ContractError::BadSchema {
            event_type: event_type.to_owned(),
            version: version.to_owned(),
            message,
        };
        let schema = Schema::parse(text).map_err(|error| bad(error.to_string()))?;
        Ok(Self(Some(Arc::new(schema))))
    }

    /// Whether the schema allows a key at a place in the payload.
    pub(super) fn place(&self, way: &[String]) -> SchemaPlace {
        self.0.as_ref().map_or(SchemaPlace::Open, |schema| schema.place(way))
    }

    pub(super) fn check(&self, event_type: &str, version: &str, payload: &str) -> Result<(), TermsError> {
        let Some(schema) = &self.0 else { return Ok(()) };
        let wrong = |place: String, message: String| TermsError::Payload {
            event_type: event_type.to_owned(),
            version: version.to_owned(),
            place,
            message,
        };
        let costly = |over| TermsError::TooCostly {
            event_type: event_type.to_owned(),
            version: version.to_owned(),
            over,
        };
        Schema::takes(payload.len()).map_err(costly)?;
        let value: Value =
            json::lenient(payload).map_err(|error| wrong(json::unreadable(payload), error.to_string()))?;
        let misfits = schema.misfits(&value, payload.len(), 1).map_err(costly)?;
        let misfit = misfits.into_iter().next();
        misfit.map_or(Ok(()), |Misfit { place, problem }| Err(wrong(place, problem)))
    }
}
