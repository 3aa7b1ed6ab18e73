//! Fewer cores than the machine has: what a test shows must not depend on how many those are.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

/// Does something with so many cores at most. A process or thread that is started meanwhile keeps them.
///
/// # Errors
/// If the kernel refuses, or whatever `work` fails with.
pub fn on_cores<T>(cores: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let all = sched_getaffinity(None)?;
    let mut few = CpuSet::new();
    let ours = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
    ours.take(cores).for_each(|core| few.set(core));
    sched_setaffinity(None, &few)?;
    let done = work();
    sched_setaffinity(None, &all)?;
    done
}
