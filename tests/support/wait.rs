//! Waiting for something to become true, with a deadline that only a fault reaches.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Result;

/// How long to wait for anything. Far longer than it takes on a slow machine: reaching it means that something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The same where a component may be built or compiled meanwhile: a minute of CPU time for a large one, on cores that are busy.
pub(crate) const COMPILING: Duration = Duration::from_secs(600);

/// Between two looks at something that cannot tell by itself that it changed.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until `probe` finds something.
///
/// # Errors
/// Whatever `probe` fails with, or that `what` did not happen within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {PATIENCE:?} in vain: {what}");
        }
        thread::park_timeout(LOOK);
    }
}
