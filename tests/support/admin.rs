//! The admin API as its clients use it, without the commands.

use std::io::{BufRead, BufReader};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use ureq::Agent;

use crate::Result;
use crate::host::Host;

/// A status and a body.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, as text.
    pub text: String,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("no JSON: {:?}", self.text))
    }
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

impl Host {
    /// Asks the admin listener, with these headers.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Result<Reply> {
        let mut request = agent().get(format!("{}{path}", self.admin()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.call()?;
        let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string()?);
        Ok(Reply { status, text })
    }

    /// Orders something of the admin listener, with these headers and this body.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn order(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
        let mut request = agent().post(format!("{}{path}", self.admin()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body)?;
        let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string()?);
        Ok(Reply { status, text })
    }

    /// Deploys a component; `passed` hears of each stage as it is passed, and ends the deploy's telling with `false`.
    /// Answers the last line that came, if one did.
    ///
    /// # Errors
    /// If the host does not take it.
    pub fn deploy(&self, name: &str, component: &[u8], mut passed: impl FnMut(&str) -> bool) -> Result<Option<Value>> {
        let url = format!("{}/v1/handlers/{name}/versions", self.admin());
        let mut answer = agent().post(url).send(component)?;
        ensure!(
            answer.status() == 200,
            "{}: {}",
            answer.status(),
            answer.body_mut().read_to_string()?
        );
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
        let handlers = self.ask("/v1/handlers", &[])?.json()?;
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
        let history = self.ask(&format!("/v1/handlers/{name}/history"), &[])?.json()?;
        let entries = history.as_array().context("no list of entries")?.iter();
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let line = |entry: &Value| {
            let words = ["action", "outcome", "version", "by"].map(|key| word(&entry[key]));
            words.join(" ")
        };
        Ok(entries.map(line).collect())
    }
}
