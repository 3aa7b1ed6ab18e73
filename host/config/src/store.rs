//! `[store]`: where states, progress and the outbox are committed.

use std::path::{Path, PathBuf};

use super::kind::{Kind, integer, size};
use super::secret::Secret;
use super::section::{Section, resolve};

/// The location of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// SQLite in memory: lost when the process ends.
    Memory,
    /// PostgreSQL, which several hosts may share: `postgres://…`.
    Postgres(Secret),
}

/// `[store]`.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The location of the store.
    pub url: StoreUrl,
    /// The PostgreSQL schema of the tables.
    pub schema: String,
    /// Shards of the outbox when PostgreSQL's tables are created; existing tables keep their number.
    pub shards: u16,
    /// The password for PostgreSQL, if the environment has one.
    pub password: Option<Secret>,
    /// The password file, if the environment has no password: `PGPASSFILE`, or `.pgpass` in the home folder; may be missing.
    pub passfile: Option<PathBuf>,
    /// Bytes of committed events that may wait for Kafka; at this limit consuming stops.
    pub outbox: u64,
    /// Bytes of dead letters that are kept; beyond this, the oldest that are in Kafka are dropped.
    pub dead_letters: u64,
    /// Bytes of triggers that wait behind dead letters of held keys; at the limit, further ones stay in Kafka.
    pub held: u64,
}

pub(super) fn read(mut section: Section<'_>, (password, passfile): (Option<Secret>, Option<String>)) -> StoreConfig {
    let default = resolve(&section.report.folder, "data/sandman.db");
    let config = StoreConfig {
        url: section.or("url", &url(&section.report.folder), StoreUrl::Sqlite(default)),
        schema: section.or("schema", &identifier(), "sandman".to_owned()),
        shards: section.or("shards", &shards(), 8),
        password,
        passfile: passfile.map(PathBuf::from),
        outbox: section.or("outbox", &size(64 << 10..=1 << 40), 256 << 20),
        dead_letters: section.or("dead_letters", &size(64 << 10..=1 << 40), 256 << 20),
        held: section.or("held", &size(64 << 10..=1 << 40), 64 << 20),
    };
    section.finish();
    config
}

fn url(folder: &Path) -> Kind<StoreUrl> {
    let folder = folder.to_owned();
    Kind::text(
        "\"sqlite:PATH\", \"sqlite::memory:\" or \"postgres://USER@HOST:PORT/DATABASE\"",
        move |text| {
            if text.starts_with("postgres://") || text.starts_with("postgresql://") {
                return Some(StoreUrl::Postgres(Secret::new(text)));
            }
            match text.strip_prefix("sqlite:")? {
                "" => None,
                ":memory:" => Some(StoreUrl::Memory),
                path => Some(StoreUrl::Sqlite(resolve(&folder, path))),
            }
        },
    )
}

fn identifier() -> Kind<String> {
    Kind::text("a name of lower-case letters, digits and `_`, up to 60", |text| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        (begins && text.len() <= 60 && text.bytes().all(plain)).then(|| text.to_owned())
    })
}

fn shards() -> Kind<u16> {
    let whole = integer(1..=256);
    Kind::value(whole.allowed.clone(), move |value| {
        u16::try_from(whole.read(value)?).ok()
    })
}
