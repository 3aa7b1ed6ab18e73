//! One request: its handlers in the route's order, all of them or none, and the answer after the commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::clock;
use crate::registry::Handler;
use sandman_core::attempt::{AttemptFailure, Attempted, Decision, FailureCause, Origin, Surroundings};
use sandman_core::event::OutRecord;
use sandman_core::faults::{self, Step};
use sandman_core::lanes::{Change, HandlerIx, Job, Known, LaneKey, LaneSlot};
use sandman_core::outcome::{Reply, StateChange};
use sandman_core::store::{AnswerWrite, Answered, RecordingWrite, StoreError};
use sandman_core::unit::{Finish, Unit, UnitEmissions};
use sandman_core::work::{Answer, Idempotency, Input, RequestId, RequestWork};

use super::Pipeline;
use super::diverted::HELD;
use super::invocation::{self, Invocation, Source};
use super::lane_result::LaneResult;
use super::lookup::{Loaded, load};

/// The results of a request's handlers so far.
#[derive(Default)]
struct RequestDecision {
    changes: Vec<Change>,
    records: Vec<OutRecord>,
    /// How many records each handler has emitted.
    emitted: Vec<usize>,
    replies: Vec<Reply>,
    /// Kept even if nothing of the request is committed.
    recordings: Vec<RecordingWrite>,
}

impl Pipeline {
    /// Puts a request into the lanes of its key. The answer comes after its commit.
    pub fn request(&self, work: RequestWork) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        // A read publishes nothing, so reads are answered however long Kafka is down.
        let full = self.outbox.bytes() >= self.options.outbox_bytes && work.method != "GET";
        if state.stopping || state.clients.is_full() || full {
            drop(state);
            // The client may have gone.
            sender.send(Answer::Busy).ok();
            return receiver;
        }
        let id = state.clients.add(sender);
        let key = |handler: &HandlerIx| LaneKey {
            handler: *handler,
            key: Arc::clone(&work.key),
        };
        let lanes: Vec<LaneKey> = work.handlers.iter().map(key).collect();
        state.scheduler.offer_joint(&lanes, Input::Request(id, work));
        receiver
    }

    /// Runs a request. Every result becomes a unit, because its answer must not overtake the commits that it depends on.
    pub(super) fn attempt_request(&self, job: &Job<Input>, id: RequestId, work: &RequestWork) -> LaneResult {
        let (made, mut answer) = match self.recall(work) {
            Ok(None) => self.run_handlers(job, work),
            Ok(Some(answer)) => (nothing(job), answer),
            Err(error) => (nothing(job), self.unreadable(&error)),
        };
        faults::alter(Step::Ran, &mut answer);
        let remember = match (&work.idempotency, &answer) {
            (Some(Idempotency { key, digest }), Answer::Reply { status, body }) if *status < 400 => Some(AnswerWrite {
                key: Arc::clone(&work.key),
                idempotency_key: key.as_str().into(),
                answered: Answered {
                    digest: digest.clone(),
                    status: *status,
                    body: body.clone(),
                },
            }),
            _ => None,
        };
        let lanes = job.slots.iter().map(|slot| slot.lane.clone());
        let changes = lanes
            .zip(made.changes.iter().map(|change| change.change.clone()))
            .collect();
        let finish = Finish::Answered {
            request: id,
            answer,
            remember,
        };
        LaneResult::Done(
            made.changes.into(),
            Unit {
                changes,
                recent: None,
                files: Vec::new(),
                records: made.records,
                letters: Vec::new(),
                emitted: UnitEmissions::of(made.emitted),
                finish,
                recordings: made.recordings,
            },
        )
    }

    fn unreadable(&self, error: &StoreError) -> Answer {
        self.stop_if_failed(error);
        Answer::Unavailable(error.to_string())
    }

    /// The answer to a repetition: it is committed, or waits for its commit in the same lane.
    fn recall(&self, work: &RequestWork) -> Result<Option<Answer>, StoreError> {
        let Some(Idempotency { key, digest }) = &work.idempotency else {
            return Ok(None);
        };
        let pending = self.state.lock().clients.recall(&work.key, key);
        let answered = match pending {
            Some(answered) => Some(answered),
            None => self.store.answered(&work.key, key, clock::wall_millis())?,
        };
        Ok(answered.map(|answered| match answered {
            Answered { digest: known, .. } if known != *digest => Answer::IdempotencyMismatch,
            Answered { status, body, .. } => Answer::Replayed { status, body },
        }))
    }

    fn run_handlers(&self, job: &Job<Input>, work: &RequestWork) -> (RequestDecision, Answer) {
        let now = clock::wall_millis();
        let mut made = RequestDecision::default();
        for slot in &job.slots {
            let Some(handler) = self.registry.get(slot.lane.handler) else {
                continue;
            };
            if let Err(answer) = self.run_handler((handler, slot), work, now, &mut made) {
                return (made.into_nothing(job), answer);
            }
        }
        match merge(&made.replies) {
            Ok(Reply { status, body }) => (made, Answer::Reply { status, body }),
            Err(reason) => (made.into_nothing(job), Answer::Failed(reason)),
        }
    }

    fn run_handler(
        &self,
        (handler, slot): (&Handler, &LaneSlot),
        work: &RequestWork,
        now_millis: i64,
        made: &mut RequestDecision,
    ) -> Result<(), Answer> {
        let seen = self.seen_by_request(handler, slot, work)?;
        let version = handler.version_for(&work.key);
        let surroundings = Surroundings {
            source: &self.options.source,
            now_millis,
            attempt: 1,
            trace: work.trace.clone(),
            origin: Origin {
                handler: &handler.name,
                record: None,
            },
            settings: None,
            id: Uuid::new_v4,
        };
        let state = seen.document.as_deref();
        let invocation = Invocation {
            handler,
            version: &version,
            source: Source::Request(work),
            trigger: work.trigger(),
            state,
            surroundings: &surroundings,
            is_of_interest: false,
        };
        let (result, recording) = invocation.run();
        let write = recording.and_then(|recording| invocation::write(handler, &version, &recording));
        made.recordings.extend(write);
        let attempted = result.map_err(|failure| failed(handler, failure))?;
        let decision = match attempted {
            Attempted::Decided(decision) => decision,
            Attempted::Ignored => Decision::default(),
        };
        let Decision { state, records, reply } = decision;
        let reply = reply.ok_or_else(|| Answer::Failed(format!("handler `{}` gave no reply", handler.name)))?;
        if reply.status >= 400 {
            return Err(Answer::Reply {
                status: reply.status,
                body: reply.body,
            });
        }
        made.changes.push(Change {
            seen: Some(seen),
            change: state,
        });
        made.emitted.push(records.len());
        made.records.extend(records);
        made.replies.push(reply);
        Ok(())
    }

    /// The state that the request sees, or the answer to the client if it cannot be run on it.
    fn seen_by_request(&self, handler: &Handler, slot: &LaneSlot, work: &RequestWork) -> Result<Known, Answer> {
        Ok(match &slot.state {
            Some(known) => known.clone(),
            None => match load(&*self.store, handler, &work.key).map_err(|error| self.unreadable(&error))? {
                Loaded::State(known, None) => known,
                Loaded::State(known, Some(_)) if work.method == "GET" => known,
                Loaded::State(_, Some(_)) => return Err(Answer::Unavailable(HELD.to_owned())),
                Loaded::Newer => return Err(newer(handler)),
            },
        })
    }
}

impl RequestDecision {
    /// Commits nothing of it but the recordings.
    fn into_nothing(self, job: &Job<Input>) -> Self {
        Self {
            recordings: self.recordings,
            ..nothing(job)
        }
    }
}

/// Commits nothing of the request; the lanes keep what they know.
fn nothing(job: &Job<Input>) -> RequestDecision {
    let keep = |slot: &LaneSlot| Change {
        seen: slot.state.clone(),
        change: StateChange::Keep,
    };
    RequestDecision {
        changes: job.slots.iter().map(keep).collect(),
        ..RequestDecision::default()
    }
}

/// The answer to a client whose state was written by a newer version on another host.
fn newer(handler: &Handler) -> Answer {
    let (name, number) = (&handler.name, handler.active().number);
    Answer::Unavailable(format!(
        "handler `{name}`: another host serves a newer version than version {number}, which serves here"
    ))
}

/// The answer to a client when a handler failed.
fn failed(handler: &Handler, failure: AttemptFailure) -> Answer {
    let told = failure.without_guest_text().into_owned();
    let AttemptFailure { cause, code, reason } = failure;
    match cause {
        // The guest's own text about the request, for example the invalid field.
        FailureCause::Rejected => Answer::Reply {
            status: 400,
            body: Some(serde_json::json!({ "error": reason }).to_string()),
        },
        FailureCause::Trigger | FailureCause::Outcome | FailureCause::Emitted => {
            Answer::Failed(format!("handler `{}`: {reason}", handler.name))
        }
        FailureCause::Retry | FailureCause::Trap | FailureCause::Exceeded => {
            tracing::error!(
                handler = &*handler.name,
                code = code.word(),
                reason = told,
                "a request failed"
            );
            Answer::Unavailable(told)
        }
    }
}

/// Merges the replies of a route's handlers: the first status, and the fields of all objects; later ones win.
fn merge(replies: &[Reply]) -> Result<Reply, String> {
    let [first, rest @ ..] = replies else {
        return Err("the route has no handler".to_owned());
    };
    if rest.is_empty() {
        return Ok(first.clone());
    }
    let mut fields: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
    for body in replies.iter().filter_map(|reply| reply.body.as_deref()) {
        let object: BTreeMap<_, _> = serde_json::from_str(body)
            .map_err(|error| format!("a reply to be merged is not a JSON object: {error}"))?;
        fields.extend(object);
    }
    let body = serde_json::to_string(&fields).map_err(|error| error.to_string())?;
    Ok(Reply {
        status: first.status,
        body: Some(body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(bodies: &[&str]) -> Result<String, String> {
        let replies: Vec<_> = bodies
            .iter()
            .map(|body| Reply {
                status: 200,
                body: Some((*body).to_owned()),
            })
            .collect();
        merge(&replies).map(|reply| reply.body.unwrap())
    }

    #[test]
    fn what_replies_say_is_merged_to_the_last_digit() {
        let first = r#"{"a":12345678901234567890123,"b":1}"#;
        let second = r#"{"b":[1e999, -0.10],"c":"\ud800"}"#;
        let both = r#"{"a":12345678901234567890123,"b":[1e999, -0.10],"c":"\ud800"}"#;
        assert_eq!(merged(&[first, second]).as_deref(), Ok(both));
        assert!(merged(&[first, "[1]"]).unwrap_err().contains("not a JSON object"));
    }
}
