//! The guests of the tests and of DreamScape, and handlers that run them.

use std::collections::BTreeMap;
use std::fs::{File, create_dir_all};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use sandman::build_guest::{BuildOptions, build};
use sandman::guest::Language;

use crate::Result;
use crate::paths::{repository, target_dir};
use crate::settings::Handler;

/// A handler `echo`: counts and folds what happened to a key, and echoes it. It remembers no events: an input that counts
/// twice must show.
///
/// # Errors
/// If the guest does not build.
pub fn echo(topics: &[&String]) -> Result<Handler> {
    let handler = Handler::new("echo", &guest("echo")?);
    let handler = handler.consumes(topics).emits(&["thing.counted", "thing.echoed"]);
    Ok(handler.set("dedupe", "0"))
}

/// A handler `hostile`: does as it is told.
///
/// # Errors
/// If the guest does not build.
pub fn hostile(topics: &[&String]) -> Result<Handler> {
    let handler = Handler::new("hostile", &guest("hostile")?);
    Ok(handler.consumes(topics).emits(&["hostile.done"]))
}

/// The component of a guest in `tests/guests`, built with the code of `sandman build` at its first use.
///
/// # Errors
/// If it does not build.
pub fn guest(name: &str) -> Result<PathBuf> {
    guest_in(&format!("tests/guests/{name}"))
}

/// The component of the reference guest in a language, likewise.
///
/// # Errors
/// If it does not build.
pub fn reference(language: Language) -> Result<PathBuf> {
    guest_in(&format!("tests/guests/reference/{}", language.word()))
}

/// The component of one of DreamScape's guests, likewise.
///
/// # Errors
/// If it does not build.
pub fn shipped_guest(name: &str) -> Result<PathBuf> {
    guest_in(&format!("guest/{name}"))
}

/// The component of the guest in a folder of the repository, likewise.
///
/// # Errors
/// If it does not build.
pub fn guest_in(folder: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Mutex<BTreeMap<String, PathBuf>>> = OnceLock::new();
    let built = BUILT.get_or_init(Mutex::default);
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(folder) {
        return Ok(path.clone());
    }
    let options = BuildOptions {
        target_dir: Some(target_dir()?),
        ..BuildOptions::default()
    };
    // Other runs on these sources install and build in the same folder; cargo has a lock of its own.
    create_dir_all(target_dir()?)?;
    let lock = File::create(target_dir()?.join("guests.lock"))?;
    lock.lock()?;
    let component = build(&repository().join(folder), &options)?;
    built.insert(folder.to_owned(), component.path.clone());
    Ok(component.path)
}

/// The guest `echo` as another version: its events and replies carry `by: number`.
///
/// # Errors
/// If the guest does not build.
pub fn stamped(number: u64) -> Result<Vec<u8>> {
    rewritten("echo", "echo version: 000001", &format!("echo version: {number:06}"))
}

/// The component of a guest with a text in it replaced by another one of the same length.
///
/// # Errors
/// If the guest does not build, or does not hold the text exactly once.
pub fn rewritten(name: &str, from: &str, to: &str) -> Result<Vec<u8>> {
    let mut component = std::fs::read(guest(name)?)?;
    let mut places = component
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes());
    let (Some((at, _)), None, true) = (places.next(), places.next(), from.len() == to.len()) else {
        anyhow::bail!("{name} does not hold {from:?} exactly once, or {to:?} is not as long");
    };
    component[at..at + to.len()].copy_from_slice(to.as_bytes());
    Ok(component)
}
