//! An HTTP client as browsers and services are: it keeps its connections, and takes every answer as one.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use anyhow::{Context, ensure};
use serde_json::Value;
use ureq::http::Request;

use crate::Result;
use crate::wait::PATIENCE;

/// A request, said in one breath.
#[derive(Clone, Debug)]
pub struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Ask {
    /// A request without a body.
    pub fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a token, as it is.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().as_bytes())
    }

    /// With any body, instead of one that it may have.
    #[must_use]
    pub fn body(mut self, media_type: &str, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self.headers.retain(|(name, _)| name != "Content-Type");
        self.header("Content-Type", media_type)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The header of that name; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether it is exactly this: the status, and the body as JSON.
    ///
    /// # Errors
    /// What it is instead.
    pub fn is(&self, status: u16, body: &Value) -> Result {
        ensure!(
            self.status == status && self.json() == *body,
            "answered {} {}\n  not {status} {body}",
            self.status,
            self.text()
        );
        Ok(())
    }

    /// Whether it has this status; returns its body.
    ///
    /// # Errors
    /// What it is instead.
    pub fn has(&self, status: u16) -> Result<Value> {
        ensure!(
            self.status == status,
            "answered {} {}\n  not {status}",
            self.status,
            self.text()
        );
        Ok(self.json())
    }

    /// Whether it has this status and an error, in the service's shape, that says all of `words`. The host's own faults may have
    /// a code beside it, and nothing else does.
    ///
    /// # Errors
    /// What it is instead.
    pub fn refuses(&self, status: u16, words: &[&str]) -> Result {
        let body = self.has(status)?;
        let said = body["error"].as_str().unwrap_or_default();
        let told = words.iter().all(|word| said.contains(word));
        let fields = 1 + usize::from(status >= 500 && body["code"].is_string());
        let alone = body.as_object().is_some_and(|body| body.len() == fields);
        ensure!(told && alone && !said.is_empty(), "answered {body}\n  not {words:?}");
        Ok(())
    }
}

/// Talks to one host. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// A client of whoever listens at this address.
    pub fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            agent: config.new_agent(),
            base: base.to_owned(),
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// If none comes: then nobody knows what became of the request.
    pub fn ask(&self, ask: &Ask) -> Result<Reply> {
        let uri = format!("{}{}", self.base, ask.path);
        let mut request = Request::builder().method(ask.method).uri(&uri);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        let answer = match &ask.body {
            None => self.agent.run(request.body(())?),
            Some(body) => self.agent.run(request.body(body.as_slice())?),
        };
        let mut answer = answer.with_context(|| format!("no answer to {} {uri}", ask.method))?;
        let body = answer.body_mut().read_to_vec();
        let headers = answer.headers().iter();
        Ok(Reply {
            status: answer.status().as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body: body.with_context(|| format!("no whole answer to {} {uri}", ask.method))?,
        })
    }

    /// Reads a path.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.ask(&Ask::new("GET", path))
    }

    /// Sends these bytes, which ask for the end of the connection, on one of their own.
    ///
    /// # Errors
    /// If there is no connection or no answer.
    pub fn raw(&self, bytes: &[u8]) -> Result<Reply> {
        let reply = self.bytes(bytes, false)?;
        reply.context("the host hung up without an answer")
    }

    /// Sends these bytes and hangs up; `None` if the host has nothing to say to that.
    ///
    /// # Errors
    /// If there is no connection.
    pub fn raw_cut_short(&self, bytes: &[u8]) -> Result<Option<Reply>> {
        self.bytes(bytes, true)
    }

    fn bytes(&self, bytes: &[u8], hang_up: bool) -> Result<Option<Reply>> {
        let address = self.base.strip_prefix("http://").context("no http address")?;
        let mut stream = TcpStream::connect(address).with_context(|| format!("{address} does not accept"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // The host may hang up before it has read all; what it said until then counts.
        let _ = stream.write_all(bytes);
        if hang_up {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Ok(parsed(&answer))
    }
}

/// An answer on a connection that ends with it.
fn parsed(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(answer.get(..end)?).into_owned();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some(Reply {
        status,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: answer.get(end + 4..)?.to_vec(),
    })
}
