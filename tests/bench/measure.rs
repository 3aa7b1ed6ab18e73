//! What one run of one contender comes to.

use std::time::{Duration, Instant};

use sandman_tests::{Process, Result};

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

/// Watches a contender work through all that is there.
pub(crate) fn saturated(process: &Process, outputs: &mut Outputs, inputs: u64) -> Result<Figures> {
    let expected = (inputs * outputs.topics()) as f64;
    let read = |outputs: &mut Outputs, share: f64| -> Result<(Instant, Duration)> {
        outputs.read_to((expected * share) as u64, |_| {})?;
        Ok((Instant::now(), process.cpu()?))
    };
    let (began, cpu_began) = read(outputs, FROM)?;
    let (ended, cpu_ended) = read(outputs, TO)?;
    let (_, cpu) = read(outputs, 1.0)?;
    let events = inputs as f64 * (TO - FROM);
    Ok(Figures {
        rate: events / (ended - began).as_secs_f64(),
        cpu: (cpu_ended - cpu_began).as_secs_f64() / events * 1e6,
        cpu_whole: cpu.as_secs_f64() / inputs as f64 * 1e6,
        memory: process.peak_memory()? as f64,
    })
}
