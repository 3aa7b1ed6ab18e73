//! A right on Kafka that is taken from a host that runs costs what needs it, and nothing else.

use anyhow::ensure;
use sandman_tests::{
    Behaviour, Event, Handler, Host, Operation, PASSWORD, Resource, Result, Settings, USER, World, echo, eventually,
    guest,
};

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new("a_lost_right_to_read_degrades_its_handler_and_no_other", lost_read).on_its_own_kafka(),
    Behaviour::new("a_lost_right_to_write_holds_its_topic_and_no_other", lost_write).on_its_own_kafka(),
];

/// Settings of a host that logs in, with the rights that the documents ask for.
fn settings(world: &World) -> Result<Settings> {
    let broker = world.own_broker()?;
    broker.grant(Resource::Topic, &world.topic(""))?;
    broker.grant(Resource::Group, world.deployment())?;
    broker.grant(Resource::TransactionalId, world.deployment())?;
    Ok(world
        .settings()?
        .set("kafka.brokers", &format!("{:?}", broker.guarded()))
        .variable("KAFKA_SASL_USERNAME", USER)
        .variable("KAFKA_SASL_PASSWORD", PASSWORD))
}

fn becomes_healthy(host: &Host) -> Result {
    eventually("all is well again", || {
        let health = host.operator().get("/health")?.json();
        Ok((health["status"] == "healthy").then_some(()))
    })
}

fn lost_read(world: &World) -> Result {
    let broker = world.own_broker()?;
    let (lost, kept) = (world.make_topic("thing.happened")?, world.make_topic("thing.kept")?);
    let other = Handler::new("other", &guest("echo")?)
        .consumes(&[&kept])
        .emits(&["thing.counted", "thing.echoed"]);
    let host = world.host(&settings(world)?.handler(echo(&[&lost])?).handler(other))?;
    let mut reader = world.reader(&world.topic("thing.echoed"))?;
    for topic in [&lost, &kept] {
        world.send(topic, &[Event::thing("ada", 1)])?;
    }
    reader.until_count(2)?;
    becomes_healthy(&host)?;

    broker.deny(&lost, Operation::Read)?;
    world.send(&lost, &[Event::thing("ada", 2)])?;
    let health = eventually("the handler is named", || {
        let health = host.operator().get("/health")?.json();
        Ok(health["handlers"].is_array().then_some(health))
    })?;
    ensure!(health["status"] == "degraded", "{health}");
    let fault = &health["handlers"][0];
    ensure!(
        fault["handler"] == "echo" && fault["stopped"] == false && health["handlers"][1].is_null(),
        "{health}"
    );
    let reason = fault["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains(&lost) && reason.contains("authorization"), "{reason}");
    world.send(&kept, &[Event::thing("ada", 2)])?;
    reader.until_count(3)?;
    host.operator().get("/health/ready")?.has(200)?;

    broker.deny_no_more(&lost, Operation::Read)?;
    reader.until_count(4)?;
    becomes_healthy(&host)?;
    host.terminate()?.says(0, &[])
}

fn lost_write(world: &World) -> Result {
    let broker = world.own_broker()?;
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&settings(world)?.handler(echo(&[&input])?))?;
    let (echoed, counted) = (world.topic("thing.echoed"), world.topic("thing.counted"));
    let (mut echoes, mut counts) = (world.reader(&echoed)?, world.reader(&counted)?);
    world.send(&input, &[Event::thing("ada", 1)])?;
    echoes.until_count(1)?;
    becomes_healthy(&host)?;

    broker.deny(&echoed, Operation::Write)?;
    world.send(&input, &[Event::thing("ada", 2), Event::thing("bob", 2)])?;
    counts.until_count(3)?;
    let health = eventually("the topic is named", || {
        let health = host.operator().get("/health")?.json();
        Ok(health["heldTopics"].is_array().then_some(health))
    })?;
    ensure!(
        health["heldTopics"][0]["topic"] == echoed && health["heldTopics"][1].is_null(),
        "{health}"
    );
    world.send(&input, &[Event::thing("ada", 3)])?;
    counts.until_count(4)?;

    broker.deny_no_more(&echoed, Operation::Write)?;
    let seen = echoes.until_count(4)?;
    let ada = seen.iter().filter(|seen| seen.key_text() == "ada");
    let ada: Vec<_> = ada.filter_map(|seen| seen.payload()["n"].as_u64()).collect();
    ensure!(ada == [1, 2, 3], "ada's came as {ada:?}");
    becomes_healthy(&host)?;
    host.terminate()?.says(0, &[])
}
