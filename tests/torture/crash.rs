//! The host is killed, anywhere.

use std::time::Duration;

use crate::Result;
use crate::checker::Verdict;

use super::{Load, Run, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::short(
    "crash-anywhere",
    "kill -9 at random moments under load",
    anywhere,
)];

fn anywhere(run: &Run<'_>) -> Result<Verdict> {
    let settings = run.settings()?;
    let mut host = run.host(&settings)?;
    let host = run.under(&Load::default(), || {
        for _ in 0..run.size(3, 50) {
            // Now and then before anything of the new host came out.
            run.until_seen(run.below(200) as usize, Duration::from_secs(20));
            run.for_a_while(Duration::from_millis(300));
            host = run.kill_and_start(host, &settings)?;
        }
        Ok(host)
    })?;
    run.finish(host)
}
