//! The handlers of this host, and which version of each is active.
//!
//! A unit of work takes a snapshot of the version when its lane runs it, and all of it, its contract, limits, settings and
//! policy, comes from that one snapshot. A lane runs one trigger after the other, and the active version changes in one
//! store; so a key never meets an older version after a newer one, unless somebody rolls back. What a revert runs again
//! was not committed, and is run on the version of that moment. An old version lives for as long as a snapshot holds it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::{Condvar, Mutex};

use crate::failing::FailingWindow;
use crate::meters::HandlerMeters;
use sandman_core::event::EventKey;
use sandman_core::faults::{self, Step};
use sandman_core::lanes::HandlerIx;
use sandman_core::recording::Sampler;
use sandman_core::version::Version;

/// Handlers that one process can know in its life, including those that were removed.
const CAPACITY: usize = 1_024;

/// How long a trigger waits for this host to switch to the version that is already active on another host.
const SWITCH: Duration = Duration::from_secs(5);

/// A handler: a name, and its active version.
pub struct Handler {
    /// The name in `[handlers.NAME]`.
    pub name: Arc<str>,
    /// Where the key of its events comes from, the same for as long as the process knows it.
    pub key: EventKey,
    /// Its consumer group; the handler's name unless it is set.
    pub group: Arc<str>,
    /// Its metrics.
    pub meters: HandlerMeters,
    /// Paused partitions may be resumable.
    pub resumable: AtomicBool,
    /// Decides which of its invocations are recorded.
    pub sampler: Mutex<Sampler>,
    active: ArcSwap<Version>,
    /// The version that was active before: a rollback to it loads nothing.
    standby: Mutex<Option<Arc<Version>>>,
    retired: AtomicBool,
    /// The activation that this host cannot follow because its version does not load here; 0 for none.
    unable: AtomicI64,
    /// Guards no data: held by those who wait for another version and those who switch.
    switching: Mutex<()>,
    switched: Condvar,
    /// Signals that another host serves a newer version than this one.
    behind: Option<Sender<()>>,
    /// How its last triggers ended, if `failing` is configured.
    pub failing: Mutex<FailingWindow>,
}

impl Handler {
    /// A handler whose active version is `version`.
    pub fn new(name: &Arc<str>, meters: HandlerMeters, version: Version) -> Self {
        Self {
            name: Arc::clone(name),
            key: EventKey::Record,
            group: Arc::clone(name),
            meters,
            resumable: AtomicBool::new(false),
            sampler: Mutex::default(),
            active: ArcSwap::from_pointee(version),
            standby: Mutex::default(),
            retired: AtomicBool::new(false),
            unable: AtomicI64::new(0),
            switching: Mutex::default(),
            switched: Condvar::new(),
            behind: None,
            failing: Mutex::default(),
        }
    }

    /// The same, with another source of its events' keys than the record.
    #[must_use]
    pub fn keyed_by(self, key: EventKey) -> Self {
        Self { key, ..self }
    }

    /// The same, whose consumers are in this group.
    #[must_use]
    pub fn in_group(self, group: &str) -> Self {
        let group = group.into();
        Self { group, ..self }
    }

    /// The active version: a snapshot for one unit of work.
    pub fn active(&self) -> Arc<Version> {
        self.active.load_full()
    }

    /// The version that runs the next trigger of a key: the one place that decides it. Today it is the active one for every
    /// key; a candidate that serves a share of the keys would be chosen here.
    pub fn version_for(&self, _key: &str) -> Arc<Version> {
        let mut active = self.active();
        faults::alter(Step::Taken, &mut active);
        active
    }

    /// Makes `version` the active one, and keeps the previous one on standby.
    pub fn activate(&self, version: Arc<Version>) {
        let before = self.active.swap(version);
        *self.standby.lock() = Some(before);
        self.tell_switched();
    }

    fn tell_switched(&self) {
        drop(self.switching.lock());
        self.switched.notify_all();
    }

    /// The active version was activated again, by another host.
    pub fn serves_since(&self, since_millis: i64) {
        self.active.load().since.set(since_millis);
        self.tell_switched();
    }

    /// The version that was activated at that time does not load on this host; the active one continues.
    pub fn cannot_follow(&self, since_millis: i64) {
        self.unable.store(since_millis, Ordering::Release);
        self.tell_switched();
    }

    /// The activation that this host cannot follow; 0 for none.
    pub fn unable(&self) -> i64 {
        self.unable.load(Ordering::Acquire)
    }

    /// Whether this host may run a trigger on a state that was written by a version with that activation time. If
    /// another host serves a newer version, it waits a moment for this host to switch: no key goes back to an older
    /// version.
    pub fn may_read(&self, since_millis: i64) -> bool {
        let is_current = || self.active.load().since.get() >= since_millis;
        if is_current() {
            return true;
        }
        if let Some(behind) = &self.behind {
            // A full channel means that it has already been signalled.
            behind.try_send(()).ok();
        }
        let until = Instant::now() + SWITCH;
        let mut switching = self.switching.lock();
        while !is_current() {
            if self.unable() >= since_millis || self.switched.wait_until(&mut switching, until).timed_out() {
                return is_current();
            }
        }
        true
    }

    /// Replaces the active version by the same one with other limits, settings or grants. The standby is dropped: it
    /// would have the old ones.
    pub fn replace(&self, version: Arc<Version>) {
        self.active.store(version);
        *self.standby.lock() = None;
        self.tell_switched();
    }

    /// The version on standby, if it has this number.
    pub fn standby(&self, number: u64) -> Option<Arc<Version>> {
        let standby = self.standby.lock();
        standby.as_ref().filter(|version| version.number == number).cloned()
    }

    /// The configuration does not name it any more. Work in progress is finished.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// The configuration names it again.
    pub fn recall(&self) {
        self.retired.store(false, Ordering::Relaxed);
    }

    /// Whether the configuration does not name it any more.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

/// All handlers; a [`HandlerIx`] is the position in it, for the life of the process. Handlers are added and retired,
/// never removed, so that an index stays valid.
pub struct Registry {
    slots: Box<[OnceLock<Box<Handler>>]>,
    behind: (Sender<()>, Receiver<()>),
}

impl Registry {
    /// A registry of these handlers; those beyond the capacity are left out.
    pub fn new(handlers: Vec<Handler>) -> Self {
        let registry = Self {
            slots: std::iter::repeat_with(OnceLock::new).take(CAPACITY).collect(),
            behind: crossbeam_channel::bounded(1),
        };
        for handler in handlers {
            registry.add(handler);
        }
        registry
    }

    /// Adds a handler; `None` if the process has known too many.
    pub fn add(&self, handler: Handler) -> Option<HandlerIx> {
        let mut handler = Box::new(Handler {
            behind: Some(self.behind.0.clone()),
            ..handler
        });
        for (ix, slot) in (0..).zip(&self.slots) {
            match slot.set(handler) {
                Ok(()) => return Some(ix),
                Err(taken) => handler = taken,
            }
        }
        None
    }

    /// Receives a signal when a trigger has seen a state that a newer version has written on another host.
    pub fn behind(&self) -> &Receiver<()> {
        &self.behind.1
    }

    /// The handler at `ix`.
    pub fn get(&self, ix: HandlerIx) -> Option<&Handler> {
        self.slots.get(usize::from(ix))?.get().map(|handler| &**handler)
    }

    /// The handler of that name, retired or not.
    pub fn find(&self, name: &str) -> Option<(HandlerIx, &Handler)> {
        self.iter().find(|(_, handler)| &*handler.name == name)
    }

    /// All handlers with their index, retired ones included.
    pub fn iter(&self) -> impl Iterator<Item = (HandlerIx, &Handler)> {
        (0..).zip(self.slots.iter().map_while(|slot| slot.get().map(|handler| &**handler)))
    }
}
