//! The keywords of a schema that need no other schema.

use serde_json::{Map, Number, Value};

use super::SchemaError;
use super::nodes::{SchemaNodes, object};
use super::pattern::Pattern;
use super::rule::{Countable, Limit, NodeIx, Rule, Side, Types};
use super::values::{Decimal, Quantity, weight};

/// The rules that need no other schema: they are cheap and come first.
pub(super) fn alone(
    nodes: &mut SchemaNodes<'_>,
    at: NodeIx,
    members: &Map<String, Value>,
    rules: &mut Vec<Rule>,
) -> Result<(), SchemaError> {
    simple(members, rules).map_err(|problem| nodes.wrong(at, problem))?;
    if let Some(pattern) = members.get("pattern") {
        let pattern = pattern
            .as_str()
            .ok_or_else(|| nodes.wrong(at, "`pattern` must be text"))?;
        rules.push(Rule::Pattern(compiled(nodes, at, pattern)?));
    }
    Ok(())
}

pub(super) fn compiled(nodes: &mut SchemaNodes<'_>, at: NodeIx, text: &str) -> Result<Pattern, SchemaError> {
    let wrong = |problem| nodes.wrong(at, format!("the pattern is not supported: {problem}"));
    let pattern = Pattern::new(text).map_err(wrong)?;
    nodes.holds_pattern(pattern.bytes())?;
    Ok(pattern)
}

fn simple(members: &Map<String, Value>, rules: &mut Vec<Rule>) -> Result<(), String> {
    if let Some(types) = members.get("type") {
        rules.push(Rule::Type(Types::read(types)?));
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
    bounds(members, rules)?;
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

/// Limits on numbers and on counts.
fn bounds(members: &Map<String, Value>, rules: &mut Vec<Rule>) -> Result<(), String> {
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
        ("minLength", Countable::Letters, Side::Least),
        ("maxLength", Countable::Letters, Side::Most),
        ("minItems", Countable::Entries, Side::Least),
        ("maxItems", Countable::Entries, Side::Most),
        ("minProperties", Countable::Members, Side::Least),
        ("maxProperties", Countable::Members, Side::Most),
    ] {
        if let Some(limit) = count(members, keyword)? {
            rules.push(Rule::Count(counted, side, limit));
        }
    }
    Ok(())
}

fn number<'a>(members: &'a Map<String, Value>, keyword: &str) -> Result<Option<&'a Number>, String> {
    match members.get(keyword) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(Some(number)),
        Some(_) => Err(format!("`{keyword}` must be a number")),
    }
}

/// A count; a number with a fraction of 0 is one too.
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
