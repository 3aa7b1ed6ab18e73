//! Reports the consumer's positions to the intake, and commits offsets to the group.

use std::sync::atomic::Ordering;

use rdkafka::consumer::Consumer;

use super::Polling;

impl Polling {
    /// Tells the intake the read positions of its partitions. The library moves a position when it hands over a record
    /// and when it passes a control record.
    pub(super) fn tell_positions(&self) {
        let member = self.member();
        // From then on records are dropped.
        if member.quiet.load(Ordering::Relaxed) {
            return;
        }
        let positions = match self.consumer.position() {
            Ok(positions) => positions,
            Err(error) => return tracing::debug!(%error, "the positions of the partitions are not known"),
        };
        let mut assignment = member.assignment.lock();
        let positions: Vec<_> = positions
            .elements()
            .iter()
            .filter_map(|element| {
                let slot = assignment.find(element.topic(), element.partition())?;
                let position = element.offset().to_raw().filter(|position| *position >= slot.next)?;
                Some((slot.partition.clone(), position))
            })
            .collect();
        drop(assignment);
        member.intake.read_to(&positions);
    }

    pub(super) fn tell_group(&self) {
        let member = self.member();
        // Commits that wait for a coordinator outlive the session, and are then refused by the group.
        if !member.monitor.health().is_connected() {
            return;
        }
        let slots: Vec<_> = member.assignment.lock().slots().map(|slot| slot.clone()).collect();
        member.tell_group(&self.consumer, &slots);
    }

    /// Commits the group's offsets at the end of a clean stop. It does not use the library's synchronous commit, which
    /// has no deadline: closing the consumer waits for this one, and `ConsumerHandle::join` only for its own time
    /// limit.
    pub(super) fn last_word(&self) {
        self.quiesce();
        self.tell_group();
    }
}
