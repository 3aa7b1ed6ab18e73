//! Which workers run and which rest: as many run as there are cores, and one more for each that its guest holds up.
//!
//! Workers outnumber the cores so that a guest at its time limit holds up nobody; but to wake them all for triggers of a
//! few microseconds would cost more than the triggers. So a worker that rests is roused only while fewer run than there
//! are cores. One of those that rest keeps watch: it looks whether what is ready moves, and whether a back-off is over.

use std::time::Duration;

use parking_lot::{Condvar, MutexGuard};

use super::{Desk, Pipeline};
use crate::clock;
use sandman_core::faults::{self, Step};
use sandman_core::lanes::{Job, Millis};
use sandman_core::work::Input;

/// A worker that has been in one trigger for this long, in milliseconds, does not count as running any more.
const HELD_UP: Millis = 2;

/// A worker's place in the crew.
pub(super) type WorkerIx = usize;

/// Who runs, who rests. Pure; the pipeline's lock is around it.
#[derive(Debug)]
pub(super) struct Crew {
    cores: usize,
    /// Workers that do not rest, those included that have been roused and are on their way.
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
    /// Somebody has been roused to do it.
    Appointed,
    /// Somebody will look then; without a time, only when told to.
    Until(Option<Millis>),
}

impl Crew {
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
pub(super) struct Rest {
    idle: Condvar,
    watch: Condvar,
}

impl Pipeline {
    /// A worker's life: takes triggers whose lanes are free and runs them, until the pipeline stops.
    pub fn work(&self) {
        let mut desk = self.desk.lock();
        let me = desk.crew.join();
        while let Some(job) = self.take(&mut desk, me) {
            drop(desk);
            faults::at(Step::Taken);
            let ran = self.run(&job);
            faults::at(Step::Ran);
            desk = self.desk.lock();
            desk.crew.ended(me);
            self.hand_back(&mut desk, job, ran);
            faults::at(Step::Queued);
        }
    }

    fn take(&self, desk: &mut MutexGuard<'_, Desk>, me: WorkerIx) -> Option<Job<Input>> {
        loop {
            if desk.stopping {
                return None;
            }
            let now = clock::monotonic_millis();
            desk.lanes.wake_due(now);
            if desk.crew.may_run()
                && let Some(job) = desk.lanes.take(now)
            {
                desk.crew.began(me, now);
                self.rouse(desk);
                return Some(job);
            }
            self.rest(desk, now);
        }
    }

    /// Whether units are to be expected soon.
    pub(super) fn is_busy(&self, desk: &Desk) -> bool {
        desk.crew.awake > desk.crew.held_up || desk.lanes.has_ready()
    }

    fn rest(&self, desk: &mut MutexGuard<'_, Desk>, now: Millis) {
        desk.crew.awake -= 1;
        if !self.is_busy(desk) {
            // The committer waits for nobody else.
            self.committable.notify_one();
        }
        if matches!(desk.crew.watch, Watch::Until(_)) {
            self.rest.idle.wait(desk);
            return;
        }
        let until = match desk.lanes.has_ready() {
            true => Some(now + HELD_UP),
            false => desk.lanes.next_due(),
        };
        desk.crew.watch = Watch::Until(until);
        match until {
            None => self.rest.watch.wait(desk),
            Some(until) => {
                let wait = Duration::from_millis(until.saturating_sub(now).max(1));
                if self.rest.watch.wait_for(desk, wait).timed_out() {
                    desk.crew.awake += 1;
                    desk.crew.look(clock::monotonic_millis());
                }
            }
        }
        desk.crew.watch = Watch::Nobody;
    }

    /// Sees to it that what is ready will be run, and that somebody looks when the next back-off is over. For whoever
    /// made something ready, or parked it, or took something and left the rest.
    pub(super) fn rouse(&self, desk: &mut Desk) {
        let ready = desk.lanes.has_ready();
        if ready && desk.crew.wants_more() {
            self.wake_one(desk);
            return;
        }
        let look = match ready {
            true => Some(clock::monotonic_millis() + HELD_UP),
            false => desk.lanes.next_due(),
        };
        if let Some(look) = look
            && !desk.crew.is_watched(look)
        {
            match desk.crew.watch {
                Watch::Until(_) => desk.crew.awake += usize::from(self.rest.watch.notify_one()),
                Watch::Nobody | Watch::Appointed => {
                    if self.rest.idle.notify_one() {
                        desk.crew.awake += 1;
                        desk.crew.watch = Watch::Appointed;
                    }
                }
            }
        }
    }

    /// The one that watches comes last.
    fn wake_one(&self, desk: &mut Desk) {
        let woken = self.rest.idle.notify_one() || self.rest.watch.notify_one();
        desk.crew.awake += usize::from(woken);
    }

    /// Everybody looks for themselves, at a stop.
    pub(super) fn rouse_all(&self, desk: &mut Desk) {
        desk.crew.awake += self.rest.idle.notify_all() + self.rest.watch.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_run_as_there_are_cores_and_one_more_for_each_that_is_held_up() {
        let mut crew = Crew::new(2);
        let workers: Vec<_> = (0..3).map(|_| crew.join()).collect();
        assert!(!crew.may_run(), "three are awake on two cores");
        crew.awake -= 1;
        assert!(crew.may_run() && !crew.wants_more());
        crew.began(workers[0], 10);
        crew.began(workers[1], 11);
        crew.look(12);
        assert!(crew.wants_more(), "the first is held up");
        crew.awake += 1;
        assert!(crew.may_run() && !crew.wants_more());
        crew.look(12);
        assert_eq!(crew.held_up, 1, "nobody is counted twice");
        crew.look(13);
        crew.ended(workers[0]);
        assert_eq!(crew.held_up, 1);
        crew.ended(workers[1]);
        assert_eq!(crew.held_up, 0);
        assert!(!crew.may_run());
    }
}
