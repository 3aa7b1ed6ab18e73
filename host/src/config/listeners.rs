//! `[http]` and `[admin]`: the addresses we serve.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::kind::{Kind, address, duration, integer, list, size};
use super::secret::Secret;
use super::section::Section;

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
    /// Connections served at once; more wait unaccepted.
    pub connections: usize,
    /// Origins whose pages may read our answers, as browsers write them: `https://app.example`.
    pub cors: Vec<String>,
}

/// `[admin]`: metrics, health and administration.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The bearer token, from `SANDMAN_ADMIN_TOKEN`; there is always one where the address is not a loopback address.
    pub token: Option<Secret>,
}

const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 3002);
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3902);

pub(super) fn read_http(mut section: Section<'_>, port: Option<&str>, jwt_secret: Option<Secret>) -> HttpConfig {
    section.elsewhere(
        "jwt_secret",
        "is set by the variable JWT_SECRET, so that it stands in no file",
    );
    let explicit = section.report.variable(&section.path("listen")).is_some();
    let mut listen = section.or("listen", &address(), HTTP);
    match port.map(str::parse::<u16>) {
        // SANDMAN_HTTP__LISTEN says more than PORT does, so it wins.
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

/// A size that is a number of bytes in memory.
fn bytes(range: std::ops::RangeInclusive<u64>) -> Kind<usize> {
    let size = size(range);
    Kind::value(size.allowed.clone(), move |value| {
        usize::try_from(size.read(value)?).ok()
    })
}

/// An origin as browsers write it: they compare it letter by letter.
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

pub(super) fn read_admin(mut section: Section<'_>, token: Option<Secret>) -> AdminConfig {
    section.elsewhere(
        "token",
        "is set by the variable SANDMAN_ADMIN_TOKEN, so that it stands in no file",
    );
    let listen = section.or("listen", &address(), ADMIN);
    if !listen.ip().is_loopback() && token.is_none() {
        let problem = format!(
            "{listen} can be reached from other machines: set the variable SANDMAN_ADMIN_TOKEN, or listen on 127.0.0.1"
        );
        section.refuse("listen", problem);
    }
    section.finish();
    AdminConfig { listen, token }
}

/// Two listeners cannot share an address.
pub(super) fn check_distinct(http: &HttpConfig, admin: &AdminConfig, report: &super::problem::Report) {
    let (left, right) = (http.listen, admin.listen);
    let overlap = left.ip() == right.ip() || left.ip().is_unspecified() || right.ip().is_unspecified();
    if left.port() != 0 && left.port() == right.port() && overlap {
        report.refuse(
            "admin.listen",
            format!("{right} is taken by http.listen ({left}); choose another port"),
        );
    }
}
