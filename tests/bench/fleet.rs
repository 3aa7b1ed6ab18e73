//! What a fleet on PostgreSQL costs beside one host on SQLite, how soon a killed host's keys are served, and how many commits
//! conflict where two hosts are asked for one key.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use sandman_tests::{
    Ask, Client, Compression, Host, Ledger, PostgresServer, Result, Settings, World, echo, eventually, note, repository,
};
use serde_json::json;

use super::Plan;
use super::table::{Report, Spread};
use super::throughput::cleared;

const CASE: &str = "fleet";
const PARTITIONS: i32 = 12;
const KEYS: usize = 1_000;
/// Requests to each host for one key.
const REQUESTS: u64 = 300;

pub(crate) fn run(world: &World, plan: &Plan, report: &mut Report) -> Result {
    let postgres = PostgresServer::start(&repository().join("target"))?;
    let stores = [
        ("one host on SQLite", None, 1),
        ("one host on PostgreSQL", Some(&postgres), 1),
    ];
    let stores = stores
        .into_iter()
        .chain([("two hosts on PostgreSQL", Some(&postgres), 2)]);
    for (number, (title, postgres, count)) in stores.enumerate() {
        let name = format!("{}-fleet-{number}", world.deployment());
        let input = format!("{name}.thing.happened");
        world
            .cluster()?
            .create_topics(std::slice::from_ref(&input), PARTITIONS)?;
        let settings = settings(world, (&name, &input), postgres)?;
        let hosts = (0..count).map(|number| {
            let host = format!("{name}-{number}");
            let settings = settings.clone().set("host.name", &format!("{host:?}"));
            world.host_in(&host, &settings, &[])
        });
        let fleet = Fleet {
            world,
            input: &input,
            postgres,
            hosts: hosts.collect::<Result<_>>()?,
        };
        fleet.throughput(title, plan, report)?;
        if count > 1 {
            fleet.conflicts(title, report)?;
            fleet.killed(title, report)?;
        }
        cleared(world, &name)?;
    }
    Ok(())
}

fn settings(world: &World, (name, input): (&str, &String), postgres: Option<&PostgresServer>) -> Result<Settings> {
    let settings = world
        .settings()?
        .set("host.deployment", &format!("{name:?}"))
        .set("kafka.topic_prefix", &format!("{:?}", format!("{name}.")))
        .set("kafka.partitions", &PARTITIONS.to_string())
        .handler(echo(&[input])?)
        .route("/things/{key}", &["echo"]);
    Ok(match postgres {
        None => settings,
        Some(postgres) => settings
            .set("store.url", &format!("{:?}", postgres.url()))
            .set("store.schema", &format!("{:?}", name.replace('-', "_"))),
    })
}

struct Fleet<'a> {
    world: &'a World,
    input: &'a str,
    postgres: Option<&'a PostgresServer>,
    hosts: Vec<Host>,
}

impl Fleet<'_> {
    fn sum(&self, metric: &str) -> Result<f64> {
        let each = self
            .hosts
            .iter()
            .map(|host| Ok(host.metrics()?.sum(metric, &[]).unwrap_or_default()));
        each.sum()
    }

    fn until_units(&self, wanted: f64) -> Result {
        eventually("all events are committed", || {
            Ok((self.sum("sandman_commit_units_sum")? >= wanted).then_some(()))
        })
    }

    fn throughput(&self, title: &str, plan: &Plan, report: &mut Report) -> Result {
        for host in &self.hosts {
            host.metrics_when("each host has partitions", |metrics| {
                metrics.sum("sandman_assigned_partitions", &[]).unwrap_or_default() > 0.0
            })?;
        }
        let mut ledger = Ledger::default();
        let events = ledger.rounds(KEYS, usize::try_from(plan.events)? / KEYS, 0);
        let producer = self.world.producer(Compression::None)?;
        // So many at first that nothing is done for the first time in what counts.
        let (first, counted) = events.split_at(events.len() / 10);
        producer.send(self.input, first)?;
        self.until_units(first.len() as f64)?;
        let metrics = [
            "sandman_commit_seconds_count",
            "sandman_store_round_trips_total",
            "sandman_commit_conflicts_total",
        ];
        let all = || {
            metrics
                .iter()
                .map(|metric| self.sum(metric))
                .collect::<Result<Vec<f64>>>()
        };
        let cpu = || -> Result<(f64, f64)> {
            let of = self.hosts.iter().map(|host| Ok(host.process().cpu()?.as_secs_f64()));
            let of: f64 = of.sum::<Result<f64>>()?;
            Ok((
                of,
                self.postgres.map_or(Ok(0.0), |postgres| server_cpu(postgres.port()))?,
            ))
        };
        let (before, cpu_before, began) = (all()?, cpu()?, Instant::now());
        producer.send(self.input, counted)?;
        self.until_units(events.len() as f64)?;
        let (after, cpu_after, seconds) = (all()?, cpu()?, began.elapsed().as_secs_f64());
        let count = counted.len() as f64;
        let of = |at: usize| after.get(at).copied().unwrap_or_default() - before.get(at).copied().unwrap_or_default();
        let commits = of(0);
        let figures = [
            ("rate", "events/s", count / seconds),
            (
                "CPU of the hosts",
                "s per million events",
                (cpu_after.0 - cpu_before.0) / count * 1e6,
            ),
            (
                "CPU of PostgreSQL",
                "s per million events",
                (cpu_after.1 - cpu_before.1) / count * 1e6,
            ),
            ("commits", "per 1,000 events", commits / count * 1e3),
            ("round trips", "per commit", of(1) / commits.max(1.0)),
            ("conflicts", "per 1,000 commits", of(2) / commits.max(1.0) * 1e3),
        ];
        for (figure, unit, value) in figures {
            note(&format!("fleet: {title}: {figure} {value:.1} {unit}"));
            report.add((CASE, title), (figure, unit), Spread::of([value]));
        }
        Ok(())
    }

    /// Two hosts are asked for one key, each by one client that never waits.
    fn conflicts(&self, title: &str, report: &mut Report) -> Result {
        let before = self.sum("sandman_commit_conflicts_total")?;
        thread::scope(|scope| -> Result {
            let asking = self.hosts.iter().map(|host| {
                let http = host.http();
                scope.spawn(move || -> Result {
                    let client = Client::new(http?);
                    for n in 0..REQUESTS {
                        let asked = Ask::new("POST", "/things/one").json(&json!({ "n": n }));
                        ensure!(client.ask(&asked)?.status == 200, "request {n} was refused");
                    }
                    Ok(())
                })
            });
            let asking: Vec<_> = asking.collect();
            asking
                .into_iter()
                .try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
        })?;
        let conflicts = self.sum("sandman_commit_conflicts_total")? - before;
        let value = conflicts / (REQUESTS * self.hosts.len() as u64) as f64 * 1e3;
        note(&format!(
            "fleet: {title}: one key asked of both: {value:.0} conflicts per 1,000 requests"
        ));
        report.add(
            (CASE, title),
            ("one key", "conflicts per 1,000 requests"),
            Spread::of([value]),
        );
        Ok(())
    }

    /// From kill -9 of a host until a request for any key, and an event of every key, is done by the other.
    fn killed(mut self, title: &str, report: &mut Report) -> Result {
        let killed = self.hosts.pop().context("there is no other host")?;
        let before = self.sum("sandman_commit_units_sum")?;
        let mut ledger = Ledger::default();
        let events = ledger.rounds(KEYS, 1, 0);
        let producer = self.world.producer(Compression::None)?;
        killed.kill()?;
        let began = Instant::now();
        producer.send(self.input, &events)?;
        let host = self.hosts.first().context("there is no host")?;
        let client = Client::new(host.http()?);
        let asked = Ask::new("POST", "/things/two").json(&json!({ "n": 1 }));
        ensure!(client.ask(&asked)?.status == 200, "the other host refused");
        let request = began.elapsed();
        self.until_units(before + events.len() as f64)?;
        let event = began.elapsed();
        let figures: [(&str, Duration); 2] = [("a request after a kill", request), ("all events after a kill", event)];
        for (figure, time) in figures {
            note(&format!("fleet: {title}: {figure}: {time:.1?}"));
            report.add((CASE, title), (figure, "s"), Spread::of([time.as_secs_f64()]));
        }
        Ok(())
    }
}

/// CPU time of a server and its sessions, those that have ended included, seconds.
fn server_cpu(port: u16) -> Result<f64> {
    const TICKS: f64 = 100.0;
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        let stat = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        let Some((head, rest)) = stat.split_once(" (postgres) ") else {
            continue;
        };
        let fields: Vec<u64> = rest.split(' ').skip(1).filter_map(|field| field.parse().ok()).collect();
        let command = fs::read_to_string(folder.join("cmdline")).unwrap_or_default();
        let is_ours = command
            .split('\0')
            .collect::<Vec<_>>()
            .windows(2)
            .any(|pair| pair == ["-p", &port.to_string()]);
        processes.push((head.parse::<u64>().unwrap_or_default(), fields, is_ours));
    }
    let server = processes
        .iter()
        .find(|(.., is_ours)| *is_ours)
        .context("PostgreSQL does not run")?
        .0;
    // After the state: the parent first; user and system time stand 10 behind it, those of children that have ended after them.
    let ticks = processes.iter().filter_map(|(id, fields, _)| {
        let own = fields.get(10..12)?.iter().sum::<u64>();
        let ended = fields.get(12..14)?.iter().sum::<u64>();
        match (*id == server, fields.first() == Some(&server)) {
            (true, _) => Some(own + ended),
            (false, true) => Some(own),
            (false, false) => None,
        }
    });
    Ok(ticks.sum::<u64>() as f64 / TICKS)
}
