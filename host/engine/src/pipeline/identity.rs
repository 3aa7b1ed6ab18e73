//! Whether a handler's progress is about the topic that has the name now.

use std::sync::Arc;

use sandman_core::broker::{IntakeError, Recreated, Recreation};
use sandman_core::event::TopicId;
use sandman_core::lanes::HandlerIx;

use super::Pipeline;

impl Pipeline {
    /// Sees to it that the handler's progress under the topic's name is about this topic. Nothing of its partitions is under
    /// way: they are about to be assigned.
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
        let mut shared = self.shared.lock();
        let of_topic =
            |partition: &super::partitions::Partition| partition.handler == handler && partition.name.topic == *topic;
        if shared
            .partitions
            .of(handler)
            .any(|(_, partition)| of_topic(partition) && partition.assigned)
        {
            return Err(IntakeError::NotYet(Arc::clone(topic)));
        }
        let done = shared
            .partitions
            .of(handler)
            .filter(|(_, partition)| of_topic(partition));
        let progress: Vec<_> = done
            .filter_map(|(_, partition)| Some((partition.name.clone(), partition.committed()?)))
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
                tracing::warn!(handler = &**name, %topic, %was, %is, "progress counts for the topic that was made anew");
                self.store.adopt_topic(name, topic, is)?;
            }
            // Where nothing was done, nothing can be skipped.
            Recreation::Restart | Recreation::Stop => {
                tracing::warn!(
                    handler = &**name, %topic, %was, %is, ?progress,
                    "the topic was deleted and made anew: it is handled from its beginning"
                );
                self.store.restart_topic(name, topic, is)?;
                for (_, partition) in shared
                    .partitions
                    .iter_mut()
                    .filter(|(_, partition)| of_topic(partition))
                {
                    partition.restart();
                }
            }
        }
        Ok(())
    }
}
