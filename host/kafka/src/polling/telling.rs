//! Tells the intake and the group how far the consumer is.

use std::sync::atomic::Ordering;

use rdkafka::consumer::Consumer;

use super::Polling;

impl Polling {
    /// Tells the intake up to where its partitions were read. The library moves a position when it hands a record over and
    /// when it comes past a control record.
    pub(super) fn tell_positions(&self) {
        let member = self.member();
        // From then on records are dropped unseen.
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
        // Offsets that wait for a coordinator outlive the session, and the group refuses them then.
        if !member.monitor.health().is_connected() {
            return;
        }
        let slots: Vec<_> = member.assignment.lock().slots().map(|slot| slot.clone()).collect();
        member.tell_group(&self.consumer, &slots);
    }

    /// The group's offsets at the end of a clean stop. Not the library's waiting commit, which has no deadline: closing the
    /// consumer waits for this one, and `ConsumerHandle::join` for no longer than it was told.
    pub(super) fn last_word(&self) {
        self.quiesce();
        self.tell_group();
    }
}
