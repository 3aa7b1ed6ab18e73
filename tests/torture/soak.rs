//! A long time at half load: what is kept must stay as it is.

use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, ensure};

use crate::checker::Verdict;
use crate::paths::target_dir;
use crate::wait::PATIENCE;
use crate::{Host, Result, note};

use super::plot::{Series, svg};
use super::vitals::{Vitals, size_of};
use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::long(
    "soak",
    "an hour at half of what the host takes: memory, files and threads stay as they are",
    soak,
)];

/// The most events a second: the checker keeps all of them, by reckoning 400 bytes each, which is 9 GB in an hour.
const MOST: u32 = 6_000;
/// How often what goes through is measured: a host and a broker that have just begun are slower.
const BURSTS: u32 = 3;
const HOUR: Duration = Duration::from_secs(3600);
/// How often it says how far it is.
const TELL: Duration = Duration::from_secs(60);
const MIB: f64 = 1024.0 * 1024.0;

fn soak(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    let host = run.host(&settings)?;
    let bursts: Vec<_> = (0..BURSTS).map(|_| measure(run)).collect::<Result<_>>()?;
    let most = bursts.iter().copied().max().unwrap_or(0);
    let load = Load {
        keys: run.size(200, 5_000),
        rate: (most / 2).clamp(20, MOST),
        clients: 4,
        rest: Duration::from_millis(100),
        pad: 100,
        ..Load::default()
    };
    let length = run.size(Duration::from_secs(20), full_length());
    run.note(format!(
        "{length:?} at {} events a second and {} clients of routes; the host and the tests beside it took {bursts:?} before",
        load.rate, load.clients
    ));
    let all = run.under(&load, || watch(run, &host, (length, load.rate)))?;
    for series in &all {
        run.note(series.line());
    }
    keep_plot(run, &all, (load.rate, length))?;
    let verdict = run.finish(host)?;
    let growing: Vec<_> = all
        .iter()
        .filter(|series| !series.is_flat())
        .map(Series::line)
        .collect();
    ensure!(
        growing.is_empty(),
        "not flat: {growing:#?}; the checker found {:?} in {} inputs",
        verdict.counts(),
        verdict.inputs
    );
    Ok(verdict)
}

/// An hour, or what `SANDMAN_TORTURE_SOAK` says, in seconds.
fn full_length() -> Duration {
    let wish = env::var("SANDMAN_TORTURE_SOAK").ok();
    wish.and_then(|seconds| seconds.parse().ok())
        .map_or(HOUR, Duration::from_secs)
}

/// How many events a second go through, from Kafka to the readers, when all of them are there at once.
fn measure(run: &Run<'_>) -> Result<u32> {
    let burst = run.size(2_000, 20_000);
    let load = Load {
        keys: 1_000,
        failing: 0,
        refused: 0,
        pad: 100,
        ..Load::default()
    };
    let (began, before) = (Instant::now(), run.seen()[1]);
    run.send(&load, burst)?;
    while run.seen()[1] < before + burst {
        let seen = run.seen()[1] - before;
        ensure!(began.elapsed() < PATIENCE, "{seen} of {burst} events came out");
        run.until_seen(1, Duration::from_secs(1));
    }
    Ok((burst as f64 / began.elapsed().as_secs_f64()) as u32)
}

/// Looks at the host every ten seconds, or 40 times if that is more.
fn watch(run: &Run<'_>, host: &Host, (length, rate): (Duration, u32)) -> Result<Vec<Series>> {
    // A moment in which Kafka or the machine stands still leaves its events in the store, and the file does not shrink: half a
    // second of them, at a kilobyte for the two of each input. Whatever stayed behind of each input would be far more.
    let backlog = 0.5 * f64::from(rate);
    // Within a short time the log of the store comes to its size, and the allocator to its.
    let slack = |short, full| Some(run.size(short, full));
    let mut all = [
        Series::new("memory (MiB)", slack(48.0, 8.0)),
        Series::new("peak memory (MiB)", slack(48.0, 8.0)),
        Series::new("store file (KiB)", slack(4096.0, backlog)),
        Series::new("store log (MiB)", slack(72.0, 4.0)),
        Series::new("open files", slack(8.0, 8.0)),
        Series::new("threads", slack(4.0, 4.0)),
        Series::new("CPU (% of a core)", None),
        Series::new("events a second", None),
    ];
    let store = run.world.folder().join("data/sandman.db");
    let log = store.with_extension("db-wal");
    let step = (length / 40).min(Duration::from_secs(10));
    let (began, mut before) = (Instant::now(), (Instant::now(), Vitals::of(host)?.cpu, run.seen()[1]));
    let mut told = Duration::ZERO;
    while began.elapsed() < length {
        run.for_long(step);
        let (now, seen) = (Vitals::of(host)?, run.seen()[1]);
        let seconds = before.0.elapsed().as_secs_f64();
        let values = [
            now.memory as f64 / MIB,
            now.peak as f64 / MIB,
            size_of(&store) as f64 / 1024.0,
            size_of(&log) as f64 / MIB,
            now.files as f64,
            now.threads as f64,
            100.0 * now.cpu.saturating_sub(before.1).as_secs_f64() / seconds,
            (seen - before.2) as f64 / seconds,
        ];
        for (series, value) in all.iter_mut().zip(values) {
            series.values.push(value);
        }
        before = (Instant::now(), now.cpu, seen);
        if began.elapsed() >= told + TELL {
            told = began.elapsed();
            note(&format!(
                "{told:.0?} of {length:?}: {seen} inputs answered, {:.0} MiB",
                values[0]
            ));
        }
    }
    let [_, _, file, ..] = &all;
    ensure!(
        file.values.iter().all(|size| *size > 0.0),
        "there is no store at {}: this shows nothing",
        store.display()
    );
    Ok(all.into())
}

/// Keeps the plot where the next build does not remove it.
fn keep_plot(run: &Run<'_>, all: &[Series], (rate, length): (u32, Duration)) -> Result {
    let folder = target_dir()?.join("torture");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("soak-{}.svg", run.seed));
    let title = format!("Sandman at {rate} events a second for {length:?}, seed {}", run.seed);
    fs::write(&path, svg(&title, all, length)).with_context(|| format!("{} cannot be written", path.display()))?;
    run.note(format!("plot: {}", path.display()));
    Ok(())
}
