//! The store's files are not what the host left: each damage is refused by name, before anything is made of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::checker::Verdict;
use crate::wait::PATIENCE;
use crate::{Client, Host, Result, Settings};

use super::disk::refused;
use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::short(
    "disk-damaged",
    "after a load the store is damaged in seven ways, and each is refused by name",
    damaged,
)];

/// Of the store's file.
const PAGE: usize = 4096;

/// A damage to the store's files, and what the host then says.
struct Damage {
    what: &'static str,
    /// Whether the host was killed before it: otherwise it has emptied the log into the file.
    killed: bool,
    file: &'static str,
    how: fn(&mut Vec<u8>) -> Result,
    /// Whether the host can start, and ends as soon as it reads what is damaged.
    late: bool,
    words: &'static [&'static str],
}

const DAMAGE: Damage = Damage {
    what: "",
    killed: false,
    file: "sandman.db",
    how: |_| Ok(()),
    late: false,
    words: &["sandman.db is damaged", "restore a backup"],
};

const DAMAGES: &[Damage] = &[
    Damage {
        what: "the first page is overwritten",
        how: |bytes| fill(bytes, 16, 100),
        ..DAMAGE
    },
    Damage {
        what: "the second page is overwritten",
        how: |bytes| fill(bytes, PAGE, 2 * PAGE),
        ..DAMAGE
    },
    Damage {
        what: "half of the file is gone",
        how: |bytes| {
            bytes.truncate(bytes.len() / 2);
            Ok(())
        },
        ..DAMAGE
    },
    Damage {
        what: "a newer Sandman wrote it",
        // SQLite's `user_version`.
        how: |bytes| {
            bytes[60..64].copy_from_slice(&[0, 0, 0, 99]);
            Ok(())
        },
        words: &["was written by a newer Sandman", "format 99", "run the newer version"],
        ..DAMAGE
    },
    Damage {
        what: "a bit of the component that serves has turned",
        // It would call itself another version.
        how: |bytes| {
            let at = all_of(bytes, b"witness version: 00000");
            let at = at
                .first()
                .context("the component is not in one piece there: this shows nothing")?;
            bytes[at + 22] ^= 8;
            Ok(())
        },
        words: &[
            "sandman.db is damaged",
            "the bytes of the component",
            "restore the file from a backup",
        ],
        ..DAMAGE
    },
    Damage {
        what: "the pages in which states lie are overwritten",
        how: |bytes| {
            let pages: Vec<_> = all_of(bytes, br#"{"count":"#)
                .iter()
                .map(|at| at / PAGE * PAGE)
                .collect();
            ensure!(pages.iter().all(|page| *page > 0), "no states, or in the first page");
            // Dead letters hold the states that they met beside their events; a start reads them.
            let letters: Vec<_> = all_of(bytes, br#""eventId""#)
                .iter()
                .map(|at| at / PAGE * PAGE)
                .collect();
            let pages: Vec<_> = pages.into_iter().filter(|page| !letters.contains(page)).collect();
            ensure!(!pages.is_empty(), "no page with states alone: this shows nothing");
            pages.into_iter().try_for_each(|page| fill(bytes, page, page + PAGE))
        },
        late: true,
        words: &["sandman.db", "malformed", "restore the file from a backup"],
        ..DAMAGE
    },
    Damage {
        what: "a bit of the log has turned",
        killed: true,
        file: "sandman.db-wal",
        // In the first frame: SQLite takes the log to end before it, and the store for what it was long ago.
        how: |bytes| {
            bytes[32 + 24 + 100] ^= 1;
            Ok(())
        },
        words: &["older than what was published", "restore a newer one"],
        ..DAMAGE
    },
];

fn fill(bytes: &mut [u8], from: usize, to: usize) -> Result {
    let part = bytes
        .get_mut(from..to)
        .context("the file is too short: this shows nothing")?;
    part.fill(0xa5);
    Ok(())
}

/// Where `wanted` begins.
fn all_of(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(wanted.len()).enumerate();
    windows
        .filter(|(_, window)| *window == wanted)
        .map(|(at, _)| at)
        .collect()
}

fn damaged(run: &Run<'_>) -> Result<Verdict> {
    // Recordings hold states too, and a start reads them.
    let handler = run.handler()?.set("record", "{ rate = 0 }");
    let settings = run.settings_with(handler)?;
    let mut host = run.host(&settings)?;
    for damage in DAMAGES {
        run.under(&Load::default(), || {
            run.at_work(&host, Target::EventsAndRequests)?;
            run.until_seen(run.size(200, 2_000), PATIENCE);
            Ok(())
        })?;
        let how = if damage.killed { "kill -9" } else { "a stop" };
        run.hits(&host, how, Target::EventsAndRequests)?;
        run.lose_address();
        match damage.killed {
            true => host.kill()?,
            false => drop(host.terminate()?),
        }
        damage
            .is_refused(run, &settings)
            .map_err(|error| error.context(damage.what))?;
        host = run.host(&settings)?;
    }
    // The group hears of what is done from a host that has its partitions again.
    run.under(&Load::default(), || {
        run.until_seen(100, PATIENCE);
        Ok(())
    })?;
    run.finish(host)
}

impl Damage {
    /// Does it, sees what the host says, and restores what was there before.
    fn is_refused(&self, run: &Run<'_>, settings: &Settings) -> Result {
        let data = run.world.folder().join("data");
        let backup = whole(&data)?;
        let path = data.join(self.file);
        let mut bytes = fs::read(&path)?;
        ensure!(
            bytes.len() > 2 * PAGE,
            "{} has {} bytes: this shows nothing",
            self.file,
            bytes.len()
        );
        (self.how)(&mut bytes)?;
        fs::write(&path, bytes)?;
        let ended = match self.late {
            false => run.world.host_that_ends("", settings)?,
            true => {
                let host = run.world.host(settings)?;
                read_all(&host)?;
                host.wait(PATIENCE)?
            }
        };
        refused(&ended, self.words)?;
        for name in whole(&data)?.keys() {
            fs::remove_file(data.join(name))?;
        }
        for (name, bytes) in &backup {
            fs::write(data.join(name), bytes)?;
        }
        Ok(())
    }
}

/// Asks for the keys of the load, until one is not answered.
fn read_all(host: &Host) -> Result {
    let client = Client::new(host.http()?);
    for key in 0..Load::default().keys {
        match client.get(&format!("/work/user-{key}")) {
            Ok(reply) if reply.status == 200 => {}
            // Or the host has ended already.
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// The files of the store, as a backup of a host that is stopped has them.
fn whole(data: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(data)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        if name.starts_with("sandman.db") {
            let bytes = fs::read(data.join(&name))?;
            files.insert(name, bytes);
        }
    }
    Ok(files)
}
