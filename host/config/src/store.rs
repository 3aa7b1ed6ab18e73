//! `[store]`: where states, progress and the outbox are committed.

use std::path::{Path, PathBuf};

use super::kind::{Kind, size};
use super::section::{Section, resolve};

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// SQLite in memory: gone with the process.
    Memory,
}

/// `[store]`.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where the store is.
    pub url: StoreUrl,
    /// Bytes of committed events that may wait for Kafka; at this bound intake stops.
    pub outbox: u64,
    /// Bytes of dead letters that are kept; beyond it the oldest go that are on Kafka.
    pub dead_letters: u64,
    /// Bytes of what waits behind dead letters of held keys; at the bound what more comes for them stays on Kafka.
    pub held: u64,
}

pub(super) fn read(mut section: Section<'_>) -> StoreConfig {
    let default = resolve(&section.report.folder, "data/sandman.db");
    let config = StoreConfig {
        url: section.or("url", &url(&section.report.folder), StoreUrl::Sqlite(default)),
        outbox: section.or("outbox", &size(64 << 10..=1 << 40), 256 << 20),
        dead_letters: section.or("dead_letters", &size(64 << 10..=1 << 40), 256 << 20),
        held: section.or("held", &size(64 << 10..=1 << 40), 64 << 20),
    };
    section.finish();
    config
}

fn url(folder: &Path) -> Kind<StoreUrl> {
    let folder = folder.to_owned();
    Kind::text("\"sqlite:PATH\" or \"sqlite::memory:\"", move |text| {
        match text.strip_prefix("sqlite:")? {
            "" => None,
            ":memory:" => Some(StoreUrl::Memory),
            path => Some(StoreUrl::Sqlite(resolve(&folder, path))),
        }
    })
}
