//! Waits for files to be saved, and classifies them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, unbounded};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use crate::guest::Language;

use super::guests::{EVENTS, GuestFolder, is_event};

/// Editors write a file in several steps. Silence for this long means that they are done.
const SILENCE: Duration = Duration::from_millis(50);

/// The error if the system no longer reports changes.
const UNWATCHED: &str = "files cannot be watched";

/// What was saved.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SavedFiles {
    /// Handlers whose guests have other sources.
    pub(super) guests: BTreeSet<Arc<str>>,
    /// Files with events to try.
    pub(super) events: Vec<PathBuf>,
    /// `sandman.toml`.
    pub(super) configuration: bool,
}

/// The kind of a saved file.
enum Saved {
    Source,
    Event,
    Nothing,
}

/// Watches the guests' folders.
pub(super) struct FolderWatch {
    watcher: Mutex<RecommendedWatcher>,
    seen: Receiver<notify::Result<Event>>,
    guests: Vec<(Arc<str>, PathBuf)>,
    configuration: PathBuf,
}

impl FolderWatch {
    /// Watches these guests and the configuration, from now on.
    pub(super) fn over(guests: &[GuestFolder], configuration: &Path) -> Result<Self> {
        let (sender, seen) = unbounded();
        // At the end the receiver is gone.
        let watcher = notify::recommended_watcher(move |event| drop(sender.send(event)));
        let configuration = configuration.canonicalize().context("the configuration is gone")?;
        let watch = Self {
            watcher: Mutex::new(watcher.context(UNWATCHED)?),
            seen,
            guests: guests
                .iter()
                .map(|guest| (Arc::clone(&guest.handler), guest.dir.clone()))
                .collect(),
            configuration,
        };
        if let Some(folder) = watch.configuration.parent() {
            watch.add(folder, RecursiveMode::NonRecursive)?;
        }
        for (_, dir) in &watch.guests {
            watch.add(dir, RecursiveMode::NonRecursive)?;
            let entries = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
            for folder in entries.flatten().map(|entry| entry.path()) {
                watch.add_below(dir, &folder)?;
            }
        }
        Ok(watch)
    }

    fn add(&self, folder: &Path, mode: RecursiveMode) -> Result<()> {
        let added = self.watcher.lock().watch(folder, mode);
        added.with_context(|| format!("{} cannot be watched", folder.display()))
    }

    /// Adds a folder inside a guest's folder, except those that tools write, which may be thousands.
    fn add_below(&self, dir: &Path, folder: &Path) -> Result<()> {
        if folder.is_dir() && !matches!(stands_for(dir, folder), Saved::Nothing) {
            self.add(folder, RecursiveMode::Recursive)?;
        }
        Ok(())
    }

    /// Waits until something was saved, and nothing more for [`SILENCE`]. Irrelevant files do not count: other programs
    /// may read or write files beside `sandman.toml` all the time.
    pub(super) fn next(&self) -> Result<SavedFiles> {
        let mut changes = SavedFiles::default();
        while !self.note(&self.seen.recv()?.context(UNWATCHED)?, &mut changes)? {}
        let mut done = Instant::now() + SILENCE;
        while Instant::now() < done {
            let Ok(seen) = self.seen.recv_deadline(done) else { break };
            if self.note(&seen.context(UNWATCHED)?, &mut changes)? {
                done = Instant::now() + SILENCE;
            }
        }
        Ok(changes)
    }

    /// Adds the files of an event; returns whether any was relevant.
    fn note(&self, event: &Event, changes: &mut SavedFiles) -> Result<bool> {
        if matches!(event.kind, EventKind::Access(_)) {
            return Ok(false);
        }
        let mut is_saved = false;
        for path in &event.paths {
            if *path == self.configuration {
                changes.configuration = true;
                is_saved = true;
            }
            for (handler, dir) in &self.guests {
                if path.parent() == Some(dir) {
                    self.add_below(dir, path)?;
                }
                match stands_for(dir, path) {
                    Saved::Source => drop(changes.guests.insert(Arc::clone(handler))),
                    Saved::Event if path.is_file() => {
                        if !changes.events.contains(path) {
                            changes.events.push(path.clone());
                        }
                    }
                    Saved::Event | Saved::Nothing => continue,
                }
                is_saved = true;
            }
        }
        Ok(is_saved)
    }
}

/// Whether it is written by the tools of a language.
fn written_by_tools(name: &str) -> bool {
    let mut languages = Language::ALL.into_iter();
    languages.any(|language| language.toolchain().written().contains(&name))
}

/// The kind of a path in a guest's folder; files of tools and editors are irrelevant.
fn stands_for(dir: &Path, path: &Path) -> Saved {
    let Ok(inside) = path.strip_prefix(dir) else {
        return Saved::Nothing;
    };
    let mut parts = inside.iter();
    let passing = |part: &OsStr| {
        let name = part.to_string_lossy();
        let of_an_editor =
            name.ends_with('~') || name.ends_with(".tmp") || name.bytes().all(|byte| byte.is_ascii_digit());
        name.starts_with('.') || name.starts_with('#') || of_an_editor
    };
    match parts.next().and_then(OsStr::to_str) {
        None => Saved::Nothing,
        Some(name) if written_by_tools(name) => Saved::Nothing,
        _ if inside.iter().any(passing) => Saved::Nothing,
        Some(EVENTS) if path.extension().is_none() || is_event(path) => Saved::Event,
        Some(EVENTS) => Saved::Nothing,
        Some(_) => Saved::Source,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crossbeam_channel::RecvTimeoutError;

    use super::*;

    /// Far longer than it takes; only a fault waits as long.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn what_others_do_beside_the_configuration_keeps_no_save_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let configuration = folder.path().join("sandman.toml");
        let dir = folder.path().canonicalize().unwrap().join("shop");
        fs::create_dir_all(dir.join("src")).unwrap();
        fs::write(&configuration, "").unwrap();
        let guest = GuestFolder {
            handler: "shop".into(),
            component: folder.path().join("shop.wasm"),
            dir: dir.clone(),
        };
        let watch = FolderWatch::over(&[guest], &configuration).unwrap();
        let log = folder.path().join("log");
        let (noise, ended) = unbounded::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while ended.recv_timeout(SILENCE / 10) == Err(RecvTimeoutError::Timeout) {
                    fs::write(&log, "a line").unwrap();
                    fs::read(&log).unwrap();
                }
            });
            fs::write(dir.join("src/lib.rs"), "").unwrap();
            let (sender, saved) = unbounded();
            let watch = &watch;
            scope.spawn(move || sender.send(watch.next()).unwrap());
            let saved = saved.recv_timeout(PATIENCE);
            drop(noise);
            let saved = saved.expect("the save is not told").unwrap();
            assert!(saved.guests.contains("shop") && !saved.configuration, "{saved:?}");
        });
    }

    #[test]
    fn what_tools_and_editors_write_is_nothing() {
        let dir = Path::new("/g");
        let kind = |path: &str| match stands_for(dir, &dir.join(path)) {
            Saved::Source => "source",
            Saved::Event => "event",
            Saved::Nothing => "nothing",
        };
        for (path, expected) in [
            ("src/lib.rs", "source"),
            ("Cargo.toml", "source"),
            ("schemas/state-1.json", "source"),
            ("events/a.json", "event"),
            ("events/a.jsonl", "event"),
            ("events/a.json~", "nothing"),
            ("events/notes.txt", "nothing"),
            ("target/release/x", "nothing"),
            ("Cargo.lock", "nothing"),
            ("node_modules/esbuild/lib/main.js", "nothing"),
            ("package.json", "source"),
            ("src/.lib.rs.swp", "nothing"),
            ("src/4913", "nothing"),
            ("../other/src/lib.rs", "nothing"),
        ] {
            let path = path
                .strip_prefix("../")
                .map_or_else(|| path.to_owned(), |other| format!("/{other}"));
            assert_eq!(kind(&path), expected, "{path}");
        }
    }
}
