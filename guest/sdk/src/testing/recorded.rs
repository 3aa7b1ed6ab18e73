//! Recordings that `sandman recordings --export` wrote, as fixtures.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Call;
use crate::{Change, Context, Event, Failure, Outcome, Request, UploadedFile};

/// One recorded invocation: a call to run, and what came of it in the host.
#[derive(Debug)]
pub struct Recorded {
    /// Its name in the host, such as `r12-0`; empty if it has none.
    pub id: String,
    /// The handler.
    pub handler: String,
    /// What called the handler.
    pub trigger: RecordedCall,
    /// What came of it.
    pub outcome: RecordedOutcome,
}

/// A recorded call; its state and context are the recorded ones.
#[derive(Debug)]
pub enum RecordedCall {
    /// An event.
    Event(Call<Event>),
    /// A request.
    Request(Call<Request>),
}

/// What came of a recorded invocation; texts as the handler wrote them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordedOutcome {
    /// The version did not consume the event.
    Ignored,
    /// The handler decided.
    Decided {
        /// What became of the state: `keep`, `delete`, or `put` with the document.
        state: RecordedState,
        /// What it published, in order.
        events: Vec<RecordedEvent>,
        /// The answer to a request.
        #[serde(default)]
        reply: Option<RecordedAnswer>,
    },
    /// There was no outcome.
    Failed {
        /// What failed: `rejected`, `retry`, `trap`, `exceeded` and so on.
        cause: String,
        /// In words.
        reason: String,
    },
}

/// What became of the state.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordedState {
    /// It stayed.
    Keep,
    /// The new document, JSON text.
    Put(String),
    /// It went.
    Delete,
}

/// An event that was published.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEvent {
    /// The event type.
    pub event_type: String,
    /// The payload's version.
    pub version: String,
    /// The payload, JSON text.
    pub payload: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RecordedAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, JSON text.
    pub body: Option<String>,
}

/// The recordings in a file, one a line.
///
/// ```no_run
/// use sandman_sdk::prelude::*;
/// use sandman_sdk::testing::{RecordedCall, recorded};
///
/// # fn on_event(event: Event, seen: Option<u64>, _: Context) -> Result<Outcome<u64>, Failure> { Ok(Outcome::new()) }
/// for recorded in recorded(&std::fs::read_to_string("profile.jsonl")?)? {
///     if let RecordedCall::Event(call) = recorded.trigger {
///         recorded.outcome.is_that_of(&call.run(on_event))?;
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Says which line is no recording, or holds a trigger that is no event.
pub fn recorded(text: &str) -> Result<Vec<Recorded>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(number, line)| read(line).map_err(|fault| format!("line {}: {fault}", number + 1)));
    read.collect()
}

#[derive(Deserialize)]
struct Line {
    format: u32,
    #[serde(default)]
    id: String,
    handler: String,
    key: String,
    trigger: LineTrigger,
    state: Option<String>,
    context: LineContext,
    outcome: RecordedOutcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum LineTrigger {
    Event(LineEvent),
    Request(LineRequest),
}

#[derive(Deserialize)]
struct LineEvent {
    value: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineRequest {
    method: String,
    route: String,
    params: Vec<(String, String)>,
    query: Vec<(String, String)>,
    claims: Option<String>,
    body: Option<String>,
    files: Vec<LineFile>,
    correlation_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineFile {
    field: String,
    url: String,
    media_type: String,
    size: u64,
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineContext {
    now_millis: i64,
    attempt: u32,
    settings: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    event_id: String,
    event_type: String,
    timestamp: String,
    version: String,
    source: String,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    metadata: Option<Box<RawValue>>,
    payload: Box<RawValue>,
}

/// The format that the SDK reads.
const FORMAT: u32 = 1;

fn read(line: &str) -> Result<Recorded, String> {
    let line: Line = serde_json::from_str(line).map_err(|fault| fault.to_string())?;
    if line.format != FORMAT {
        return Err(format!("it has format {}, this SDK reads format {FORMAT}", line.format));
    }
    let LineContext {
        now_millis,
        attempt,
        settings,
    } = line.context;
    let context = Context {
        now_millis,
        attempt,
        settings,
    };
    let (state, key) = (line.state, line.key);
    let trigger = match line.trigger {
        LineTrigger::Event(event) => RecordedCall::Event(Call {
            trigger: read_event(key, event)?,
            state,
            context,
        }),
        LineTrigger::Request(request) => RecordedCall::Request(Call {
            trigger: read_request(key, request),
            state,
            context,
        }),
    };
    Ok(Recorded {
        id: line.id,
        handler: line.handler,
        trigger,
        outcome: line.outcome,
    })
}

fn read_event(key: String, event: LineEvent) -> Result<Event, String> {
    let value = event.value.ok_or("the event has no value")?;
    let text: String = serde_json::from_str(value.get()).map_err(|_| "the event's value is no text")?;
    let envelope: Envelope = serde_json::from_str(&text).map_err(|fault| format!("the event's envelope: {fault}"))?;
    Ok(Event {
        key,
        event_id: envelope.event_id,
        event_type: envelope.event_type,
        version: envelope.version,
        timestamp: envelope.timestamp,
        source: envelope.source,
        correlation_id: envelope.correlation_id,
        causation_id: envelope.causation_id,
        metadata: envelope.metadata.map(|metadata| metadata.get().to_owned()),
        payload: envelope.payload.get().to_owned(),
    })
}

fn read_request(key: String, request: LineRequest) -> Request {
    let files = request.files.into_iter().map(|file| UploadedFile {
        field: file.field,
        url: file.url,
        media_type: file.media_type,
        size: file.size,
        digest: file.digest,
    });
    Request {
        key,
        method: request.method,
        route: request.route,
        params: request.params,
        query: request.query,
        claims: request.claims,
        body: request.body,
        files: files.collect(),
        correlation_id: request.correlation_id,
    }
}

impl RecordedOutcome {
    /// Compares what a function made of the call with what was recorded, text by text.
    ///
    /// # Errors
    ///
    /// Says what differs. A recorded trap or exceeded limit is no outcome that a function can return: any failure will do.
    pub fn is_that_of<S>(&self, outcome: &Result<Outcome<S>, Failure>) -> Result<(), String>
    where
        S: Serialize + DeserializeOwned,
    {
        match (self, outcome) {
            (Self::Decided { state, events, reply }, Ok(now)) => {
                same("state", state, &state_of(&now.state)?)?;
                let published = now.events.iter().map(|event| RecordedEvent {
                    event_type: event.event_type.clone(),
                    version: event.version.clone(),
                    payload: event.payload_json().unwrap_or_default().to_owned(),
                });
                same("events", events, &published.collect())?;
                let answer = now.reply.as_ref().map(|reply| RecordedAnswer {
                    status: reply.status,
                    body: reply.body().map(str::to_owned),
                });
                same("reply", reply, &answer)
            }
            (Self::Failed { cause, reason }, Err(Failure::Rejected(now))) if cause == "rejected" => {
                same("reason", reason, now)
            }
            (Self::Failed { cause, reason }, Err(Failure::Retry(now))) if cause == "retry" => {
                same("reason", reason, now)
            }
            (Self::Failed { cause, .. }, Err(_)) if cause != "rejected" && cause != "retry" => Ok(()),
            (recorded, Ok(_)) => Err(format!("it succeeds now; recorded is {recorded:?}")),
            (recorded, Err(failure)) => Err(format!("it fails now: {failure:?}; recorded is {recorded:?}")),
        }
    }
}

fn state_of<S: Serialize>(change: &Change<S>) -> Result<RecordedState, String> {
    Ok(match change {
        Change::Keep => RecordedState::Keep,
        Change::Delete => RecordedState::Delete,
        Change::Put(state) => RecordedState::Put(serde_json::to_string(state).map_err(|fault| fault.to_string())?),
    })
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, recorded: &T, now: &T) -> Result<(), String> {
    match recorded == now {
        true => Ok(()),
        false => Err(format!("{what}: recorded is {recorded:?}, now it is {now:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejected;

    /// A line as the host writes it.
    const LINE: &str = r#"{"format":1,"id":"r4-0","handler":"seen","version":2,"digest":"d","key":"ada","trigger":{"event":{"topic":"t","partition":0,"offset":7,"timestampMillis":null,"key":"ada","value":"{\"eventId\":\"e\",\"eventType\":\"seen\",\"timestamp\":\"t\",\"version\":\"1.0\",\"source\":\"s\",\"payload\": 2 }","headers":[]}},"state":"40","context":{"nowMillis":5,"attempt":1,"settings":"{}","source":"s","limits":{"timeMillis":50,"memory":1,"output":1,"events":1,"log":1}},"outcome":{"decided":{"state":{"put":"42"},"events":[]}},"deadLetter":false,"memoryBytes":0}"#;

    fn on_event(event: Event, seen: Option<u64>, _: Context) -> Result<Outcome<u64>, Failure> {
        let by: u64 = event.payload()?;
        Ok(Outcome::new().put(seen.unwrap_or(0) + by))
    }

    #[test]
    fn a_recording_is_run_and_compared() {
        let mut all = recorded(&format!("{LINE}\n\n")).unwrap();
        let Recorded {
            id, trigger, outcome, ..
        } = all.remove(0);
        let RecordedCall::Event(call) = trigger else {
            panic!("an event was recorded");
        };
        assert_eq!((&*id, &*call.trigger.key, call.context.now_millis), ("r4-0", "ada", 5));
        assert_eq!(outcome.is_that_of(&call.run(on_event)), Ok(()));
        let other = Ok(Outcome::new().put(41_u64));
        assert!(outcome.is_that_of(&other).unwrap_err().starts_with("state: "));
        let failed: Result<Outcome<u64>, _> = Err(rejected("no"));
        assert!(outcome.is_that_of(&failed).unwrap_err().contains("it fails now"));
    }

    #[test]
    fn what_is_no_recording_is_named_by_its_line() {
        let newer = LINE.replace("\"format\":1", "\"format\":2");
        assert!(recorded(&newer).unwrap_err().contains("format 2"));
        assert!(recorded(&format!("{LINE}\nx")).unwrap_err().starts_with("line 2: "));
    }
}
