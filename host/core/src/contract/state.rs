//! The shape of a handler's state documents, for those that come from outside.

use serde_json::Value;

use super::ContractError;
use crate::schema::{Misfit, Schema};

/// The schema of the state documents, compiled. Without one every document fits.
#[derive(Debug, Default)]
pub struct StateShape(Option<Schema>);

impl StateShape {
    /// The shape of a schema's text.
    pub(super) fn new(schema: Option<&str>) -> Result<Self, ContractError> {
        let schema = schema.map(Schema::parse).transpose();
        Ok(Self(
            schema.map_err(|error| ContractError::BadStateSchema(error.to_string()))?,
        ))
    }

    /// Whether there is a schema.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Every way in which the document of `bytes` of text does not fit, at most `most`; none if it fits.
    pub fn misfits(&self, document: &Value, bytes: usize, most: usize) -> Vec<Misfit> {
        let Some(schema) = &self.0 else { return Vec::new() };
        schema.misfits(document, bytes, most).unwrap_or_else(|over| {
            vec![Misfit {
                place: String::new(),
                problem: format!("cannot be checked: {over}"),
            }]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &str =
        r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string","pattern":"^x"}}}"#;

    #[test]
    fn misfits_name_their_places_and_not_their_values() {
        let shape = StateShape::new(Some(SCHEMA)).expect("a schema");
        assert_eq!(shape.misfits(&json!({ "a": 1, "b": "xy" }), 9, 9), []);
        let misfits = shape.misfits(&json!({ "a": "secret", "b": "secret" }), 9, 9);
        let mut places: Vec<_> = misfits.iter().map(|misfit| misfit.place.as_str()).collect();
        places.sort_unstable();
        assert_eq!(places, ["/a", "/b"]);
        assert!(!format!("{misfits:?}").contains("secret"), "{misfits:?}");
        assert_eq!(shape.misfits(&json!({ "a": "", "b": "" }), 9, 1).len(), 1);
    }

    #[test]
    fn without_a_schema_everything_fits() {
        let shape = StateShape::new(None).expect("nothing to read");
        assert!(!shape.is_known());
        assert_eq!(shape.misfits(&json!([1]), 9, 9), []);
    }
}
