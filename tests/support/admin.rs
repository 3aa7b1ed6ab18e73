//! The admin API as its clients use it, without the commands.

use std::io::{BufRead, BufReader};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::Result;
use crate::client::Client;
use crate::host::Host;

/// The stages that a deploy passes one after the other.
pub const STAGES: [&str; 10] = [
    "received",
    "digest",
    "world",
    "compiled",
    "instantiated",
    "described",
    "contract",
    "replayed",
    "stored",
    "active",
];

impl Host {
    /// A client of the admin listener.
    pub fn operator(&self) -> Client {
        Client::new(self.admin())
    }

    /// Deploys a component; `passed` hears of each stage as it is passed, and ends the deploy's telling with `false`.
    /// Answers the last line that came, if one did.
    ///
    /// # Errors
    /// If the host does not take it.
    pub fn deploy(&self, name: &str, component: &[u8], mut passed: impl FnMut(&str) -> bool) -> Result<Option<Value>> {
        let url = format!("{}/v1/handlers/{name}/versions", self.admin());
        let mut answer = ureq::post(url).send(component)?;
        for line in BufReader::new(answer.body_mut().as_reader()).lines() {
            let line: Value = serde_json::from_str(&line?)?;
            if line.get("outcome").is_some() {
                return Ok(Some(line));
            }
            if !passed(line["stage"].as_str().unwrap_or_default()) {
                return Ok(None);
            }
        }
        bail!("the deploy did not say how it ended")
    }

    /// Deploys a component that is to become active, and returns its number.
    ///
    /// # Errors
    /// If it does not.
    pub fn deployed(&self, name: &str, component: &[u8]) -> Result<u64> {
        let done = self.deploy(name, component, |_| true)?.unwrap_or_default();
        ensure!(done["outcome"] == "active", "not active: {done}");
        done["version"].as_u64().context("it has no number")
    }

    /// A handler, as `/v1/handlers` shows it.
    ///
    /// # Errors
    /// If it is not there.
    pub fn handler(&self, name: &str) -> Result<Value> {
        let handlers = self.operator().get("/v1/handlers")?.has(200)?;
        let mut all = handlers.as_array().context("no list of handlers")?.iter();
        let found = all.find(|handler| handler["name"] == name);
        found
            .cloned()
            .with_context(|| format!("no handler {name} in {handlers}"))
    }

    /// The number of the version that serves.
    ///
    /// # Errors
    /// If the handler is not there.
    pub fn version(&self, name: &str) -> Result<u64> {
        self.handler(name)?["version"].as_u64().context("it has no version")
    }

    /// The history of a handler, the newest entry first, each as `action outcome version by`.
    ///
    /// # Errors
    /// If it is not there.
    pub fn history(&self, name: &str) -> Result<Vec<String>> {
        let history = self.operator().get(&format!("/v1/handlers/{name}/history"))?.has(200)?;
        let entries = history.as_array().context("no list of entries")?.iter();
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let line = |entry: &Value| {
            let words = ["action", "outcome", "version", "by"].map(|key| word(&entry[key]));
            words.join(" ")
        };
        Ok(entries.map(line).collect())
    }
}
