//! Where PostgreSQL is and how it lets us in: the URL, its parameters, and a file of passwords.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ::postgres::Config;
use ::postgres::config::Host;
use uuid::Uuid;

use super::link::ConnectTarget;
use super::open::{PgOpenError, PgOptions};
use super::tls::TlsWish;

/// The parameters of a URL that are ours to read, and the URL without them.
#[derive(Debug, Default, PartialEq, Eq)]
struct UrlParameters {
    url: String,
    tls: TlsWish,
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
}

/// Text without its percent signs.
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

/// What the options say, ready to connect.
pub(super) fn target(options: &PgOptions) -> Result<ConnectTarget, PgOpenError> {
    let parameters = UrlParameters::of(&options.url);
    // The driver's words may hold the URL's parts, and so a password: the reason is not shown.
    let unreadable = || PgOpenError::Url("use postgres://USER@HOST:PORT/DATABASE".to_owned());
    let mut config = Config::from_str(&parameters.url).map_err(|_| unreadable())?;
    if let Some(password) = &options.password {
        config.password(password);
    }
    let places: Vec<(String, u16)> = places(&config).collect();
    let (host, port) = places.first().cloned().unwrap_or_default();
    let user = config.get_user().unwrap_or_default().to_owned();
    let database = config.get_dbname().unwrap_or(&user).to_owned();
    let servers: Vec<String> = places.iter().map(|(host, port)| format!("{host}:{port}")).collect();
    let name = format!("the store postgres://{}/{database}", servers.join(","));
    if config.get_password().is_none() {
        let asked = [&*host, &port.to_string(), &database, &user];
        let file = parameters.passfile.as_ref().or(options.passfile.as_ref());
        if let Some(password) = file.and_then(|file| password_in(file, asked)) {
            config.password(password);
        }
    }
    let pooled = match parameters.pooler.as_deref() {
        None | Some("session" | "none") => false,
        Some("transaction") => true,
        Some(_) => {
            return Err(PgOpenError::Url(
                "its pooler may be \"transaction\" or \"none\"".to_owned(),
            ));
        }
    };
    let refused = |reason| PgOpenError::Tls {
        name: name.clone(),
        reason,
    };
    let tls = parameters.tls.setup().map_err(refused)?;
    // A server that is gone without a word is noticed in seconds, not in the hours of the system's defaults.
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

/// The servers that a URL names: one, or those of which whichever takes writes is used.
fn places(config: &Config) -> impl Iterator<Item = (String, u16)> {
    let ports = config.get_ports();
    config.get_hosts().iter().enumerate().map(|(at, host)| {
        let host = match host {
            Host::Tcp(host) => host.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        // One port counts for all of them.
        let port = ports.get(at).or(ports.first()).copied();
        (host, port.unwrap_or(5432))
    })
}

/// The password in a file as `psql` reads it: `host:port:database:user:password` a line, `*` for any. A file that others
/// may read is passed over, as there.
fn password_in(file: &Path, asked: [&str; 4]) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    if is_open_to_others(file) {
        tracing::warn!(file = %file.display(), "passed over: others may read it; chmod 0600");
        return None;
    }
    text.lines().find_map(|line| password_of(line, asked))
}

#[cfg(unix)]
fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(file).is_ok_and(|meta| meta.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

fn password_of(line: &str, asked: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        // The password is the rest, colons included.
        let is_last = fields.len() == 5;
        match letter {
            ':' if !is_last => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(letters.next()),
            other => fields.last_mut()?.push(other),
        }
    }
    let [host, port, database, user, password] = fields.try_into().ok()?;
    let mut meant = [host, port, database, user].into_iter().zip(asked);
    meant
        .all(|(field, asked)| field == "*" || field == asked)
        .then_some(password)
}

#[cfg(test)]
mod tests {
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
    fn a_line_of_a_password_file_is_meant_by_its_fields() {
        let asked = ["db", "5432", "sandman", "u"];
        assert_eq!(password_of("db:5432:sandman:u:a:b", asked).as_deref(), Some("a:b"));
        assert_eq!(password_of("*:*:*:u:p\\\\q", asked).as_deref(), Some("p\\q"));
        assert_eq!(password_of("other:*:*:*:p", asked), None);
        assert_eq!(password_of("#db:5432:sandman:u:p", asked), None);
        assert_eq!(password_of("db:5432", asked), None);
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
            let wish = TlsWish {
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
