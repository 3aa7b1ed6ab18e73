//! A worker's run of a trigger; for an event one attempt: state, version, contract, guest, unit.

mod failure;

use std::sync::Arc;

use smallvec::smallvec;
use uuid::Uuid;

use crate::clock;
use crate::registry::Handler;
use sandman_core::attempt::{Attempted, Decision, Origin, Surroundings};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::files;
use sandman_core::lanes::{Change, Job, Known, LaneKey, Millis};
use sandman_core::outcome::StateChange;
use sandman_core::recent::EventHash;
use sandman_core::recording::{Capture, RecordedTrigger, Recording};
use sandman_core::store::{LetterWrite, Store, StoreError};
use sandman_core::unit::{Finish, Unit, UnitEmissions};
use sandman_core::version::Version;
use sandman_core::work::{EventWork, Input, LetterWork};

use super::invocation::{self, Invocation, Source};
use super::lane_result::{LaneResult, done};
use super::lookup::{Loaded, load};
use super::{Options, Pipeline};

/// How long a trigger waits if its state could not be read.
const STORE_PAUSE: Millis = 1000;

impl Pipeline {
    /// Runs a trigger to its unit.
    pub(super) fn attempt(&self, job: &Job<Input>) -> LaneResult {
        let ran = match &*job.work {
            Input::Event(work) => self.attempt_event(job, work, None),
            Input::Letter(letter) => self.attempt_event(job, &letter.event, Some(letter)),
            Input::Request(id, work) => Ok(self.attempt_request(job, *id, work)),
        };
        match ran {
            Ok(LaneResult::Done(changes, mut unit)) => {
                unit.files = renamed_files(&unit, &changes);
                LaneResult::Done(changes, unit)
            }
            Ok(again) => again,
            Err(error) => {
                tracing::error!(%error, "a state could not be read; its key waits");
                self.stop_if_failed(&error);
                LaneResult::Again {
                    failed: job.failed,
                    due: clock::monotonic_millis() + STORE_PAUSE,
                    unit: None,
                }
            }
        }
    }

    fn attempt_event(
        &self,
        job: &Job<Input>,
        work: &EventWork,
        letter: Option<&LetterWork>,
    ) -> Result<LaneResult, StoreError> {
        let unknown = || StoreError::Failed(format!("there is no handler number {}", work.handler));
        let handler = self.registry.get(work.handler).ok_or_else(unknown)?;
        let (options, store) = (&self.options, &*self.store);
        Try {
            options,
            store,
            handler,
            work,
            letter,
        }
        .run(job)
    }

    /// Stops the host if the store is damaged. Other errors may pass, and reading is tried again.
    pub(super) fn stop_if_failed(&self, error: &StoreError) {
        if matches!(error, StoreError::Failed(_)) {
            self.alarm.raise(error);
        }
    }
}

/// The uploaded files that the states of the unit's lanes name after these changes, if they have changed.
fn renamed_files(unit: &Unit, changes: &[Change]) -> Vec<(LaneKey, Vec<Arc<str>>)> {
    let lanes = unit.changes.iter().zip(changes);
    let renamed = lanes.filter_map(|((lane, _), Change { seen, change })| {
        let after = match change {
            StateChange::Keep => return None,
            StateChange::Put(document) => Some(&**document),
            StateChange::Delete => None,
        };
        let before = seen.as_ref().and_then(|seen| seen.document.as_deref());
        let names = files::renamed(before, after)?;
        Some((lane.clone(), names))
    });
    renamed.collect()
}

/// One attempt of an event.
pub(super) struct Try<'a> {
    pub(super) options: &'a Options,
    pub(super) store: &'a dyn Store,
    pub(super) handler: &'a Handler,
    pub(super) work: &'a EventWork,
    /// The dead letter that is redriven, if it is one.
    pub(super) letter: Option<&'a LetterWork>,
}

impl Try<'_> {
    /// Runs the job's trigger on the version that is active now.
    ///
    /// # Errors
    /// [`StoreError`] if the state cannot be read: the job has to be handed back unchanged.
    pub(super) fn run(&self, job: &Job<Input>) -> Result<LaneResult, StoreError> {
        let work = self.work;
        let Some(seen) = self.seen(job)? else {
            return Ok(LaneResult::Again {
                failed: job.failed,
                due: clock::monotonic_millis() + NEWER_PAUSE,
                unit: None,
            });
        };
        let through = self.letter.and_then(|letter| letter.through.clone());
        let version = through.unwrap_or_else(|| self.handler.version_for(&work.key));
        let event = (version.dedupe > 0).then(|| EventHash::of(work.envelope.event_id()));
        if event.is_some_and(|event| seen.recent.contains(event)) {
            return Ok(self.duplicate(job, (&version, seen)));
        }
        let surroundings = self.surroundings(job);
        let state = seen.document.as_deref();
        let invocation = Invocation {
            handler: self.handler,
            version: &version,
            source: Source::Record(&work.record),
            trigger: work.trigger(),
            state,
            surroundings: &surroundings,
            // The result of a letter is always recorded.
            is_of_interest: self.letter.is_some(),
        };
        let (result, recording) = invocation.run();
        Ok(match result {
            Ok(attempted) => {
                let (mut decision, event) = match attempted {
                    Attempted::Decided(decision) => (decision, event),
                    // A later version may consume it.
                    Attempted::Ignored => (Decision::default(), None),
                };
                faults::alter(Step::Ran, &mut decision);
                let Decision { state, records, .. } = decision;
                self.handled(&version);
                let recent = event.map(|event| seen.recent.with(event, version.dedupe));
                let mut unit = Unit {
                    recent: recent.clone(),
                    emitted: UnitEmissions::of([records.len()]),
                    ..self.unit(job, state.clone(), records)
                };
                self.keep(&mut unit, &version, recording);
                let recent = recent.unwrap_or_else(|| seen.recent.clone());
                done_with(Known { recent, ..seen }, state, unit)
            }
            Err(failure) => self.refused(job, (&version, seen), &failure, recording),
        })
    }

    fn surroundings(&self, job: &Job<Input>) -> Surroundings<'_> {
        let record = &self.work.record;
        Surroundings {
            source: &self.options.source,
            now_millis: clock::wall_millis(),
            attempt: job.failed + 1,
            trace: record.trace(),
            origin: Origin {
                handler: &self.handler.name,
                record: Some((&record.source, record.offset)),
            },
            settings: None,
            id: Uuid::new_v4,
        }
    }

    /// The state of the key; `None` if a newer version on another host has written it.
    fn seen(&self, job: &Job<Input>) -> Result<Option<Known>, StoreError> {
        if let Some(known) = job.slots.first().and_then(|slot| slot.state.clone()) {
            return Ok(Some(known));
        }
        Ok(match load(self.store, self.handler, &self.work.key)? {
            Loaded::State(known, None) => Some(known),
            // It is looked up again, and then handled like other triggers of a held key.
            Loaded::State(_, Some(_)) | Loaded::Newer => None,
        })
    }

    /// Adds the recording to the unit.
    fn keep(&self, unit: &mut Unit, version: &Version, recording: Option<Recording>) {
        let Some(mut recording) = recording else { return };
        recording.letter = self.letter.map(|letter| letter.id);
        unit.recordings
            .extend(invocation::write(self.handler, version, &recording));
    }

    /// The event was handled before: only its record is marked as done.
    fn duplicate(&self, job: &Job<Input>, (version, seen): (&Version, Known)) -> LaneResult {
        let record = &self.work.record;
        let (topic, partition, offset) = (&record.source.topic, record.source.partition, record.offset);
        tracing::debug!(handler = &*self.handler.name, %topic, partition, offset, "a duplicate, skipped");
        if self.letter.is_some() {
            self.handler.meters.redriven(true);
        }
        if let Some(meters) = self.handler.meters.topic(topic) {
            meters.duplicates.increment(1);
        }
        let change = StateChange::Keep;
        let letters = self.letter.map(|letter| LetterWrite::Duplicate(letter.id));
        let mut unit = Unit {
            letters: letters.into_iter().collect(),
            ..self.unit(job, change.clone(), Vec::new())
        };
        // The result of a letter is always recorded.
        if self.letter.is_some() && version.recordings.rate > 0 {
            let surroundings = self.surroundings(job);
            let capture = Capture {
                version,
                key: &self.work.key,
                state: seen.document.as_deref(),
                surroundings: &surroundings,
            };
            let recording = capture.duplicate(RecordedTrigger::Event(record.into()));
            self.keep(&mut unit, version, Some(recording));
        }
        done_with(seen, change, unit)
    }

    fn unit(&self, job: &Job<Input>, change: StateChange, records: Vec<OutRecord>) -> Unit {
        let lanes = job.slots.iter().map(|slot| slot.lane.clone());
        Unit {
            changes: lanes.map(|lane| (lane, change.clone())).collect(),
            recent: None,
            files: Vec::new(),
            records,
            emitted: UnitEmissions::default(),
            recordings: Vec::new(),
            letters: self
                .letter
                .map(|letter| LetterWrite::Done(letter.id))
                .into_iter()
                .collect(),
            finish: match self.letter {
                Some(letter) => Finish::Redriven(letter.id),
                None => done(self.work, job.failed),
            },
        }
    }

    fn handled(&self, version: &Version) {
        if self.letter.is_some() {
            self.handler.meters.redriven(true);
        } else if let Some(policy) = &version.retry.failing {
            self.handler.failing.lock().note(version.number, false, policy);
        }
    }
}

fn done_with(seen: Known, change: StateChange, unit: Unit) -> LaneResult {
    LaneResult::Done(
        smallvec![Change {
            seen: Some(seen),
            change,
        }],
        unit,
    )
}

/// How long an event waits if a newer version than this host's has written its state, in milliseconds.
const NEWER_PAUSE: Millis = 1_000;
