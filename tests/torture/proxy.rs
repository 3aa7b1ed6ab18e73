//! The network between the host and Kafka is not as it should be.

use std::time::Duration;

use anyhow::ensure;

use crate::checker::Verdict;
use crate::proxy::{Call, Proxy};
use crate::wait::eventually;
use crate::{Result, Settings};

use super::crash::goes_on;
use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "proxy-lost-responses",
        "answers to Produce, AddPartitionsToTxn and EndTxn are lost for a while",
        lost_responses,
    )
    .on_its_own_kafka(),
    Scenario::long("proxy-slow", "every answer of Kafka is 500 ms late", slow).on_its_own_kafka(),
    Scenario::long("proxy-narrow", "64 kbit/s to Kafka and back", narrow).on_its_own_kafka(),
    Scenario::short(
        "proxy-late-end",
        "the end of a transaction arrives in the middle of the next one",
        late_end,
    )
    .on_its_own_kafka(),
];

const FAR: Duration = Duration::from_secs(30);

/// How late every answer is.
const LATE: Duration = Duration::from_millis(500);

/// Bits a second.
const NARROW: u32 = 64_000;

/// The answers that are lost.
const LOST: [Call; 3] = [Call::Produce, Call::AddPartitions, Call::EndTransaction];

/// A way to Kafka, and settings of hosts that take it.
fn detour(run: &Run<'_>) -> Result<(Proxy, Settings)> {
    let proxy = run.world.proxy()?;
    let brokers = format!("{:?}", proxy.address());
    let settings = run.settings()?.set("kafka.brokers", &brokers);
    Ok((proxy, settings))
}

fn lost_responses(run: &Run<'_>) -> Result<Verdict> {
    let (proxy, settings) = detour(run)?;
    let host = run.host(&settings)?;
    run.under(&Load::light(), || {
        for round in 0..run.size(3, 15) {
            run.until_seen(100, FAR);
            run.at_work(&host, Target::EventsAndRequests)?;
            let before = proxy.touched();
            // The client hears at once that its connection is gone, or waits until all is well.
            proxy.lose(LOST[round % LOST.len()], run.below(2) == 0);
            eventually("an answer is lost", || {
                host.still_runs()?;
                Ok((proxy.touched() > before).then_some(()))
            })?;
            run.for_a_while(run.size(Duration::from_secs(1), Duration::from_secs(8)));
            proxy.heal();
            (before..proxy.touched()).for_each(|_| run.fault());
            goes_on(run, &host)?;
        }
        Ok(())
    })?;
    run.finish(host)
}

fn slow(run: &Run<'_>) -> Result<Verdict> {
    let (proxy, settings) = detour(run)?;
    let mut host = run.host(&settings)?;
    let host = run.under(&Load::light(), || {
        run.until_seen(100, FAR);
        proxy.delay(LATE);
        for _ in 0..run.size(1, 2) {
            run.for_long(run.size(Duration::from_secs(10), Duration::from_secs(40)));
            goes_on(run, &host)?;
            // The next host begins on the slow network.
            host = run.kill_and_start(host, &settings, Target::EventsAndRequests)?;
            goes_on(run, &host)?;
        }
        let late = proxy.touched();
        ensure!(late > 100, "only {late} answers were late: this shows nothing");
        (0..late).for_each(|_| run.fault());
        proxy.heal();
        Ok(host)
    })?;
    run.finish(host)
}

fn narrow(run: &Run<'_>) -> Result<Verdict> {
    let (proxy, settings) = detour(run)?;
    let host = run.host(&settings)?;
    // What comes and what goes for it fits through.
    let trickle = Load {
        rate: 3,
        clients: 0,
        ..Load::default()
    };
    run.until_seen(0, FAR);
    proxy.narrow(NARROW);
    run.under(&trickle, || {
        for _ in 0..run.size(1, 3) {
            run.for_long(Duration::from_secs(10));
            let before = run.seen()[1];
            eventually("events get through", || {
                host.still_runs()?;
                Ok((run.seen()[1] > before).then_some(()))
            })?;
        }
        Ok(())
    })?;
    // Much more than that.
    let much = Load {
        rate: 100,
        pad: 1_000,
        ..Load::default()
    };
    run.under(&much, || {
        run.for_long(run.size(Duration::from_secs(10), Duration::from_secs(60)));
        // Some of it gets through all the same.
        goes_on(run, &host)?;
        proxy.heal();
        goes_on(run, &host)
    })?;
    let waited = proxy.touched();
    ensure!(waited > 100, "only {waited} pieces had to wait: this shows nothing");
    (0..waited).for_each(|_| run.fault());
    run.finish(host)
}

fn late_end(run: &Run<'_>) -> Result<Verdict> {
    let (proxy, settings) = detour(run)?;
    let host = run.host(&settings)?;
    run.under(&Load::light(), || {
        for round in 0..run.size(3, 12) {
            run.until_seen(run.below(100) as usize, FAR);
            run.hits(&host, "the late end of a transaction", Target::EventsAndRequests)?;
            // A connection that is gone is noticed, and the commit asked for again; silence is given up after 30 s.
            let cut = !run.full || round % 4 < 3;
            proxy.hold_end(cut);
            let code = proxy.late_answer()?;
            ensure!(
                code != 0,
                "the end of one transaction was taken for the end of the next one"
            );
            goes_on(run, &host)?;
        }
        Ok(())
    })?;
    run.finish(host)
}
