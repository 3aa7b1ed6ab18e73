//! What handlers cost that have nothing to do.

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use sandman_tests::{Handler, Process, Result, World, guest_in, note};

use super::Plan;
use super::contender::Contender;
use super::input::EVENT_TYPE;
use super::latency::until;
use super::table::{Report, Spread};
use super::throughput::{STATEFUL, cleared};

const HANDLERS: usize = 100;
/// Until everybody has what it wants and says nothing more about it.
const SETTLE: Duration = Duration::from_secs(20);

pub(crate) fn run(world: &World, plan: &Plan, report: &mut Report) -> Result {
    let name = format!("{}-idle", world.deployment());
    let topics: Vec<_> = (0..HANDLERS)
        .map(|number| format!("{name}.{number}.{EVENT_TYPE}"))
        .collect();
    world.cluster()?.create_topics(&topics, 1)?;
    if plan.wants(Contender::Limit) {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["consumers", "--brokers", world.cluster()?.brokers()])
            .args(&topics);
        let process = Process::start("the consumers", &mut command)?;
        ensure!(
            process.says("ready").is_some(),
            "the consumers did not start: {}",
            process.written()
        );
        measured("a consumer of rdkafka for each topic", &process, plan, report)?;
    }
    if plan.wants(Contender::Fresh) {
        let component = guest_in(STATEFUL.guest)?;
        let settings = world
            .settings()?
            .set("host.deployment", &format!("{name:?}"))
            .set("kafka.topic_prefix", &format!("{:?}", format!("{name}.")))
            .set("kafka.partitions", "1");
        for (title, group) in [("Sandman", None), ("Sandman, one group for all handlers", Some(&name))] {
            let settings = topics
                .iter()
                .enumerate()
                .fold(settings.clone(), |settings, (number, topic)| {
                    let handler = Handler::new(&format!("bench-{number}"), &component).consumes(&[topic]);
                    let handler = handler.emits(STATEFUL.outputs);
                    settings.handler(match group {
                        Some(group) => handler.set("group", &format!("{group:?}")),
                        None => handler,
                    })
                });
            let host = world.host_in(&name, &settings, &[])?;
            measured(title, host.process(), plan, report)?;
            host.terminate()?;
        }
    }
    cleared(world, &name)
}

fn measured(title: &str, process: &Process, plan: &Plan, report: &mut Report) -> Result {
    until(Instant::now() + SETTLE);
    let (began, cpu) = (Instant::now(), process.cpu()?);
    until(began + plan.time.max(Duration::from_secs(5)));
    let share = (process.cpu()? - cpu).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let (memory, threads) = (process.memory()? as f64 / 1e6, process.threads()? as f64);
    note(&format!(
        "idle: {title}: {memory:.0} MB, {threads} threads, {share:.1} % of a core"
    ));
    report.add(("idle", title), ("memory", "MB"), Spread::of([memory]));
    report.add(("idle", title), ("threads", "of the process"), Spread::of([threads]));
    report.add(("idle", title), ("CPU", "% of a core"), Spread::of([share]));
    Ok(())
}

/// The least that somebody pays who has a consumer group for each topic; until it is killed.
pub(crate) fn consumers(brokers: &str, topics: &[String]) -> Result {
    let consumers = topics.iter().map(|topic| -> Result<_> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("broker.address.family", "v4")
            .set("group.id", format!("{topic}-consumers"))
            .set("isolation.level", "read_committed")
            .create()?;
        consumer.subscribe(&[topic])?;
        Ok(thread::spawn(move || {
            loop {
                drop(consumer.poll(Duration::from_millis(100)));
            }
        }))
    });
    let consumers: Vec<thread::JoinHandle<()>> = consumers.collect::<Result<_>>()?;
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    out.flush()?;
    consumers
        .into_iter()
        .try_for_each(|consumer| consumer.join().map_err(|_| anyhow!("a consumer panicked")))
}
