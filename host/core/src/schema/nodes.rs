//! The nodes of a schema while it is compiled, with their places and the references to them.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::rule::{Node, NodeIx, Rule};
use super::{NODES, PATTERN_BYTES, SchemaError};

/// The meaning of some keywords in the drafts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    /// 6 and 7: keywords beside `$ref` are ignored, and `items` may be a list.
    Seven,
    /// 2019-09: `items` may be a list.
    Nineteen,
    /// 2020-12: `prefixItems` is that list.
    Twenty,
}

/// The nodes of a schema while it is compiled.
pub(super) struct SchemaNodes<'a> {
    root: &'a Value,
    /// The `$id` of the whole.
    id: Option<&'a str>,
    anchors: HashMap<&'a str, &'a Value>,
    pub(super) draft: Draft,
    nodes: Vec<Node>,
    /// The place of each node: its parent, and the path from there.
    places: Vec<(NodeIx, Cow<'a, str>)>,
    /// By the address of its JSON.
    known: HashMap<*const Value, NodeIx>,
    queue: Vec<(NodeIx, &'a Value)>,
    patterns: usize,
}

impl<'a> SchemaNodes<'a> {
    /// The nodes of a schema, initially only the root.
    pub(super) fn new(schema: &'a Value) -> Result<Self, SchemaError> {
        let mut nodes = Self {
            root: schema,
            id: None,
            anchors: HashMap::new(),
            draft: Draft::Twenty,
            nodes: Vec::new(),
            places: Vec::new(),
            known: HashMap::new(),
            queue: Vec::new(),
            patterns: 0,
        };
        nodes.head()?;
        Ok(nodes)
    }

    /// The next node that has no rules yet.
    pub(super) fn next(&mut self) -> Option<(NodeIx, &'a Value)> {
        self.queue.pop()
    }

    /// Gives a node its rules.
    pub(super) fn set(&mut self, at: NodeIx, rules: Vec<Rule>) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.rules = rules;
        }
    }

    pub(super) fn all(&self) -> &[Node] {
        &self.nodes
    }

    pub(super) fn into_all(self) -> Vec<Node> {
        self.nodes
    }

    /// Reads the keywords of the root and all anchors.
    fn head(&mut self) -> Result<(), SchemaError> {
        if let Some(draft) = self.root.get("$schema") {
            let name = draft.as_str().unwrap_or_default().trim_end_matches(['#', '/']);
            let name = name
                .strip_prefix("https://")
                .or(name.strip_prefix("http://"))
                .unwrap_or(name);
            self.draft = match name {
                "json-schema.org/draft-06/schema" | "json-schema.org/draft-07/schema" => Draft::Seven,
                "json-schema.org/draft/2019-09/schema" => Draft::Nineteen,
                "json-schema.org/draft/2020-12/schema" => Draft::Twenty,
                _ => return Err(self.wrong(0, "its `$schema` is not draft 6, 7, 2019-09 or 2020-12")),
            };
        }
        self.id = self
            .root
            .get("$id")
            .and_then(Value::as_str)
            .map(|id| id.trim_end_matches('#'));
        let mut open = vec![self.root];
        while let Some(value) = open.pop() {
            match value {
                Value::Array(entries) => open.extend(entries),
                Value::Object(members) => {
                    if let Some(Value::String(name)) = members.get("$anchor") {
                        self.anchors.insert(name, value);
                    }
                    // The anchors of drafts 6 and 7.
                    if let Some(name) = members
                        .get("$id")
                        .and_then(Value::as_str)
                        .and_then(|id| id.strip_prefix('#'))
                    {
                        self.anchors.insert(name, value);
                    }
                    open.extend(members.values());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The node of a schema at the path `way` from the node `parent`.
    pub(super) fn node(
        &mut self,
        parent: NodeIx,
        way: impl Into<Cow<'a, str>>,
        json: &'a Value,
    ) -> Result<NodeIx, SchemaError> {
        if let Some(at) = self.known.get(&std::ptr::from_ref(json)).copied() {
            if let Some(node) = self.nodes.get_mut(at) {
                node.ways += 1;
            }
            return Ok(at);
        }
        let at = self.nodes.len();
        if at == NODES {
            return Err(SchemaError::TooLarge {
                what: "subschemas",
                most: NODES,
            });
        }
        self.nodes.push(Node {
            rules: Vec::new(),
            ways: 1,
        });
        self.places.push((parent, way.into()));
        self.known.insert(std::ptr::from_ref(json), at);
        self.queue.push((at, json));
        Ok(at)
    }

    /// The node to which a `$ref` refers.
    pub(super) fn reference(&mut self, at: NodeIx, target: &'a str) -> Result<NodeIx, SchemaError> {
        let (base, fragment) = target.split_once('#').unwrap_or((target, ""));
        if !base.is_empty() && Some(base) != self.id {
            let problem =
                "`$ref` refers to another document; put the schema under `$defs`, and refer to `#/$defs/NAME`";
            return Err(self.wrong(at, problem));
        }
        let found = match fragment {
            "" => Some(self.root),
            pointer if pointer.starts_with('/') => unescaped(pointer).and_then(|pointer| self.root.pointer(&pointer)),
            anchor => self.anchors.get(anchor).copied(),
        };
        let Some(found) = found else {
            return Err(self.wrong(at, "`$ref` has no target"));
        };
        self.node(0, fragment, found)
    }

    /// Counts the memory of a pattern towards the limit for all of them.
    pub(super) fn holds_pattern(&mut self, bytes: usize) -> Result<(), SchemaError> {
        self.patterns += bytes;
        if self.patterns > PATTERN_BYTES {
            return Err(SchemaError::TooLarge {
                what: "bytes of compiled patterns",
                most: PATTERN_BYTES,
            });
        }
        Ok(())
    }

    /// A mistake in a node.
    pub(super) fn wrong(&self, at: NodeIx, problem: impl Into<String>) -> SchemaError {
        let mut ways = Vec::new();
        let mut at = at;
        while let Some((parent, way)) = self.places.get(at).filter(|_| at != 0) {
            ways.push(way.trim_start_matches('/'));
            at = *parent;
        }
        SchemaError::Keyword {
            place: ways
                .iter()
                .rev()
                .fold(String::new(), |place, way| format!("{place}/{way}")),
            problem: problem.into(),
        }
    }
}

/// Decodes a JSON pointer from a URI fragment; `None` if its escapes are invalid.
fn unescaped(pointer: &str) -> Option<String> {
    if !pointer.contains('%') {
        return Some(pointer.to_owned());
    }
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// The members of an object under a keyword, which must be one.
pub(super) fn object<'a>(
    members: &'a Map<String, Value>,
    keyword: &str,
) -> Result<Option<&'a Map<String, Value>>, String> {
    match members.get(keyword) {
        None => Ok(None),
        Some(Value::Object(found)) => Ok(Some(found)),
        Some(_) => Err(format!("`{keyword}` must be an object")),
    }
}
