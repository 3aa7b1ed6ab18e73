//! The shape of a handler's state documents, for those that come from outside.

use jsonschema::Validator;
use serde_json::Value;

use super::{ContractError, compile};

/// The schema of the state documents, compiled. Without one every document fits.
#[derive(Debug, Default)]
pub struct StateShape(Option<Validator>);

/// One way in which a document does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// JSON pointer to the value that is wrong, inside the document; empty for the document itself.
    pub place: String,
    /// What is wrong with it. Says the rule and never the value, which is a user's.
    pub problem: String,
}

impl StateShape {
    /// The shape of a schema's text.
    pub(super) fn new(schema: Option<&str>) -> Result<Self, ContractError> {
        let validator = schema.map(compile).transpose().map_err(ContractError::BadStateSchema)?;
        Ok(Self(validator))
    }

    /// Whether there is a schema.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Every way in which the document does not fit, at most `most`; none if it fits.
    pub fn misfits(&self, document: &Value, most: usize) -> Vec<Misfit> {
        let Some(validator) = &self.0 else { return Vec::new() };
        let misfit = |error: jsonschema::ValidationError<'_>| Misfit {
            place: error.instance_path().to_string(),
            problem: error.masked().to_string(),
        };
        // Most documents fit, and to say only that is several times cheaper.
        if validator.is_valid(document) {
            return Vec::new();
        }
        validator.iter_errors(document).take(most).map(misfit).collect()
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
        assert_eq!(shape.misfits(&json!({ "a": 1, "b": "xy" }), 9), []);
        let misfits = shape.misfits(&json!({ "a": "secret", "b": "secret" }), 9);
        let mut places: Vec<_> = misfits.iter().map(|misfit| misfit.place.as_str()).collect();
        places.sort_unstable();
        assert_eq!(places, ["/a", "/b"]);
        assert!(!format!("{misfits:?}").contains("secret"), "{misfits:?}");
        assert_eq!(shape.misfits(&json!({ "a": "", "b": "" }), 1).len(), 1);
    }

    #[test]
    fn without_a_schema_everything_fits() {
        let shape = StateShape::new(None).expect("nothing to read");
        assert!(!shape.is_known());
        assert_eq!(shape.misfits(&json!([1]), 9), []);
    }
}
