//! The lag of a handler: records that it has still to handle, and nothing else. A handler that consumes nothing says so.

use anyhow::{Context, ensure};
use sandman_tests::{Behaviour, Event, Host, OpenTransaction, Result, Settings, World, echo, eventually, hostile};
use serde_json::Value;

pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour::new(
        "a_handler_that_is_kept_out_of_its_group_is_degraded_and_behind",
        kept_out,
    )
    .on_real_kafka("lets any two clients into a group"),
    Behaviour::new("a_partition_that_another_member_has_counts_in_the_lag", half_kept_out)
        .on_real_kafka("balances groups in its own way"),
    Behaviour::new("a_partition_that_an_unseen_member_has_degrades_the_handler", unseen)
        .on_real_kafka("knows no newer protocol"),
    Behaviour::new("the_lag_counts_what_waits_behind_an_open_transaction", open_transaction).on_real_kafka(REAL),
    Behaviour::new("the_lag_behind_transactions_returns_to_zero", ended_transactions).on_real_kafka(REAL),
    Behaviour::new("retention_that_deletes_what_was_no_record_stops_no_handler", retained).on_real_kafka(REAL),
    Behaviour::new("the_lag_behind_our_own_relay_returns_to_zero", behind_the_relay).on_real_kafka(REAL),
    Behaviour::new("the_lag_of_a_compacted_topic_returns_to_zero", compacted).on_real_kafka("compacts nothing"),
    Behaviour::new(
        "partitions_that_are_added_count_in_the_lag_and_are_consumed",
        added_partitions,
    )
    .on_real_kafka("adds no partitions"),
];

const REAL: &str = "does not hide what is not committed";

fn lag(host: &Host) -> Result<Option<f64>> {
    Ok(host
        .metrics()?
        .sum("sandman_group_lag_messages", &[("handler", "echo")]))
}

fn lag_becomes(host: &Host, records: f64) -> Result {
    let mut last = None;
    let became = eventually("the lag", || {
        host.still_runs()?;
        last = lag(host)?;
        Ok((last == Some(records)).then_some(()))
    });
    became.with_context(|| format!("the lag is {last:?}, not {records}"))
}

fn things(count: u64) -> Vec<Event> {
    (1..=count).map(|n| Event::thing(&format!("user-{n}"), 1)).collect()
}

fn health(host: &Host) -> Result<Value> {
    Ok(host.operator().get("/health")?.json())
}

fn becomes(host: &Host, status: &str) -> Result<Value> {
    let mut last = Value::Null;
    let became = eventually("the health", || {
        last = health(host)?;
        Ok((last["status"] == status).then(|| last.clone()))
    });
    became.with_context(|| format!("the health is {last}, not {status}"))
}

/// The group's offsets are at the end of the topic, as Kafka's own lag tools see it.
fn told_to_the_end(world: &World, input: &str) -> Result {
    let end = world.cluster()?.end(input)?;
    let mut told = 0;
    let all = eventually("the group is told", || {
        told = world.group_offsets("echo", input)?;
        Ok((told == end).then_some(()))
    });
    all.with_context(|| format!("the group was told {told} of {end}"))
}

fn kept_out(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let stranger = world.foreign_member_of_another_kind("echo", &input)?;
    stranger.holds_some()?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    world.send(&input, &things(59))?;

    lag_becomes(&host, 59.0)?;
    // Until its clients are connected it is degraded for that reason.
    let mut health = Value::Null;
    eventually("a handler is named", || {
        health = becomes(&host, "degraded")?;
        Ok(health["handlers"].is_array().then_some(()))
    })?;
    let told = health["handlers"].to_string();
    for word in ["echo", "no partition", "rdkafka"] {
        ensure!(told.contains(word), "nothing of {word:?} in {health}");
    }
    let degraded = [("handler", "echo")];
    ensure!(host.metrics()?.sum("sandman_handler_degraded", &degraded) == Some(1.0));
    host.operator().get("/health/ready")?.has(200)?;
    ensure!(host.handler("echo")?["lag"] == 59, "{}", host.handler("echo")?);

    stranger.leave();
    world.reader(&world.topic("thing.echoed"))?.until_count(59)?;
    lag_becomes(&host, 0.0)?;
    becomes(&host, "healthy")?;
    host.metrics_when("the handler is well", |metrics| {
        metrics.sum("sandman_handler_degraded", &degraded) == Some(0.0)
    })?;
    host.still_runs()
}

fn half_kept_out(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    world.send(&input, &things(30))?;
    world.reader(&world.topic("thing.echoed"))?.until_count(30)?;
    host.metrics_when("all partitions are ours", |metrics| {
        metrics.sum("sandman_assigned_partitions", &[]) == Some(3.0)
    })?;
    lag_becomes(&host, 0.0)?;
    let stranger = world.foreign_member("echo", &input)?;
    stranger.holds_some()?;
    // What was handled before counts no more, although the partition is another's now.
    let theirs = |metrics: &sandman_tests::Metrics| metrics.sum("sandman_assigned_partitions", &[]) < Some(3.0);
    host.metrics_when("partitions are taken away", theirs)?;
    lag_becomes(&host, 0.0)?;
    let landed = world.send(&input, &things(300))?;
    host.metrics_when("all are handled that are ours", |metrics| {
        let consumed = metrics.sum("sandman_events_consumed_total", &[]).unwrap_or_default();
        let behind = metrics.sum("sandman_group_lag_messages", &[]).unwrap_or_default();
        behind > 0.0 && behind + consumed == 330.0
    })?;
    ensure!(landed.len() == 300);
    let mut health = Value::Null;
    eventually("the partitions that another has are named", || {
        health = becomes(&host, "degraded")?;
        let told = health["handlers"].to_string();
        Ok((told.contains("has not all partitions") && told.contains(&format!("{input}["))).then_some(()))
    })?;
    ensure!(health["handlers"][0]["handler"] == "echo", "{health}");
    stranger.leave();
    lag_becomes(&host, 0.0)?;
    becomes(&host, "healthy")?;
    host.still_runs()
}

fn unseen(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let stranger = world.unseen_member("echo", &input)?;
    stranger.holds_some()?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    host.metrics_when("some partitions are ours", |metrics| {
        metrics.sum("sandman_assigned_partitions", &[]) > Some(0.0)
    })?;
    stranger.holds("not all of them", |held| (1..3).contains(&held))?;
    eventually("the partitions that somebody else has are named", || {
        let told = becomes(&host, "degraded")?["handlers"].to_string();
        Ok(told.contains(&format!("{input}[")).then_some(()))
    })?;
    stranger.leave();
    becomes(&host, "healthy")?;
    host.still_runs()
}

fn open_transaction(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let one = |n| vec![Event::thing("ada", n)];
    let open = OpenTransaction::begin(world, "open", &input, &one(1))?;
    let behind: Vec<_> = (2..=5_000).map(|n| Event::thing("ada", n)).collect();
    world.send(&input, &behind)?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    // Nobody can tell which of them are of the transaction.
    lag_becomes(&host, 5_000.0)?;
    open.commit()?;
    world.reader(&world.topic("thing.echoed"))?.until_count(5_000)?;
    lag_becomes(&host, 0.0)?;
    told_to_the_end(world, &input)?;

    let open = OpenTransaction::begin(world, "open", &input, &one(5_001))?;
    lag_becomes(&host, 1.0)?;
    open.abort()?;
    lag_becomes(&host, 0.0)?;
    told_to_the_end(world, &input)?;
    ensure!(host.handler("echo")?["lag"] == 0, "{}", host.handler("echo")?);
    host.still_runs()
}

/// At the end of a partition, at a start, and where there is no progress.
fn ended_transactions(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    // No record of this topic is ever seen, so the handler has no progress in it.
    OpenTransaction::begin(world, "client", &input, &things(20))?.abort()?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    lag_becomes(&host, 0.0)?;
    OpenTransaction::begin(world, "client", &input, &things(20))?.commit()?;
    world.reader(&world.topic("thing.echoed"))?.until_count(20)?;
    lag_becomes(&host, 0.0)?;
    OpenTransaction::begin(world, "client", &input, &things(20))?.abort()?;
    lag_becomes(&host, 0.0)?;
    told_to_the_end(world, &input)?;
    host.terminate()?;

    // The next one finds nothing but control records and what was taken back.
    OpenTransaction::begin(world, "client", &input, &things(20))?.abort()?;
    let host = world.host(&settings)?;
    lag_becomes(&host, 0.0)?;
    told_to_the_end(world, &input)?;
    host.kill()?;
    let host = world.host(&settings)?;
    lag_becomes(&host, 0.0)?;
    host.still_runs()
}

/// Everything is handled, and what ends the topic are a commit's marker, records that were taken back and their marker.
fn retained(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let mut host = world.host(&settings)?;
    let mut echoed = world.reader(&world.topic("thing.echoed"))?;
    for round in 1..=2 {
        OpenTransaction::begin(world, "client", &input, &things(20))?.commit()?;
        OpenTransaction::begin(world, "client", &input, &things(20))?.abort()?;
        echoed.until_count(20 * round)?;
        told_to_the_end(world, &input)?;
        host.kill()?;
        world.cluster()?.delete_all_records(&input)?;
        host = world.host(&settings)?;
        lag_becomes(&host, 0.0)?;
    }
    world.send(&input, &things(20))?;
    echoed.until_count(60)?;
    becomes(&host, "healthy")?;
    host.still_runs()
}

/// A second handler consumes what the first one emits; that it can do nothing with it is all the same here.
fn chained(world: &World, input: &String) -> Result<Settings> {
    let echoed = world.make_topic("thing.echoed")?;
    let second = hostile(&[&echoed])?.set("retry", "{ attempts = 1 }");
    Ok(world.settings()?.handler(echo(&[input])?).handler(second))
}

fn behind_the_relay(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let settings = chained(world, &input)?;
    let host = world.host(&settings)?;
    world.send(&input, &things(50))?;
    let of = [("handler", "hostile")];
    let done = |host: &Host| {
        host.metrics_when("the second handler has nothing to do", |metrics| {
            metrics.sum("sandman_group_lag_messages", &of) == Some(0.0)
        })
    };
    world.reader(&world.topic("thing.echoed"))?.until_count(50)?;
    host.metrics_when("the second handler has them all", |metrics| {
        metrics.sum("sandman_events_consumed_total", &of) == Some(50.0)
    })?;
    done(&host)?;
    host.terminate()?;
    let host = world.host(&settings)?;
    done(&host)?;
    host.still_runs()
}

fn compacted(world: &World) -> Result {
    let input = world.topic("thing.happened");
    world.cluster()?.create_compacted(&input)?;
    // The broker compacts what lies before the segment that it writes to.
    let rounds = 30;
    for n in 1..=rounds {
        world.send(&input, &[Event::thing("ada", n), Event::thing("bob", n)])?;
    }
    eventually("the broker compacts", || {
        world.send(&input, &[Event::thing("eve", 1)])?;
        Ok((world.all_of(&input)?.len() < 20).then_some(()))
    })?;
    let settings = world.settings()?.handler(echo(&[&input])?);
    let host = world.host(&settings)?;
    lag_becomes(&host, 0.0)?;
    OpenTransaction::begin(world, "client", &input, &things(2))?.abort()?;
    lag_becomes(&host, 0.0)?;
    host.terminate()?;
    let host = world.host(&settings)?;
    lag_becomes(&host, 0.0)?;
    host.still_runs()
}

fn added_partitions(world: &World) -> Result {
    let input = world.make_topic("thing.happened")?;
    let host = world.host(&world.settings()?.handler(echo(&[&input])?))?;
    world.send(&input, &things(30))?;
    world.reader(&world.topic("thing.echoed"))?.until_count(30)?;
    lag_becomes(&host, 0.0)?;
    world.cluster()?.add_partitions(&input, 6)?;
    let landed = eventually("the client knows the partitions", || {
        let landed = world.send(&input, &things(60))?;
        Ok(landed.iter().any(|(partition, _)| *partition >= 3).then_some(landed))
    })?;
    // They count before anybody reads them.
    let new = landed.iter().filter(|(partition, _)| *partition >= 3).count();
    lag_becomes(&host, new as f64)?;
    // Sooner than the five minutes that the client library takes by itself, which nobody waits for here.
    lag_becomes(&host, 0.0)?;
    ensure!(
        host.metrics()?.sum("sandman_assigned_partitions", &[]) == Some(6.0),
        "it has not all partitions"
    );
    host.still_runs()
}
