//! Dead letters as the behaviours make them, list them and look at what became of them.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::Result;
use crate::consumer::Seen;
use crate::event::Event;
use crate::guests::{guest, rewritten};
use crate::host::{Ended, Host};
use crate::settings::{Handler, Settings};
use crate::wait::eventually;
use crate::world::World;

/// The guest `hostile` with a schema that an event of [`misfit`] does not fit: each becomes a dead letter.
///
/// # Errors
/// If the guest does not build.
pub fn strict() -> Result<Vec<u8>> {
    rewritten(
        "hostile",
        "hostile describes itself:well",
        "hostile describes itself:deep",
    )
}

/// The guest without it.
///
/// # Errors
/// If the guest does not build.
pub fn lenient() -> Result<Vec<u8>> {
    Ok(std::fs::read(guest("hostile")?)?)
}

/// An event that [`strict`] gives up and [`lenient`] handles.
pub fn misfit(key: &str, n: u64) -> Event {
    let payload = json!({ "do": "nothing", "n": n, "text": "", "nest": "no array" });
    Event::new("hostile.told", key, &payload)
}

/// A handler whose first version is [`strict`]. It remembers no events: what is handled twice must show.
///
/// # Errors
/// If the guest does not build.
pub fn strict_handler(world: &World, input: &String) -> Result<Handler> {
    let file = world.file("strict.wasm", &strict()?)?;
    let handler = Handler::new("hostile", std::path::Path::new(&file));
    let handler = handler.consumes(&[input]).emits(&["hostile.done"]);
    Ok(handler.set("retry", "{ attempts = 1 }").set("dedupe", "0"))
}

/// Runs `sandman dlq` against a host.
///
/// # Errors
/// If it does not end.
pub fn dlq(world: &World, host: &Host, arguments: &[&str]) -> Result<Ended> {
    world.command(&[&["dlq"], arguments, &["--host", host.admin()]].concat(), &[])
}

/// All letters of a host.
///
/// # Errors
/// If it does not tell.
pub fn letters(world: &World, host: &Host) -> Result<Value> {
    let ended = dlq(world, host, &["list", "--json", "--limit", "1000"])?;
    ensure!(ended.code() == 0, "{}", ended.stderr);
    Ok(serde_json::from_str(&ended.stdout)?)
}

/// How many letters a host has.
///
/// # Errors
/// If it does not tell.
pub fn letter_count(world: &World, host: &Host) -> Result<u64> {
    letters(world, host)?["count"].as_u64().context("no count")
}

/// Waits until a host has so many letters.
///
/// # Errors
/// If it does not have them in time.
pub fn until_letters(world: &World, host: &Host, wanted: u64) -> Result {
    eventually(&format!("{wanted} letters"), || {
        Ok((letter_count(world, host)? == wanted).then_some(()))
    })
}

/// Has a host follow other settings.
///
/// # Errors
/// If it does not.
pub fn reloaded(world: &World, host: &Host, settings: &Settings) -> Result {
    world.file("sandman.toml", settings.text().as_bytes())?;
    let ended = world.command(&["reload", "--host", host.admin()], &[])?;
    ensure!(ended.code() == 0, "{}", ended.stderr);
    Ok(())
}

/// What was handled of a key, by the `n` of its events, in the order in which it was published.
pub fn numbers(seen: &[Seen], key: &str) -> Vec<u64> {
    let of_key = seen.iter().filter(|event| event.key_text() == key);
    of_key.filter_map(|event| event.payload()["n"].as_u64()).collect()
}

/// Every event of these keys, `n` from 0, was handled once, in order.
///
/// # Errors
/// If not.
pub fn handled_once(world: &World, keys: impl Iterator<Item = String>, each: u64) -> Result {
    let seen = world.all_of(&world.topic("hostile.done"))?;
    for key in keys {
        let numbers = numbers(&seen, &key);
        ensure!(numbers == (0..each).collect::<Vec<_>>(), "{key}: {numbers:?}");
    }
    Ok(())
}
