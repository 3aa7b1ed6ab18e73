//! JSON Schema within bounds: a schema is foreign, and so is the document that is held against it.
//!
//! Pure. A schema is compiled once, and refused where it is too large, refers outside of itself or to itself without an end.
//! A check counts its steps and its depth and gives up at a bound that grows with the document alone, so that no pair of
//! schema and document costs more than that; a node of the schema that is reached on several ways is asked once for each
//! value. The libraries that were looked at can be bounded in neither way, and collect an error for each branch.
//!
//! Understood are the keywords of drafts 6, 7, 2019-09 and 2020-12 but `$dynamicRef`, `$recursiveRef` and `unevaluated…`,
//! which are refused by name. `format` and the `content…` keywords say something and demand nothing, as in 2020-12.

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
/// Bytes of the longest document that is held against a schema: read, it takes up to 16 times as many.
const DOCUMENT_BYTES: usize = 8 << 20;
/// Schemas inside of one schema.
const NODES: usize = 10_000;
/// Bytes that the compiled patterns of one schema may take together.
const PATTERN_BYTES: usize = 4 << 20;
/// Steps of every check, some 10 ms.
const STEPS: u64 = 200_000;
/// More steps for each byte of the document.
const STEPS_PER_BYTE: u64 = 8;
/// Schemas inside of each other while one value is looked at; a bound on the stack.
const DEPTH: u32 = 512;

/// A schema, ready to be asked.
#[derive(Debug)]
pub struct Schema {
    nodes: Vec<Node>,
    root: NodeIx,
}

/// Why a text is no schema that is taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SchemaError {
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// Over a bound.
    #[error("it has more than {most} {what}")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// A keyword holds what it must not, or is not supported.
    #[error("{}: {problem}", at(place))]
    Keyword {
        /// JSON pointer to the schema that has it, inside the whole; empty for the whole itself.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// A place as a message has it: the empty pointer means the whole.
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

/// A check that was not made, or given up: the document and its schema need more than the bound.
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

    /// What it says of the place to which these tokens of a JSON pointer lead, where a string or a number is wanted.
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
