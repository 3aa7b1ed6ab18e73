//! One lane: the work of one key, and the newest state it stands on.

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

impl<W> Queued<W> {
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
    /// What that job runs, with the failures before it; `None` if it was overtaken.
    pub(super) running: Option<(Arc<W>, u32)>,
    /// Ran, and waits for its commit, in order; with the failures before it.
    pub(super) ahead: VecDeque<(Arc<W>, u32)>,
    /// The newest state; `None` if the store has to be asked.
    pub(super) known: Option<Known>,
    /// The lane is parked until then.
    pub(super) due: Option<Millis>,
}

impl<W: Work> Lane<W> {
    pub(super) fn new(known: Option<Known>) -> Self {
        Self {
            waiting: VecDeque::new(),
            busy: false,
            out: false,
            running: None,
            ahead: VecDeque::new(),
            known,
            due: None,
        }
    }

    /// Puts what ran ahead, and what runs, back to the front, forgets the state, and answers what is not run again.
    pub(super) fn revert(&mut self) -> Vec<Arc<W>> {
        let mut dropped = Vec::new();
        let mut again = VecDeque::new();
        for (work, failed) in self.ahead.drain(..).chain(self.running.take()) {
            if work.runs_again() {
                again.push_back(Queued::single(work, failed, None));
            } else {
                dropped.push(work);
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

    /// The worker's job came back: the lane is free.
    pub(super) fn release(&mut self) {
        self.busy = false;
        self.out = false;
        self.running = None;
    }
}
