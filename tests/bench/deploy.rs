//! What a deploy under load costs: how long it takes from the upload until the new version serves, and what happens to the
//! latency of events meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use sandman_tests::{Result, World, guest_in, note};

use super::Plan;
use super::contender::{Contender, Running};
use super::input::{EVENT_TYPE, PARTITIONS};
use super::latency::{WARM_UP, inputs, paced, sent, until};
use super::table::{Report, Spread};
use super::throughput::{STATEFUL, cleared, started};

/// Events a second: a load that the host takes well on two cores that it shares with Kafka and the clients.
const RATE: f64 = 2_000.0;
/// Deploys in one run, and how far apart they are.
const DEPLOYS: u8 = 5;
const APART: Duration = Duration::from_secs(4);
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn run(world: &World, plan: &Plan, report: &mut Report) -> Result {
    for contender in [Contender::Fresh, Contender::Reused]
        .into_iter()
        .filter(|one| plan.wants(*one))
    {
        let (rate, time) = (RATE, APART * u32::from(DEPLOYS + 1));
        let name = format!("{}-deploy-{contender:?}", world.deployment()).to_lowercase();
        let cluster = world.cluster()?;
        let input = format!("{name}.{EVENT_TYPE}");
        cluster.create_topics(std::slice::from_ref(&input), PARTITIONS)?;
        let (running, mut outputs) = started((&STATEFUL, world, plan), (&name, &input), contender, inputs(rate, time))?;
        let Running::Host(host) = &running else {
            return Err(anyhow!("no host"));
        };
        let component = std::fs::read(guest_in(STATEFUL.guest)?)?;
        let began = Instant::now();
        let (paced, deploys) = thread::scope(|scope| -> Result<_> {
            let deploying = scope.spawn(move || {
                (0..DEPLOYS)
                    .map(|number| {
                        until(began + WARM_UP + APART * u32::from(number) + SECOND);
                        let from = Instant::now();
                        host.deployed("bench", &another(&component, number))?;
                        Ok((from, Instant::now()))
                    })
                    .collect::<Result<Vec<_>>>()
            });
            let paced = paced(&mut outputs, (rate, time), |total| {
                sent(cluster.brokers(), &input, total)
            })?;
            Ok((paced, deploying.join().map_err(|_| anyhow!("the deploys panicked"))??))
        })?;
        drop(running);
        cleared(world, &name)?;
        let title = contender.title();
        let took = deploys.iter().map(|(from, to)| (*to - *from).as_secs_f64() * 1e3);
        report.add(("deploy", title), ("upload to active", "ms"), Spread::of(took.clone()));
        let p99 = |span: &dyn Fn(Instant, Instant) -> (Instant, Instant)| {
            Spread::of(deploys.iter().map(|(began, ended)| {
                let (from, to) = span(*began, *ended);
                paced.between(from, to).part(0.99)
            }))
        };
        let before = p99(&|began, _| (began - SECOND, began));
        // Events that are sent a moment before are under way as well.
        let during = p99(&|began, ended| (began, ended.max(began + SECOND / 4)));
        let after = p99(&|_, ended| (ended, ended + SECOND));
        note(&format!(
            "deploy: {title}: {:.0} ms; p99 {:.1} ms before, {:.1} while, {:.1} after",
            Spread::of(took).median,
            before.median,
            during.median,
            after.median
        ));
        report.add(("deploy", title), ("p99 before", "ms"), before);
        report.add(("deploy", title), ("p99 while", "ms"), during);
        report.add(("deploy", title), ("p99 after", "ms"), after);
    }
    Ok(())
}

/// The same component as another version: a custom section at its end differs.
fn another(component: &[u8], number: u8) -> Vec<u8> {
    let name = b"note";
    let section = [0, 6, 4, name[0], name[1], name[2], name[3], number];
    [component, &section].concat()
}
