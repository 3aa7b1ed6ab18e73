//! The consumers of the host: one for each group, so that handlers of the same group share one.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use super::{Host, kafka};
use sandman_config::Config;
use sandman_core::lanes::HandlerIx;
use sandman_kafka::ConsumerHandle;

/// How long a consumer that has no handler any more may take to leave its group.
const LEAVE: Duration = Duration::from_secs(30);

/// The consumer of a group.
pub(super) struct GroupConsumer {
    group: String,
    handlers: Vec<HandlerIx>,
    handle: ConsumerHandle,
}

impl GroupConsumer {
    pub(super) fn serves(&self, handler: HandlerIx) -> bool {
        self.handlers.contains(&handler)
    }

    pub(super) fn handle(&self) -> &ConsumerHandle {
        &self.handle
    }

    pub(super) fn into_handle(self) -> ConsumerHandle {
        self.handle
    }
}

impl Host {
    /// Starts the consumers of all groups.
    pub(super) fn consume(&mut self) -> Result<()> {
        self.consuming = true;
        let config = self.control.config.load_full();
        let groups: BTreeSet<_> = config.handlers.iter().map(|handler| &*handler.group).collect();
        groups
            .into_iter()
            .try_for_each(|group| self.consume_group(&config, group))
    }

    /// Starts the consumer of a group, or has it read for the group's handlers of this configuration that are active now.
    pub(super) fn consume_group(&mut self, config: &Config, group: &str) -> Result<()> {
        let handlers: Vec<_> = kafka::group(config, group)
            .filter_map(|handler| Some((handler, self.registry.find(&handler.name)?)))
            .filter(|(_, (_, known))| !known.is_retired())
            .map(|(handler, (ix, _))| (handler, ix))
            .collect();
        for (handler, _) in &handlers {
            self.health.well(&handler.name);
        }
        let ours: Vec<_> = handlers.iter().map(|(_, ix)| *ix).collect();
        let known = self.consumers.iter().position(|consumer| consumer.group == group);
        if ours.is_empty() {
            known.into_iter().for_each(|at| self.leave_group(at));
            return Ok(());
        }
        let parts = (&self.pipeline, self.store.id(), self.options.adopt);
        let (served, intake) = kafka::served(&handlers, parts);
        if let Some(consumer) = known.and_then(|at| self.consumers.get_mut(at))
            && !consumer.handle.finished()
        {
            consumer.handle.serve(served, intake);
            consumer.handlers = ours;
            return Ok(());
        }
        let member = kafka::member(config, self.store.is_shared(), group);
        let identity = (group.to_owned(), member, self.options.adopt);
        let reach = (&self.settings, &self.health, &self.alarm);
        let handle = kafka::consumer((served, intake), identity, reach)?;
        self.consumers.retain(|consumer| consumer.group != group);
        self.consumers.push(GroupConsumer {
            group: group.to_owned(),
            handlers: ours,
            handle,
        });
        Ok(())
    }

    /// Its consumer stops reading for the handler once its work is committed; nothing waits for that.
    pub(super) fn stop_consuming(&mut self, config: &Config, ix: HandlerIx) {
        let Some(consumer) = self.consumers.iter().find(|consumer| consumer.serves(ix)) else {
            return;
        };
        let group = consumer.group.clone();
        if let Err(error) = self.consume_group(config, &group) {
            tracing::warn!(%error, group, "the consumer of the group cannot go on without a handler");
        }
    }

    fn leave_group(&mut self, at: usize) {
        let GroupConsumer { group, handle, .. } = self.consumers.swap_remove(at);
        handle.quiesce();
        handle.leave();
        let leave = move || {
            if let Err(error) = handle.join(LEAVE) {
                tracing::warn!(%error, "a consumer did not end well");
            }
        };
        if let Err(error) = self.threads.spawn(format!("leave {group}"), leave) {
            tracing::warn!(%error, "a consumer did not end in time");
        }
    }

    /// Has the consumers of these handlers join their groups again.
    pub(super) fn rejoin(&self, handlers: &BTreeSet<HandlerIx>) {
        let serves_any = |consumer: &&GroupConsumer| handlers.iter().any(|ix| consumer.serves(*ix));
        self.consumers
            .iter()
            .filter(serves_any)
            .for_each(|consumer| consumer.handle.rejoin());
    }
}
