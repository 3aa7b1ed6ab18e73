//! One lane: the work of one key, and the newest state that it depends on.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Known, LaneKey, Millis, Work};

/// Work that waits in a lane.
#[derive(Debug)]
pub(super) struct Queued<W> {
    pub(super) work: Arc<W>,
    pub(super) failed: u32,
    /// Not before this time; taken when the lane is parked for it.
    pub(super) due: Option<Millis>,
    /// All lanes of joint work; `None` for work of this lane alone.
    pub(super) joint: Option<Arc<[LaneKey]>>,
}

/// Work that was taken from the head of a lane.
#[derive(Debug)]
pub(super) struct Taken<W> {
    pub(super) work: Arc<W>,
    pub(super) failed: u32,
    /// As in [`Queued`].
    pub(super) joint: Option<Arc<[LaneKey]>>,
}

impl<W> Clone for Taken<W> {
    fn clone(&self) -> Self {
        Self {
            work: Arc::clone(&self.work),
            failed: self.failed,
            joint: self.joint.clone(),
        }
    }
}

impl<W> Taken<W> {
    pub(super) fn single(work: Arc<W>, failed: u32) -> Self {
        Self {
            work,
            failed,
            joint: None,
        }
    }

    /// Tells work apart from other work.
    pub(super) fn id(&self) -> usize {
        Arc::as_ptr(&self.work).addr()
    }

    fn queued(self) -> Queued<W> {
        let Self { work, failed, joint } = self;
        Queued {
            work,
            failed,
            due: None,
            joint,
        }
    }
}

impl<W> Queued<W> {
    pub(super) fn taken(&self) -> Taken<W> {
        Taken {
            work: Arc::clone(&self.work),
            failed: self.failed,
            joint: self.joint.clone(),
        }
    }

    pub(super) fn single(work: Arc<W>, failed: u32, due: Option<Millis>) -> Self {
        Self {
            work,
            failed,
            due,
            joint: None,
        }
    }

    pub(super) fn joint(work: Arc<W>, lanes: &[LaneKey]) -> Self {
        let joint = (lanes.len() > 1).then(|| lanes.into());
        Self {
            work,
            failed: 0,
            due: None,
            joint,
        }
    }
}

#[derive(Debug)]
pub(super) struct Lane<W> {
    /// Not started, in order.
    pub(super) waiting: VecDeque<Queued<W>>,
    /// The head is ready, has arrived (joint work), or runs.
    pub(super) busy: bool,
    /// A worker has a job of this lane, overtaken by a revert or not.
    pub(super) out: bool,
    /// What that job runs; `None` if it was overtaken.
    pub(super) running: Option<Taken<W>>,
    /// Ran, and waits for its commit, in order.
    pub(super) ahead: VecDeque<Taken<W>>,
    /// The newest state; `None` if the store has to be asked.
    pub(super) known: Option<Known>,
    /// The lane is parked until then.
    pub(super) due: Option<Millis>,
    /// The generation of the last revert: jobs of earlier ones were overtaken.
    pub(super) reverted: u64,
}

impl<W: Work> Lane<W> {
    pub(super) fn new(known: Option<Known>, generation: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            busy: false,
            out: false,
            running: None,
            ahead: VecDeque::new(),
            known,
            due: None,
            reverted: generation,
        }
    }

    /// The position for work that goes first: behind other such work, and behind a head that is already ready.
    pub(super) fn first(&self) -> usize {
        let ready = usize::from(self.busy && !self.out && !self.waiting.is_empty());
        let rest = self.waiting.iter().skip(ready);
        ready + rest.take_while(|queued| queued.work.goes_first()).count()
    }

    /// Puts work that ran ahead, and work that runs, back to the front, forgets the state, and returns the work that is
    /// not run again.
    pub(super) fn revert(&mut self, generation: u64, runs_again: fn(&W) -> bool) -> Vec<Arc<W>> {
        self.reverted = generation;
        let mut dropped = Vec::new();
        let mut again = VecDeque::new();
        for taken in self.ahead.drain(..).chain(self.running.take()) {
            if runs_again(&taken.work) {
                again.push_back(taken.queued());
            } else {
                dropped.push(taken.work);
            }
        }
        if !again.is_empty() || !dropped.is_empty() {
            self.known = None;
        }
        again.append(&mut self.waiting);
        self.waiting = again;
        self.busy = self.out;
        dropped
    }

    /// The worker's job came back: the lane is free. Returns what the job ran, unless it was overtaken.
    pub(super) fn release(&mut self) -> Option<Taken<W>> {
        self.busy = false;
        self.out = false;
        self.running.take()
    }
}
