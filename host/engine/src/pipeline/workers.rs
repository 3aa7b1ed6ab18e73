//! Which workers run and which rest: as many run as there are cores, and one more for each that its guest holds up.
//!
//! Workers outnumber the cores so that a guest at its time limit holds up nobody; but to wake them all for triggers of a
//! few microseconds would cost more than the triggers. So a worker that rests is woken only while fewer run than there
//! are cores. One of those that rest keeps watch: it looks whether what is ready moves, and whether a back-off is over.

use std::time::Duration;

use parking_lot::{Condvar, MutexGuard};

use super::{Pipeline, Shared};
use crate::clock;
use sandman_core::faults::{self, Step};
use sandman_core::lanes::{Job, Millis};
use sandman_core::work::Input;

/// A worker that has been in one trigger for this long, in milliseconds, does not count as running any more.
const HELD_UP: Millis = 2;

/// The index of a worker.
pub(super) type WorkerIx = usize;

/// Which workers run and which are idle. Pure; the pipeline's lock is around it.
#[derive(Debug)]
pub(super) struct Workers {
    cores: usize,
    /// Workers that do not rest, those included that have been woken and are on their way.
    awake: usize,
    /// How many of them are held up.
    held_up: usize,
    running: Vec<Running>,
    watch: Watch,
}

#[derive(Clone, Copy, Debug, Default)]
struct Running {
    since: Option<Millis>,
    held_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    Nobody,
    /// A worker has been woken to do it.
    Appointed,
    /// Somebody will look then; without a time, only when told to.
    Until(Option<Millis>),
}

impl Workers {
    pub(super) fn new(cores: usize) -> Self {
        Self {
            cores,
            awake: 0,
            held_up: 0,
            running: Vec::new(),
            watch: Watch::Nobody,
        }
    }

    /// A worker starts its life, awake.
    fn join(&mut self) -> WorkerIx {
        self.awake += 1;
        self.running.push(Running::default());
        self.running.len() - 1
    }

    /// Whether the worker that asks, which is awake, may run something.
    fn may_run(&self) -> bool {
        self.awake.saturating_sub(self.held_up) <= self.cores
    }

    /// Whether one more worker should run if there is something to run.
    fn wants_more(&self) -> bool {
        self.awake.saturating_sub(self.held_up) < self.cores
    }

    fn began(&mut self, worker: WorkerIx, now: Millis) {
        // Perhaps it was this one that was to watch.
        if self.watch == Watch::Appointed {
            self.watch = Watch::Nobody;
        }
        if let Some(running) = self.running.get_mut(worker) {
            running.since = Some(now);
        }
    }

    fn ended(&mut self, worker: WorkerIx) {
        if let Some(running) = self.running.get_mut(worker) {
            self.held_up -= usize::from(running.held_up);
            *running = Running::default();
        }
    }

    /// Finds the workers that are held up.
    fn look(&mut self, now: Millis) {
        for running in &mut self.running {
            if !running.held_up && running.since.is_some_and(|since| now >= since + HELD_UP) {
                running.held_up = true;
                self.held_up += 1;
            }
        }
    }

    /// Whether somebody will look by `when`.
    fn is_watched(&self, when: Millis) -> bool {
        match self.watch {
            Watch::Nobody | Watch::Until(None) => false,
            Watch::Appointed => true,
            Watch::Until(Some(until)) => until <= when,
        }
    }
}

/// Where workers rest.
#[derive(Debug, Default)]
pub(super) struct IdleWorkers {
    idle: Condvar,
    watch: Condvar,
}

impl Pipeline {
    /// A worker's life: takes triggers whose lanes are free and runs them, until the pipeline stops.
    pub fn work(&self) {
        let mut shared = self.shared.lock();
        let me = shared.workers.join();
        while let Some(mut job) = self.take(&mut shared, me) {
            let detour = self.detour(&shared, &job);
            drop(shared);
            faults::at(Step::Taken);
            faults::alter(Step::Taken, &mut job);
            let ran = match detour {
                None => self.run(&job),
                Some(detour) => Ok(self.follow(&job, &detour)),
            };
            faults::at(Step::Ran);
            shared = self.shared.lock();
            shared.workers.ended(me);
            self.hand_back(&mut shared, job, ran);
            faults::at(Step::Queued);
        }
    }

    fn take(&self, shared: &mut MutexGuard<'_, Shared>, me: WorkerIx) -> Option<Job<Input>> {
        loop {
            if shared.stopping {
                return None;
            }
            let now = clock::monotonic_millis();
            shared.lanes.wake_due(now);
            if shared.workers.may_run()
                && let Some(job) = shared.lanes.take(now)
            {
                shared.workers.began(me, now);
                self.wake_workers(shared);
                return Some(job);
            }
            self.rest(shared, now);
        }
    }

    /// Whether units are to be expected soon.
    pub(super) fn is_busy(&self, shared: &Shared) -> bool {
        shared.workers.awake > shared.workers.held_up || shared.lanes.has_ready()
    }

    fn rest(&self, shared: &mut MutexGuard<'_, Shared>, now: Millis) {
        shared.workers.awake -= 1;
        if !self.is_busy(shared) {
            // The committer waits for nobody else.
            self.committable.notify_one();
        }
        if matches!(shared.workers.watch, Watch::Until(_)) {
            self.rest.idle.wait(shared);
            return;
        }
        let until = match shared.lanes.has_ready() {
            true => Some(now + HELD_UP),
            false => shared.lanes.next_due(),
        };
        shared.workers.watch = Watch::Until(until);
        match until {
            None => self.rest.watch.wait(shared),
            Some(until) => {
                let wait = Duration::from_millis(until.saturating_sub(now).max(1));
                if self.rest.watch.wait_for(shared, wait).timed_out() {
                    shared.workers.awake += 1;
                    shared.workers.look(clock::monotonic_millis());
                }
            }
        }
        shared.workers.watch = Watch::Nobody;
    }

    /// Sees to it that what is ready will be run, and that somebody looks when the next back-off is over. For whoever
    /// made something ready, or parked it, or took something and left the rest.
    pub(super) fn wake_workers(&self, shared: &mut Shared) {
        let ready = shared.lanes.has_ready();
        if ready && shared.workers.wants_more() {
            self.wake_one(shared);
            return;
        }
        let look = match ready {
            true => Some(clock::monotonic_millis() + HELD_UP),
            false => shared.lanes.next_due(),
        };
        if let Some(look) = look
            && !shared.workers.is_watched(look)
        {
            match shared.workers.watch {
                Watch::Until(_) => shared.workers.awake += usize::from(self.rest.watch.notify_one()),
                Watch::Nobody | Watch::Appointed => {
                    if self.rest.idle.notify_one() {
                        shared.workers.awake += 1;
                        shared.workers.watch = Watch::Appointed;
                    }
                }
            }
        }
    }

    /// The one that watches comes last.
    fn wake_one(&self, shared: &mut Shared) {
        let woken = self.rest.idle.notify_one() || self.rest.watch.notify_one();
        shared.workers.awake += usize::from(woken);
    }

    /// Everybody looks for themselves, at a stop.
    pub(super) fn wake_all(&self, shared: &mut Shared) {
        shared.workers.awake += self.rest.idle.notify_all() + self.rest.watch.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_run_as_there_are_cores_and_one_more_for_each_that_is_held_up() {
        let mut workers = Workers::new(2);
        let all: Vec<_> = (0..3).map(|_| workers.join()).collect();
        assert!(!workers.may_run(), "three are awake on two cores");
        workers.awake -= 1;
        assert!(workers.may_run() && !workers.wants_more());
        workers.began(all[0], 10);
        workers.began(all[1], 11);
        workers.look(12);
        assert!(workers.wants_more(), "the first is held up");
        workers.awake += 1;
        assert!(workers.may_run() && !workers.wants_more());
        workers.look(12);
        assert_eq!(workers.held_up, 1, "nobody is counted twice");
        workers.look(13);
        workers.ended(all[0]);
        assert_eq!(workers.held_up, 1);
        workers.ended(all[1]);
        assert_eq!(workers.held_up, 0);
        assert!(!workers.may_run());
    }
}
