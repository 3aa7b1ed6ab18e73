//! A topic that refuses a record holds up what goes to it, and nothing else.

use anyhow::ensure;
use sandman_tests::{Behaviour, Event, Host, Result, Seen, World, echo};
use serde_json::json;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_topic_that_refuses_an_event_holds_up_no_other", refused_event)
        .on_real_kafka("takes records of any size"),
    Behaviour::new("a_topic_that_nobody_leads_holds_up_no_other", leaderless).on_its_own_kafka(),
    Behaviour::new("a_dead_letter_is_shrunk_to_what_its_topic_takes", small_letters)
        .on_real_kafka("takes records of any size"),
    Behaviour::new(
        "a_compacted_topic_that_refuses_a_letter_without_a_key_holds_up_no_other",
        compacted_letters,
    )
    .on_real_kafka("compacts nothing"),
];

/// Bytes that the small topics take.
const SMALL: usize = 2_000;

/// An event whose echo is larger than a small topic takes.
fn large(key: &str, n: u64) -> Event {
    Event::new("thing.happened", key, &json!({ "n": n, "text": "x".repeat(5_000) }))
}

fn refused_event(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let (echoed, counted) = (world.topic("thing.echoed"), world.topic("thing.counted"));
    world.cluster()?.create_small(&echoed, SMALL)?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    world.send(&input, &[Event::thing("ada", 1), large("bob", 2)])?;
    let few: Vec<_> = (3..10)
        .flat_map(|n| [Event::thing("ada", n), Event::thing("bob", n)])
        .collect();
    world.send(&input, &few)?;
    // The other topic has all of them, and keeps having them, whatever becomes of the host.
    world.reader(&counted)?.until_count(2 + few.len())?;
    is_held(&host, &echoed)?;
    host.kill()?;
    let host = world.host(&settings)?;
    world.send(&input, &[Event::thing("ada", 10), Event::thing("bob", 10)])?;
    world.reader(&counted)?.until_count(4 + few.len())?;
    is_held(&host, &echoed)?;

    world.cluster()?.take_up_to(&echoed, 100_000)?;
    let mut reader = world.reader(&echoed)?;
    let seen = reader.until_count(4 + few.len())?;
    let of = |key: &str| -> Vec<u64> {
        let own = seen.iter().filter(|seen| seen.key_text() == key);
        own.filter_map(|seen| seen.payload()["n"].as_u64()).collect()
    };
    let from = |first: u64, second: u64| -> Vec<u64> { [first].into_iter().chain(second..=10).collect() };
    ensure!(of("ada") == from(1, 3), "ada's came as {:?}", of("ada"));
    ensure!(of("bob") == from(2, 3), "bob's came as {:?}", of("bob"));
    host.metrics_when("no topic is held", |metrics| {
        metrics.sum("sandman_relay_held_topics", &[]) == Some(0.0)
    })?;
    let all = world.all_of(&echoed)?.len();
    ensure!(all == 4 + few.len(), "{all} events came, some of them twice");
    host.terminate()?.says(0, &[])
}

fn is_held(host: &Host, topic: &str) -> Result {
    host.metrics_when("one topic is held", |metrics| {
        metrics.sum("sandman_relay_held_topics", &[]) == Some(1.0)
    })?;
    let health = host.operator().get("/health")?.json();
    ensure!(health["status"] == "degraded", "{health}");
    ensure!(health["heldTopics"][0]["topic"] == topic, "{health}");
    Ok(())
}

fn small_letters(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    world.cluster()?.create_small(&format!("{input}.dlq"), SMALL)?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    let large = vec![b'x'; 5_000];
    world.send(
        &input,
        &[
            Event::bytes("ada", &large),
            Event::bytes("bob", b"short"),
            Event::thing("ada", 1),
        ],
    )?;
    world.reader(&world.topic("thing.counted"))?.until_count(1)?;
    let mut reader = world.dead_letters(&input)?;
    let letters = reader.until_count(2)?;
    let of = |key: &str| letters.iter().find(|letter| letter.key_text() == key);
    let (Some(ada), Some(bob)) = (of("ada"), of("bob")) else {
        anyhow::bail!("a letter is missing: {letters:?}");
    };
    ensure!(ada.value.is_none(), "the value is there");
    ensure!(ada.header("sandman.value-omitted") == "5000", "{:?}", ada.headers);
    ensure!(
        ada.header("sandman.value-sha256") == sandman_core::digest(&large),
        "{:?}",
        ada.headers
    );
    ensure!(is_whole(bob), "{bob:?}");
    ensure!(
        host.metrics()?.sum("sandman_relay_held_topics", &[]) == Some(0.0),
        "a topic is held"
    );
    host.terminate()?.says(0, &[])
}

fn compacted_letters(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    world
        .cluster()?
        .create_with(&format!("{input}.dlq"), ("cleanup.policy", "compact"))?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    world.send(&input, &[Event::bytes("ada", b"no envelope").with_key(None)])?;
    is_held(&host, &format!("{input}.dlq"))?;
    world.send(&input, &[Event::thing("ada", 1)])?;
    world.reader(&world.topic("thing.counted"))?.until_count(1)?;
    host.terminate()?.says(0, &[])
}

fn is_whole(letter: &Seen) -> bool {
    letter.value.as_deref() == Some(b"short")
        && letter
            .headers
            .iter()
            .all(|header| header.name != "sandman.value-omitted")
}

fn leaderless(world: &World) -> Result {
    let broker = world.own_broker()?;
    let second = broker.beside()?;
    let input = world.topic("thing.happened");
    let (echoed, counted) = (world.topic("thing.echoed"), world.topic("thing.counted"));
    for (topic, on) in [(&input, [1, 1, 1]), (&counted, [1, 1, 1]), (&echoed, [1, 2, 1])] {
        broker.cluster().create_on(topic, &on)?;
    }
    // Kafka's own topics are made while there is one broker.
    second.stop()?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    let send = |n: u64| -> Result {
        let each: Vec<_> = (0..10).map(|user| Event::thing(&format!("user-{user}"), n)).collect();
        world.send(&input, &each).map(drop)
    };
    let mut counts = world.reader(&counted)?;
    send(1)?;
    counts.until_count(10)?;
    is_held(&host, &echoed)?;

    let released = || {
        host.metrics_when("no topic is held", |metrics| {
            metrics.sum("sandman_relay_held_topics", &[]) == Some(0.0)
        })
    };
    second.start()?;
    released()?;
    send(2)?;
    counts.until_count(20)?;
    world.reader(&echoed)?.until_count(20)?;
    // Killed, it leads on until the controller has missed it.
    second.kill()?;
    send(3)?;
    counts.until_count(30)?;
    is_held(&host, &echoed)?;

    second.start()?;
    let mut echoes = world.reader(&echoed)?;
    let seen = echoes.until_count(30)?;
    for user in 0..10 {
        let key = format!("user-{user}");
        let own = seen.iter().filter(|seen| seen.key_text() == key);
        let own: Vec<_> = own.filter_map(|seen| seen.payload()["n"].as_u64()).collect();
        ensure!(own == [1, 2, 3], "those of {key} came as {own:?}");
    }
    released()?;
    let all = world.all_of(&echoed)?.len();
    ensure!(all == 30, "{all} events came, some of them twice");
    host.terminate()?.says(0, &[])
}
