//! Which workers run and which are idle: as many run as there are cores, and one more for each that is held up by its guest.
//!
//! There are more workers than cores, so that a guest at its time limit holds up nobody; but waking all of them for
//! triggers of a few microseconds would cost more than the triggers. So an idle worker is woken only while fewer
//! workers run than there are cores. One of the idle workers is the watcher: it checks whether ready work is being run,
//! and whether a backoff is over.
//!
//! Pure: a part of the scheduler.

use sandman_core::lanes::Millis;

/// A worker that has run one trigger for this long, in milliseconds, counts as held up and not as running.
pub(super) const HELD_UP: Millis = 2;

/// The index of a worker.
pub(super) type WorkerIx = usize;

/// Which workers run and which are idle.
#[derive(Debug)]
pub(super) struct Workers {
    cores: usize,
    /// Workers that are not idle, including those that have been woken and have not started yet.
    pub(super) awake: usize,
    /// How many of them are held up.
    held_up: usize,
    running: Vec<Running>,
    pub(super) watch: Watch,
}

#[derive(Clone, Copy, Debug, Default)]
struct Running {
    since: Option<Millis>,
    held_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    Nobody,
    /// A worker has been woken to become the watcher.
    Appointed,
    /// A worker will check at this time; without a time, only when it is woken.
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
    pub(super) fn join(&mut self) -> WorkerIx {
        self.awake += 1;
        self.running.push(Running::default());
        self.running.len() - 1
    }

    /// Whether the calling worker, which is awake, may run something.
    pub(super) fn may_run(&self) -> bool {
        self.awake.saturating_sub(self.held_up) <= self.cores
    }

    /// Whether one more worker should run if there is something to run.
    pub(super) fn wants_more(&self) -> bool {
        self.awake.saturating_sub(self.held_up) < self.cores
    }

    pub(super) fn began(&mut self, worker: WorkerIx, now: Millis) {
        // Perhaps this one was to become the watcher.
        if self.watch == Watch::Appointed {
            self.watch = Watch::Nobody;
        }
        if let Some(running) = self.running.get_mut(worker) {
            running.since = Some(now);
        }
    }

    pub(super) fn ended(&mut self, worker: WorkerIx) {
        if let Some(running) = self.running.get_mut(worker) {
            self.held_up -= usize::from(running.held_up);
            *running = Running::default();
        }
    }

    /// Finds the workers that are held up.
    pub(super) fn look(&mut self, now: Millis) {
        for running in &mut self.running {
            if !running.held_up && running.since.is_some_and(|since| now >= since + HELD_UP) {
                running.held_up = true;
                self.held_up += 1;
            }
        }
    }

    /// Whether a worker will check by `when`.
    pub(super) fn is_watched(&self, when: Millis) -> bool {
        match self.watch {
            Watch::Nobody | Watch::Until(None) => false,
            Watch::Appointed => true,
            Watch::Until(Some(until)) => until <= when,
        }
    }

    /// Whether a worker runs that is not held up.
    pub(super) fn any_runs(&self) -> bool {
        self.awake > self.held_up
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
