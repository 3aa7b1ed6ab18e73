//! Redriving: letters that are ordered go back through the lanes of their keys, a few at a time, until none is left.
//!
//! What is ordered stands in the store, so that a host that was killed goes on with it; a letter leaves the store in the
//! commit that holds its outcome.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use uuid::Uuid;

use super::Letters;
use super::view::{Rehearsed, RehearsedEvent};
use crate::load::Loader;
use sandman_config::Config;
use sandman_core::attempt::{AttemptFailure, Attempted, Decision, Origin, Surroundings, attempt};
use sandman_core::event::decode;
use sandman_core::lanes::{HandlerIx, LaneKey};
use sandman_core::outcome::StateChange;
use sandman_core::store::{
    HeldName, KeptLetter, LetterFilter, LetterHead, LetterId, LetterStore, Shard, Store, StoreError, VersionStore,
};
use sandman_core::version::Version;
use sandman_core::work::event_view;
use sandman_engine::clock;
use sandman_engine::pipeline::{Pipeline, Redrive};
use sandman_engine::registry::{Handler, Registry};
use sandman_sandbox::Sandbox;

/// How often it is looked whether there is something to do, although nobody has said so.
const PAUSE: Duration = Duration::from_secs(1);

/// What redrives letters: the parts of a running host.
pub struct Redriver {
    /// The configuration of the moment.
    pub config: Arc<ArcSwap<Config>>,
    /// The handlers.
    pub registry: Arc<Registry>,
    /// Where components run.
    pub sandbox: Arc<Sandbox>,
    /// The letters.
    pub letters: Arc<dyn LetterStore>,
    /// The versions.
    pub versions: Arc<dyn VersionStore>,
    /// The states.
    pub states: Arc<dyn Store>,
    /// The lanes.
    pub pipeline: Arc<Pipeline>,
    /// Versions that letters are redriven through, loaded once.
    pub loaded: Mutex<HashMap<(HandlerIx, u64), Arc<Version>>>,
    /// Whether nothing more is to begin.
    pub stopped: AtomicBool,
}

impl Redriver {
    /// Redrives what is ordered and what is released, until [`Redriver::stop`].
    pub fn run(&self) {
        while !self.stopped.load(Ordering::Relaxed) {
            if let Err(error) = self.feed() {
                tracing::error!(%error, "dead letters cannot be redriven now");
            }
            self.pipeline.letters_rung().recv_timeout(PAUSE).ok();
        }
    }

    /// Nothing more begins.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.pipeline.close_letters();
        self.pipeline.ring_letters();
    }

    /// Whether it is this host that redrives: of several, the one that publishes the first shard.
    fn is_ours_to_redrive(&self) -> bool {
        let leases = || self.states.leases();
        !self.states.is_shared() || leases().iter().any(|lease| lease.shard == Shard::default())
    }

    /// Puts as many letters into their lanes as there is room for.
    fn feed(&self) -> Result<(), StoreError> {
        if !self.is_ours_to_redrive() {
            return Ok(());
        }
        for lane in self.pipeline.released_keys() {
            self.feed_key(&lane)?;
        }
        // Those that are on their way stand at the front.
        let mut most = self.pipeline.letter_room().saturating_mul(2).max(512);
        // More only where all of these are on their way, or cannot run: they must not keep the others waiting.
        while self.feed_ordered(most)? {
            most = most.saturating_mul(4);
        }
        Ok(())
    }

    /// Looks at so many of the letters that are to be redriven; answers whether there is room and may be more.
    fn feed_ordered(&self, most: usize) -> Result<bool, StoreError> {
        let mut room = self.pipeline.letter_room();
        let all = self.letters.ordered(most)?;
        let is_full = all.len() == most;
        for ordered in all {
            if room == 0 {
                return Ok(false);
            }
            if self.pipeline.is_redriving(ordered.id) {
                continue;
            }
            let Some((ix, handler)) = self.registry.find(&ordered.handler) else {
                continue;
            };
            let through = match ordered
                .through
                .map(|number| self.version(ix, handler, number))
                .transpose()
            {
                Ok(through) => through,
                Err(error) => {
                    tracing::error!(
                        handler = &*ordered.handler,
                        letter = ordered.id,
                        error,
                        "cannot be redriven"
                    );
                    continue;
                }
            };
            if self.begin(ordered.id, ix, through)? {
                room -= 1;
            }
        }
        Ok(is_full && room > 0)
    }

    fn feed_key(&self, lane: &LaneKey) -> Result<(), StoreError> {
        let Some(handler) = self.registry.get(lane.handler) else {
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
            hold: head.hold != sandman_core::store::Hold::No,
            key: head.key,
            through,
            record,
        });
        Ok(true)
    }

    /// A version of a handler that the store keeps.
    ///
    /// # Errors
    /// Why there is none that can run, in words.
    pub fn version(&self, ix: HandlerIx, handler: &Handler, number: u64) -> Result<Arc<Version>, String> {
        let active = handler.active();
        if active.number == number {
            return Ok(active);
        }
        if let Some(loaded) = self.loaded.lock().get(&(ix, number)) {
            return Ok(Arc::clone(loaded));
        }
        let kept = self
            .versions
            .versions(&handler.name)
            .map_err(|error| error.to_string())?;
        let kept = kept.iter().find(|kept| kept.number == number);
        let kept = kept.ok_or_else(|| format!("version {number} of `{}` is not kept", handler.name))?;
        let component = self
            .versions
            .component(&kept.digest)
            .map_err(|error| error.to_string())?;
        let component = component.ok_or_else(|| format!("version {number} has no component in the store"))?;
        let config = self.config.load_full();
        let configured = config.find(&handler.name).map_err(|error| error.to_string())?;
        let loader = Loader {
            config: &config,
            sandbox: &self.sandbox,
        };
        let version = loader
            .version(configured, (number, &component), &mut |_| {})
            .map_err(|error| error.to_string())?;
        let version = Arc::new(version);
        self.loaded.lock().insert((ix, number), Arc::clone(&version));
        Ok(version)
    }

    /// Runs the letters as a redrive would, one after the other, and tells what each would come to. Nothing is committed;
    /// letters of one key see the states that those before them would leave.
    ///
    /// # Errors
    /// [`StoreError`] if something cannot be read.
    pub fn rehearse(
        &self,
        filter: &LetterFilter,
        through: Option<u64>,
        tell: &mut dyn FnMut(Rehearsed),
    ) -> Result<(), StoreError> {
        let mut states: HashMap<LaneKey, Option<Arc<str>>> = HashMap::new();
        let letters = Letters::new(Arc::clone(&self.letters));
        letters.each(filter, |head| {
            if let Some(rehearsed) = self.rehearse_one(&head, through, &mut states)? {
                tell(rehearsed);
            }
            Ok(())
        })
    }

    fn rehearse_one(
        &self,
        head: &LetterHead,
        through: Option<u64>,
        states: &mut HashMap<LaneKey, Option<Arc<str>>>,
    ) -> Result<Option<Rehearsed>, StoreError> {
        let Some(letter) = self.letters.letter(head.id)? else {
            return Ok(None);
        };
        let cannot = |reason: String| Ok(Some(Rehearsed::cannot(head, reason)));
        let Some((ix, handler)) = self.registry.find(&head.handler) else {
            return cannot(format!("there is no handler `{}` any more", head.handler));
        };
        let envelope = match decode(letter.record.value.as_deref()) {
            Ok(envelope) => envelope,
            Err(error) => return cannot(error.to_string()),
        };
        let key = match handler.key.of(letter.record.key.as_deref(), &envelope) {
            Ok(key) => head.key.clone().unwrap_or(key),
            Err(error) => return cannot(error.to_string()),
        };
        let version = match through.map(|number| self.version(ix, handler, number)).transpose() {
            Ok(through) => through.unwrap_or_else(|| handler.version_for(&key)),
            Err(error) => return cannot(error),
        };
        let lane = LaneKey {
            handler: ix,
            key: Arc::clone(&key),
        };
        let state = match states.get(&lane) {
            Some(state) => state.clone(),
            None => self
                .states
                .state(&handler.name, &key)?
                .and_then(|stored| stored.document),
        };
        let config = self.config.load();
        let surroundings = Surroundings {
            source: &config.host.source,
            now_millis: clock::wall_millis(),
            attempt: 1,
            trace: letter.record.trace(),
            origin: Origin {
                handler: &handler.name,
                record: Some((&letter.record.source, letter.record.offset)),
            },
            settings: None,
            id: Uuid::new_v4,
        };
        let trigger = sandman_core::outcome::Trigger::Event(event_view(&key, &envelope));
        let attempted = attempt(&version, trigger, state.as_deref(), &surroundings);
        if let Ok(Attempted::Decided(decision)) = &attempted {
            let after = match &decision.state {
                StateChange::Keep => state,
                StateChange::Put(document) => Some(Arc::clone(document)),
                StateChange::Delete => None,
            };
            states.insert(lane, after);
        }
        Ok(Some(rehearsed(head, version.number, attempted)))
    }
}

fn rehearsed(head: &LetterHead, version: u64, attempted: Result<Attempted, AttemptFailure>) -> Rehearsed {
    let mut rehearsed = Rehearsed {
        version: Some(version),
        ..Rehearsed::of(head)
    };
    match attempted {
        Ok(Attempted::Ignored) => rehearsed.state = Some("keep".to_owned()),
        Ok(Attempted::Decided(Decision { state, records, .. })) => {
            let state = match state {
                StateChange::Keep => "keep",
                StateChange::Put(_) => "put",
                StateChange::Delete => "delete",
            };
            rehearsed.state = Some(state.to_owned());
            let event = |record: &sandman_core::event::OutRecord| RehearsedEvent {
                topic: record.topic.to_string(),
                bytes: record.bytes(),
            };
            rehearsed.events = records.iter().map(event).collect();
        }
        Err(failure) => {
            rehearsed.code = Some(failure.code.to_string());
            rehearsed.reason = Some(failure.reason);
        }
    }
    rehearsed
}
