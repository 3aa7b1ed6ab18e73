//! What the reference guest of every language does, on a real host: see `tests/guests/reference/README.md`.

use anyhow::{Context, bail, ensure};
use sandman::guest::Language;
use sandman_tests::{Ask, Client, Event, Handler, Host, Reader, Result, Seen, World, eventually, reference};
use serde_json::{Value, json};

/// What comes of an event.
enum Comes {
    /// An event with this payload.
    Done(Value),
    /// A dead letter whose reason has these words.
    Dead(&'static [&'static str]),
    /// An event whose payload is so, or a dead letter: the language has no such thing, and says so.
    DoneOrDead(fn(&Value) -> bool),
}
use Comes::{Dead, Done, DoneOrDead};

/// A text with all that is difficult about texts.
const TEXT: &str = "žluťoučký \u{1f469}\u{200d}\u{1f680} \u{0}\"\\ \u{10ffff}";

/// Key, deed and text of each event, and what must come of it.
fn told() -> Vec<(&'static str, &'static str, &'static str, Comes)> {
    let length = TEXT.chars().count();
    vec![
        ("ada", "count", "", Done(json!({ "n": 1 }))),
        ("ada", "count", "", Done(json!({ "n": 2 }))),
        ("bob", "count", "", Done(json!({ "n": 1 }))),
        ("ada", "forget", "", Done(json!({}))),
        ("ada", "count", "", Done(json!({ "n": 1 }))),
        ("text", "text", TEXT, Done(json!({ "text": TEXT, "length": length }))),
        ("reject", "reject", "no thanks", Dead(&["no thanks"])),
        ("retry", "retry", "later", Done(json!({ "attempt": 2 }))),
        ("panic", "panic", "help!", Dead(&["panicked at", "help!"])),
        ("loop", "loop", "", Dead(&["more than its 500 ms of CPU time"])),
        ("allocate", "allocate", "", Dead(&["the guest "])),
        ("recurse", "recurse", "", Dead(&["the guest "])),
        ("many", "many", "", Dead(&["returned 1000 events, more than its 32"])),
        ("log", "log", "a note", Done(json!({}))),
        ("unfit", "unfit", "", Dead(&["reference.checked", "/n"])),
        ("undeclared", "undeclared", "", Dead(&["reference.other"])),
        ("clock", "clock", "", DoneOrDead(|done| done["now"] == done["given"])),
        ("nonsense", "nonsense", "", Dead(&["nonsense"])),
        // After all that, the handler does what it did before.
        ("ada", "count", "", Done(json!({ "n": 2 }))),
    ]
}

/// What came of events.
struct Outcomes {
    done: Reader,
    dead: Reader,
    came: Vec<Came>,
    /// What the keys begin with.
    keys: &'static str,
}

#[derive(Clone)]
enum Came {
    Done(Seen),
    Dead(Seen),
}

impl Outcomes {
    fn event(&self, key: &str, payload: &Value) -> Event {
        Event::new("reference.told", &format!("{}-{key}", self.keys), payload)
    }

    fn of(&mut self, event: &Event) -> Result<Came> {
        eventually(&format!("what comes of the event {}", event.id), || {
            while let Some(seen) = self.done.poll()? {
                self.came.push(Came::Done(seen));
            }
            while let Some(seen) = self.dead.poll()? {
                self.came.push(Came::Dead(seen));
            }
            let caused = |came: &&Came| match came {
                Came::Done(seen) => seen.json()["causationId"] == event.id.as_str(),
                Came::Dead(seen) => seen.json()["eventId"] == event.id.as_str(),
            };
            Ok(self.came.iter().find(caused).cloned())
        })
    }

    fn done(&mut self, event: &Event) -> Result<Seen> {
        match self.of(event)? {
            Came::Done(seen) => Ok(seen),
            Came::Dead(letter) => bail!("a dead letter came: {}", letter.header("sandman.reason")),
        }
    }
}

/// Starts a host with the reference guest of the language, and looks at all that it does.
pub(super) fn conforms(world: &World, language: Language) -> Result {
    for instances in ["fresh", "reused"] {
        conforms_with(world, language, instances).with_context(|| format!("with {instances} instances"))?;
    }
    Ok(())
}

fn conforms_with(world: &World, language: Language, instances: &'static str) -> Result {
    let (told_type, done_type) = ("reference.told", "reference.done");
    let topic = world.make_topic(told_type)?;
    let handler = Handler::new("reference", &reference(language)?)
        .consumes(&[&topic])
        .emits(&[done_type, "reference.checked"])
        .set("instances", &format!("{instances:?}"))
        .set("retry", r#"{ attempts = 2, first = "1ms" }"#)
        .set("limits", r#"{ time = "500ms", memory = "64MiB" }"#)
        .set("settings", r#"{ greeting = "hi" }"#);
    // Tests compile with a slow compiler, many of them at once.
    let settings = world.settings()?.handler(handler);
    let settings = ["GET", "PUT", "DELETE"].into_iter().fold(settings, |settings, method| {
        settings.route_for(method, "/reference/{key}", &["reference"])
    });
    let host = world.host(&settings)?;
    let mut outcomes = Outcomes {
        done: world.reader(&world.topic(done_type))?,
        dead: world.dead_letters(&topic)?,
        came: Vec::new(),
        keys: instances,
    };
    deeds(world, &topic, &mut outcomes)?;
    host.says(&["a note"])?;
    whole_events(world, &topic, &mut outcomes)?;
    the_same_twice(world, &topic, &mut outcomes)?;
    requests(&host, instances)?;
    host.still_runs()?;
    host.terminate().map(drop)
}

fn deeds(world: &World, topic: &str, outcomes: &mut Outcomes) -> Result {
    let told = told();
    let events: Vec<_> = told
        .iter()
        .map(|(key, deed, text, _)| outcomes.event(key, &json!({ "do": deed, "text": text })))
        .collect();
    world.send(topic, &events)?;
    for ((_, deed, _, comes), event) in told.iter().zip(&events) {
        let came = outcomes.of(event)?;
        let fits = match (comes, &came) {
            (Done(expected), Came::Done(seen)) => seen.payload() == *expected,
            (DoneOrDead(fits), Came::Done(seen)) => fits(&seen.payload()),
            (DoneOrDead(_), Came::Dead(_)) => true,
            (Dead(words), Came::Dead(letter)) => {
                let reason = letter.header("sandman.reason");
                words.iter().all(|word| reason.contains(word))
            }
            _ => false,
        };
        let shown = match &came {
            Came::Done(seen) => seen.payload().to_string(),
            Came::Dead(letter) => letter.header("sandman.reason"),
        };
        ensure!(fits, "{deed}: {shown}");
    }
    Ok(())
}

/// All that an event carries comes in and goes out, to the last digit.
fn whole_events(world: &World, topic: &str, outcomes: &mut Outcomes) -> Result {
    let payload =
        r#"{"do":"echo","big":12345678901234567890123,"exact":1.10,"tiny":5e-324,"text":"\u00e9\ud83d\ude80"}"#;
    let id = uuid::Uuid::new_v4().to_string();
    let envelope = |deed: &str| {
        format!(
            r#"{{"eventId":"{id}","eventType":"reference.told","timestamp":"2025-12-12T10:30:00.000Z","version":"1.3","source":"tests","correlationId":"c-1","metadata":{{"who":"me"}},"payload":{deed}}}"#
        )
    };
    let echoed = Event {
        id: id.clone(),
        ..Event::bytes("echo", envelope(payload).as_bytes())
    };
    world.send(topic, std::slice::from_ref(&echoed))?;
    let seen = outcomes.done(&echoed)?;
    let text = String::from_utf8_lossy(seen.value.as_deref().unwrap_or_default()).into_owned();
    ensure!(text.contains(payload), "the payload is not what it was: {text}");
    ensure!(seen.json()["correlationId"] == "c-1", "{text}");

    outcomes.came.clear();
    let whole = Event {
        id: id.clone(),
        ..Event::bytes("envelope", envelope(r#"{"do":"envelope"}"#).as_bytes())
    };
    world.send(topic, std::slice::from_ref(&whole))?;
    let seen = outcomes.done(&whole)?;
    let expected = json!({
        "key": "envelope", "eventId": id, "version": "1.3", "source": "tests", "timestamp": "2025-12-12T10:30:00.000Z",
        "correlationId": "c-1", "metadata": { "who": "me" },
    });
    ensure!(seen.payload() == expected, "{}", seen.payload());
    ensure!(seen.key_text() == "other", "the key is {:?}", seen.key_text());
    ensure!(seen.json()["metadata"]["of"] == id.as_str(), "{}", seen.json());

    let context = outcomes.event("context", &json!({ "do": "context" }));
    let unfit = outcomes.event("unfit", &json!({ "text": "nothing to do" }));
    world.send(topic, &[context.clone(), unfit.clone()])?;
    let seen = outcomes.done(&context)?.payload();
    ensure!(seen["attempt"] == 1 && seen["greeting"] == "hi", "{seen}");
    ensure!(
        seen["now"].as_i64().is_some_and(|now| now > 1_700_000_000_000),
        "{seen}"
    );
    // The schema of what is consumed is held against what comes.
    let Came::Dead(letter) = outcomes.of(&unfit)? else {
        bail!("an event that does not fit was handled");
    };
    let reason = letter.header("sandman.reason");
    ensure!(reason.contains("do"), "{reason}");
    Ok(())
}

/// What differs from one run of a program to the next elsewhere does not here.
fn the_same_twice(world: &World, topic: &str, outcomes: &mut Outcomes) -> Result {
    let words: Vec<_> = (0..40).map(|word| format!("w{}", word * 7919 % 101)).collect();
    let text = words.join(" ");
    for deed in ["random", "order"] {
        let payload = json!({ "do": deed, "text": text });
        let events: Vec<_> = (0..3)
            .map(|run| outcomes.event(&format!("{deed}-{run}"), &payload))
            .collect();
        world.send(topic, &events)?;
        let mut shown = Vec::new();
        for event in &events {
            shown.push(match outcomes.of(event)? {
                Came::Done(seen) => seen.payload(),
                Came::Dead(letter) => json!(letter.header("sandman.reason")),
            });
        }
        ensure!(shown.iter().all(|each| *each == shown[0]), "{deed} differs: {shown:?}");
        if deed == "order" {
            let mut sorted: Vec<_> = shown[0]["set"].as_array().context("no set")?.clone();
            sorted.sort_by_key(ToString::to_string);
            let mut expected = words.clone();
            expected.sort();
            ensure!(json!(sorted) == json!(expected), "{shown:?}");
        }
    }
    Ok(())
}

fn requests(host: &Host, key: &str) -> Result {
    let client = Client::new(host.http()?);
    let path = &format!("/reference/{key}");
    client.get(path)?.is(404, &json!({ "error": "nothing" }))?;
    let put = |body: Value, query: &str| client.ask(&Ask::new("PUT", &format!("{path}{query}")).json(&body));
    put(json!({ "n": 7 }), "?q=first&q=second&constructor=x")?.is(200, &json!({ "key": key, "first": "first" }))?;
    put(json!({ "n": "seven" }), "")?.is(400, &json!({ "error": "n" }))?;
    put(json!([7]), "")?.is(400, &json!({ "error": "n" }))?;
    client.get(path)?.is(200, &json!({ "n": 7 }))?;
    put(json!({ "n": 8 }), "")?.is(200, &json!({ "key": key, "first": null }))?;
    let gone = client.ask(&Ask::new("DELETE", path))?;
    ensure!(
        gone.status == 204 && gone.text().is_empty(),
        "{} {:?}",
        gone.status,
        gone.text()
    );
    client.get(path)?.has(404).map(drop)
}
