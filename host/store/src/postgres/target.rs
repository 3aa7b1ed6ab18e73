//! The address of PostgreSQL and the login: the URL and its parameters.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ::postgres::Config;
use ::postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

use super::open_error::PgOpenError;
use super::passfile::password_in;
use super::tls::TlsParameters;

/// How to reach the store.
#[derive(Clone)]
pub struct PgOptions {
    /// `postgres://user@host:port/database?parameters`.
    pub url: String,
    /// Takes precedence over a password in the URL.
    pub password: Option<String>,
    /// A password file in `psql`'s format, used if there is no other password; the URL's `passfile` takes precedence.
    pub passfile: Option<PathBuf>,
    /// The schema that holds the tables: a plain identifier.
    pub schema: String,
    /// How many shards the outbox gets when it is created, 1 to 256; an existing one keeps its number.
    pub shards: u16,
}

/// The store's server, ready to connect to.
pub(super) struct ConnectTarget {
    pub(super) config: Config,
    /// Encrypts connections if the URL asks for it and the server supports it.
    pub(super) tls: Option<MakeRustlsConnect>,
    /// The schema, a plain identifier.
    pub(super) schema: String,
    /// The owner of the connections: an id of this process's store.
    pub(super) instance: String,
    /// Each transaction may get another session of the server.
    pub(super) pooled: bool,
    /// The name of the store in errors, without a password.
    pub(super) name: String,
}

/// The parameters of a URL that Sandman itself reads, and the URL without them.
#[derive(Debug, Default, PartialEq, Eq)]
struct UrlParameters {
    url: String,
    tls: TlsParameters,
    passfile: Option<PathBuf>,
    /// `transaction`: each transaction may get another session of the server.
    pooler: Option<String>,
}

impl UrlParameters {
    fn of(url: &str) -> Self {
        let Some((base, query)) = url.split_once('?') else {
            return Self {
                url: url.to_owned(),
                ..Self::default()
            };
        };
        let mut found = Self::default();
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", mode)) => found.tls.mode = Some(decoded(mode)),
                Some(("sslrootcert", file)) => found.tls.authorities = Some(decoded(file).into()),
                Some(("pooler", kind)) => found.pooler = Some(decoded(kind)),
                Some(("passfile", file)) => found.passfile = Some(decoded(file).into()),
                _ => rest.push(parameter),
            }
        }
        found.url = match rest.is_empty() {
            true => base.to_owned(),
            false => format!("{base}?{}", rest.join("&")),
        };
        found
    }

    /// Whether each transaction may get another session of the server.
    fn pooled(&self) -> Result<bool, PgOpenError> {
        match self.pooler.as_deref() {
            None | Some("session" | "none") => Ok(false),
            Some("transaction") => Ok(true),
            Some(_) => Err(PgOpenError::Url(
                "its pooler may be \"transaction\" or \"none\"".to_owned(),
            )),
        }
    }
}

/// Text with percent-encoding decoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.split_at_checked(2).filter(|_| *first == b'%');
        let value = escaped.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = value.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The target that the options describe.
pub(super) fn target(options: &PgOptions) -> Result<ConnectTarget, PgOpenError> {
    let parameters = UrlParameters::of(&options.url);
    // The driver's message may contain parts of the URL, and so a password: the reason is not shown.
    let unreadable = || PgOpenError::Url("use postgres://USER@HOST:PORT/DATABASE".to_owned());
    let mut config = Config::from_str(&parameters.url).map_err(|_| unreadable())?;
    let name = let_in(&mut config, options, &parameters);
    let pooled = parameters.pooled()?;
    let refused = |reason| PgOpenError::Tls {
        name: name.clone(),
        reason,
    };
    let tls = parameters.tls.setup().map_err(refused)?;
    // A server that disappears without closing connections is noticed in seconds, instead of hours with the system's defaults.
    config
        .ssl_mode(tls.mode)
        .application_name("sandman")
        .connect_timeout(Duration::from_secs(5))
        .tcp_user_timeout(Duration::from_secs(15))
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3);
    Ok(ConnectTarget {
        config,
        tls: tls.connector,
        schema: options.schema.clone(),
        instance: Uuid::new_v4().to_string(),
        pooled,
        name,
    })
}

/// Sets the password in the configuration, if one is known. Returns the name of the store in errors.
fn let_in(config: &mut Config, options: &PgOptions, parameters: &UrlParameters) -> String {
    if let Some(password) = &options.password {
        config.password(password);
    }
    let places: Vec<(String, u16)> = places(config).collect();
    let (host, port) = places.first().cloned().unwrap_or_default();
    let user = config.get_user().unwrap_or_default().to_owned();
    let database = config.get_dbname().unwrap_or(&user).to_owned();
    if config.get_password().is_none() {
        let asked = [&*host, &port.to_string(), &database, &user];
        let file = parameters.passfile.as_ref().or(options.passfile.as_ref());
        if let Some(password) = file.and_then(|file| password_in(file, asked)) {
            config.password(password);
        }
    }
    let servers: Vec<String> = places.iter().map(|(host, port)| format!("{host}:{port}")).collect();
    format!("the store postgres://{}/{database}", servers.join(","))
}

/// The servers in a URL: one, or several of which the one that accepts writes is used.
fn places(config: &Config) -> impl Iterator<Item = (String, u16)> {
    let ports = config.get_ports();
    config.get_hosts().iter().enumerate().map(|(at, host)| {
        let host = match host {
            Host::Tcp(host) => host.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        // A single port applies to all of them.
        let port = ports.get(at).or(ports.first()).copied();
        (host, port.unwrap_or(5432))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn our_parameters_leave_the_url() {
        let read =
            UrlParameters::of("postgres://u@h/d?sslmode=verify-full&options=x&sslrootcert=%2Fetc%2Fca%20one.crt");
        assert_eq!(read.url, "postgres://u@h/d?options=x");
        assert_eq!(read.tls.mode.as_deref(), Some("verify-full"));
        assert_eq!(read.tls.authorities.as_deref(), Some(Path::new("/etc/ca one.crt")));
        assert_eq!(
            UrlParameters::of("postgres://u@h/d?sslmode=disable").url,
            "postgres://u@h/d"
        );
        assert_eq!(decoded("100%"), "100%");
    }

    #[test]
    fn a_store_on_several_servers_is_named_by_all_of_them() {
        let named = |url: &str| {
            let options = PgOptions {
                url: url.to_owned(),
                password: None,
                passfile: None,
                schema: "sandman".to_owned(),
                shards: 1,
            };
            target(&options).map(|target| target.name).unwrap_or_default()
        };
        let two = "postgres://u@one:5433,two:5434/d?target_session_attrs=read-write";
        assert_eq!(named(two), "the store postgres://one:5433,two:5434/d");
        assert_eq!(
            named("postgres://u@one,two/d"),
            "the store postgres://one:5432,two:5432/d"
        );
    }

    #[test]
    fn a_wish_that_cannot_be_met_says_why() {
        let wish = |mode: &str, file: Option<&str>| {
            let wish = TlsParameters {
                mode: Some(mode.to_owned()),
                authorities: file.map(Into::into),
            };
            wish.setup().err().unwrap_or_default()
        };
        assert!(wish("verify-full", None).contains("sslrootcert=FILE"));
        assert!(wish("verify", None).contains("verify-full"));
        assert!(wish("verify-ca", Some("/nowhere")).contains("/nowhere"));
        assert_eq!(wish("require", None), "");
    }
}
