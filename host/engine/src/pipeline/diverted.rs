//! Triggers that are not attempted now: their units, and their waits.

use std::sync::Arc;

use crate::clock;
use sandman_core::lanes::{Change, Job, Millis};
use sandman_core::outcome::StateChange;
use sandman_core::reason::{GivenUp, ReasonCode};
use sandman_core::store::{Hold, LetterWrite, NewLetter};
use sandman_core::unit::{Finish, Unit};
use sandman_core::work::{Answer, EventWork, Input};

use super::detours::{Detour, FULL};
use super::lane_result::{LaneResult, done};
use super::{Pipeline, letter};

/// The answer to a client whose key is held.
pub(super) const HELD: &str = "an event of this key failed, and what comes after it waits until the key is released";

impl Pipeline {
    /// The unit of a job that does not go to its guest.
    pub(super) fn follow(&self, job: &Job<Input>, detour: &Detour) -> LaneResult {
        let keep = job.slots.iter().map(|slot| Change {
            seen: slot.state.clone(),
            change: StateChange::Keep,
        });
        let changes = job
            .slots
            .iter()
            .map(|slot| (slot.lane.clone(), StateChange::Keep))
            .collect();
        let unit = |letters, finish| Unit {
            changes,
            letters,
            ..letter::nothing(finish)
        };
        match (detour, &*job.work) {
            (Detour::Hold, Input::Event(work)) => {
                let letter = self.behind(work);
                LaneResult::Done(keep.collect(), unit(letter, done(work, job.failed)))
            }
            (Detour::Refuse, Input::Request(id, _)) => {
                let finish = Finish::Answered {
                    request: *id,
                    answer: Answer::Unavailable(HELD.to_owned()),
                    remember: None,
                };
                LaneResult::Done(keep.collect(), unit(Vec::new(), finish))
            }
            (Detour::Leave(id), _) => LaneResult::Done(keep.collect(), unit(Vec::new(), Finish::Redriven(*id))),
            (Detour::Wait(wait), _) => again(job, *wait),
            (Detour::Hold | Detour::Refuse, _) => again(job, FULL),
        }
    }

    /// The event as a letter that waits behind the one that holds its key.
    fn behind(&self, work: &EventWork) -> Vec<LetterWrite> {
        let Some(handler) = self.registry.get(work.handler) else {
            return Vec::new();
        };
        let version = handler.active();
        vec![LetterWrite::Add(Box::new(NewLetter {
            handler: Arc::clone(&handler.name),
            key: Some(Arc::clone(&work.key)),
            record: work.record.clone(),
            given_up: GivenUp {
                code: ReasonCode::Held,
                reason: "it waits behind a dead letter of its key".to_owned(),
                version: version.number,
                digest: Arc::clone(&version.digest),
                attempts: 0,
                state: None,
                at_millis: clock::wall_millis(),
            },
            hold: Hold::Behind,
        }))]
    }
}

fn again(job: &Job<Input>, wait: Millis) -> LaneResult {
    LaneResult::Again {
        failed: job.failed,
        due: clock::monotonic_millis() + wait,
        unit: None,
    }
}
