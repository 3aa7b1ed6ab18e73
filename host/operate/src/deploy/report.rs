//! The report of a deploy, line by line, as data: the admin API sends it, the commands read it.

use serde::{Deserialize, Serialize};

use crate::hosts::HostVersion;
use sandman_core::store::{Action, Outcome};

/// The stages of a deploy, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It was received completely, and is within `host.component`.
    Received,
    /// Its digest is known.
    Digest,
    /// Its imports and exports are those of a handler.
    World,
    /// It was compiled.
    Compiled,
    /// An instance was created.
    Instantiated,
    /// `describe` has returned its contract.
    Described,
    /// The contract fits the grants of `sandman.toml`.
    Contract,
    /// The recordings were run on it, and its outcomes are accepted.
    Replayed,
    /// It is stored.
    Stored,
    /// It is active.
    Active,
}

impl Stage {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Digest => "digest",
            Self::World => "world",
            Self::Compiled => "compiled",
            Self::Instantiated => "instantiated",
            Self::Described => "described",
            Self::Contract => "contract",
            Self::Replayed => "replayed",
            Self::Stored => "stored",
            Self::Active => "active",
        }
    }
}

/// A stage that was passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// The stage.
    pub stage: Stage,
    /// How long it took, in milliseconds.
    pub millis: f64,
    /// Details; may be empty.
    pub detail: String,
}

/// How a deploy or a rollback ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The result.
    pub outcome: Outcome,
    /// What was requested.
    pub action: Action,
    /// The handler's name.
    pub handler: String,
    /// The version, once it has a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The component's sha256, lower-case hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The version that was active at the beginning.
    pub previous: u64,
    /// The stage that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long all of it took, in milliseconds.
    pub millis: f64,
    /// The version that each host serves afterwards, if several share the store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostVersion>,
}

/// A line of a deploy: stages, then one end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Report {
    /// A stage was passed.
    Passed(Passed),
    /// The last line.
    Done(Done),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let passed = Report::Passed(Passed {
            stage: Stage::World,
            millis: 1.5,
            detail: String::new(),
        });
        let done = Report::Done(Done {
            outcome: Outcome::Refused,
            action: Action::Deploy,
            handler: "profile".to_owned(),
            version: None,
            digest: None,
            previous: 1,
            stage: Some(Stage::Compiled),
            error: Some("too slow".to_owned()),
            millis: 2.0,
            hosts: Vec::new(),
        });
        let line = r#"{"stage":"world","millis":1.5,"detail":""}"#;
        assert_eq!(serde_json::to_string(&passed).unwrap(), line);
        for report in [passed, done] {
            let line = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
        }
        for stage in [Stage::Received, Stage::Active] {
            assert_eq!(serde_json::to_string(&stage).unwrap(), format!("\"{}\"", stage.word()));
        }
    }
}
