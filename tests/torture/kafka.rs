//! Kafka is killed, or away for a while.

use std::time::Duration;

use crate::checker::Verdict;
use crate::wait::eventually;
use crate::{Client, Result};

use super::crash::goes_on;
use super::gate::Gate;
use super::group::told;
use super::hosts::TRANSACTION_TIMEOUT;
use super::lives::Target;
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::short(
        "kafka-killed",
        "kill -9 to the broker in the middle of the relay's transactions",
        killed,
    )
    .on_its_own_kafka(),
    Scenario::short(
        "kafka-and-host",
        "kill -9 to the broker and the host at the end of a transaction",
        both_killed,
    )
    .on_its_own_kafka(),
    Scenario::short(
        "kafka-outage",
        "the broker is away, up to 90 s; requests are answered meanwhile",
        outage,
    )
    .on_its_own_kafka(),
];

/// Steps at which a transaction is open, and the first one behind it.
const OPEN: [&str; 4] = ["begun", "pointed", "delivered", "visible"];

/// Requests that must be answered while there is no Kafka.
const ENOUGH: usize = 50;

const FAR: Duration = Duration::from_secs(30);

fn killed(run: &Run<'_>) -> Result<Verdict> {
    let broker = run.world.own_broker()?;
    let (gate, settings) = Gate::new(run, run.settings()?.without(TRANSACTION_TIMEOUT))?;
    let host = run.host(&settings)?;
    run.under(&Load::light(), || {
        for round in 0..run.size(1, 12) {
            run.until_seen(100 + run.below(100) as usize, FAR);
            run.at_work(&host, Target::EventsAndRequests)?;
            // One of three at any moment.
            let gated = round % 3 < 2;
            if gated {
                gate.hold(&host, OPEN[run.below(4) as usize])?;
            } else {
                run.for_a_while(Duration::from_millis(300));
            }
            run.hits(&host, "kill -9 to Kafka", Target::EventsAndRequests)?;
            broker.kill()?;
            if gated && run.below(2) == 0 {
                // The host finds the broker that is back, instead of none.
                broker.start()?;
                gate.go_on()?;
            } else {
                if gated {
                    gate.go_on()?;
                }
                broker.start()?;
            }
            goes_on(run, &host)?;
        }
        Ok(())
    })?;
    let verdict = run.finish(host)?;
    note_unended(run);
    Ok(verdict)
}

/// As when a machine goes down that both run on.
fn both_killed(run: &Run<'_>) -> Result<Verdict> {
    let broker = run.world.own_broker()?;
    let (gate, settings) = Gate::new(run, run.settings()?.without(TRANSACTION_TIMEOUT))?;
    let mut host = run.host(&settings)?;
    let host = run.under(&Load::light(), || {
        for _ in 0..run.size(1, 20) {
            run.until_seen(100 + run.below(100) as usize, FAR);
            run.at_work(&host, Target::EventsAndRequests)?;
            // The relay is about to ask for the end, or is answered already and has told nobody.
            gate.hold(&host, OPEN[2 + run.below(2) as usize])?;
            run.hits(&host, "kill -9 to host and Kafka", Target::EventsAndRequests)?;
            gate.go_on()?;
            run.for_a_while(Duration::from_millis(20));
            run.lose_address();
            if run.below(2) == 0 {
                broker.kill()?;
                host.kill()?;
            } else {
                host.kill()?;
                broker.kill()?;
            }
            broker.start()?;
            host = run.host(&settings)?;
            goes_on(run, &host)?;
        }
        Ok(host)
    })?;
    let verdict = run.finish(host)?;
    note_unended(run);
    Ok(verdict)
}

/// What the hosts met of Kafka's forgetfulness.
pub(super) fn note_unended(run: &Run<'_>) {
    for (what, words) in [
        ("that it had confirmed", "did not end it"),
        ("of which nobody knew", "did not end a transaction"),
        ("in some partitions", "in some partitions only"),
    ] {
        let count = told(run.world, words);
        run.note(format!("Kafka left {count} transactions without an end {what}"));
    }
}

fn outage(run: &Run<'_>) -> Result<Verdict> {
    let broker = run.world.own_broker()?;
    // Commits and transactions as they are for users: a request waits for the commit of all that came before it, and a host that
    // gets out of breath with small ones would answer late for another reason.
    let settings = run.settings()?.without("host.batch").without(TRANSACTION_TIMEOUT);
    let host = run.host(&settings)?;
    run.under(&Load::light(), || {
        for seconds in run.size(&[5][..], &[5, 30, 90]) {
            run.until_seen(100, FAR);
            run.hits(&host, "Kafka away", Target::EventsAndRequests)?;
            match run.below(2) {
                0 => broker.stop()?,
                _ => broker.kill()?,
            }
            let before = run.journal.acknowledged();
            run.for_long(Duration::from_secs(*seconds));
            // Of requests: Kafka takes no event.
            eventually("requests are answered without Kafka", || {
                let answered = run.journal.acknowledged() - before;
                Ok((answered >= ENOUGH).then_some(()))
            })?;
            Client::new(host.http()?).get("/work/client-0")?.has(200)?;
            broker.start()?;
            goes_on(run, &host)?;
        }
        Ok(())
    })?;
    run.finish(host)
}
