//! The running host, for operators.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::lag::LagView;
use super::switch::Switch;
use super::threads::Threads;
use sandman_config::Config;
use sandman_core::event::iso_millis;
use sandman_core::lanes::HandlerIx;
use sandman_core::recording::{Recording, RecordingId, RecordingQuery};
use sandman_core::store::{Action, DeploymentStore, LetterFilter, Outcome};
use sandman_engine::alarm::Alarm;
use sandman_engine::clock;
use sandman_engine::health::HealthView;
use sandman_engine::meters::{Meters, Rates};
use sandman_engine::pipeline::Pipeline;
use sandman_engine::registry::{Handler, Registry};
use sandman_kafka::{KafkaHealth, KafkaSettings};
use sandman_operate::control::{
    Control, Entry, ExplainLine, Forgotten, HandlerReport, MemoryReport, ReloadError, Reloaded,
};
use sandman_operate::deploy::{Deployer, Done, Order, Refusal, Report, Slot};
use sandman_operate::explain::{Question, Story};
use sandman_operate::hosts::{self, HostLine};
use sandman_operate::letters::{
    Letters, LettersDropped, RedriveCancelled, RedriveHow, RedriveOrdered, RedriveProgress, Redriver, Rehearsed,
    ReleaseProgress, ReleasedKey,
};
use sandman_operate::recordings::Recordings;
use sandman_sandbox::Sandbox;

/// Entries of a history that are shown.
const HISTORY: usize = 1_000;

/// The queries and commands of operators for the running host.
pub(super) struct HostControl {
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) registry: Arc<Registry>,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) deployer: Deployer,
    pub(super) store: Arc<dyn DeploymentStore>,
    pub(super) settings: KafkaSettings,
    pub(super) health: Arc<KafkaHealth>,
    /// The channel to the host's main loop.
    pub(super) orders: Sender<Switch>,
    pub(super) lag: Arc<LagView>,
    pub(super) letters: Letters,
    pub(super) recordings: Recordings,
    pub(super) redriver: Arc<Redriver>,
    /// The address of the admin API, once it listens.
    pub(super) address: Mutex<String>,
    /// The host's health, once it is available.
    pub(super) view: OnceLock<Arc<HealthView>>,
    rates: Mutex<HashMap<HandlerIx, Rates>>,
}

impl HostControl {
    /// The control of a host with these parts, and the receiver of its commands for the main loop.
    pub(super) fn over(
        config: &Config,
        (registry, sandbox, store): (&Arc<Registry>, Arc<Sandbox>, &Arc<dyn DeploymentStore>),
        pipeline: &Arc<Pipeline>,
        (meters, alarm): (&Arc<Meters>, &Alarm),
        settings: &KafkaSettings,
    ) -> (Arc<Self>, Receiver<Switch>) {
        let config = Arc::new(ArcSwap::from_pointee(config.clone()));
        let deployer = Deployer::new(
            Arc::clone(&config),
            Arc::clone(registry),
            sandbox,
            (Arc::clone(store) as _, Recordings::new(Arc::clone(store) as _)),
            (Arc::clone(meters), alarm.clone()),
        );
        let redriver = Redriver {
            config: Arc::clone(&config),
            registry: Arc::clone(registry),
            sandbox: Arc::clone(&deployer.sandbox),
            letters: Arc::clone(store) as _,
            versions: Arc::clone(store) as _,
            states: Arc::clone(store) as _,
            pipeline: Arc::clone(pipeline),
            loaded: Mutex::default(),
            feeding: Mutex::default(),
            stopped: AtomicBool::new(false),
        };
        let (orders, ordered) = crossbeam_channel::unbounded();
        let control = Self {
            config,
            registry: Arc::clone(registry),
            pipeline: Arc::clone(pipeline),
            deployer,
            letters: Letters::new(Arc::clone(store) as _),
            recordings: Recordings::new(Arc::clone(store) as _),
            redriver: Arc::new(redriver),
            store: Arc::clone(store),
            settings: settings.clone(),
            health: KafkaHealth::new(),
            orders,
            lag: Arc::new(LagView::new(pipeline)),
            address: Mutex::default(),
            view: OnceLock::new(),
            rates: Mutex::default(),
        };
        (Arc::new(control), ordered)
    }

    /// Samples the counts of invocations; called about once a second.
    pub(super) fn sample(&self) {
        let now = clock::monotonic_millis();
        let mut rates = self.rates.lock();
        for (ix, handler) in self.registry.iter() {
            rates.entry(ix).or_default().sample(now, handler.meters.totals());
        }
    }

    /// A handler has paused because too many of its triggers failed: if the active version was deployed shortly before,
    /// it is rolled back, and the handler is resumed.
    pub(super) fn roll_back_failing(&self, ix: HandlerIx) {
        let Some(handler) = self.registry.get(ix) else { return };
        let active = handler.active();
        let Some(policy) = active.retry.failing else { return };
        let history = self.deployer.history(&handler.name, 1).unwrap_or_default();
        let newest = |action: Action| {
            history.iter().find(|entry| {
                let age = clock::wall_millis().saturating_sub(entry.at_millis);
                let is_young = u64::try_from(age).is_ok_and(|age| u128::from(age) <= policy.rollback.as_millis());
                entry.action == action && entry.outcome == Outcome::Active && is_young
            })
        };
        if self.store.is_shared() && newest(Action::Rollback).is_some() {
            tracing::warn!(handler = &*handler.name, "resumed: another host has rolled it back");
            self.go_on(ix);
            return;
        }
        let deployed = newest(Action::Deploy);
        let (Some(_), Some(pause)) = (deployed, self.pipeline.paused(ix)) else {
            return;
        };
        let done = self.deployer.reserve(&handler.name);
        let done = done.and_then(|slot| {
            self.deployer
                .rollback_because(&slot, active.number, pause.reason.clone())
        });
        match done {
            Ok(Done {
                outcome: Outcome::Active | Outcome::Unchanged,
                ..
            }) => {
                tracing::warn!(handler = &*handler.name, reason = pause.reason, "rolled back");
                self.go_on(ix);
            }
            Ok(done) => tracing::error!(
                handler = &*handler.name,
                error = done.error,
                "stays paused, not rolled back"
            ),
            Err(error) => tracing::error!(handler = &*handler.name, %error, "stays paused, not rolled back"),
        }
    }

    /// Ends a pause that the host itself has started.
    fn go_on(&self, ix: HandlerIx) {
        if let Err(error) = self.pipeline.resume(ix) {
            tracing::error!(%error, "resumed, but pauses again if the host restarts before that is stored");
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<HandlerIx, Refusal> {
        let found = self.registry.find(name).filter(|(_, handler)| !handler.is_retired());
        found.map(|(ix, _)| ix).ok_or_else(|| self.deployer.unknown(name))
    }

    /// Starts redriving ordered letters, including those ordered on an earlier host.
    pub(super) fn start_redriver(&self, threads: &mut Threads) -> anyhow::Result<()> {
        let redriver = Arc::clone(&self.redriver);
        threads.spawn("redrive".to_owned(), move || redriver.run())
    }

    /// Why a handler is degraded, as in `/health`.
    fn degraded(&self, name: &str) -> Option<String> {
        let view = self.view.get()?;
        let handlers = view.report().handlers;
        let found = handlers.into_iter().find(|known| *known.handler == *name);
        found.map(|health| health.reason)
    }

    fn report(&self, ix: HandlerIx, handler: &Handler) -> HandlerReport {
        let version = handler.active();
        let standing = self.pipeline.status(ix);
        let config = self.config.load();
        let configured = config.handlers.iter().find(|known| known.name == handler.name);
        let now = clock::monotonic_millis();
        let rates = self.rates.lock();
        let rate = rates.get(&ix).map(|rates| rates.rate(now, handler.meters.totals()));
        HandlerReport {
            name: handler.name.to_string(),
            version: version.number,
            digest: version.digest.to_string(),
            // The version's own: another may serve by now.
            activated_at: iso_millis(version.since.get()),
            rates: rate.unwrap_or_default(),
            lag: configured.and_then(|handler| self.lag.of(ix, &handler.topics)),
            in_flight: standing.in_flight as u64,
            parked: standing.parked as u64,
            paused: self.pipeline.paused(ix).map(|pause| pause.reason),
            held_keys: self.pipeline.held(ix).0 as u64,
            degraded: self.degraded(&handler.name),
            memory: MemoryReport {
                limit: configured.map_or(0, |handler| handler.limits.memory),
                peak: version.guest.peak_memory(),
                records: standing.bytes as u64,
            },
            hosts: Vec::new(),
        }
    }
}

impl Control for HostControl {
    fn handlers(&self) -> Result<Vec<HandlerReport>, Refusal> {
        let serving = self.registry.iter().filter(|(_, handler)| !handler.is_retired());
        let mut reports = serving
            .map(|(ix, handler)| self.report(ix, handler))
            .collect::<Vec<_>>();
        if self.store.is_shared() {
            let hosts = self.known_hosts()?;
            for report in &mut reports {
                report.hosts = hosts::versions(&hosts, &report.name);
            }
        }
        reports.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(reports)
    }

    fn hosts(&self) -> Result<Vec<HostLine>, Refusal> {
        Ok(self.known_hosts()?)
    }

    fn history(&self, name: &str) -> Result<Vec<Entry>, Refusal> {
        let history = self.deployer.history(name, HISTORY)?;
        let entries = history.into_iter().map(|activation| Entry {
            at: iso_millis(activation.at_millis),
            by: activation.by,
            action: activation.action,
            outcome: activation.outcome,
            version: activation.number,
            digest: activation.digest.as_deref().map(str::to_owned),
            detail: activation.detail,
        });
        Ok(entries.collect())
    }

    fn reserve(&self, name: &str) -> Result<Slot, Refusal> {
        self.deployer.reserve(name)
    }

    fn letters(&self) -> &Letters {
        &self.letters
    }

    fn recordings(&self, name: Option<&str>, query: &RecordingQuery, most: usize) -> Result<Vec<Recording>, Refusal> {
        self.find_recordings(name, query, most)
    }

    fn recording(&self, id: RecordingId) -> Result<Option<Recording>, Refusal> {
        Ok(self.recordings.one(id)?)
    }

    fn component(&self, name: &str, number: u64) -> Result<Vec<u8>, Refusal> {
        self.deployer.component(name, number)
    }

    fn explain(&self, question: &Question, tell: &mut dyn FnMut(ExplainLine)) -> Result<Story, Refusal> {
        self.story(question, tell)
    }

    fn forget(&self, key: &str) -> Result<Forgotten, Refusal> {
        self.forget_key(key)
    }

    fn knows(&self, name: &str) -> Result<(), Refusal> {
        self.knows_handler(name)
    }

    fn drop_letters(&self, filter: &LetterFilter, dry_run: bool) -> Result<LettersDropped, Refusal> {
        self.remove_letters(filter, dry_run)
    }

    fn rehearse(&self, filter: &LetterFilter, how: RedriveHow, tell: &mut dyn FnMut(Rehearsed)) -> Result<(), Refusal> {
        if how.through.is_some() {
            self.may_run(filter, how.through)?;
        }
        Ok(self.redriver.rehearse(filter, how, tell)?)
    }

    fn redrive(&self, filter: &LetterFilter, through: Option<u64>, force: bool) -> Result<RedriveOrdered, Refusal> {
        self.order_redrive(filter, through, force)
    }

    fn cancel_redrive(&self, filter: &LetterFilter) -> Result<RedriveCancelled, Refusal> {
        let done = self.redriver.cancel(filter)?;
        match filter.id.filter(|_| done.cancelled == 0) {
            Some(id) if self.letters.key_of(id)?.is_none() => Err(Refusal::NoLetter(id)),
            _ => Ok(done),
        }
    }

    fn follow_redrive(
        &self,
        job: u64,
        reads_data: bool,
        tell: &mut dyn FnMut(&RedriveProgress) -> bool,
    ) -> Result<(), Refusal> {
        let look = || self.letters.progress(job, reads_data)?.ok_or(Refusal::NoOrder(job));
        self.follow_letters(&look, &|progress| progress.remaining == 0, tell)
    }

    fn release(&self, handler: Option<&str>, key: &str, drop: bool) -> Result<Vec<String>, Refusal> {
        self.release_key(handler, key, drop)
    }

    fn follow_release(
        &self,
        (handlers, key): (&[String], &ReleasedKey),
        reads_data: bool,
        tell: &mut dyn FnMut(&ReleaseProgress) -> bool,
    ) -> Result<(), Refusal> {
        let look = || Ok(self.letters.released(handlers, key, reads_data)?);
        self.follow_letters(&look, &|progress| progress.remaining == 0, tell)
    }

    fn resume(&self, name: &str) -> Result<bool, Refusal> {
        let ix = self.find(name)?;
        Ok(self.pipeline.resume(ix)?)
    }

    fn largest_component(&self) -> usize {
        self.config.load().host.component
    }

    fn deploy(&self, slot: Slot, order: (Order<'_>, Option<&[u8]>), tell: &mut dyn FnMut(Report)) {
        let others = |handler: &Arc<str>, version| self.await_ready(handler, version);
        self.deployer.deploy(slot, order, &others, &mut |report| match report {
            Report::Done(done) => tell(Report::Done(self.followed(done))),
            passed @ Report::Passed(_) => tell(passed),
        });
    }

    fn rollback(&self, slot: &Slot, order: Order<'_>, to: Option<u64>) -> Result<Done, Refusal> {
        Ok(self.followed(self.deployer.rollback(slot, order, to)?))
    }

    fn reload(&self, by: &str) -> Result<Reloaded, ReloadError> {
        self.follow(by)
    }
}
