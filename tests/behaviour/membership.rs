//! A host is the same member of its groups after a restart: it has its partitions at once, and there is one of it.

use std::time::Instant;

use anyhow::ensure;
use sandman_tests::proxy::Call;
use sandman_tests::{
    Behaviour, Event, Handler, Host, PATIENCE, Result, Settings, World, echo, eventually, guest, hostile, note,
};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "a_killed_host_has_its_partitions_again_without_waiting_for_its_session",
        killed,
    )
    .on_real_kafka(REAL),
    Behaviour::new(
        "a_second_host_that_claims_the_same_member_ends_the_first_loudly",
        claimed,
    )
    .on_real_kafka(REAL)
    .with_its_own_store("hosts of a fleet are members under names of their own"),
    Behaviour::new("topics_that_changed_while_the_host_was_down_are_consumed", other_topics).on_real_kafka(REAL),
    Behaviour::new(
        "partitions_that_were_added_while_the_host_was_down_are_consumed",
        more_partitions,
    )
    .on_real_kafka(REAL),
    Behaviour::new(
        "a_group_that_does_not_answer_after_a_restart_is_joined_anew",
        unanswered,
    )
    .on_its_own_kafka(),
    Behaviour::new(
        "a_partition_that_the_client_library_has_stopped_reading_is_read_again",
        stalled,
    )
    .on_its_own_kafka(),
    Behaviour::new(
        "a_broker_that_restarts_again_and_again_keeps_no_handler_waiting",
        restarts,
    )
    .on_its_own_kafka(),
    Behaviour::new("a_handler_that_a_reload_removes_leaves_its_group", removed).on_real_kafka(REAL),
];

const REAL: &str = "balances groups in its own way";

/// Longer than anything here waits: what happens in time did not wait for a session to end.
fn patient(settings: Settings) -> Settings {
    settings
        .set("kafka.options.\"session.timeout.ms\"", "600000")
        .set("kafka.options.\"max.poll.interval.ms\"", "600000")
}

fn handled(world: &World, count: usize) -> Result {
    world.reader(&world.topic("thing.echoed"))?.until_count(count).map(drop)
}

fn one(n: u64) -> Vec<Event> {
    // One for each partition.
    (0..30).map(|user| Event::thing(&format!("user-{user}"), n)).collect()
}

fn killed(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = patient(world.settings()?.handler(echo(&[&input])?));
    let mut host = world.host(&settings)?;
    world.send(&input, &one(1))?;
    handled(world, 30)?;
    for round in 2..=3 {
        host.kill()?;
        world.send(&input, &one(round))?;
        let killed = Instant::now();
        host = world.host(&settings)?;
        handled(world, 30 * usize::try_from(round)?)?;
        note(&format!(
            "from the start after kill -9 to the last of 30 events: {:?}",
            killed.elapsed()
        ));
    }
    host.still_runs()
}

fn claimed(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    world.send(&input, &one(1))?;
    handled(world, 30)?;
    let second = world.second_self("echo", &input)?;
    let ended = host.wait(PATIENCE)?;
    ended.says(1, &["echo", "another process", "host.deployment"])?;
    second.holds("all partitions", |held| held == 3)
}

fn settled(host: &Host, partitions: f64) -> Result {
    let all = |metrics: &sandman_tests::Metrics| metrics.sum("sandman_assigned_partitions", &[]) == Some(partitions);
    host.metrics_when("the host has all partitions", all).map(drop)
}

fn other_topics(world: &World) -> Result {
    let first = world.make_topic("thing.happened")?;
    let second = world.make_topic("thing.also")?;
    let settings = |topics: &[&String]| Ok::<_, anyhow::Error>(patient(world.settings()?.handler(echo(topics)?)));
    let host = world.host(&settings(&[&first])?)?;
    world.send(&first, &one(1))?;
    handled(world, 30)?;
    host.kill()?;

    // One more.
    world.send(&second, &one(2))?;
    let host = world.host(&settings(&[&first, &second])?)?;
    handled(world, 60)?;
    settled(&host, 6.0)?;
    host.kill()?;

    // Another one: what comes on the first is nobody's business any more.
    world.send(&first, &one(3))?;
    world.send(&second, &one(3))?;
    let host = world.host(&settings(&[&second])?)?;
    handled(world, 90)?;
    settled(&host, 3.0)?;
    world.send(&second, &one(4))?;
    handled(world, 120)?;
    let seen = world.all_of(&world.topic("thing.echoed"))?.len();
    ensure!(seen == 120, "{seen} events were handled: those of another topic too");
    host.still_runs()
}

fn more_partitions(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = patient(world.settings()?.handler(echo(&[&input])?));
    let host = world.host(&settings)?;
    world.send(&input, &one(1))?;
    handled(world, 30)?;
    host.kill()?;
    world.cluster()?.add_partitions(&input, 6)?;
    let host = world.host(&settings)?;
    settled(&host, 6.0)?;
    world.send(&input, &one(2))?;
    handled(world, 60)?;
    host.still_runs()
}

fn removed(world: &World) -> Result {
    let (input, told) = (world.make_topic("thing.happened")?, world.make_topic("hostile.told")?);
    let base = patient(world.settings()?.handler(echo(&[&input])?));
    let host = world.host(&base.clone().handler(hostile(&[&told])?))?;
    world.send(&told, &[Event::told("bob", "nothing", 1)])?;
    world.reader(&world.topic("hostile.done"))?.until_count(1)?;
    world.file("sandman.toml", base.text().as_bytes())?;
    let ended = world.command(&["reload", "--host", host.admin()], &[])?;
    ensure!(ended.code() == 0, "{}{}", ended.stdout, ended.stderr);
    // Its session would last for another ten minutes.
    let other = world.foreign_member("hostile", &told)?;
    other.holds("all partitions", |held| held == 3)?;
    host.still_runs()
}

fn has(host: &Host, partitions: f64) -> Result {
    host.metrics_when(&format!("the host has {partitions} partitions"), |metrics| {
        metrics.sum("sandman_assigned_partitions", &[]) == Some(partitions)
    })
    .map(drop)
}

fn unanswered(world: &World) -> Result {
    let broker = world.own_broker()?;
    let proxy = world.proxy()?;
    let input = world.make_topic("thing.happened")?;
    // The client library waits for an answer as long as a rebalance may take.
    let settings = world
        .settings()?
        .set("kafka.brokers", &format!("{:?}", proxy.address()))
        .set("kafka.options.\"max.poll.interval.ms\"", "600000")
        .handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    world.send(&input, &one(1))?;
    handled(world, 30)?;
    // A metric that was not yet set says 0 too: the broker would be back within the session, and nobody would join.
    has(&host, 3.0)?;
    broker.stop()?;
    has(&host, 0.0)?;
    proxy.lose_next(Call::JoinGroup);
    broker.start()?;
    eventually("the answer to the group's member is lost", || {
        Ok((proxy.touched() > 0).then_some(()))
    })?;
    world.send(&input, &one(2))?;
    handled(world, 60)?;
    has(&host, 3.0)?;
    host.terminate()?.says(0, &[])
}

/// An answer with records that never comes: the client library waits for it as long as it may, with its session alive.
fn stalled(world: &World) -> Result {
    world.own_broker()?;
    let proxy = world.proxy()?;
    let input = world.make_topic("thing.happened")?;
    let settings = world
        .settings()?
        .set("kafka.brokers", &format!("{:?}", proxy.address()))
        .set("kafka.options.\"socket.timeout.ms\"", "300000")
        .set("kafka.options.\"transaction.timeout.ms\"", "300000")
        .handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    world.send(&input, &one(1))?;
    handled(world, 30)?;
    proxy.lose_next(Call::Fetch);
    eventually("an answer to the host's consumer is lost", || {
        Ok((proxy.touched() > 0).then_some(()))
    })?;
    world.send(&input, &one(2))?;
    handled(world, 60)?;
    host.says(&["the client library reads no more records of a partition that has more"])?;
    host.terminate()?.says(0, &[])
}

/// Longer and shorter than a session, in turns: what the client library has put off meanwhile comes late, or in time.
fn restarts(world: &World) -> Result {
    let broker = world.own_broker()?;
    let (input, quiet) = (world.make_topic("thing.happened")?, world.make_topic("thing.quiet")?);
    let mut settings = world.settings()?.handler(echo(&[&input])?);
    for (name, topic) in [("second", &input), ("third", &quiet), ("fourth", &quiet)] {
        let handler = Handler::new(name, &guest("echo")?).consumes(&[topic]);
        settings = settings.handler(handler.emits(&["thing.counted", "thing.echoed"]));
    }
    let host = world.host(&settings)?;
    has(&host, 12.0)?;
    let mut echoed = 0;
    for (round, past_the_session) in (1..).zip([true, false, true, false]) {
        world.send(&input, &one(round))?;
        echoed += 2 * 30;
        handled(world, echoed)?;
        broker.stop()?;
        if past_the_session {
            has(&host, 0.0)?;
        }
        broker.start()?;
        if past_the_session {
            has(&host, 12.0)?;
        }
    }
    world.send(&input, &one(9))?;
    handled(world, echoed + 2 * 30)?;
    has(&host, 12.0)?;
    host.terminate()?.says(0, &[])
}
