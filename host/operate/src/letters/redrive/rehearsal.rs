//! The results that a redrive of letters would have now: makes the same attempts with the current states, and commits nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::{NotRunnable, RedriveHow, Redriver};
use crate::letters::orders::{Rehearsed, RehearsedEvent};
use crate::letters::{Letters, MOST_REDRIVEN};
use sandman_core::attempt::{AttemptFailure, Attempted, Decision, Origin, Surroundings, attempt};
use sandman_core::event::{Envelope, Record, decode};
use sandman_core::lanes::{HandlerIx, LaneKey};
use sandman_core::outcome::StateChange;
use sandman_core::recent::{EventHash, RecentEvents};
use sandman_core::store::{Hold, KeptLetter, LetterFilter, LetterHead, StoreError};
use sandman_core::version::Version;
use sandman_core::work::event_view;
use sandman_engine::clock;
use sandman_engine::registry::Handler;

/// The effects of the previous letters.
#[derive(Default)]
struct RehearsedBefore {
    states: HashMap<LaneKey, Option<Arc<str>>>,
    /// Keys whose letter failed again and holds those behind it.
    stalled: HashSet<(Arc<str>, Option<Arc<str>>)>,
    /// Keys whose first letter would be dropped.
    dropped: HashSet<(Arc<str>, Option<Arc<str>>)>,
}

/// A letter that can run.
struct Runnable<'a> {
    ix: HandlerIx,
    handler: &'a Handler,
    envelope: Envelope,
    key: Arc<str>,
    version: Arc<Version>,
    record: &'a Record,
}

impl Redriver {
    /// Runs the letters like a redrive, one after the other, with all their attempts, and reports each result. Nothing
    /// is committed; letters of one key see the states that the previous ones would leave.
    ///
    /// # Errors
    /// [`StoreError`] if something cannot be read.
    pub fn rehearse(
        &self,
        filter: &LetterFilter,
        how: RedriveHow,
        tell: &mut dyn FnMut(Rehearsed),
    ) -> Result<(), StoreError> {
        let mut before = RehearsedBefore::default();
        Letters::new(Arc::clone(&self.letters)).each(filter, |head| {
            if how.held && head.hold == Hold::No {
                return Ok(());
            }
            let rehearsed = match before.not_run(&head, how) {
                Some(not_run) => not_run,
                None => match self.rehearse_one(&head, how, &mut before) {
                    Ok(rehearsed) => rehearsed,
                    Err(NotRunnable::Store(error)) => return Err(error),
                    Err(NotRunnable::Never(why)) => Rehearsed::cannot(&head, why),
                },
            };
            let ran = !rehearsed.left_out && !rehearsed.dropped;
            if how.held && ran && rehearsed.state.is_none() {
                before.stalled.insert((Arc::clone(&head.handler), head.key.clone()));
            }
            tell(rehearsed);
            Ok(())
        })
    }

    fn rehearse_one(
        &self,
        head: &LetterHead,
        how: RedriveHow,
        before: &mut RehearsedBefore,
    ) -> Result<Rehearsed, NotRunnable> {
        let letter = self.letters.letter(head.id)?;
        let letter = letter.ok_or_else(|| NotRunnable::Never("it no longer exists".to_owned()))?;
        let run = self.runnable(&letter, how.through)?;
        let lane = LaneKey {
            handler: run.ix,
            key: Arc::clone(&run.key),
        };
        let stored = self.states.state(&run.handler.name, &run.key)?;
        let recent = stored.as_ref().map(|stored| stored.recent.clone()).unwrap_or_default();
        if is_duplicate(&run, &recent) {
            return Ok(Rehearsed {
                version: Some(run.version.number),
                state: Some("keep".to_owned()),
                reason: Some("a duplicate of an event that was handled".to_owned()),
                ..Rehearsed::of(head)
            });
        }
        let known = before.states.get(&lane).cloned();
        let state = known.unwrap_or_else(|| stored.and_then(|stored| stored.document));
        let attempted = self.attempts(&run, state.as_deref());
        if let Ok(Attempted::Decided(decision)) = &attempted {
            let after = match &decision.state {
                StateChange::Keep => state,
                StateChange::Put(document) => Some(Arc::clone(document)),
                StateChange::Delete => None,
            };
            before.states.insert(lane, after);
        }
        Ok(rehearsed(head, (run.version.number, how.reads_data), attempted))
    }

    fn runnable<'a>(&'a self, letter: &'a KeptLetter, through: Option<u64>) -> Result<Runnable<'a>, NotRunnable> {
        let KeptLetter { head, record } = letter;
        let never = |why: &dyn std::fmt::Display| NotRunnable::Never(why.to_string());
        let (ix, handler) = self.serving(&head.handler)?;
        let envelope = decode(record.value.as_deref()).map_err(|error| never(&error))?;
        let found = handler.key.of(record.key.as_deref(), &envelope);
        let key = head.key.clone().map_or(found, Ok).map_err(|error| never(&error))?;
        let through = through.map(|number| self.version(ix, handler, number)).transpose()?;
        let version = through.unwrap_or_else(|| handler.version_for(&key));
        Ok(Runnable {
            ix,
            handler,
            envelope,
            key,
            version,
            record,
        })
    }

    /// Makes all attempts of a redrive, without the waits between them.
    fn attempts(&self, run: &Runnable<'_>, state: Option<&str>) -> Result<Attempted, AttemptFailure> {
        let config = self.config.load();
        let mut surroundings = Surroundings {
            source: &config.host.source,
            now_millis: clock::wall_millis(),
            attempt: 1,
            trace: run.record.trace(),
            origin: Origin {
                handler: &run.handler.name,
                record: Some((&run.record.source, run.record.offset)),
            },
            settings: None,
            id: Uuid::new_v4,
        };
        loop {
            let trigger = sandman_core::outcome::Trigger::Event(event_view(&run.key, &run.envelope));
            let attempted = attempt(&run.version, trigger, state, &surroundings);
            match &attempted {
                Err(failure)
                    if failure.cause.may_pass() && run.version.retry.wait_after(surroundings.attempt).is_some() =>
                {
                    surroundings.attempt += 1;
                }
                _ => return attempted,
            }
        }
    }
}

impl RehearsedBefore {
    /// Why a redrive, or a release, would not run a letter at all.
    fn not_run(&mut self, head: &LetterHead, how: RedriveHow) -> Option<Rehearsed> {
        let name = (Arc::clone(&head.handler), head.key.clone());
        if how.held {
            if how.drop_head && self.dropped.insert(name.clone()) {
                return Some(Rehearsed::dropped(head));
            }
            let waits = self.stalled.contains(&name);
            return waits.then(|| Rehearsed::left_out(head, "would wait behind the letter that failed again"));
        }
        if head.hold != Hold::No {
            return Some(Rehearsed::left_out(
                head,
                "its key is held; `sandman dlq release` takes it",
            ));
        }
        if head.ordered {
            return Some(Rehearsed::left_out(head, "it is being redriven already"));
        }
        let too_often = head.redriven >= MOST_REDRIVEN && !how.force;
        too_often.then(|| {
            Rehearsed::left_out(
                head,
                format!("redriven {} times already; --force takes it", head.redriven),
            )
        })
    }
}

fn is_duplicate(run: &Runnable<'_>, recent: &RecentEvents) -> bool {
    run.version.dedupe > 0 && recent.contains(EventHash::of(run.envelope.event_id()))
}

fn rehearsed(
    head: &LetterHead,
    (version, reads_data): (u64, bool),
    attempted: Result<Attempted, AttemptFailure>,
) -> Rehearsed {
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
            rehearsed.reason = Some(match reads_data {
                true => failure.reason,
                false => failure.without_guest_text().into_owned(),
            });
        }
    }
    rehearsed
}
