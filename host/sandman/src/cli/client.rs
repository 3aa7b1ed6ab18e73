//! A client of the admin API: finds the host, sends requests, and describes errors.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::output;
use sandman_config::{Config, variables};
use sandman_core::printable;

/// The exit code of a command that could not ask the host at all.
const NOT_ASKED: u8 = 3;

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);

const DEFAULT_CONFIG: &str = "sandman.toml";

/// Bytes of the largest response that is read: all recordings of a handler.
const LARGEST: u64 = 4 << 30;

/// Larger bodies are announced with `Expect: 100-continue`.
const LARGE: usize = 64 << 10;

/// The end of the help of every command that asks a host.
pub(super) const FINDS: &str = "\
The host's address comes from [admin] listen in the configuration, from
SANDMAN_ADMIN__LISTEN, or from --host. The token comes from SANDMAN_ADMIN_TOKEN;
without one, only a host on this machine that has no token answers.";

/// The arguments that say where the host is.
#[derive(Args, Debug)]
pub(super) struct HostArgs {
    /// The configuration with the host's [admin] address. Default: sandman.toml, if it exists.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The host's admin address, for example http://127.0.0.1:3902, as printed by `sandman run`.
    #[arg(long, value_name = "URL")]
    host: Option<String>,
}

/// A host to ask.
pub(super) struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

/// The host could not be asked: it cannot be reached, or refuses access.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotAsked(pub(super) String);

/// Runs a command that asks a host; the exit code distinguishes a host that could not be asked from one that refused.
pub(super) fn asking(command: impl FnOnce() -> Result<ExitCode>) -> Result<ExitCode> {
    match command() {
        Err(error) if error.is::<NotAsked>() => {
            output::error(&format!("sandman: {}", super::reasons(&error)));
            Ok(ExitCode::from(NOT_ASKED))
        }
        other => other,
    }
}

/// The same kind of error with additional text.
pub(super) fn in_words(error: anyhow::Error, more: &str) -> anyhow::Error {
    let words = format!("{}{more}", super::reasons(&error));
    match error.is::<NotAsked>() {
        true => NotAsked(words).into(),
        false => anyhow!(words),
    }
}

impl HostArgs {
    /// The configuration that names the host, for commands that work without the host.
    pub(super) fn file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into())
    }

    /// Where the host of this configuration keeps compiled code, if that can be read.
    pub(super) fn compiled(&self) -> Option<PathBuf> {
        let config = match Config::load(&self.file(), variables()) {
            Ok(config) => config,
            Err(errors) => *errors.readable?,
        };
        Some(config.host.compiled)
    }

    /// A client for the host that these arguments, the configuration and the environment name.
    ///
    /// # Errors
    /// Like a host that could not be asked, because nothing was asked.
    pub(super) fn client(&self) -> Result<Client> {
        let named = self.named();
        named.map_err(|error| NotAsked(super::reasons(&error)).into())
    }

    fn named(&self) -> Result<Client> {
        if let Some(config) = self.config.as_ref().filter(|config| !config.exists()) {
            bail!("--config {}: there is no such file", config.display());
        }
        let admin = Config::admin(&self.file(), variables());
        let (base, token) = match &self.host {
            Some(host) => (base(host)?, token()?),
            None => {
                let admin = admin?;
                let mut address = admin.listen;
                if address.port() == 0 {
                    bail!(
                        "[admin] listen has port 0, any free port; name the address that `sandman run` printed with --host"
                    );
                }
                if address.ip().is_unspecified() {
                    address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
                }
                (format!("http://{address}"), token()?)
            }
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIME))
            // Not through a proxy, which would see the token.
            .proxy(None)
            .build();
        Ok(Client {
            agent: config.into(),
            base,
            token,
        })
    }
}

/// The token of the user of the command.
fn token() -> Result<Option<String>> {
    let found = variables().find(|(name, _)| name == "SANDMAN_ADMIN_TOKEN");
    let Some((_, token)) = found else { return Ok(None) };
    let Some(token) = token.text() else {
        bail!("SANDMAN_ADMIN_TOKEN is not valid UTF-8");
    };
    // Trimmed, as by the host.
    Ok(Some(token.trim_end().to_owned()))
}

fn base(host: &str) -> Result<String> {
    let host = host.trim_end_matches('/');
    if host.starts_with("https://") {
        bail!("--host {host}: the host uses plain HTTP; from another machine use a tunnel, such as ssh -L");
    }
    if let Some((scheme, _)) = host.split_once("://").filter(|(scheme, _)| *scheme != "http") {
        bail!("--host {host}: the host uses http and not {scheme}");
    }
    Ok(match host.starts_with("http://") {
        true => host.to_owned(),
        false => format!("http://{host}"),
    })
}

impl Client {
    /// The response to a GET request.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(&mut self.open(path)?)
    }

    /// The same, for a response that is streamed in lines.
    pub(super) fn open(&self, path: &str) -> Result<Response<Body>> {
        let mut response = self.answer(path)?;
        self.refused(&mut response)?;
        Ok(response)
    }

    /// The response to a GET request, whatever its status.
    pub(super) fn answer(&self, path: &str) -> Result<Response<Body>> {
        let mut request = self.agent.get(self.url(path));
        if let Some(bearer) = self.bearer() {
            request = request.header("Authorization", bearer);
        }
        self.heard(request.call())
    }

    /// The response to a POST request, whatever its status; the second argument is the body's media type and the body.
    pub(super) fn post(&self, path: &str, (media, body): (&str, &[u8])) -> Result<Response<Body>> {
        let mut request = self.agent.post(self.url(path)).header("Content-Type", media);
        if body.len() > LARGE {
            // A host that refuses the body can respond before it is sent, and not on a broken connection.
            request = request.header("Expect", "100-continue");
        }
        if let Some(bearer) = self.bearer() {
            request = request.header("Authorization", bearer);
        }
        self.heard(request.send(body))
    }

    /// Sends a JSON body, and reads the response.
    pub(super) fn ask<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(body).context("the request cannot be written as JSON")?;
        let mut response = self.post(path, ("application/json", &body))?;
        self.refused(&mut response)?;
        read(&mut response)
    }

    /// The bytes at a path.
    pub(super) fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let mut response = self.open(path)?;
        let bytes = response.body_mut().with_config().limit(LARGEST).read_to_vec();
        bytes.context("the host's response is incomplete")
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn bearer(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}"))
    }

    fn heard(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>> {
        let base = &self.base;
        let response = answer.map_err(|error| {
            NotAsked(format!(
                "no host answers at {base}: {error}; is it running? Use --host for another address"
            ))
        })?;
        let words = match response.status().as_u16() {
            401 => "it does not accept the token; set SANDMAN_ADMIN_TOKEN to the one with which it was started",
            403 => return Err(self.forbidden(response)),
            _ => return Ok(response),
        };
        Err(NotAsked(format!("the host at {base}: {words}")).into())
    }

    /// Why a host refuses a request.
    fn forbidden(&self, mut response: Response<Body>) -> anyhow::Error {
        let told: Value = read(&mut response).unwrap_or_default();
        let why = told.get("error").and_then(Value::as_str);
        let why = why.unwrap_or("it refuses requests with this name; use 127.0.0.1 or localhost");
        NotAsked(format!("the host at {}: {why}", self.base)).into()
    }

    /// Turns an error response into an error.
    pub(super) fn refused(&self, response: &mut Response<Body>) -> Result<()> {
        if response.status().is_success() {
            return Ok(());
        }
        let status = response.status();
        let told: Value = read(response).unwrap_or_default();
        let why = told.get("error").and_then(Value::as_str);
        Err(why.map_or_else(|| anyhow!("{} answered {status}", self.base), |why| anyhow!("{why}")))
    }
}

/// Reads a JSON response.
pub(super) fn read<T: DeserializeOwned>(response: &mut Response<Body>) -> Result<T> {
    let text = response
        .body_mut()
        .with_config()
        .limit(LARGEST)
        .read_to_string()
        .context("the host's response is incomplete")?;
    serde_json::from_str(&text).context("the host's response is not understood; is it another version of sandman?")
}

/// The lines of a response, as they arrive.
pub(super) fn lines(response: &mut Response<Body>) -> impl Iterator<Item = Result<String>> {
    let lines = BufReader::new(response.body_mut().as_reader()).lines();
    lines.map(|line| {
        let broke = "the connection to the host was lost; the command may still be carried out";
        line.map_err(|error| NotAsked(format!("{broke}: {error}")).into())
    })
}

/// A table with aligned columns on stdout.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    let plain = |cell: &String| printable::line(cell, printable::LONGEST).into_owned();
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(plain)).collect();
    let mut widths = head.map(|name| name.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        output::line(line.trim_end());
    };
    line(head);
    for row in &rows {
        line(row.each_ref().map(String::as_str));
    }
}

/// Prints a result as JSON, or by `text`.
pub(super) fn show<T: Serialize>(json: bool, value: &T, text: impl FnOnce(&T)) -> Result<()> {
    if json {
        return output::json(value);
    }
    text(value);
    Ok(())
}
