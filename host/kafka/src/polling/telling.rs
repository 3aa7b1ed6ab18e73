//! Reports the consumer's positions to the intake, and commits offsets to the group.

use std::sync::atomic::Ordering;

use rdkafka::TopicPartitionList;

use super::Polling;

impl Polling {
    /// Tells the intake the read positions of its partitions.
    pub(super) fn tell_positions(&self, positions: &TopicPartitionList) {
        let member = self.member();
        // From then on records are dropped.
        if member.quiet.load(Ordering::Relaxed) {
            return;
        }
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
