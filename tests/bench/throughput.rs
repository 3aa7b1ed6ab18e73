//! How many events a contender takes, and what each costs it.

use sandman_tests::{Result, World, note};

use super::Plan;
use super::contender::{Contender, Run, Running};
use super::input::{EVENT_TYPE, Input, PARTITIONS, Sender, USERS};
use super::latency::{Latencies, inputs, paced, sent};
use super::measure::{Figures, saturated};
use super::outputs::Outputs;
use super::table::{Report, Spread};

/// What is measured, where, and how much of it.
pub(crate) type Case<'a> = (&'a Work, &'a World, &'a Plan);

/// What is done with each event.
pub(crate) struct Work {
    /// The case's name.
    pub(crate) name: &'static str,
    /// What the contenders outside of Sandman call it.
    pub(crate) native: &'static str,
    /// The folder of the guest that does it.
    pub(crate) guest: &'static str,
    /// Whether that guest serves requests as well.
    pub(crate) serves: bool,
    /// The types of the events that come out, of each one per input.
    pub(crate) outputs: &'static [&'static str],
    pub(crate) contenders: &'static [Contender],
    pub(crate) users: u64,
    /// Partitions of the input topic.
    pub(crate) partitions: i32,
    /// Whether latencies are measured, too.
    pub(crate) latencies: bool,
}

/// A document per user, two events out.
pub(crate) const STATEFUL: Work = Work {
    name: "stateful",
    native: "stateful",
    guest: "tests/bench/stateful",
    serves: true,
    outputs: &["user.updated", "user.profile.updated"],
    contenders: &[
        Contender::Limit,
        Contender::LimitTransactional,
        Contender::Native,
        Contender::CompiledIn,
        Contender::Fresh,
        Contender::Reused,
        Contender::BeforeFresh,
        Contender::BeforeReused,
        Contender::Streams,
        Contender::KafkaJs,
    ],
    users: USERS,
    partitions: PARTITIONS,
    latencies: true,
};

/// The stateful work with what can be switched off: what recordings and remembered events cost.
pub(crate) const COSTS: Work = Work {
    name: "costs",
    contenders: &[
        Contender::Reused,
        Contender::WithoutRecordings,
        Contender::WithoutDedupe,
        Contender::WithoutBoth,
        Contender::MoreRecordings,
    ],
    latencies: false,
    ..STATEFUL
};

/// One event out.
pub(crate) const STATELESS: Work = Work {
    name: "stateless",
    native: "stateless",
    guest: "tests/bench/stateless",
    serves: false,
    outputs: &["user.profile.updated"],
    contenders: &[
        Contender::LimitTransactional,
        Contender::Native,
        Contender::Fresh,
        Contender::Reused,
        Contender::Streams,
    ],
    users: USERS,
    partitions: PARTITIONS,
    latencies: false,
};

/// The stateful work, all of it for one user.
pub(crate) const HOT_KEY: Work = Work {
    name: "hot-key",
    users: 1,
    ..NARROW
};

/// The stateful work for a thousand users whose events are in one partition.
pub(crate) const ONE_PARTITION: Work = Work {
    name: "one-partition",
    users: 1_000,
    ..NARROW
};

const NARROW: Work = Work {
    contenders: &[
        Contender::Native,
        Contender::Fresh,
        Contender::Reused,
        Contender::Streams,
    ],
    partitions: 1,
    latencies: false,
    ..STATEFUL
};

/// Fills a topic once, and has the contenders work through it in turns.
pub(crate) fn run(work: &Work, world: &World, plan: &Plan, report: &mut Report) -> Result {
    let input = filled(world, work, plan.events)?;
    let contenders: Vec<_> = work.contenders.iter().copied().filter(|one| plan.wants(*one)).collect();
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); contenders.len()];
    for round in 1..=plan.rounds {
        for (contender, figures) in contenders.iter().zip(&mut figures) {
            let name = format!("{}-{}-{contender:?}-{round}", world.deployment(), work.name).to_lowercase();
            let one = one((work, world, plan), (&name, &input), *contender)?;
            note(&format!(
                "{} {round}/{}: {}: {:.0} events/s, {:.1} CPU s per million, {:.0} MB",
                work.name,
                plan.rounds,
                contender.title(),
                one.rate,
                one.cpu,
                one.memory / 1e6,
            ));
            figures.push(one);
        }
    }
    world.cluster()?.remove_topics(&input)?;
    for (contender, figures) in contenders.iter().zip(&figures) {
        report.saturated(work.name, contender.title(), figures);
    }
    if work.latencies && !plan.time.is_zero() {
        for (contender, figures) in contenders.iter().zip(&figures) {
            let rate = Spread::of(figures.iter().map(|run| run.rate)).median / 2.0;
            let latencies = at_half((work, world, plan), *contender, rate)?;
            report.latencies(work.name, contender.title(), &latencies);
        }
    }
    Ok(())
}

/// Latencies at half of what a contender takes.
fn at_half((work, world, plan): Case<'_>, contender: Contender, rate: f64) -> Result<Latencies> {
    let time = plan.time;
    let cluster = world.cluster()?;
    let name = format!("{}-{}-{contender:?}-half", world.deployment(), work.name).to_lowercase();
    let input = format!("{name}.{EVENT_TYPE}");
    cluster.create_topics(std::slice::from_ref(&input), PARTITIONS)?;
    let (running, mut outputs) = started((work, world, plan), (&name, &input), contender, inputs(rate, time))?;
    let latencies = paced(&mut outputs, (rate, time), |total| {
        sent(cluster.brokers(), &input, total)
    })?
    .latencies();
    note(&format!(
        "{}: {} at {rate:.0} events/s: p50 {:.1} ms, p99 {:.1} ms",
        work.name,
        contender.title(),
        latencies.part(0.5),
        latencies.part(0.99),
    ));
    drop(running);
    cleared(world, &name)?;
    Ok(latencies)
}

/// A contender at work on a topic, and what it writes.
pub(crate) fn started(
    (work, world, plan): Case<'_>,
    (name, input): (&str, &str),
    contender: Contender,
    events: u64,
) -> Result<(Running, Outputs)> {
    let cluster = world.cluster()?;
    let outputs = &work.outputs[work.outputs.len() - contender.outputs(work)..];
    let topics: Vec<_> = outputs
        .iter()
        .map(|event_type| format!("{name}.{event_type}"))
        .collect();
    cluster.create_topics(&topics, PARTITIONS)?;
    let run = Run {
        world,
        work,
        name: name.to_owned(),
        input,
        outputs: topics.clone(),
        before: plan.before.as_deref(),
    };
    let running = run.start(contender)?;
    Ok((running, Outputs::open(cluster.brokers(), &topics, PARTITIONS, events)?))
}

/// Removes a run's topics, those that it made itself among them, and what it kept on the disk.
pub(crate) fn cleared(world: &World, name: &str) -> Result {
    world.cluster()?.remove_topics(name)?;
    std::fs::remove_dir_all(world.folder().join(name)).ok();
    Ok(())
}

/// A topic with the events of a run.
fn filled(world: &World, work: &Work, events: u64) -> Result<String> {
    let topic = format!("{}-{}.{EVENT_TYPE}", world.deployment(), work.name);
    world
        .cluster()?
        .create_topics(std::slice::from_ref(&topic), work.partitions)?;
    let sender = Sender::open(world.cluster()?.brokers(), &topic, "50")?;
    let mut made = Input::new(work.users);
    for _ in 0..events {
        sender.send(&made.next())?;
    }
    sender.finish()?;
    Ok(topic)
}

fn one((work, world, plan): Case<'_>, (name, input): (&str, &str), contender: Contender) -> Result<Figures> {
    let events = plan.events;
    let (running, mut outputs) = started((work, world, plan), (name, input), contender, events)?;
    let figures = saturated(running.process(), &mut outputs, contender.share(events));
    drop(running);
    cleared(world, name)?;
    figures
}

impl Plan {
    pub(crate) fn wants(&self, contender: Contender) -> bool {
        let before = matches!(contender, Contender::BeforeFresh | Contender::BeforeReused);
        let there = !before || self.before.is_some();
        there && (self.only.is_empty() || self.only.contains(&contender))
    }
}
