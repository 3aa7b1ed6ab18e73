//! The keywords of a schema as rules.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};

use super::SchemaError;
use super::compile::{Compiler, Draft, NodeIx, object};
use super::nested::Nested;
use super::pattern::Pattern;
use super::values::{Decimal, Quantity, weight};

/// What a value must be.
#[derive(Debug)]
pub(super) enum Rule {
    /// `false`
    Never,
    /// `type`
    Type(Types),
    /// `enum`, `const`; with what it takes to compare with all of them.
    OneOf(Vec<Value>, u64),
    /// `minimum` and its like.
    Limit(Limit, Quantity, Number),
    /// `multipleOf`
    MultipleOf(Decimal, Number),
    /// `minLength` and its like.
    Count(Counted, Side, u64),
    /// `pattern`
    Pattern(Pattern),
    /// `uniqueItems`
    Unique,
    /// `required`
    Required(Vec<String>),
    /// `dependentRequired`: where there is the name, there are the others.
    Dependent(Vec<(String, Vec<String>)>),
    /// `dependentSchemas`: where there is the name, this holds for the whole object.
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
    /// By what their names match.
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
pub(super) enum Counted {
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
    /// The schemas that it holds against the very value that it is held against itself.
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

/// Keywords that change what is asked, and that are not understood.
const REFUSED: [(&str, &str); 4] = [
    (
        "unevaluatedProperties",
        "write `additionalProperties` beside all of the `properties`",
    ),
    ("unevaluatedItems", "write `items` beside all of the `prefixItems`"),
    ("$dynamicRef", "use `$ref`"),
    ("$recursiveRef", "use `$ref`"),
];

/// The rules of an object that is a schema.
pub(super) fn rules<'a>(
    compiler: &mut Compiler<'a>,
    at: NodeIx,
    members: &'a Map<String, Value>,
) -> Result<Vec<Rule>, SchemaError> {
    let mut rules = Vec::new();
    if let Some((keyword, instead)) = REFUSED.iter().find(|(keyword, _)| members.contains_key(*keyword)) {
        return Err(compiler.wrong(at, format!("`{keyword}` is not supported; {instead}")));
    }
    let base = members
        .get("$id")
        .and_then(Value::as_str)
        .is_some_and(|id| !id.starts_with('#'));
    if at != 0 && base {
        return Err(compiler.wrong(
            at,
            "`$id` inside of a schema is not supported; name the place by `$defs` or `$anchor`",
        ));
    }
    if let Some(target) = members.get("$ref") {
        let Some(target) = target.as_str() else {
            return Err(compiler.wrong(at, "`$ref` must be text"));
        };
        rules.push(Rule::All(vec![compiler.reference(at, target)?]));
        if compiler.draft == Draft::Seven {
            return Ok(rules);
        }
    }
    alone(compiler, at, members, &mut rules)?;
    Nested { compiler, at, members }.rules(&mut rules)?;
    Ok(rules)
}

/// The rules that need no other schema: the cheap ones, which come first.
fn alone(
    compiler: &mut Compiler<'_>,
    at: NodeIx,
    members: &Map<String, Value>,
    rules: &mut Vec<Rule>,
) -> Result<(), SchemaError> {
    simple(members, rules).map_err(|problem| compiler.wrong(at, problem))?;
    if let Some(pattern) = members.get("pattern") {
        let pattern = pattern
            .as_str()
            .ok_or_else(|| compiler.wrong(at, "`pattern` must be text"))?;
        rules.push(Rule::Pattern(compiled(compiler, at, pattern)?));
    }
    Ok(())
}

pub(super) fn compiled(compiler: &mut Compiler<'_>, at: NodeIx, text: &str) -> Result<Pattern, SchemaError> {
    let wrong = |problem| compiler.wrong(at, format!("the pattern is not taken: {problem}"));
    let pattern = Pattern::new(text).map_err(wrong)?;
    compiler.holds_pattern(pattern.bytes())?;
    Ok(pattern)
}

fn simple(members: &Map<String, Value>, rules: &mut Vec<Rule>) -> Result<(), String> {
    if let Some(types) = members.get("type") {
        rules.push(Rule::Type(types_of(types)?));
    }
    let values = match members.get("enum") {
        None => None,
        Some(Value::Array(values)) => Some(values.clone()),
        Some(_) => return Err("`enum` must be a list".to_owned()),
    };
    for values in values
        .into_iter()
        .chain(members.get("const").map(|value| vec![value.clone()]))
    {
        let weight = values.iter().map(weight).sum();
        rules.push(Rule::OneOf(values, weight));
    }
    for (keyword, limit) in [
        ("minimum", Limit::AtLeast),
        ("exclusiveMinimum", Limit::MoreThan),
        ("maximum", Limit::AtMost),
        ("exclusiveMaximum", Limit::LessThan),
    ] {
        if let Some(number) = number(members, keyword)? {
            rules.push(Rule::Limit(limit, Quantity::of(number), number.clone()));
        }
    }
    if let Some(number) = number(members, "multipleOf")? {
        let unit = Decimal::of(number).filter(|unit| !unit.is_zero());
        let unit = unit.ok_or("`multipleOf` must be more than 0")?;
        rules.push(Rule::MultipleOf(unit, number.clone()));
    }
    for (keyword, counted, side) in [
        ("minLength", Counted::Letters, Side::Least),
        ("maxLength", Counted::Letters, Side::Most),
        ("minItems", Counted::Entries, Side::Least),
        ("maxItems", Counted::Entries, Side::Most),
        ("minProperties", Counted::Members, Side::Least),
        ("maxProperties", Counted::Members, Side::Most),
    ] {
        if let Some(limit) = count(members, keyword)? {
            rules.push(Rule::Count(counted, side, limit));
        }
    }
    match members.get("uniqueItems") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => rules.push(Rule::Unique),
        Some(_) => return Err("`uniqueItems` must be true or false".to_owned()),
    }
    if let Some(required) = members.get("required") {
        rules.push(Rule::Required(names("required", required)?));
    }
    if let Some(dependent) = object(members, "dependentRequired")? {
        let of = dependent.iter();
        let of = of.map(|(name, others)| Ok((name.clone(), names("dependentRequired", others)?)));
        rules.push(Rule::Dependent(of.collect::<Result<_, String>>()?));
    }
    Ok(())
}

fn types_of(types: &Value) -> Result<Types, String> {
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
    Ok(Types(bits))
}

fn number<'a>(members: &'a Map<String, Value>, keyword: &str) -> Result<Option<&'a Number>, String> {
    match members.get(keyword) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number)),
        Some(_) => Err(format!("`{keyword}` must be a number")),
    }
}

/// A number of things; one of them written with a fraction of 0 is one too.
pub(super) fn count(members: &Map<String, Value>, keyword: &str) -> Result<Option<u64>, String> {
    let Some(number) = number(members, keyword)? else {
        return Ok(None);
    };
    match Quantity::of(number) {
        Quantity::Whole(whole) if whole >= 0 => Ok(Some(u64::try_from(whole).unwrap_or(u64::MAX))),
        _ => Err(format!("`{keyword}` must be a whole number from 0")),
    }
}

pub(super) fn names(keyword: &str, value: &Value) -> Result<Vec<String>, String> {
    let names = value
        .as_array()
        .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    names.ok_or_else(|| format!("`{keyword}` must hold lists of names"))
}
