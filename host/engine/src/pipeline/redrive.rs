//! Redrives dead letters, through the same lanes and commits as everything else.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::clock;
use crate::registry::Handler;
use sandman_core::event::Record;
use sandman_core::lanes::{HandlerIx, LaneKey, PartitionIx};
use sandman_core::printable;
use sandman_core::progress::Span;
use sandman_core::reason::GivenUp;
use sandman_core::store::{LetterId, LetterWrite};
use sandman_core::unit::{Finish, Unit};
use sandman_core::version::Version;
use sandman_core::work::{EventWork, Input, LetterWork};

use super::received::{Received, Unreadable};
use super::{Pipeline, letter};

/// Letters that may be in progress at once.
const UNDER_WAY: usize = 256;

/// A letter that is to be redriven.
#[derive(Debug)]
pub struct Redrive {
    /// The letter.
    pub id: LetterId,
    /// Its handler.
    pub handler: HandlerIx,
    /// The key of its lane, if it had one.
    pub key: Option<Arc<str>>,
    /// Whether its key is held.
    pub hold: bool,
    /// The version to run it on; `None`: the one that is active for its key at that time.
    pub through: Option<Arc<Version>>,
    /// The original record.
    pub record: Record,
}

impl Pipeline {
    /// Receives a message when letters may be waiting to be redriven.
    pub fn letter_signals(&self) -> &Receiver<()> {
        &self.letter_signal.1
    }

    /// Signals that letters may be waiting to be redriven.
    pub fn signal_letters(&self) {
        // A full channel means that it has already been signalled.
        self.letter_signal.0.try_send(()).ok();
    }

    /// How many more letters may be started.
    pub fn letter_room(&self) -> usize {
        let state = self.state.lock();
        match state.detours.closed || state.stopping {
            true => 0,
            false => UNDER_WAY.saturating_sub(state.detours.under_way.len()),
        }
    }

    /// Waits for the next commit, but no longer than `patience`.
    pub fn await_commit(&self, patience: Duration) {
        let mut state = self.state.lock();
        self.settled.wait_for(&mut state, patience);
    }

    /// Whether a letter is in progress.
    pub fn is_redriving(&self, id: LetterId) -> bool {
        self.state.lock().detours.under_way.contains(&id)
    }

    /// The redrive of these letters is cancelled: those of them that are in progress are left as they are.
    pub fn leave_letters(&self, letters: &[LetterId]) {
        let mut state = self.state.lock();
        state.detours.leave(letters);
        state.scheduler.wake();
    }

    /// Counts letters that were dropped to make room.
    pub fn letters_gone(&self, gone: u64) {
        if gone > 0 {
            self.meters.letters_gone.increment(gone);
        }
    }

    /// Starts no more letters, because the host stops.
    pub fn close_letters(&self) {
        self.state.lock().detours.closed = true;
    }

    /// Puts a letter into the lane of its key. With its commit it is removed from the store, or has failed again.
    pub fn redrive(&self, redrive: Redrive) {
        let Redrive {
            id,
            handler,
            key,
            hold,
            through,
            record,
        } = redrive;
        let Some(known) = self.registry.get(handler) else {
            return;
        };
        let received = Received::of(&record, known);
        let mut state = self.state.lock();
        if state.detours.closed || !state.detours.under_way.insert(id) {
            return;
        }
        match received {
            Received::Event(found, envelope) => {
                let event = EventWork {
                    handler,
                    partition: PartitionIx::MAX,
                    span: Span { start: 0, end: 0 },
                    key: key.unwrap_or(found),
                    envelope,
                    record,
                };
                let lane = LaneKey {
                    handler,
                    key: Arc::clone(&event.key),
                };
                let work = LetterWork {
                    id,
                    hold,
                    through,
                    event,
                };
                let input = Input::Letter(Box::new(work));
                state.scheduler.offer(lane, input, (0, None));
                state.scheduler.wake();
            }
            Received::Tombstone => state.queue(letter_unit(id, LetterWrite::Done(id))),
            Received::Unreadable(unreadable) => {
                let unit = letter_unit(id, still_unreadable(id, known, &unreadable));
                state.queue(unit);
            }
        }
    }
}

/// The unit of a letter that never reached a lane.
fn letter_unit(id: LetterId, write: LetterWrite) -> Unit {
    Unit {
        letters: vec![write],
        ..letter::nothing(Finish::Redriven(id))
    }
}

/// The record of the letter is still not an event for its handler.
fn still_unreadable(id: LetterId, handler: &Handler, unreadable: &Unreadable) -> LetterWrite {
    let version = handler.active();
    handler.meters.redriven(false);
    let given_up = GivenUp {
        code: unreadable.code,
        reason: printable::line(&unreadable.reason, printable::LONGEST).into_owned(),
        version: version.number,
        digest: Arc::clone(&version.digest),
        attempts: 0,
        state: None,
        at_millis: clock::wall_millis(),
    };
    LetterWrite::Failed(id, Box::new(given_up))
}
