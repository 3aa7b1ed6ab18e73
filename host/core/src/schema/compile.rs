//! Compiles the JSON of a schema to a list of nodes that refer to each other by number. Linear in the schema, and not
//! recursive.

use serde_json::{Map, Value};

use super::nested::Nested;
use super::nodes::{Draft, SchemaNodes};
use super::rule::{NodeIx, Rule};
use super::{Schema, SchemaError, cycles, keywords};

pub(super) fn compile(schema: &Value) -> Result<Schema, SchemaError> {
    let mut nodes = SchemaNodes::new(schema)?;
    let root = nodes.node(0, "", schema)?;
    while let Some((at, json)) = nodes.next() {
        let rules = match json {
            Value::Bool(true) => Vec::new(),
            Value::Bool(false) => vec![Rule::Never],
            Value::Object(members) => rules(&mut nodes, at, members)?,
            _ => return Err(nodes.wrong(at, "a schema is an object, true or false")),
        };
        nodes.set(at, rules);
    }
    if let Some(at) = cycles::endless(nodes.all()) {
        return Err(nodes.wrong(
            at,
            "it refers to itself without going into the document, so that no check of it ends",
        ));
    }
    Ok(Schema {
        nodes: nodes.into_all(),
        root,
    })
}

/// Keywords that affect the result and are not supported.
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
fn rules<'a>(
    nodes: &mut SchemaNodes<'a>,
    at: NodeIx,
    members: &'a Map<String, Value>,
) -> Result<Vec<Rule>, SchemaError> {
    let mut rules = Vec::new();
    if let Some((keyword, instead)) = REFUSED.iter().find(|(keyword, _)| members.contains_key(*keyword)) {
        return Err(nodes.wrong(at, format!("`{keyword}` is not supported; {instead}")));
    }
    let base = members
        .get("$id")
        .and_then(Value::as_str)
        .is_some_and(|id| !id.starts_with('#'));
    if at != 0 && base {
        return Err(nodes.wrong(at, "`$id` inside a schema is not supported; use `$defs` or `$anchor`"));
    }
    if let Some(target) = members.get("$ref") {
        let Some(target) = target.as_str() else {
            return Err(nodes.wrong(at, "`$ref` must be text"));
        };
        rules.push(Rule::All(vec![nodes.reference(at, target)?]));
        if nodes.draft == Draft::Seven {
            return Ok(rules);
        }
    }
    keywords::alone(nodes, at, members, &mut rules)?;
    Nested { nodes, at, members }.rules(&mut rules)?;
    Ok(rules)
}
