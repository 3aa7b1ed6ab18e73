//! Limits on a component's declaration, checked before it is used.

use super::Contract;
use crate::printable;
use crate::schema::SCHEMA_BYTES;

/// The most event types that are consumed, event types that are emitted, and routes, of each.
const ENTRIES: usize = 256;
/// Versions of one event type that are consumed.
const VERSIONS: usize = 64;
/// Bytes of an event type, a version, a method or a path. Kafka's longest name of a topic has 249.
const NAME: usize = 249;
/// Bytes of all schemas together.
const SCHEMAS: usize = 1 << 20;

impl Contract {
    /// The limit that is exceeded, if any: on the number and length of names and on the size of schemas. Names must not
    /// have characters that would affect a log or a terminal.
    pub fn over(&self) -> Option<String> {
        let versions = self.consumes.iter().map(|consumes| consumes.versions.len()).max();
        for (what, count, most) in [
            ("event types that it consumes", self.consumes.len(), ENTRIES),
            ("event types that it emits", self.emits.len(), ENTRIES),
            ("routes", self.routes.len(), ENTRIES),
            ("versions of one event type", versions.unwrap_or_default(), VERSIONS),
        ] {
            if count > most {
                return Some(format!("{count} {what}, more than {most}"));
            }
        }
        if let Some(name) = self
            .names()
            .find(|name| name.len() > NAME || !printable::is_plain(name))
        {
            let shown = printable::line(name, 60);
            return Some(format!(
                "the name `{shown}`; a name has at most {NAME} bytes and no control characters"
            ));
        }
        let schemas = self.consumes.iter().map(|consumes| &consumes.schema);
        let schemas = schemas
            .chain(self.emits.iter().map(|emits| &emits.schema))
            .chain([&self.state_schema]);
        let sizes: Vec<usize> = schemas.flatten().map(String::len).collect();
        if let Some(bytes) = sizes.iter().find(|bytes| **bytes > SCHEMA_BYTES) {
            return Some(format!("a schema of {bytes} bytes, more than {SCHEMA_BYTES}"));
        }
        let bytes: usize = sizes.iter().sum();
        (bytes > SCHEMAS).then(|| format!("schemas of {bytes} bytes together, more than {SCHEMAS}"))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let consumed = self.consumes.iter();
        let consumed = consumed.flat_map(|consumes| consumes.versions.iter().chain([&consumes.event_type]));
        let emitted = self.emits.iter().flat_map(|emits| [&emits.event_type, &emits.version]);
        let routes = self.routes.iter().flat_map(|route| [&route.method, &route.path]);
        consumed.chain(emitted).chain(routes).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Consumes, Emits, ServedRoute};

    fn consumes(event_type: &str, versions: usize, schema: usize) -> Consumes {
        Consumes {
            event_type: event_type.to_owned(),
            versions: vec!["1.0".to_owned(); versions],
            schema: Some("x".repeat(schema)),
        }
    }

    #[test]
    fn a_contract_over_any_bound_is_named() {
        let of = |consumes: Vec<Consumes>| Contract {
            consumes,
            ..Contract::default()
        };
        assert_eq!(of(vec![consumes("a", 64, SCHEMA_BYTES)]).over(), None);
        let emits = |name: &str| Contract {
            emits: vec![Emits {
                event_type: name.to_owned(),
                version: "1.0".to_owned(),
                schema: None,
            }],
            ..Contract::default()
        };
        let routes = Contract {
            routes: (0..257)
                .map(|n| ServedRoute {
                    method: "GET".to_owned(),
                    path: format!("/{n}"),
                })
                .collect(),
            ..Contract::default()
        };
        for (contract, words) in [
            (of(vec![consumes("a", 1, 0); 257]), "257 event types that it consumes"),
            (of(vec![consumes("a", 65, 0)]), "65 versions"),
            (of(vec![consumes(&"a".repeat(250), 1, 0)]), "the name `aaa"),
            (of(vec![consumes("a", 1, SCHEMA_BYTES + 1)]), "a schema of"),
            (of(vec![consumes("a", 1, SCHEMA_BYTES); 5]), "together"),
            (emits("a\nb"), "the name `a\\nb`"),
            (emits("\u{202e}b"), "no control characters"),
            (routes, "257 routes"),
        ] {
            let over = contract.over().expect(words);
            assert!(over.contains(words) && over.len() < 200, "{over}");
        }
    }
}
