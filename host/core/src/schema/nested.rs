//! The keywords that hold schemas.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::SchemaError;
use super::keywords::{compiled, count, names};
use super::nodes::{Draft, SchemaNodes, object};
use super::rule::{Members, NodeIx, Rule};

/// Reads the keywords that hold schemas.
pub(super) struct Nested<'c, 'a> {
    pub(super) nodes: &'c mut SchemaNodes<'a>,
    pub(super) at: NodeIx,
    pub(super) members: &'a Map<String, Value>,
}

impl<'a> Nested<'_, 'a> {
    pub(super) fn rules(mut self, rules: &mut Vec<Rule>) -> Result<(), SchemaError> {
        self.dependencies(rules)?;
        self.of_objects(rules)?;
        self.of_arrays(rules)?;
        for (keyword, rule) in [
            ("allOf", Rule::All as fn(Vec<NodeIx>) -> Rule),
            ("anyOf", Rule::Any),
            ("oneOf", Rule::One),
        ] {
            if let Some(nodes) = self.list(keyword)? {
                rules.push(rule(nodes));
            }
        }
        if let Some(not) = self.one("not")? {
            rules.push(Rule::Not(not));
        }
        if let Some(condition) = self.one("if")? {
            rules.push(Rule::If(condition, self.one("then")?, self.one("else")?));
        }
        Ok(())
    }

    fn of_objects(&mut self, rules: &mut Vec<Rule>) -> Result<(), SchemaError> {
        let named: HashMap<_, _> = self
            .map("properties")?
            .into_iter()
            .map(|(name, node)| (name.to_owned(), node))
            .collect();
        let mut patterns = Vec::new();
        for (pattern, node) in self.map("patternProperties")? {
            patterns.push((compiled(self.nodes, self.at, pattern)?, node));
        }
        let rest = self.one("additionalProperties")?;
        if !named.is_empty() || !patterns.is_empty() || rest.is_some() {
            rules.push(Rule::Members(Members { named, patterns, rest }));
        }
        if let Some(names) = self.one("propertyNames")? {
            rules.push(Rule::Names(names));
        }
        Ok(())
    }

    fn of_arrays(&mut self, rules: &mut Vec<Rule>) -> Result<(), SchemaError> {
        let listed = self.members.get("items").is_some_and(Value::is_array);
        let (first, rest) = match self.nodes.draft {
            Draft::Twenty if listed => {
                return Err(self.wrong("`items` must be a schema; a list of them is `prefixItems`"));
            }
            Draft::Twenty => (self.list("prefixItems")?, self.one("items")?),
            _ if listed => (self.list("items")?, self.one("additionalItems")?),
            _ => (None, self.one("items")?),
        };
        if first.is_some() || rest.is_some() {
            rules.push(Rule::Items {
                first: first.unwrap_or_default(),
                rest,
            });
        }
        if let Some(what) = self.one("contains")? {
            let bound = |keyword| count(self.members, keyword);
            let (least, most) = match self.nodes.draft {
                Draft::Seven => (None, None),
                _ => (
                    bound("minContains").map_err(|problem| self.wrong(problem))?,
                    bound("maxContains").map_err(|problem| self.wrong(problem))?,
                ),
            };
            rules.push(Rule::Contains {
                what,
                least: least.unwrap_or(1),
                most: most.unwrap_or(u64::MAX),
            });
        }
        Ok(())
    }

    /// `dependentSchemas`, and `dependencies` of the older drafts, which are names or a schema.
    fn dependencies(&mut self, rules: &mut Vec<Rule>) -> Result<(), SchemaError> {
        let mut schemas: Vec<(String, NodeIx)> = Vec::new();
        let mut required = Vec::new();
        for (name, node) in self.map("dependentSchemas")? {
            schemas.push((name.to_owned(), node));
        }
        let older = self.nodes.draft == Draft::Seven;
        let dependencies = object(self.members, "dependencies").map_err(|problem| self.wrong(problem))?;
        for (name, of) in dependencies.filter(|_| older).into_iter().flatten() {
            if of.is_array() {
                let others = names("dependencies", of).map_err(|problem| self.wrong(problem))?;
                required.push((name.clone(), others));
            } else {
                schemas.push((
                    name.clone(),
                    self.nodes.node(self.at, format!("dependencies/{name}"), of)?,
                ));
            }
        }
        if !required.is_empty() {
            rules.push(Rule::Dependent(required));
        }
        if !schemas.is_empty() {
            rules.push(Rule::DependentSchemas(schemas));
        }
        Ok(())
    }

    fn one(&mut self, keyword: &'static str) -> Result<Option<NodeIx>, SchemaError> {
        let Some(json) = self.members.get(keyword) else {
            return Ok(None);
        };
        self.nodes.node(self.at, keyword, json).map(Some)
    }

    fn list(&mut self, keyword: &'static str) -> Result<Option<Vec<NodeIx>>, SchemaError> {
        let entries = match self.members.get(keyword) {
            None => return Ok(None),
            Some(Value::Array(entries)) if !entries.is_empty() => entries,
            Some(_) => return Err(self.wrong(format!("`{keyword}` must be a list of schemas"))),
        };
        let nodes = entries.iter().enumerate();
        let nodes = nodes.map(|(n, json)| self.nodes.node(self.at, format!("{keyword}/{n}"), json));
        nodes.collect::<Result<_, _>>().map(Some)
    }

    fn map(&mut self, keyword: &'static str) -> Result<Vec<(&'a str, NodeIx)>, SchemaError> {
        let found = object(self.members, keyword).map_err(|problem| self.wrong(problem))?;
        let members = found.into_iter().flatten();
        let nodes = members.map(|(name, json)| {
            let node = self.nodes.node(self.at, format!("{keyword}/{name}"), json)?;
            Ok((name.as_str(), node))
        });
        nodes.collect()
    }

    fn wrong(&self, problem: impl Into<String>) -> SchemaError {
        self.nodes.wrong(self.at, problem)
    }
}
