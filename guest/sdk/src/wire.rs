//! Connects the generated bindings with a handler's functions. For [`export!`](crate::export) and
//! [`testing`](crate::testing) only; not part of the public API.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::bindings::exports::sandman::handler::handler::Guest;
use crate::bindings::sandman::handler::event_types::{EmittedEvent, Reply, StateChange};
pub use crate::bindings::sandman::handler::event_types::{Outcome, Trigger};
use crate::locate::describe_fault;
use crate::objects;
use crate::outcome::{Answer, Change, Emitted};
use crate::{Context, Event, Failure, Request, rejected};

/// Initializes an instance: its panics are reported to the host.
pub fn ready() {
    #[cfg(target_family = "wasm")]
    crate::log::report_panics();
}

/// Reads the state, calls the handler's function and converts its outcome.
pub fn run<T, S, F>(function: F, trigger: T, state: Option<String>, context: Context) -> Result<Outcome, Failure>
where
    S: Serialize + DeserializeOwned,
    F: FnOnce(T, Option<S>, Context) -> Result<crate::Outcome<S>, Failure>,
{
    write(function(trigger, read_state(state.as_deref())?, context)?)
}

pub(crate) fn read_state<S: DeserializeOwned>(state: Option<&str>) -> Result<Option<S>, Failure> {
    let read = |text| objects::read(text).map_err(|fault| rejected(describe_fault("state", text, &fault)));
    state.map(read).transpose()
}

fn write<S: Serialize>(outcome: crate::Outcome<S>) -> Result<Outcome, Failure> {
    Ok(Outcome {
        state: write_state(&outcome.state)?,
        events: outcome.events.into_iter().map(write_event).collect::<Result<_, _>>()?,
        reply: outcome.reply.map(write_reply).transpose()?,
    })
}

fn write_state<S: Serialize>(change: &Change<S>) -> Result<StateChange, Failure> {
    Ok(match change {
        Change::Keep => StateChange::Keep,
        Change::Delete => StateChange::Delete,
        Change::Put(state) => StateChange::Put(
            serde_json::to_string(state).map_err(|fault| rejected(format!("the state cannot be JSON: {fault}")))?,
        ),
    })
}

fn write_reply(reply: Answer) -> Result<Reply, Failure> {
    let Answer { status, body } = reply;
    let body = body
        .transpose()
        .map_err(|fault| rejected(format!("the reply's body cannot be JSON: {fault}")))?;
    Ok(Reply { status, body })
}

fn write_event(event: Emitted) -> Result<EmittedEvent, Failure> {
    let Emitted {
        event_type,
        version,
        payload,
        key,
        metadata,
    } = event;
    let fault = |part: &str, fault: String| rejected(format!("the {part} of {event_type} cannot be JSON: {fault}"));
    let payload = payload.map_err(|text| fault("payload", text))?;
    let metadata = metadata.transpose().map_err(|text| fault("metadata", text))?;
    Ok(EmittedEvent {
        event_type,
        version,
        payload,
        key,
        metadata,
    })
}

/// Whether the whole outcome can be passed to the host.
pub(crate) fn check<S: Serialize>(outcome: &crate::Outcome<S>) -> Result<(), Failure> {
    write_state(&outcome.state)?;
    outcome
        .events
        .iter()
        .cloned()
        .try_for_each(|event| write_event(event).map(drop))?;
    outcome
        .reply
        .iter()
        .cloned()
        .try_for_each(|reply| write_reply(reply).map(drop))
}

/// The default for a handler without a function for events.
pub fn no_events<S>(event: Event, _: Option<S>, _: Context) -> Result<crate::Outcome<S>, Failure> {
    Err(rejected(format!(
        "this handler takes no events, and got {}",
        event.event_type
    )))
}

/// The default for a handler without a function for requests.
pub fn no_requests<S>(request: Request, _: Option<S>, _: Context) -> Result<crate::Outcome<S>, Failure> {
    Err(rejected(format!(
        "this handler serves no requests, and got {} {}",
        request.method, request.route
    )))
}
