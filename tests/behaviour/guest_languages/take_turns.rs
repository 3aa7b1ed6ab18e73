//! The reference guest in Rust and in another language take turns under load: both work on the same states, and no event and no
//! request notices which of them answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{anyhow, bail, ensure};
use sandman::guest::Language;
use sandman_core::digest;
use sandman_tests::{Ask, Client, Event, Handler, Host, Result, Seen, World, eventually, reference};
use serde_json::json;

/// Keys of events.
const KEYS: usize = 12;
/// How often one takes the other's place.
const TURNS: usize = 4;
/// Rounds of events, and requests, that each version handles at least before the next one comes.
const BETWEEN: usize = 10;
/// The key of the requests.
const ASKED: &str = "asked";

/// How far the load is.
#[derive(Default)]
struct Load {
    rounds: AtomicUsize,
    requests: AtomicUsize,
    done: AtomicBool,
}

impl Load {
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    fn so_far(&self) -> [usize; 2] {
        [&self.rounds, &self.requests].map(|count| count.load(Ordering::Relaxed))
    }
}

pub(super) fn take_turns(world: &World, language: Language) -> Result {
    let topic = world.make_topic("reference.told")?;
    let components = [reference(Language::Rust)?, reference(language)?];
    let handler = Handler::new("reference", &components[0])
        .consumes(&[&topic])
        .emits(&["reference.done", "reference.checked"])
        .set("instances", "\"reused\"")
        .set("limits", r#"{ time = "500ms", memory = "64MiB" }"#);
    // Tests compile with a slow compiler, many of them at once.
    let settings = world.settings()?.handler(handler);
    let settings = ["GET", "PUT", "DELETE"].into_iter().fold(settings, |settings, method| {
        settings.route_for(method, "/reference/{key}", &["reference"])
    });
    let host = world.host(&settings)?;
    let components = [std::fs::read(&components[0])?, std::fs::read(&components[1])?];
    let load = Load::default();
    let (seen, requests) = thread::scope(|scope| -> Result<_> {
        let events = scope.spawn(|| send(world, &topic, &load));
        let requests = scope.spawn(|| ask(&host, &load));
        let exchanged = exchange(&host, &components, &load, || {
            events.is_finished() || requests.is_finished()
        });
        load.done.store(true, Ordering::Relaxed);
        // What a client has seen says more than that it has gone.
        let requests = requests.join().map_err(|_| anyhow!("a client panicked"))??;
        let seen = events.join().map_err(|_| anyhow!("the producer panicked"))??;
        exchanged.map(|()| (seen, requests))
    })?;
    handled_once_in_order(&seen, requests, &components.map(|component| digest(&component)))?;
    let metrics = host.metrics()?;
    let dead = metrics.sum("sandman_dead_letters_total", &[]).unwrap_or_default();
    ensure!(dead == 0.0, "{}", metrics.text());
    host.terminate().map(drop)
}

/// One takes the other's place, each once it has handled events and requests for a while.
fn exchange(host: &Host, components: &[Vec<u8>; 2], load: &Load, gone: impl Fn() -> bool) -> Result {
    for turn in 0..=TURNS {
        if turn > 0 {
            host.deployed("reference", &components[turn % 2])?;
        }
        let [rounds, requests] = load.so_far().map(|count| count + BETWEEN);
        eventually("events and requests are handled", || {
            ensure!(!gone(), "a client has ended");
            let [handled, answered] = load.so_far();
            Ok((handled >= rounds && answered >= requests).then_some(()))
        })?;
    }
    Ok(())
}

/// Sends an event to each key, again once all of them are handled; returns what was published.
fn send(world: &World, topic: &str, load: &Load) -> Result<Vec<Seen>> {
    let round: Vec<_> = (0..KEYS).map(|key| format!("key-{key}")).collect();
    let mut reader = world.reader(&world.topic("reference.done"))?;
    let (mut seen, mut handled, mut sent) = (Vec::new(), 0, 0);
    while !load.is_done() {
        let events: Vec<_> = round
            .iter()
            .map(|key| Event::new("reference.told", key, &json!({ "do": "count" })))
            .collect();
        world.send(topic, &events)?;
        sent += KEYS;
        eventually("a round of events is handled", || {
            while handled < sent
                && let Some(event) = reader.poll()?
            {
                handled += usize::from(event.key_text() != ASKED);
                seen.push(event);
            }
            Ok((handled == sent).then_some(()))
        })?;
        load.rounds.fetch_add(1, Ordering::Relaxed);
    }
    Ok(seen)
}

/// Puts one number after the other, and gets it back; returns how many.
fn ask(host: &Host, load: &Load) -> Result<usize> {
    let client = Client::new(host.http()?);
    let path = &format!("/reference/{ASKED}");
    let mut put = 0;
    while !load.is_done() {
        put += 1;
        let state = json!({ "n": put });
        client
            .ask(&Ask::new("PUT", path).json(&state))?
            .is(200, &json!({ "key": ASKED, "first": null }))?;
        client.get(path)?.is(200, &state)?;
        load.requests.fetch_add(1, Ordering::Relaxed);
    }
    Ok(put)
}

/// Every event and every request has counted once, in order, in the version that then served.
fn handled_once_in_order(seen: &[Seen], requests: usize, digests: &[String; 2]) -> Result {
    let mut keys: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
    for event in seen {
        keys.entry(event.key_text()).or_default().push(event);
    }
    ensure!(keys.len() == KEYS + 1, "{} keys", keys.len());
    let rounds = (seen.len() - keys.get(ASKED).map_or(0, Vec::len)) / KEYS;
    for (key, events) in keys {
        // The last requests' events may come after the last round's.
        let expected = if key == ASKED {
            events.len().min(requests)
        } else {
            rounds
        };
        ensure!(events.len() == expected, "{key}: {} events of {expected}", events.len());
        let mut turns: Vec<usize> = Vec::new();
        for (number, event) in (1..).zip(&events) {
            ensure!(
                event.payload() == json!({ "n": number }),
                "{key}: {} where {number} was due",
                event.payload()
            );
            let made_by = event.header("sandman.digest");
            let Some(by) = digests.iter().position(|digest| digest.starts_with(&made_by)) else {
                bail!("{key}: handled by {made_by}, which is none of {digests:?}");
            };
            if turns.last() != Some(&by) {
                turns.push(by);
            }
        }
        let expected: Vec<_> = (0..=TURNS).map(|turn| turn % 2).collect();
        ensure!(turns == expected, "{key} was handled by {turns:?}");
    }
    Ok(())
}
