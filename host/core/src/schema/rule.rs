//! A compiled schema: nodes that refer to each other by number, each a list of rules.

use std::collections::HashMap;

use serde_json::{Number, Value};

use super::pattern::Pattern;
use super::values::{Decimal, Quantity};

/// The number of a node.
pub(super) type NodeIx = usize;

/// A subschema: all of its rules must hold.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) rules: Vec<Rule>,
    /// How many references lead here. If there are several, results for values are remembered.
    pub(super) ways: u32,
}

/// What a value must be.
#[derive(Debug)]
pub(super) enum Rule {
    /// `false`
    Never,
    /// `type`
    Type(Types),
    /// `enum`, `const`; with the steps to compare with all of them.
    OneOf(Vec<Value>, u64),
    /// `minimum` and its like.
    Limit(Limit, Quantity, Number),
    /// `multipleOf`
    MultipleOf(Decimal, Number),
    /// `minLength` and its like.
    Count(Countable, Side, u64),
    /// `pattern`
    Pattern(Pattern),
    /// `uniqueItems`
    Unique,
    /// `required`
    Required(Vec<String>),
    /// `dependentRequired`: if the name is present, so are the others.
    Dependent(Vec<(String, Vec<String>)>),
    /// `dependentSchemas`: if the name is present, the schema holds for the whole object.
    DependentSchemas(Vec<(String, NodeIx)>),
    /// `properties`, `patternProperties`, `additionalProperties`
    Members(Members),
    /// `propertyNames`
    Names(NodeIx),
    /// `prefixItems` and `items`
    Items { first: Vec<NodeIx>, rest: Option<NodeIx> },
    /// `contains`
    Contains { what: NodeIx, least: u64, most: u64 },
    /// `allOf`, `$ref`
    All(Vec<NodeIx>),
    /// `anyOf`
    Any(Vec<NodeIx>),
    /// `oneOf`
    One(Vec<NodeIx>),
    /// `not`
    Not(NodeIx),
    /// `if`, `then`, `else`
    If(NodeIx, Option<NodeIx>, Option<NodeIx>),
}

/// What holds for the members of an object.
#[derive(Debug)]
pub(super) struct Members {
    /// By their names.
    pub(super) named: HashMap<String, NodeIx>,
    /// By patterns for their names.
    pub(super) patterns: Vec<(Pattern, NodeIx)>,
    /// For all others.
    pub(super) rest: Option<NodeIx>,
}

/// A bound of a number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    AtLeast,
    MoreThan,
    AtMost,
    LessThan,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Countable {
    Letters,
    Entries,
    Members,
}

/// Which way a count is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Least,
    Most,
}

/// Types of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Types(u8);

const TYPES: [(&str, u8); 7] = [
    ("null", 1),
    ("boolean", 2),
    ("integer", 4),
    ("number", 8),
    ("string", 16),
    ("array", 32),
    ("object", 64),
];

impl Types {
    /// The types that a `type` names.
    pub(super) fn read(types: &Value) -> Result<Self, String> {
        let wrong =
            || "`type` must be null, boolean, integer, number, string, array or object, or a list of these".to_owned();
        let entries = match types {
            Value::Array(entries) => entries.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut bits = 0;
        for entry in entries {
            let name = entry.as_str().ok_or_else(wrong)?;
            bits |= TYPES.iter().find(|(known, _)| *known == name).ok_or_else(wrong)?.1;
        }
        Ok(Self(bits))
    }

    pub(super) fn has(self, value: &Value) -> bool {
        let is = match value {
            Value::Null => 1,
            Value::Bool(_) => 2,
            Value::Number(number) if Quantity::of(number).is_integer() => 12,
            Value::Number(_) => 8,
            Value::String(_) => 16,
            Value::Array(_) => 32,
            Value::Object(_) => 64,
        };
        self.0 & is != 0
    }

    /// Whether one of these is among them.
    pub(super) fn any_of(self, names: &[&str]) -> bool {
        let mut bits = TYPES.iter().filter(|(name, _)| names.contains(name));
        bits.any(|(_, bit)| self.0 & bit != 0)
    }

    /// The types' names.
    pub(super) fn names(self) -> String {
        let names = TYPES.iter().filter(|(_, bit)| self.0 & bit != 0).map(|(name, _)| *name);
        names.collect::<Vec<_>>().join(" or ")
    }
}

impl Rule {
    /// The schemas that it applies to the same value.
    pub(super) fn of_the_same_value(&self) -> Vec<NodeIx> {
        match self {
            Self::All(nodes) | Self::Any(nodes) | Self::One(nodes) => nodes.clone(),
            Self::Not(node) => vec![*node],
            Self::If(condition, then, otherwise) => {
                [Some(*condition), *then, *otherwise].into_iter().flatten().collect()
            }
            Self::DependentSchemas(of) => of.iter().map(|(_, node)| *node).collect(),
            _ => Vec::new(),
        }
    }
}
