//! What a guest of another language than Rust did is replayed on a laptop to the byte, and compared with another component.

use anyhow::{Context, ensure};
use sandman::guest::Language;
use sandman_tests::{Event, Handler, Result, World, reference};
use serde_json::{Value, json};

use crate::time_travel::{ALL, recordings, run, says};

/// What is told of one key after the other: what decides, what fails, and what says something.
const DEEDS: [(&str, &str, &str); 6] = [
    ("ada", "count", ""),
    ("ada", "count", ""),
    ("bob", "text", "\u{17e}lu\u{165} \u{1f680} \"\\"),
    ("eve", "reject", "no thanks"),
    ("eve", "retry", "later"),
    ("ada", "forget", ""),
];

pub(super) fn replayed_and_compared(world: &World, language: Language) -> Result {
    let told = world.make_topic("reference.told")?;
    let handler = Handler::new("reference", &reference(language)?)
        .consumes(&[&told])
        .emits(&["reference.done", "reference.checked"])
        .set("retry", r#"{ attempts = 2, first = "1ms" }"#)
        .set("limits", r#"{ time = "10s", memory = "64MiB" }"#)
        .set("settings", r#"{ greeting = "hi" }"#)
        .set("record", ALL);
    let host = world.host(&world.settings()?.handler(handler))?;
    let event =
        |(key, deed, text): (&str, &str, &str)| Event::new("reference.told", key, &json!({ "do": deed, "text": text }));
    world.send(&told, &DEEDS.map(event))?;
    world.reader(&world.topic("reference.done"))?.until_count(5)?;
    world.dead_letters(&told)?.until_count(1)?;

    // On the component that ran, from the host and from a file.
    let found = recordings(world, &host, "reference")?;
    ensure!(found.len() == DEEDS.len() + 1, "{} recordings", found.len());
    run(world, &host, &["recordings", "reference", "--export", "all.jsonl"], 0)?;
    let same = "7 recordings, the same outcome for each, to the byte";
    says(&run(world, &host, &["replay", "all.jsonl"], 0)?, &[same])?;
    let letter = run(world, &host, &["replay", "1"], 0)?;
    says(&letter, &["no thanks", "is the recorded one, to the byte"])?;
    // The same of another language is another component that does the same.
    let rust = reference(Language::Rust)?;
    let rust = rust.to_str().context("the path of the component is no text")?;
    let diff = world.command(&["diff", "reference", "1", rust, "--json", "--host", host.admin()], &[])?;
    let told: Value = serde_json::from_str(&diff.stdout).with_context(|| format!("{diff:?}"))?;
    ensure!(told["compared"] == 7 && told["impurities"] == json!([]), "{told:#}");
    let groups = told["groups"].as_array().context("no groups")?;
    // Members of an object may well be in another order, and a call may cost more.
    let is_of_text = |group: &&Value| group["path"].as_str().is_some_and(|path| path.ends_with("(as text)"));
    let is_of_cost = |group: &&Value| ["slower", "more-memory"].iter().any(|kind| group["kind"] == *kind);
    let other = groups.iter().find(|group| !is_of_text(group) && !is_of_cost(group));
    ensure!(other.is_none(), "{told:#}");

    // What it would have made of another state.
    let second = found
        .iter()
        .find(|recording| recording["state"] == r#"{"n":1}"#)
        .and_then(|recording| recording["id"].as_str());
    let second = second.with_context(|| format!("the second count is not recorded: {found:#?}"))?;
    world.file("state.json", br#"{"n":41}"#)?;
    let other = run(world, &host, &["replay", second, "--state", "state.json"], 1)?;
    says(&other, &["value at state.n", "now       42"])
}
