//! From an event, or a request, to its outcome being visible to a read-committed consumer, where there is little to do.

use std::sync::Arc;
use std::thread;

use anyhow::{anyhow, ensure};
use sandman_tests::{Ask, Client, Result, World, note};

use super::Plan;
use super::contender::{Contender, Running};
use super::input::{EVENT_TYPE, Input, PARTITIONS, USERS};
use super::latency::{Latencies, inputs, paced, sent};
use super::table::{Report, Spread};
use super::throughput::{STATEFUL, cleared, started};

/// Inputs a second.
const RATES: [f64; 2] = [20.0, 300.0];
/// Requests under way at once at most.
const CONNECTIONS: usize = 32;
const CONTENDERS: [Contender; 5] = [
    Contender::Native,
    Contender::NativeAtOnce,
    Contender::Reused,
    Contender::BeforeReused,
    Contender::Streams,
];

pub(crate) fn run(world: &World, plan: &Plan, report: &mut Report) -> Result {
    for rate in RATES {
        for contender in CONTENDERS.into_iter().filter(|one| plan.wants(*one)) {
            for over_http in [false, true] {
                if over_http && contender != Contender::Reused {
                    continue;
                }
                let title = format!(
                    "{}{}, {rate}/s",
                    contender.title(),
                    if over_http { ", HTTP" } else { "" }
                );
                let latencies = one(world, contender, (rate, plan), over_http)?;
                let [p50, p99] = [0.5, 0.99].map(|share| latencies.part(share));
                note(&format!("visible: {title}: p50 {p50:.1} ms, p99 {p99:.1} ms"));
                report.add(("visible", &title), ("p50", "ms"), Spread::of([p50]));
                report.add(("visible", &title), ("p99", "ms"), Spread::of([p99]));
            }
        }
    }
    Ok(())
}

fn one(world: &World, contender: Contender, (rate, plan): (f64, &Plan), over_http: bool) -> Result<Latencies> {
    let cluster = world.cluster()?;
    let name = format!("{}-visible-{contender:?}-{rate}-{over_http}", world.deployment()).to_lowercase();
    let input = format!("{name}.{EVENT_TYPE}");
    cluster.create_topics(std::slice::from_ref(&input), PARTITIONS)?;
    let total = inputs(rate, plan.time);
    let (running, mut outputs) = started((&STATEFUL, world, plan), (&name, &input), contender, total)?;
    let paced = match (&running, over_http) {
        (Running::Host(host), true) => {
            let client = Client::new(host.http()?);
            paced(&mut outputs, (rate, plan.time), |_| Ok(asked(client)))?
        }
        _ => paced(&mut outputs, (rate, plan.time), |total| {
            sent(cluster.brokers(), &input, total)
        })?,
    };
    drop(running);
    cleared(world, &name)?;
    Ok(paced.latencies())
}

/// Sends requests, none of which waits for the answer of another one.
fn asked(client: Client) -> impl FnMut() -> Result {
    let (orders, ordered) = crossbeam_channel::unbounded::<Ask>();
    let ordered = Arc::new(ordered);
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (client, ordered) = (client.clone(), Arc::clone(&ordered));
            thread::spawn(move || -> Result {
                for ask in ordered.iter() {
                    let reply = client.ask(&ask)?;
                    ensure!(reply.status == 204, "answered {} {}", reply.status, reply.text());
                }
                Ok(())
            })
        })
        .collect();
    let mut made = Input::new(USERS);
    move || {
        ensure!(
            !connections.iter().any(thread::JoinHandle::is_finished),
            "a request failed"
        );
        let made = made.next();
        let ask = Ask::new("POST", &format!("/users/{}", made.key))
            .header("X-Correlation-Id", &made.correlation_id)
            .body("application/json", made.payload.as_bytes());
        orders.send(ask).map_err(|_| anyhow!("nobody sends requests"))
    }
}
