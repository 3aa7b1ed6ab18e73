//! JSON Schema within limits: neither the schema nor the document that is checked is trusted.
//!
//! Pure. A schema is compiled once, and refused if it is too large, refers to other documents, or refers to itself
//! endlessly. A check counts its steps and its depth and gives up at a limit that depends only on the size of the
//! document, so that no pair of schema and document costs more; a node of the schema that is reached in several ways is
//! evaluated once for each value. The libraries that we considered have neither limit, and collect an error for each
//! branch.
//!
//! It supports the keywords of drafts 6, 7, 2019-09 and 2020-12 except `$dynamicRef`, `$recursiveRef` and
//! `unevaluated…`, which are refused by name. `format` and the `content…` keywords are not checked, as in 2020-12.

mod check;
mod compile;
mod cycles;
mod keywords;
mod nested;
mod nodes;
mod pattern;
mod place;
mod rule;
#[cfg(test)]
mod tests;
mod values;

use serde_json::Value;
use thiserror::Error;

use rule::{Node, NodeIx};

pub use place::SchemaPlace;

/// Bytes of the longest schema.
pub const SCHEMA_BYTES: usize = 256 << 10;
/// Bytes of the longest document that is checked against a schema; parsed, it takes up to 16 times as many.
const DOCUMENT_BYTES: usize = 8 << 20;
/// Schemas within one schema.
const NODES: usize = 10_000;
/// Bytes that the compiled patterns of one schema may take together.
const PATTERN_BYTES: usize = 4 << 20;
/// Steps that every check may take, about 10 ms.
const STEPS: u64 = 200_000;
/// Additional steps for each byte of the document.
const STEPS_PER_BYTE: u64 = 8;
/// Nested schemas while one value is checked; limits the stack.
const DEPTH: u32 = 512;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    nodes: Vec<Node>,
    root: NodeIx,
}

/// Why a schema is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SchemaError {
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// It exceeds a limit.
    #[error("it has more than {most} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// A keyword has an invalid value, or is not supported.
    #[error("{}: {problem}", at(place))]
    Keyword {
        /// JSON pointer to the schema that has it, inside the whole; empty for the whole itself.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A place as it is shown in a message: the empty pointer means the whole document.
pub(crate) fn at(place: &str) -> String {
    if place.is_empty() {
        "at the root".to_owned()
    } else {
        format!("at `{place}`")
    }
}

/// One way in which a document does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// JSON pointer to the value that is wrong, inside the document; empty for the document itself. A name that the schema
    /// does not have is `*`.
    pub place: String,
    /// What is wrong with it. Says the rule and never the value, which is a user's.
    pub problem: String,
}

/// A check that was not made, or was given up, because it exceeds a limit.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("checking it against its schema takes more than {0}")]
pub struct OverBudget(&'static str);

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// [`SchemaError`]: the first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        if text.len() > SCHEMA_BYTES {
            return Err(SchemaError::TooLarge {
                what: "bytes",
                most: SCHEMA_BYTES,
            });
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| SchemaError::NotJson(error.to_string()))?;
        compile::compile(&schema)
    }

    /// Whether a document of `bytes` of text may be read at all.
    ///
    /// # Errors
    /// [`OverBudget`] if it is larger than 8 MiB.
    pub fn takes(bytes: usize) -> Result<(), OverBudget> {
        if bytes > DOCUMENT_BYTES {
            Err(OverBudget("a document of 8 MiB"))
        } else {
            Ok(())
        }
    }

    /// Whether the schema allows a string or a number at the place of these JSON pointer tokens.
    pub fn place(&self, way: &[String]) -> SchemaPlace {
        place::Places::new(&self.nodes).node(self.root, way)
    }

    /// The ways in which a document of `bytes` of text does not fit, at most `most`; none if it fits.
    ///
    /// # Errors
    /// [`OverBudget`] if that takes more steps than 200,000 and 8 for each byte, or goes too deep.
    pub fn misfits(&self, document: &Value, bytes: usize, most: usize) -> Result<Vec<Misfit>, OverBudget> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let steps = STEPS.saturating_add(bytes.saturating_mul(STEPS_PER_BYTE));
        check::misfits(&self.nodes, self.root, document, (steps, most.max(1)))
    }
}
