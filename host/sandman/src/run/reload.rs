//! Applies a changed configuration. Everything that may fail or take long happens outside of the main loop, which only
//! makes the switch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::control::HostControl;
use super::http::Http;
use super::switch::{Added, Plan, Switch};
use super::{Host, kafka, stories};
use sandman_config::{Brokers, Config, Difference, HandlerConfig, Problem};
use sandman_core::event::TopicPartition;
use sandman_core::progress::Progress;
use sandman_engine::registry::Handler;
use sandman_kafka::ensure_topics;
use sandman_operate::control::{ReloadError, Reloaded};
use sandman_operate::deploy::ReadyHandler;

/// How long Kafka may take to create the topics of a new handler.
const TOPICS: Duration = Duration::from_secs(20);
/// How long the host's loop may take.
const SWITCH: Duration = Duration::from_secs(20);

impl HostControl {
    /// Reads the configuration again and applies it.
    pub(super) fn follow(&self, by: &str) -> Result<Reloaded, ReloadError> {
        let told = self.try_follow();
        match &told {
            Ok(Reloaded {
                added,
                removed,
                changed,
                routes,
            }) => {
                tracing::info!(target: "audit", by, ?added, ?removed, ?changed, routes, "reloaded");
            }
            Err(error) => tracing::warn!(target: "audit", by, %error, "not reloaded, nothing changed"),
        }
        told
    }

    fn try_follow(&self) -> Result<Reloaded, ReloadError> {
        let _slot = self.deployer.reserve_all()?;
        let old = self.config.load_full();
        let new = old.again().map_err(|errors| ReloadError::Mistakes(errors.problems))?;
        let mut difference = old.difference(&new);
        self.check_slots(&new, &mut difference);
        if !difference.restart.is_empty() {
            return Err(ReloadError::NeedsRestart(difference.restart));
        }
        for warning in new.warnings() {
            tracing::warn!("{warning}");
        }
        let told = Reloaded {
            added: texts(&difference.added),
            removed: texts(&difference.removed),
            changed: texts(&difference.changed),
            routes: difference.routes,
        };
        let plan = self.plan(new, difference)?;
        self.make_topics(&plan)?;
        let failed = |reason: String| ReloadError::Failed(format!("{reason}; see the host's log"));
        let (answer, answered) = crossbeam_channel::bounded(1);
        let sent = self.orders.send(Switch { plan, answer });
        sent.map_err(|_| ReloadError::Failed("the host is stopping".to_owned()))?;
        match answered.recv_timeout(SWITCH) {
            Ok(Ok(())) => Ok(told),
            Ok(Err(reason)) => Err(failed(reason)),
            Err(_) => Err(failed("the host did not answer in time".to_owned())),
        }
    }

    /// Checks what the configuration cannot know: the size of the slots for instances, and the key of a removed handler
    /// of the same name.
    fn check_slots(&self, new: &Config, difference: &mut Difference) {
        for handler in &new.handlers {
            if handler.limits.memory > self.deployer.largest_memory() {
                let most = self.deployer.largest_memory();
                let key = format!("handlers.{}.limits.memory (more than {most} bytes)", handler.name);
                difference.restart.push(key);
            }
            if let Some((name, most)) = handler.limits.parts.over(self.deployer.largest_parts()) {
                let key = format!("handlers.{}.limits.{name} (more than {most})", handler.name);
                difference.restart.push(key);
            }
            let known = self
                .registry
                .find(&handler.name)
                .filter(|(_, known)| known.is_retired());
            let knows = |known: &Handler| handler.topics.iter().all(|topic| known.meters.topic(topic).is_some());
            if known.is_some_and(|(_, known)| !knows(known)) {
                difference.restart.push(format!("handlers.{}.topics", handler.name));
            }
            if known.is_some_and(|(_, known)| known.key != handler.key) {
                difference.restart.push(format!("handlers.{}.key", handler.name));
            }
        }
    }

    /// Loads everything that is new or changed. All mistakes are reported at once.
    fn plan(&self, config: Config, difference: Difference) -> Result<Plan, ReloadError> {
        let mut problems = Vec::new();
        let mut wrong = |handler: &HandlerConfig, reason: String| {
            problems.push(Problem {
                key: format!("handlers.{}.component", handler.name),
                problem: reason,
                allowed: None,
                nearest: None,
                variable: None,
            });
        };
        let (mut again, mut added) = (Vec::new(), Vec::new());
        for handler in &config.handlers {
            if difference.added.contains(&handler.name) {
                let progress = self.store.progress(&handler.name);
                match (self.deployer.ready(&config, handler), progress) {
                    (Ok(ready), Ok(progress)) => added.push(Added {
                        handler: handler.clone(),
                        ready,
                        progress,
                    }),
                    (Err(error), _) => wrong(handler, format!("{error:#}")),
                    (_, Err(error)) => wrong(handler, error.to_string()),
                }
            } else if difference.changed.contains(&handler.name) || difference.regranted.contains(&handler.name) {
                let ix = self.registry.find(&handler.name).map(|(ix, _)| ix);
                match self.deployer.again(&config, handler) {
                    Ok(version) => again.extend(ix.zip(version)),
                    Err(error) => wrong(handler, error.to_string()),
                }
            }
        }
        if !problems.is_empty() {
            return Err(ReloadError::Mistakes(problems));
        }
        Ok(Plan {
            config,
            again,
            added,
            removed: difference.removed,
        })
    }

    /// Creates missing topics of the new configuration.
    fn make_topics(&self, plan: &Plan) -> Result<(), ReloadError> {
        // The embedded broker creates a topic at its first use.
        if plan.config.kafka.brokers == Brokers::Embedded {
            return Ok(());
        }
        let known: BTreeSet<_> = kafka::topics(&self.config.load())
            .into_iter()
            .map(|topic| topic.name)
            .collect();
        let mut topics = kafka::topics(&plan.config);
        topics.retain(|topic| !known.contains(&topic.name));
        if topics.is_empty() {
            return Ok(());
        }
        let made = ensure_topics(&self.settings, &topics, &self.health, TOPICS);
        made.map(drop).map_err(|error| ReloadError::Failed(error.to_string()))
    }
}

fn texts(names: &[Arc<str>]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl Host {
    /// Makes the requested switch.
    pub(super) fn switch(&mut self, order: Switch) {
        let Switch { plan, answer } = order;
        let switched = self.try_switch(plan).map_err(|error| format!("{error:#}"));
        // The receiver may be gone.
        answer.send(switched).ok();
    }

    fn try_switch(&mut self, plan: Plan) -> anyhow::Result<()> {
        // Steps that can fail come first, while nothing is changed yet.
        if self.http.is_none() {
            let parts = (&self.store, &self.view, &*self.meters);
            self.http = Http::start(&plan.config, &self.pipeline, parts, &mut self.threads)?;
            if let Some(http) = &self.http {
                tracing::info!(address = %http.address, "serving routes");
            }
        }
        for Added {
            handler,
            ready,
            progress,
        } in plan.added
        {
            self.add(&plan.config, &handler, ready, progress)?;
        }
        for (ix, version) in plan.again {
            if let Some(handler) = self.registry.get(ix) {
                handler.replace(Arc::new(version));
            }
        }
        if let Some(http) = &self.http {
            let registry = Arc::clone(&self.registry);
            let index = move |name: &str| registry.find(name).map(|(ix, _)| ix);
            http.routes.follow(&plan.config, &index, &self.meters);
        }
        for name in &plan.removed {
            self.remove(&plan.config, name);
        }
        self.view.set_topics(kafka::published_topics(&plan.config));
        self.control.config.store(Arc::new(plan.config));
        Ok(())
    }

    fn add(
        &mut self,
        config: &Config,
        handler: &HandlerConfig,
        ready: ReadyHandler,
        progress: Vec<(TopicPartition, Progress)>,
    ) -> anyhow::Result<()> {
        let version = self.control.deployer.begin(config, handler, ready)?;
        let ix = match self.registry.find(&handler.name) {
            Some((ix, known)) => {
                known.replace(Arc::new(version));
                known.recall();
                ix
            }
            None => {
                let meters = self.meters.handler(&handler.name, &handler.topics);
                let new = Handler::new(&handler.name, meters, version)
                    .keyed_by(handler.key.clone())
                    .in_group(&handler.group);
                let added = self.registry.add(new);
                added.context("this process has known too many handlers; restart it")?
            }
        };
        self.pipeline.admit(ix, progress);
        self.pipeline
            .load_letters(self.store.held_keys()?, self.store.pauses()?);
        if let Some(handler) = self.registry.get(ix) {
            stories::measure_recordings(handler, &*self.store)?;
        }
        if self.consuming {
            self.consume_group(config, &handler.group)?;
        }
        Ok(())
    }

    /// It is not served from now on, and its consumer stops reading for it.
    fn remove(&mut self, config: &Config, name: &str) {
        let Some((ix, handler)) = self.registry.find(name) else {
            return;
        };
        handler.retire();
        handler.meters.idle();
        self.health.well(name);
        self.control.deployer.retired(handler);
        self.stop_consuming(config, ix);
    }
}
