//! Whether a document that fits a schema may have a value at a place, judged by the schema alone.

use std::collections::HashMap;

use serde_json::Value;

use super::rule::{Members, Node, NodeIx, Rule, Types};

/// The depth of nested schemas that is examined; anything deeper counts as open.
const DEPTH: u32 = 128;

/// Whether a schema allows a value at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaPlace {
    /// No document that fits has a string or a number there.
    Impossible,
    /// The schema lists members there, and this is none of them.
    Unlisted,
    /// The schema says nothing of it.
    Open,
    /// The schema has it.
    Listed,
}

pub(super) struct Places<'s> {
    pub(super) nodes: &'s [Node],
    /// By the tokens that are left.
    seen: HashMap<(NodeIx, usize), SchemaPlace>,
    depth: u32,
}

impl<'s> Places<'s> {
    pub(super) fn new(nodes: &'s [Node]) -> Self {
        Self {
            nodes,
            seen: HashMap::new(),
            depth: 0,
        }
    }

    /// All rules of a node must hold.
    pub(super) fn node(&mut self, at: NodeIx, way: &[String]) -> SchemaPlace {
        if let Some(known) = self.seen.get(&(at, way.len())) {
            return *known;
        }
        let nodes = self.nodes;
        let Some(node) = nodes.get(at).filter(|_| self.depth < DEPTH) else {
            return SchemaPlace::Open;
        };
        self.depth += 1;
        let said: Vec<_> = node.rules.iter().map(|rule| self.rule(rule, way)).collect();
        self.depth -= 1;
        let found = all(said);
        self.seen.insert((at, way.len()), found);
        found
    }

    fn rule(&mut self, rule: &Rule, way: &[String]) -> SchemaPlace {
        match rule {
            Rule::Never => SchemaPlace::Impossible,
            Rule::Type(types) => open_if(leads(*types, way)),
            Rule::OneOf(values, _) => open_if(values.iter().any(|value| has(value, way))),
            Rule::All(nodes) => all(nodes.iter().map(|node| self.node(*node, way)).collect()),
            Rule::Any(nodes) | Rule::One(nodes) => {
                let said = nodes.iter().map(|node| self.node(*node, way));
                said.max().unwrap_or(SchemaPlace::Open)
            }
            Rule::Members(members) => way
                .split_first()
                .map_or(SchemaPlace::Open, |(name, rest)| self.members(members, name, rest)),
            Rule::Items { first, rest: others } => {
                let index = way
                    .split_first()
                    .and_then(|(name, rest)| Some((name.parse().ok()?, rest)));
                let node =
                    index.and_then(|(index, rest): (usize, _)| Some((first.get(index).or(others.as_ref())?, rest)));
                node.map_or(SchemaPlace::Open, |(node, rest)| self.within(*node, rest))
            }
            Rule::Required(names) if way.first().is_some_and(|name| names.contains(name)) => SchemaPlace::Listed,
            _ => SchemaPlace::Open,
        }
    }

    fn members(&mut self, members: &Members, name: &str, rest: &[String]) -> SchemaPlace {
        let matching = members.patterns.iter().filter(|(pattern, _)| pattern.is_match(name));
        let mut nodes: Vec<_> = matching.map(|(_, node)| *node).collect();
        nodes.extend(members.named.get(name));
        match (nodes.is_empty(), members.rest) {
            (false, _) => all(nodes.into_iter().map(|node| self.within(node, rest)).collect()),
            (true, Some(node)) => self.node(node, rest),
            (true, None) if members.named.is_empty() => SchemaPlace::Open,
            (true, None) => SchemaPlace::Unlisted,
        }
    }

    /// A place within a subschema.
    fn within(&mut self, node: NodeIx, rest: &[String]) -> SchemaPlace {
        match self.node(node, rest) {
            SchemaPlace::Open if rest.is_empty() => SchemaPlace::Listed,
            said => said,
        }
    }
}

/// Combines the results of schemas that must all hold.
fn all(said: Vec<SchemaPlace>) -> SchemaPlace {
    let has = |what| said.contains(&what);
    let order = [SchemaPlace::Impossible, SchemaPlace::Listed, SchemaPlace::Unlisted];
    order.into_iter().find(|what| has(*what)).unwrap_or(SchemaPlace::Open)
}

fn open_if(possible: bool) -> SchemaPlace {
    if possible {
        SchemaPlace::Open
    } else {
        SchemaPlace::Impossible
    }
}

/// Whether a value of these types may contain the place, or, at its end, be a string or a number.
fn leads(types: Types, way: &[String]) -> bool {
    match way.first() {
        None => types.any_of(&["string", "number", "integer"]),
        Some(name) if name.parse::<usize>().is_ok() => types.any_of(&["object", "array"]),
        Some(_) => types.any_of(&["object"]),
    }
}

fn has(value: &Value, way: &[String]) -> bool {
    let inner = |name: &String| match value {
        Value::Array(entries) => name.parse().ok().and_then(|index: usize| entries.get(index)),
        other => other.get(name),
    };
    match way.split_first() {
        None => value.is_string() || value.is_number(),
        Some((name, rest)) => inner(name).is_some_and(|value| has(value, rest)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Schema;
    use super::*;

    fn place(schema: &Value, way: &[&str]) -> SchemaPlace {
        let way: Vec<String> = way.iter().map(|name| (*name).to_owned()).collect();
        Schema::parse(&schema.to_string()).unwrap().place(&way)
    }

    #[test]
    fn a_schema_tells_which_places_documents_may_have() {
        use SchemaPlace::{Impossible, Listed, Open, Unlisted};
        let user =
            json!({ "type": "object", "properties": { "id": { "type": "string" }, "tags": { "type": "array" } } });
        let closed = json!({ "properties": { "id": {} }, "additionalProperties": false });
        let referring =
            json!({ "$defs": { "user": user.clone() }, "properties": { "user": { "$ref": "#/$defs/user" } } });
        let ring = json!({ "properties": { "next": { "$ref": "#" }, "id": { "type": "number" } } });
        for (schema, way, said) in [
            (&json!({}), &["id"][..], Open),
            (&user, &["id"], Listed),
            (&user, &["ids"], Unlisted),
            (&user, &["id", "x"], Impossible),
            (&user, &["tags"], Impossible),
            (&user, &["tags", "0"], Open),
            (&user, &["tags", "x"], Impossible),
            (&closed, &["id"], Listed),
            (&closed, &["ids"], Impossible),
            (&referring, &["user", "id"], Listed),
            (&referring, &["user", "ids"], Unlisted),
            (&ring, &["next", "next", "id"], Listed),
            (&ring, &["next", "next", "ids"], Unlisted),
            (&json!({ "type": "array" }), &["id"], Impossible),
            (
                &json!({ "type": "array", "items": { "type": "null" } }),
                &["0"],
                Impossible,
            ),
            (&json!({ "required": ["id"] }), &["id"], Listed),
            (
                &json!({ "properties": { "a": {} }, "required": ["id"] }),
                &["id"],
                Listed,
            ),
            (
                &json!({ "anyOf": [closed.clone(), { "properties": { "ids": {} } }] }),
                &["ids"],
                Listed,
            ),
            (
                &json!({ "allOf": [{ "properties": { "ids": {} } }, closed.clone()] }),
                &["ids"],
                Impossible,
            ),
            (
                &json!({ "properties": { "a": {} }, "patternProperties": { "^id": { "type": "string" } } }),
                &["ids"],
                Listed,
            ),
            (
                &json!({ "properties": { "a": {} }, "additionalProperties": { "type": "null" } }),
                &["ids"],
                Impossible,
            ),
            (&json!({ "const": { "id": 1, "no": [] } }), &["id"], Open),
            (&json!({ "const": { "id": 1, "no": [] } }), &["no"], Impossible),
        ] {
            assert_eq!(place(schema, way), said, "{way:?} in {schema}");
        }
    }

    #[test]
    fn what_refers_to_the_same_over_and_over_is_looked_at_once() {
        let mut defs = json!({ "d0": { "properties": { "id": {} } } });
        for number in 1..100 {
            let below = json!({ "$ref": format!("#/$defs/d{}", number - 1) });
            defs[format!("d{number}")] = json!({ "allOf": [below.clone(), below] });
        }
        let schema = json!({ "$defs": defs, "$ref": "#/$defs/d99" });
        assert_eq!(place(&schema, &["id"]), SchemaPlace::Open, "too deep to be told");
    }
}
