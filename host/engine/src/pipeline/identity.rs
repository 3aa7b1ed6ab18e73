//! Whether a handler's progress belongs to the topic that has the name now.

use std::sync::Arc;

use sandman_core::broker::{IntakeError, Recreated, Recreation};
use sandman_core::event::TopicId;
use sandman_core::lanes::HandlerIx;

use super::Pipeline;

impl Pipeline {
    /// Ensures that the handler's progress under the topic's name belongs to this topic. No work of its partitions is
    /// in progress: they are about to be assigned.
    pub(super) fn identify(
        &self,
        handler: HandlerIx,
        (topic, is): (&Arc<str>, &TopicId),
        recreation: Recreation,
    ) -> Result<(), IntakeError> {
        let Some(known) = self.registry.get(handler) else {
            return Ok(());
        };
        let name = &known.name;
        let Some(was) = self.store.topic_id(name, topic)? else {
            return Ok(self.store.adopt_topic(name, topic, is)?);
        };
        if was == *is {
            return Ok(());
        }
        if self.has_of_topic(handler, topic) {
            return Err(IntakeError::NotYet(Arc::clone(topic)));
        }
        let progress = self.store.progress(name)?.into_iter();
        let progress: Vec<_> = progress
            .filter(|(partition, _)| partition.topic == *topic)
            .map(|(partition, progress)| (partition, progress.next()))
            .collect();
        match recreation {
            Recreation::Stop if !progress.is_empty() => {
                return Err(IntakeError::Recreated(Recreated {
                    topic: Arc::clone(topic),
                    was,
                    is: is.clone(),
                    progress,
                }));
            }
            Recreation::Adopt => {
                tracing::warn!(handler = &**name, %topic, %was, %is, "progress counts for the topic that was created again");
                self.store.adopt_topic(name, topic, is)?;
            }
            // Without progress, nothing can be skipped.
            Recreation::Restart | Recreation::Stop => {
                tracing::warn!(
                    handler = &**name, %topic, %was, %is, ?progress,
                    "the topic was deleted and created again: it is handled from its beginning"
                );
                self.store.restart_topic(name, topic, is)?;
                self.state.lock().admission.restart_topic(handler, topic);
            }
        }
        Ok(())
    }

    /// Whether this host has a partition of the topic.
    fn has_of_topic(&self, handler: HandlerIx, topic: &Arc<str>) -> bool {
        let state = self.state.lock();
        let mut partitions = state.admission.of(handler);
        partitions.any(|(_, partition)| partition.name.topic == *topic && partition.assigned)
    }
}
