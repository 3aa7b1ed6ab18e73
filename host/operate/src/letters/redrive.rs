//! Redriving: ordered letters go through the lanes of their keys again, a few at a time, until none is left.
//!
//! The orders are in the store, so that a host that was killed continues with them; a letter leaves the store in the
//! commit that holds its outcome.

mod rehearsal;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use thiserror::Error;

use super::Letters;
use super::orders::RedriveCancelled;
use crate::load::Loader;
use sandman_config::Config;
use sandman_core::lanes::{HandlerIx, LaneKey};
use sandman_core::store::{
    HeldName, Hold, KeptLetter, LetterFilter, LetterId, LetterStore, OrderedLetter, Shard, Store, StoreError,
    VersionStore,
};
use sandman_core::version::Version;
use sandman_engine::pipeline::{Pipeline, Redrive};
use sandman_engine::registry::{Handler, Registry};
use sandman_sandbox::Sandbox;

/// Why a letter cannot be redriven.
#[derive(Debug, Error)]
pub enum NotRunnable {
    /// The store does not answer at the moment.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing could run it.
    #[error("{0}")]
    Never(String),
}

/// How letters are to be redriven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedriveHow {
    /// The version to run them on; `None`: the active one.
    pub through: Option<u64>,
    /// Also those that were redriven too often.
    pub force: bool,
    /// Only those of held keys, as for a release.
    pub held: bool,
    /// With `held`: without the letter that holds the key.
    pub drop_head: bool,
    /// Whether texts of guests are included.
    pub reads_data: bool,
}

/// How often it checks for work without a signal.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it checks whether there are more letters than the limit allows.
const SHRINK_EVERY: Duration = Duration::from_secs(5);

/// Redrives letters, using the parts of a running host.
pub struct Redriver {
    /// The current configuration.
    pub config: Arc<ArcSwap<Config>>,
    /// The handlers.
    pub registry: Arc<Registry>,
    /// The sandbox for components.
    pub sandbox: Arc<Sandbox>,
    /// The letters.
    pub letters: Arc<dyn LetterStore>,
    /// The versions.
    pub versions: Arc<dyn VersionStore>,
    /// The states.
    pub states: Arc<dyn Store>,
    /// The lanes.
    pub pipeline: Arc<Pipeline>,
    /// Versions on which letters are redriven, loaded once.
    pub loaded: Mutex<HashMap<(HandlerIx, u64), Arc<Version>>>,
    /// Held while letters are started, or prevented from starting.
    pub feeding: Mutex<()>,
    /// Whether no more letters are to be started.
    pub stopped: AtomicBool,
}

impl Redriver {
    /// Redrives ordered and released letters until [`Redriver::stop`].
    pub fn run(&self) {
        let mut shrunk: Option<Instant> = None;
        while !self.stopped.load(Ordering::Relaxed) {
            if let Err(error) = self.feed() {
                tracing::error!(%error, "dead letters cannot be redriven now");
            }
            if shrunk.is_none_or(|at| at.elapsed() >= SHRINK_EVERY) {
                shrunk = Some(Instant::now());
                self.shrink();
            }
            self.pipeline.letter_signals().recv_timeout(PAUSE).ok();
        }
    }

    /// Drops letters beyond the limit that could not be dropped before: they were not in Kafka yet, or the limit was higher.
    fn shrink(&self) {
        if !self.is_ours_to_redrive() {
            return;
        }
        let bound = self.config.load().store.dead_letters;
        match self.letters.shrink_letters(bound) {
            Ok(gone) => self.pipeline.letters_gone(gone),
            Err(error) => tracing::error!(%error, "dead letters beyond store.dead_letters cannot be removed now"),
        }
    }

    /// Starts no more letters.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.pipeline.close_letters();
        self.pipeline.signal_letters();
    }

    /// Whether this host redrives: in a fleet, the one that publishes the first shard.
    fn is_ours_to_redrive(&self) -> bool {
        let leases = || self.states.leases();
        !self.states.is_shared() || leases().iter().any(|lease| lease.shard == Shard::default())
    }

    /// Puts as many letters into their lanes as there is room for.
    fn feed(&self) -> Result<(), StoreError> {
        if !self.is_ours_to_redrive() {
            return Ok(());
        }
        let _feeding = self.feeding.lock();
        for lane in self.pipeline.released_keys() {
            self.feed_key(&lane)?;
        }
        // Letters in progress come first.
        let mut most = self.pipeline.letter_room().saturating_mul(2).max(512);
        // More only if all of these are in progress or cannot run: they must not hold up the others.
        while self.feed_ordered(most)? {
            most = most.saturating_mul(4);
        }
        Ok(())
    }

    /// Starts up to this many ordered letters; returns whether there is room for more, and there may be some.
    fn feed_ordered(&self, most: usize) -> Result<bool, StoreError> {
        let mut room = self.pipeline.letter_room();
        let all = self.letters.ordered(most)?;
        let is_full = all.len() == most;
        let mut cannot: BTreeMap<String, Vec<LetterId>> = BTreeMap::new();
        for ordered in all {
            if room == 0 {
                break;
            }
            if self.pipeline.is_redriving(ordered.id) {
                continue;
            }
            match self.lane_of(&ordered) {
                Ok((ix, through)) => room -= usize::from(self.begin(ordered.id, ix, through)?),
                Err(NotRunnable::Store(error)) => return Err(error),
                Err(NotRunnable::Never(why)) => cannot.entry(why).or_default().push(ordered.id),
            }
        }
        // A job with letters that cannot run would never end.
        for (why, letters) in &cannot {
            let letters = self.letters.cancel_redrive(letters)?;
            tracing::error!(
                letters,
                why,
                "cannot be redriven; the redrive is cancelled, and the letters stay"
            );
        }
        Ok(is_full && room > 0)
    }

    fn lane_of(&self, ordered: &OrderedLetter) -> Result<(HandlerIx, Option<Arc<Version>>), NotRunnable> {
        let (ix, handler) = self.serving(&ordered.handler)?;
        let through = ordered.through.map(|number| self.version(ix, handler, number));
        Ok((ix, through.transpose()?))
    }

    /// The configured handler of that name.
    fn serving(&self, name: &str) -> Result<(HandlerIx, &Handler), NotRunnable> {
        let found = self.registry.find(name).filter(|(_, handler)| !handler.is_retired());
        found.ok_or_else(|| NotRunnable::Never(format!("handler `{name}` no longer exists")))
    }

    /// Cancels the redrive of letters. For a letter that runs, or waits for its next attempt, nothing is committed: the
    /// store refuses the outcome of a letter that is not ordered, even if another host redrives it.
    ///
    /// # Errors
    /// As for a commit.
    pub fn cancel(&self, filter: &LetterFilter) -> Result<RedriveCancelled, StoreError> {
        // No letter is started in the meantime.
        let _feeding = self.feeding.lock();
        let mut waiting = Vec::new();
        Letters::new(Arc::clone(&self.letters)).each(filter, |head| {
            if head.ordered && head.hold == Hold::No {
                waiting.push(head.id);
            }
            Ok(())
        })?;
        let cancelled = self.letters.cancel_redrive(&waiting)?;
        self.pipeline.leave_letters(&waiting);
        Ok(RedriveCancelled { cancelled })
    }

    fn feed_key(&self, lane: &LaneKey) -> Result<(), StoreError> {
        // Released letters of a removed handler wait until it is configured again.
        let serving = self.registry.get(lane.handler).filter(|handler| !handler.is_retired());
        let Some(handler) = serving else {
            return Ok(());
        };
        let name = HeldName {
            handler: Arc::clone(&handler.name),
            key: Arc::clone(&lane.key),
        };
        for id in self.letters.held_letters(&name, 64)? {
            if self.pipeline.letter_room() == 0 {
                break;
            }
            if !self.pipeline.is_redriving(id) {
                self.begin(id, lane.handler, None)?;
            }
        }
        Ok(())
    }

    fn begin(&self, id: LetterId, handler: HandlerIx, through: Option<Arc<Version>>) -> Result<bool, StoreError> {
        let Some(KeptLetter { head, record }) = self.letters.letter(id)? else {
            return Ok(false);
        };
        self.pipeline.redrive(Redrive {
            id,
            handler,
            hold: head.hold != Hold::No,
            key: head.key,
            through,
            record,
        });
        Ok(true)
    }

    /// A stored version of a handler.
    ///
    /// # Errors
    /// [`NotRunnable`] if there is none that can run.
    pub fn version(&self, ix: HandlerIx, handler: &Handler, number: u64) -> Result<Arc<Version>, NotRunnable> {
        let never = |why: &dyn std::fmt::Display| NotRunnable::Never(why.to_string());
        let active = handler.active();
        if active.number == number {
            return Ok(active);
        }
        if let Some(loaded) = self.loaded.lock().get(&(ix, number)) {
            return Ok(Arc::clone(loaded));
        }
        let kept = self.versions.versions(&handler.name)?;
        let numbers = || {
            kept.iter()
                .map(|kept| kept.number.to_string())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let not_kept = || {
            let name = &handler.name;
            never(&format_args!(
                "version {number} of `{name}` is not kept; there are: {}",
                numbers()
            ))
        };
        let kept = kept.iter().find(|kept| kept.number == number).ok_or_else(not_kept)?;
        let component = self.versions.component(&kept.digest)?;
        let component =
            component.ok_or_else(|| never(&format_args!("version {number} has no component in the store")))?;
        let config = self.config.load_full();
        let configured = config.find(&handler.name).map_err(|error| never(&error))?;
        let loader = Loader {
            config: &config,
            sandbox: &self.sandbox,
        };
        let version = loader
            .version(configured, (number, &component), &mut |_| {})
            .map_err(|error| never(&error))?;
        let version = Arc::new(version);
        self.loaded.lock().insert((ix, number), Arc::clone(&version));
        Ok(version)
    }
}
