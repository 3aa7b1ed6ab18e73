//! Whether events go on: from Kafka through the hosts, and back to Kafka.

use std::time::Duration;

use crate::Result;
use crate::checker::Fate;
use crate::wait::eventually;

use super::Run;
use super::load::is_client;

/// So many events come out before all is said to go on.
pub(super) const ENOUGH: usize = 200;
/// So many are on their way at any moment.
pub(super) const ON_THE_WAY: usize = 60;
const LOOK: Duration = Duration::from_millis(200);

/// How many events that Kafka has taken came out again.
pub(super) struct Flow {
    answered: usize,
    /// Those that are on their way; fewer than none where some came out that nobody knew to have been taken.
    on_the_way: isize,
}

impl Flow {
    pub(super) fn of(run: &Run<'_>) -> Self {
        let inputs = run.journal.inputs();
        let taken = inputs
            .iter()
            .filter(|input| input.fate == Fate::Acknowledged && input.expected.is_answered() && !is_client(&input.key));
        let answered = run.answered_events();
        Self {
            answered,
            on_the_way: taken.count().cast_signed() - answered.cast_signed(),
        }
    }

    /// Waits until so many came out since that each partition of the topics must have had some.
    ///
    /// # Errors
    /// If that does not happen; the error says `when`.
    pub(super) fn goes_on(&self, run: &Run<'_>, when: &str) -> Result {
        eventually(&format!("events go on {when}"), || {
            run.for_long(LOOK);
            let now = Self::of(run);
            let more = now.answered >= self.answered + ENOUGH;
            // What came out before it was acknowledged is acknowledged meanwhile.
            let behind = now.on_the_way - self.on_the_way.max(0);
            Ok((more && behind <= ON_THE_WAY.cast_signed()).then_some(()))
        })
    }
}
