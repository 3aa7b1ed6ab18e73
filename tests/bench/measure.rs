//! What one run of one contender comes to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use sandman_tests::{Process, Result};

use super::latency::until;
use super::outputs::Outputs;

/// The shares of the outputs between which the clock and the CPU time are read: the start, above all that of a Java VM, and
/// the end, where queues run empty, are not what is asked for.
const FROM: f64 = 0.25;
const TO: f64 = 0.95;

/// The figures of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Input events per second.
    pub(crate) rate: f64,
    /// CPU seconds of the process per million input events.
    pub(crate) cpu: f64,
    /// The same from the process's start to its last event, over all of them.
    pub(crate) cpu_whole: f64,
    /// Most bytes of memory that were resident.
    pub(crate) memory: f64,
}

/// How often the clock, the CPU time and the ends of the outputs are read.
const EVERY: Duration = Duration::from_millis(200);

/// What was so at one time.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    cpu: Duration,
    /// Records in the output topics, ends of transactions included.
    written: f64,
}

/// Watches a contender work through all that is there.
///
/// How far it is, is told by the ends of its outputs, and not by what was read of them: on a busy machine the reader falls
/// behind, and what the contender did meanwhile would be counted for fewer events than it was.
pub(crate) fn saturated(process: &Process, outputs: &mut Outputs, inputs: u64) -> Result<Figures> {
    let (ends, topics) = (outputs.ends()?, outputs.topics());
    let done = AtomicBool::new(false);
    let samples = thread::scope(|scope| -> Result<_> {
        let sampling = scope.spawn(|| -> Result<_> {
            let mut samples = Vec::new();
            while !done.load(Ordering::Relaxed) {
                // A topic that has just been made may have no leader yet.
                if let Ok(written) = ends.sum() {
                    let (at, cpu) = (Instant::now(), process.cpu()?);
                    samples.push(Sample { at, cpu, written });
                }
                until(Instant::now() + EVERY);
            }
            Ok(samples)
        });
        let read = outputs.read_to(inputs * topics, |_| {});
        done.store(true, Ordering::Relaxed);
        let samples = sampling.join().map_err(|_| anyhow!("the sampling panicked"))?;
        read.and(samples)
    })?;
    let cpu = process.cpu()?;
    let last = samples.last().map_or(0.0, |sample| sample.written);
    let (from, to) = (at_share(&samples, last * FROM)?, at_share(&samples, last * TO)?);
    let events = inputs as f64 * (TO - FROM);
    Ok(Figures {
        rate: events / (to.0 - from.0),
        cpu: (to.1 - from.1) / events * 1e6,
        cpu_whole: cpu.as_secs_f64() / inputs as f64 * 1e6,
        memory: process.peak_memory()? as f64,
    })
}

/// The time since the first sample, and the CPU time, in seconds, when so many records were written.
fn at_share(samples: &[Sample], written: f64) -> Result<(f64, f64)> {
    let first = samples.first().context("no samples")?;
    let pair = samples.windows(2).find(|pair| pair[1].written >= written);
    let pair = pair.context("it was done before it was looked at twice; give it more events")?;
    let (before, after) = (pair[0], pair[1]);
    let share = (written - before.written) / (after.written - before.written).max(1.0);
    let at = |sample: Sample| (sample.at - first.at).as_secs_f64();
    let between = |from: f64, to: f64| from + (to - from) * share;
    Ok((
        between(at(before), at(after)),
        between(before.cpu.as_secs_f64(), after.cpu.as_secs_f64()),
    ))
}
