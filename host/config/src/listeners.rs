//! `[http]` and `[admin]`: the listeners.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::environment::{in_environment, token};
use super::kind::{Kind, address, bytes, duration, integer, list};
use super::secret::Secret;
use super::section::{Section, join};

/// `[http]`: the handlers' own traffic.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The key of the tokens, from `JWT_SECRET`.
    pub jwt_secret: Option<Secret>,
    /// Bytes of a request's JSON body.
    pub body: usize,
    /// Bytes of an uploaded file.
    pub upload: usize,
    /// How long a request's body may take to arrive, and then its answer to be ready.
    pub timeout: Duration,
    /// Connections served at once; others wait to be accepted.
    pub connections: usize,
    /// Origins whose pages may read our responses, in the form of browsers: `https://app.example`.
    pub cors: Vec<String>,
    /// Headers that those pages may send in addition to the host's own, lower case; `None`: any.
    pub cors_headers: Option<Vec<String>>,
}

/// `[admin]`: metrics, health and administration.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The bearer tokens with their names: `admin` for `SANDMAN_ADMIN_TOKEN`, and those of
    /// `SANDMAN_ADMIN__TOKENS__<NAME>`. There is always one if the address is not a loopback address.
    pub tokens: Vec<(String, Secret)>,
    /// The names of the tokens that may read user data: keys, events, states.
    pub read_data: Vec<String>,
}

const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3002);
/// The name of the token in `SANDMAN_ADMIN_TOKEN`.
const MAIN: &str = "admin";
/// The name of the caller if no token is configured.
pub const LOCAL: &str = "local";
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3902);

pub(super) fn read_http(mut section: Section<'_>, port: Option<&str>, jwt_secret: Option<Secret>) -> HttpConfig {
    section.elsewhere(
        "jwt_secret",
        "is set by the variable JWT_SECRET, so that it stands in no file",
    );
    let explicit = section.report.variable(&section.path("listen")).is_some();
    let mut listen = section.or("listen", &address(), HTTP);
    match port.map(str::parse::<u16>) {
        // SANDMAN_HTTP__LISTEN is more specific than PORT, so it wins.
        Some(Ok(port)) if !explicit => listen.set_port(port),
        Some(Err(_)) => {
            let problem = format!("{:?} is not allowed", port.unwrap_or_default());
            let allowed = "a port number from 0 to 65535, in place of the one in http.listen".to_owned();
            section.report.add("PORT", problem, Some(allowed), None);
        }
        Some(Ok(_)) | None => {}
    }
    let config = HttpConfig {
        listen,
        jwt_secret,
        body: section.or("body", &bytes(1 << 10..=64 << 20), 1 << 20),
        upload: section.or("upload", &bytes(1 << 10..=64 << 20), 2 << 20),
        timeout: section.or(
            "timeout",
            &duration(Duration::from_millis(100)..=Duration::from_secs(600)),
            Duration::from_secs(30),
        ),
        connections: section.or("connections", &count(), 1_024),
        cors: section.or("cors", &list(origin()), Vec::new()),
        cors_headers: section.or("cors_headers", &any_or_headers(), None),
    };
    section.finish();
    config
}

fn count() -> Kind<usize> {
    let whole = integer(1..=100_000_i64);
    Kind::value(whole.allowed.clone(), move |value| {
        usize::try_from(whole.read(value)?).ok()
    })
}

/// An origin in the form of browsers, which compare it letter by letter.
fn origin() -> Kind<String> {
    Kind::text(
        "an origin such as \"https://app.example\" or \"http://localhost:3000\": scheme and lower-case name, a port where it \
         is not the usual one, no slash at the end",
        |text| {
            let name = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
            let known = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
            };
            let usual = if text.starts_with("https") { ":443" } else { ":80" };
            let good = !name.is_empty() && name.bytes().all(known) && !name.ends_with(usual) && !name.ends_with(':');
            good.then(|| text.to_owned())
        },
    )
}

/// `["*"]`, which is `None`, or names of headers.
fn any_or_headers() -> Kind<Option<Vec<String>>> {
    let names = list(header());
    Kind::value(format!("[\"*\"], or {}", names.allowed), move |value| {
        let is_any = value
            .as_array()
            .is_some_and(|entries| matches!(entries.as_slice(), [one] if one.as_str() == Some("*")));
        if is_any {
            Some(None)
        } else {
            names.read(value).map(Some)
        }
    })
}

fn header() -> Kind<String> {
    Kind::text(
        "the name of a header, such as \"sentry-trace\": 1 to 64 lower-case letters, digits, dashes and underscores",
        |text| {
            let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
            ((1..=64).contains(&text.len()) && text.bytes().all(known)).then(|| text.to_owned())
        },
    )
}

pub(super) fn read_admin(mut section: Section<'_>, token: Option<Secret>) -> AdminConfig {
    section.elsewhere(
        "token",
        "is set by the variable SANDMAN_ADMIN_TOKEN, so that it stands in no file",
    );
    let listen = section.or("listen", &address(), ADMIN);
    let mut tokens = read_tokens(&mut section);
    if let Some(token) = token {
        if tokens.iter().any(|(name, _)| name == MAIN) {
            let problem = "is the name of SANDMAN_ADMIN_TOKEN; choose another";
            section.refuse("tokens.admin", problem);
        }
        tokens.insert(0, (MAIN.to_owned(), token));
    }
    if !listen.ip().is_loopback() && tokens.is_empty() {
        let problem = format!(
            "{listen} can be reached from other machines: set the variable SANDMAN_ADMIN_TOKEN, or listen on 127.0.0.1"
        );
        section.refuse("listen", problem);
    }
    let read_data = section.or("read_data", &list(caller()), vec![LOCAL.to_owned()]);
    for name in &read_data {
        if name != LOCAL && !tokens.is_empty() && !tokens.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = tokens.iter().map(|(known, _)| known.as_str()).collect();
            let problem = format!("{name:?} is the name of no token; there are: {}", known.join(", "));
            section.refuse("read_data", problem);
        }
    }
    section.finish();
    AdminConfig {
        listen,
        tokens,
        read_data,
    }
}

fn caller() -> Kind<String> {
    Kind::text(
        "names of tokens: \"admin\" for SANDMAN_ADMIN_TOKEN, NAME for SANDMAN_ADMIN__TOKENS__NAME, \"local\" for everybody on \
         this machine where no token is set",
        |text| (!text.is_empty()).then(|| text.to_owned()),
    )
}

/// Tokens by their names. They come only from the environment.
fn read_tokens(section: &mut Section<'_>) -> Vec<(String, Secret)> {
    let mut tokens = Vec::new();
    for (name, value) in section.free("tokens") {
        let key = join(&section.path("tokens"), &name);
        if section.report.variable(&key).is_none() {
            let variable = in_environment(&name);
            let problem =
                format!("is set by the variable SANDMAN_ADMIN__TOKENS__{variable}, so that it stands in no file");
            section.report.refuse(&key, problem);
        } else if let Some(token) = token(&key, value.as_str().unwrap_or_default().to_owned(), section.report) {
            tokens.push((name, token));
        }
    }
    tokens
}

/// Two listeners cannot share an address.
pub(super) fn check_distinct(http: &HttpConfig, admin: &AdminConfig, report: &super::problem::ProblemReport) {
    let (left, right) = (http.listen, admin.listen);
    let overlap = left.ip() == right.ip() || left.ip().is_unspecified() || right.ip().is_unspecified();
    if left.port() != 0 && left.port() == right.port() && overlap {
        report.refuse(
            "admin.listen",
            format!("{right} is taken by http.listen ({left}); choose another port"),
        );
    }
}
