//! What senders really write: keys that are not the user, versions of later years, trace contexts, tombstones, and values
//! that JSON has and programs do not.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, DreamScape, Event, Header, Result, Seen, World, echo, registration};
use serde_json::{Value, json};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_key_may_come_from_the_payload", keys_from_the_payload).on_postgres_too(),
    Behaviour::new("a_user_is_registered_whatever_the_key_of_the_record_is", registrations),
    Behaviour::new("a_later_minor_version_is_read_and_another_major_is_not", versions),
    Behaviour::new("a_tombstone_is_counted_and_passed_over", tombstones),
    Behaviour::new("a_trace_goes_on_if_its_context_is_valid", traces),
    Behaviour::new("only_an_object_is_an_envelope_or_a_struct", objects),
];

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The event with another text in its value.
fn rewritten(event: &Event, from: &str, to: &str) -> Event {
    let text = String::from_utf8_lossy(event.value.as_deref().unwrap_or_default()).into_owned();
    let text = text.replacen(from, to, 1);
    event.clone().with_value(Some(text.as_bytes()))
}

fn of_user(user: &Value, n: u64) -> Event {
    Event::new("thing.happened", "", &json!({ "n": n, "user": { "id": user } }))
}

fn letter(letters: &[Seen], (partition, offset): (i32, i64)) -> Result<&Seen> {
    let place = (partition.to_string(), offset.to_string());
    let mut found = letters.iter();
    let found = found.find(|letter| (letter.header("sandman.partition"), letter.header("sandman.offset")) == place);
    found.with_context(|| format!("no dead letter of {place:?}"))
}

fn keys_from_the_payload(world: &World) -> Result {
    const EACH: u64 = 20;
    let input = world.make_topic("thing.happened")?;
    let handler = echo(&[&input])?.set("key", r#""payload:/user/id""#);
    let host = world.host(&world.settings()?.handler(handler))?;
    let users = [json!("ada"), json!("bob"), json!(7)];
    let mut events = Vec::new();
    for n in 1..=EACH {
        for user in &users {
            let event = of_user(user, n);
            let id = event.id.clone();
            // As clients do it by default, without any key, and by a key of somebody's own.
            let key = [Some(id.as_bytes()), None, Some(&b"anything"[..])][n as usize % 3];
            events.push(event.with_key(key));
        }
    }
    let bad = [
        (
            of_user(&Value::Null, 1),
            "`/user/id`, where the handler's `key` is, must be a string or a number, not null",
        ),
        (of_user(&json!(""), 1), "1 to 256 bytes"),
        (Event::thing("", 1), "nothing at `/user/id`"),
    ];
    let first = events.len();
    events.extend(bad.iter().map(|(event, _)| event.clone().with_key(Some(b"as sent"))));
    let landed = world.send(&input, &events)?;
    let partitions = landed.iter().map(|(partition, _)| partition);
    ensure!(
        partitions.clone().min() != partitions.max(),
        "all of them lie in one partition"
    );

    let mut counted = world.reader(&world.topic("thing.counted"))?;
    let seen = counted.until_count(users.len() * EACH as usize)?;
    for key in ["ada", "bob", "7"] {
        let of_key: Vec<_> = seen.iter().filter(|event| event.key_text() == key).collect();
        let counts: Vec<_> = of_key.iter().map(|event| event.payload()["count"].as_u64()).collect();
        let expected: Vec<_> = (1..=EACH).map(Some).collect();
        ensure!(counts == expected, "{key} was counted {counts:?}");
        let sum = of_key.last().map(|event| event.payload()["sum"].clone());
        ensure!(sum == Some(json!(EACH * (EACH + 1) / 2)), "{key}: the sum is {sum:?}");
    }
    let mut reader = world.dead_letters(&input)?;
    let letters = reader.until_count(bad.len())?;
    for ((_, words), place) in bad.iter().zip(&landed[first..]) {
        let letter = letter(letters, *place)?;
        let reason = letter.header("sandman.reason");
        ensure!(reason.contains(words), "the reason {reason:?} does not say {words:?}");
        ensure!(
            letter.key.as_deref() == Some(b"as sent"),
            "the key became {:?}",
            letter.key
        );
    }
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");

    // `invoke` takes the key from where the host does.
    let event = of_user(&json!("eve"), 1);
    let file = world.file("event.json", event.value.as_deref().unwrap_or_default())?;
    let ended = world.command(&["invoke", "echo", "--event", &file, "--json"], &[])?;
    let told: Value = serde_json::from_str(&ended.stdout)?;
    ensure!(ended.code() == 0 && told["outcome"] == "done", "{told}");
    let file = world.file("nobody.json", Event::thing("", 1).value.as_deref().unwrap_or_default())?;
    let ended = world.command(&["invoke", "echo", "--event", &file], &[])?;
    ended.says(4, &["rejected", "nothing at `/user/id`"])
}

/// The shipped service, and registrations as DreamScape's client publishes them, now and some day.
fn registrations(world: &World) -> Result {
    let app = DreamScape::start(world)?;
    let topic = world.topic("user.created");
    let register = |user: &str| Event::new("user.created", "", &registration(user));
    let later = rewritten(&register("later"), r#""version":"1.0""#, r#""version":"1.1""#);
    let odd = r#""half":"\ud800","large":[1e999,-1e999,123456789012345678901],"userId""#;
    let events = [
        register("keyless").with_key(None),
        register("by-event").with_key(Some(b"3f2504e0-4f89-41d3-9a0c-0305e82c3301")),
        rewritten(&later, r#""userId""#, r#""plan":"gold","userId""#).with_key(None),
        rewritten(&register("odd"), r#""userId""#, odd).with_key(None),
        rewritten(&register("major"), r#""version":"1.0""#, r#""version":"2.0""#).with_key(None),
    ];
    let landed = world.send(&topic, &events)?;
    let mut reader = world.dead_letters(&topic)?;
    let letters = reader.until_count(1)?;
    let reason = letter(letters, landed[4])?.header("sandman.reason");
    ensure!(
        reason.contains("`2.0` of `user.created` is not consumed; the handler reads 1.0 and later 1.x"),
        "{reason:?}"
    );
    let labels = [("handler", "profile"), ("topic", &*topic)];
    app.host().metrics_when("all registrations are done", |metrics| {
        metrics.sum("sandman_events_consumed_total", &labels) == Some(5.0)
            && metrics.sum("sandman_in_flight_triggers", &[("handler", "profile")]) == Some(0.0)
    })?;
    for user in ["keyless", "by-event", "later", "odd"] {
        let settings = app.user(user)?.settings()?.has(200)?;
        ensure!(settings["profile"]["name"] == "Ada Lovelace", "{user}: {settings}");
    }
    Ok(())
}

fn versions(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let _host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let of_version = |n: u64, version: &str| {
        rewritten(
            &Event::thing("ada", n),
            r#""version":"1.0""#,
            &format!(r#""version":"{version}""#),
        )
    };
    let read = ["1.0", "1.1", "1.10", "1.0.3"];
    let refused = ["2.0", "0.9", "1.x", ""];
    let events: Vec<_> = (1..)
        .zip(read.iter().chain(&refused))
        .map(|(n, version)| of_version(n, version))
        .collect();
    let landed = world.send(&input, &events)?;
    let mut counted = world.reader(&world.topic("thing.counted"))?;
    let seen = counted.until_count(read.len())?;
    ensure!(seen[3].payload()["sum"] == 1 + 2 + 3 + 4, "{:?}", seen[3].payload());
    let mut reader = world.dead_letters(&input)?;
    let letters = reader.until_count(refused.len())?;
    for (version, place) in refused.iter().zip(&landed[read.len()..]) {
        let reason = letter(letters, *place)?.header("sandman.reason");
        ensure!(
            reason.contains(&format!("`{version}` of `thing.happened`")),
            "{reason:?}"
        );
    }
    Ok(())
}

fn tombstones(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let deleted = Event::thing("ada", 1).with_value(None);
    world.send(&input, &[deleted.clone(), Event::thing("ada", 2), deleted])?;
    let labels = [("handler", "echo"), ("topic", &*input)];
    let metrics = host.metrics_when("two tombstones are counted", |metrics| {
        metrics.sum("sandman_tombstones_total", &labels) == Some(2.0)
            && metrics.sum("sandman_group_lag_messages", &labels) == Some(0.0)
    })?;
    ensure!(
        metrics.sum("sandman_dead_letters_total", &labels) == Some(0.0),
        "a tombstone raises an alarm"
    );
    let counted = world.reader(&world.topic("thing.counted"))?.until_count(1)?.to_vec();
    ensure!(counted[0].payload()["sum"] == 2, "{:?}", counted[0].payload());
    ensure!(host.terminate()?.code() == 0, "the host did not stop well");
    let letters = world.all_of(&format!("{input}.dlq"))?;
    ensure!(letters.is_empty(), "a tombstone became a dead letter: {letters:?}");
    Ok(())
}

fn traces(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let _host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let parent = format!("00-{TRACE}-b7ad6b7169203331-00");
    let with = |n: u64, headers: &[(&str, &str)]| {
        let mut event = Event::thing("ada", n);
        event
            .headers
            .extend(headers.iter().map(|(name, value)| Header::new(name, value)));
        event
    };
    let state = ("tracestate", "vendor=1, tenant@other=two");
    let future = format!("cc-{TRACE}-b7ad6b7169203331-00-more");
    let upper = parent.to_ascii_uppercase();
    let zero = parent.replace(TRACE, &"0".repeat(32));
    let events = [
        with(1, &[("traceparent", &parent), state, ("tracestate", "third=3")]),
        with(2, &[("traceparent", &future), state]),
        with(3, &[("traceparent", &parent), ("tracestate", "Not=valid")]),
        with(4, &[("traceparent", &upper), state]),
        with(5, &[("traceparent", &zero), state]),
        with(6, &[("traceparent", &parent), ("traceparent", &parent), state]),
        with(7, &[("traceparent", &parent.replacen("00", "ff", 1)), state]),
        with(8, &[("traceparent", &format!("{parent}-more")), state]),
        with(9, &[state]),
    ];
    world.send(&input, &events)?;
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    for seen in reader.until_count(events.len())? {
        let n = seen.payload()["n"].as_u64().unwrap_or_default();
        let trace = seen.header("traceparent");
        let states = ["vendor=1,tenant@other=two,third=3", "vendor=1,tenant@other=two"];
        let (continues, state) = match n {
            1 => (true, states[0]),
            2 => (true, states[1]),
            3 => (true, ""),
            _ => (false, ""),
        };
        let (head, flags) = (format!("00-{TRACE}-"), if continues { "-00" } else { "-01" });
        ensure!(
            trace.starts_with(&head) == continues && trace.ends_with(flags) && trace.len() == parent.len(),
            "event {n} goes on as {trace}"
        );
        ensure!(
            seen.header("tracestate") == state,
            "event {n} has the headers {:?}",
            seen.headers
        );
    }
    Ok(())
}

fn objects(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let _host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let array = r#"["e1","thing.happened","2025-12-12T10:30:00.000Z","1.0","tests",null,null,null,{"n":1}]"#;
    let refused = [
        (
            Event::bytes("ada", array.as_bytes()),
            "not a JSON object: invalid type: sequence",
        ),
        // serde would read the second as `{"n": 1, "burn": 2}`.
        (
            Event::new("thing.happened", "ada", &json!([1, 2])),
            "thing.happened 1.0: payload: invalid type: sequence",
        ),
    ];
    let events: Vec<_> = refused.iter().map(|(event, _)| event.clone()).collect();
    let landed = world.send(&input, &events)?;
    let mut reader = world.dead_letters(&input)?;
    let letters = reader.until_count(refused.len())?;
    for ((_, words), place) in refused.iter().zip(&landed) {
        let reason = letter(letters, *place)?.header("sandman.reason");
        ensure!(reason.contains(words), "the reason {reason:?} does not say {words:?}");
    }
    Ok(())
}
