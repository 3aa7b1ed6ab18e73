//! `[http]` and `[admin]`: the addresses we serve.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::kind::address;
use super::secret::Secret;
use super::section::Section;

/// `[http]`: the handlers' own traffic.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// The key of the tokens, from `JWT_SECRET`.
    pub jwt_secret: Option<Secret>,
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
    section.finish();
    HttpConfig { listen, jwt_secret }
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
