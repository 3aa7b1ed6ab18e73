//! A topic that was deleted and created again has other records at the offsets of the old one: none is skipped in silence.

use anyhow::ensure;
use sandman_tests::{Behaviour, Event, Handler, Host, Result, Settings, World, echo, eventually};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "a_topic_made_anew_while_the_host_is_down_stops_its_handler_alone",
        host_down,
    )
    .on_real_kafka("has no ids of topics"),
    Behaviour::new("a_topic_made_anew_under_the_host_stops_its_handler_alone", host_up)
        .on_real_kafka("has no ids of topics"),
    Behaviour::new(
        "a_topic_made_anew_is_handled_from_its_beginning_where_that_is_set",
        restarted,
    )
    .on_real_kafka("has no ids of topics"),
    Behaviour::new(
        "a_topic_made_anew_with_the_old_records_is_adopted_when_asked_for",
        adopted,
    )
    .on_real_kafka("has no ids of topics"),
];

/// Records that are handled before the topic is created again; it then has more.
const BEFORE: u64 = 30;
const AFTER: u64 = 50;

/// A handler of a topic, and another one that must not notice.
fn settings(world: &World, recreated: Option<&str>) -> Result<Settings> {
    let (input, other) = (world.topic("thing.happened"), world.topic("thing.else"));
    let mut handler = echo(&[&input])?;
    if let Some(recreated) = recreated {
        handler = handler.set("recreated", recreated);
    }
    let beside = Handler::new("beside", &sandman_tests::guest("echo")?)
        .set("dedupe", "0")
        .consumes(&[&other])
        .emits(&["thing.counted", "thing.echoed"]);
    Ok(world
        .settings()?
        .handler(handler)
        .handler(beside)
        .route("/things/{key}", &["beside"]))
}

fn things(from: u64, count: u64) -> Vec<Event> {
    (from..from + count)
        .map(|n| Event::thing(&format!("user-{}", n % 10), n))
        .collect()
}

/// Handles some records, and makes sure that the group was told.
fn before(world: &World, host: &Host) -> Result {
    let input = world.topic("thing.happened");
    world.send(&input, &things(0, BEFORE))?;
    world
        .reader(&world.topic("thing.echoed"))?
        .until_count(BEFORE as usize)?;
    let done = |metrics: &sandman_tests::Metrics| metrics.sum("sandman_in_flight_triggers", &[]) == Some(0.0);
    host.metrics_when("all is committed", done)?;
    Ok(())
}

/// Another topic under the same name, with more records.
fn anew(world: &World) -> Result {
    let input = world.topic("thing.happened");
    world.cluster()?.delete_topic(&input)?;
    world.make_topic("thing.happened")?;
    world.send(&input, &things(1_000, AFTER))?;
    Ok(())
}

/// The handler is stopped by name, nothing of the new topic was handled, and everything else goes on.
fn is_stopped(world: &World, host: &Host) -> Result {
    let input = world.topic("thing.happened");
    host.says(&[
        "ERROR",
        "echo",
        "was deleted and created again",
        &format!("{input}["),
        "up to offset",
        "recreated",
    ])?;
    let health = eventually("the handler is said to be stopped", || {
        let health = host.operator().get("/health")?.json();
        let is_said = health["handlers"][0]["handler"] == "echo" && health["handlers"][0]["stopped"] == true;
        Ok(is_said.then_some(health))
    })?;
    ensure!(health["status"] == "degraded", "{health}");
    let reason = health["handlers"][0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("created again") && reason.contains(&input), "{health}");
    ensure!(health["handlers"][1].is_null(), "{health}");
    let seen = sandman_tests::Client::new(host.http()?).get("/health")?.json();
    ensure!(
        seen["handlers"][0]["reason"]
            .as_str()
            .is_some_and(|reason| !reason.contains(&input)),
        "anybody reads the topic's name: {seen}"
    );
    host.metrics_when("the metric says so", |metrics| {
        let of = |handler| metrics.sum("sandman_handler_degraded", &[("handler", handler)]);
        of("echo") == Some(1.0) && of("beside") == Some(0.0)
    })?;
    // The other handler, and the routes, go on.
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    world.send(&world.topic("thing.else"), &[Event::thing("beside", 7)])?;
    let seen = reader.until("the other handler's event", |seen| {
        seen.iter()
            .any(|event| event.payload()["n"] == 7 && event.key_text() == "beside")
    })?;
    ensure!(
        seen.iter().all(|event| event.payload()["n"].as_u64() < Some(1_000)),
        "records of the new topic were handled"
    );
    ensure!(host.operator().get("/health/ready")?.status == 200, "not ready");
    host.still_runs()
}

fn host_down(world: &World) -> Result {
    world.make_topic("thing.happened")?;
    let settings = settings(world, None)?;
    let host = world.host(&settings)?;
    before(world, &host)?;
    host.terminate()?;
    anew(world)?;
    for _ in 0..2 {
        let host = world.host(&settings)?;
        is_stopped(world, &host)?;
        let ended = host.terminate()?;
        ensure!(ended.code() == 0, "the host ended with {}", ended.status);
    }
    Ok(())
}

fn host_up(world: &World) -> Result {
    world.make_topic("thing.happened")?;
    let settings = settings(world, None)?;
    let host = world.host(&settings)?;
    before(world, &host)?;
    anew(world)?;
    is_stopped(world, &host)
}

/// Every record of the new topic is handled once, whether the host is up or down; so are the ones after a restart.
fn restarted(world: &World) -> Result {
    world.make_topic("thing.happened")?;
    let settings = settings(world, Some("\"restart\""))?;
    let mut host = world.host(&settings)?;
    before(world, &host)?;
    let mut total = BEFORE;
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    for down in [false, true] {
        if down {
            host.terminate()?;
            anew(world)?;
            host = world.host(&settings)?;
        } else {
            anew(world)?;
        }
        total += AFTER;
        reader.until_count(total as usize)?;
        host.says(&[
            "WARN",
            "was deleted and created again: it is handled from its beginning",
        ])?;
    }
    host.terminate()?;
    let host = world.host(&settings)?;
    world.send(&world.topic("thing.happened"), &[Event::thing("last", 9_999)])?;
    let seen = reader.until("the last event", |seen| {
        seen.len() as u64 > total && seen.iter().any(|event| event.payload()["n"] == 9_999)
    })?;
    ensure!(
        seen.len() as u64 == total + 1,
        "{} events, not {}",
        seen.len(),
        total + 1
    );
    let health = host.operator().get("/health")?.json();
    ensure!(health["handlers"].is_null(), "{health}");
    Ok(())
}

/// As after a cluster was restored from a copy.
fn adopted(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = settings(world, None)?;
    let host = world.host(&settings)?;
    before(world, &host)?;
    host.terminate()?;
    world.cluster()?.delete_topic(&input)?;
    world.make_topic("thing.happened")?;
    world.send(&input, &things(0, BEFORE))?;
    let host = world.host_in("", &settings, &["--adopt"])?;
    host.says(&["WARN", "progress counts for the topic that was created again"])?;
    world.send(&input, &[Event::thing("last", 9_999)])?;
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    let seen = reader.until("the last event", |seen| {
        seen.len() as u64 > BEFORE && seen.iter().any(|event| event.payload()["n"] == 9_999)
    })?;
    ensure!(
        seen.len() as u64 == BEFORE + 1,
        "{} events: the old ones were handled again",
        seen.len()
    );
    host.terminate()?;
    // From then on it is the topic that the progress is about.
    let host = world.host(&settings)?;
    world.send(&input, &[Event::thing("last", 10_000)])?;
    reader.until_count(BEFORE as usize + 2)?;
    host.still_runs()
}
