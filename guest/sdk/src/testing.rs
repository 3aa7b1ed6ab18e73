//! Calls a handler's function natively in the same way as the host: the payload and the state are converted to JSON text and back.

mod recorded;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire;
use crate::{Context, Event, Failure, Outcome, Request};

pub use recorded::{Recorded, RecordedAnswer, RecordedCall, RecordedEvent, RecordedOutcome, RecordedState, recorded};

/// One call of a handler. Set its inputs, then run it.
///
/// ```
/// use sandman_sdk::prelude::*;
/// use sandman_sdk::testing::Call;
///
/// fn on_event(event: Event, seen: Option<u64>, _: Context) -> Result<Outcome<u64>, Failure> {
///     let by: u64 = event.payload()?;
///     Ok(Outcome::new().put(seen.unwrap_or(0) + by))
/// }
///
/// let outcome = Call::event("seen", "1.0", &2).state(&40).run(on_event)?;
/// assert_eq!(outcome.state.document(), Some(&42));
///
/// let refused = Call::event("seen", "1.0", &"two").run(on_event).unwrap_err();
/// assert_eq!(refused, rejected("seen 1.0: payload: invalid type: string, expected u64"));
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
pub struct Call<T> {
    /// The trigger; all its fields can be changed.
    pub trigger: T,
    /// The key's state, JSON text.
    pub state: Option<String>,
    /// The context. By default the time is 2025-01-01T00:00:00Z, the attempt is the first, and the settings are empty.
    pub context: Context,
}

impl Call<Event> {
    /// Creates a call with an event of the key `key-1`.
    pub fn event<P: Serialize + ?Sized>(event_type: &str, version: &str, payload: &P) -> Self {
        Self::of(Event {
            key: "key-1".to_owned(),
            event_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            event_type: event_type.to_owned(),
            version: version.to_owned(),
            timestamp: "2025-01-01T00:00:00.000Z".to_owned(),
            source: "test".to_owned(),
            correlation_id: None,
            causation_id: None,
            metadata: None,
            payload: json(payload),
        })
    }
}

impl Call<Request> {
    /// Creates a call with a request of the key `key-1`, without a body.
    pub fn request(method: &str, route: &str) -> Self {
        Self::of(Request {
            key: "key-1".to_owned(),
            method: method.to_owned(),
            route: route.to_owned(),
            params: Vec::new(),
            query: Vec::new(),
            claims: None,
            body: None,
            files: Vec::new(),
            correlation_id: "00000000-0000-4000-8000-000000000002".to_owned(),
        })
    }

    /// Sets the JSON body of the request.
    #[must_use]
    pub fn body<B: Serialize + ?Sized>(mut self, body: &B) -> Self {
        self.trigger.body = Some(json(body));
        self
    }

    /// Sets the token's claims of the request.
    #[must_use]
    pub fn claims<C: Serialize + ?Sized>(mut self, claims: &C) -> Self {
        self.trigger.claims = Some(json(claims));
        self
    }
}

impl<T> Call<T> {
    fn of(trigger: T) -> Self {
        let context = Context {
            now_millis: 1_735_689_600_000,
            attempt: 1,
            settings: "{}".to_owned(),
        };
        Self {
            trigger,
            state: None,
            context,
        }
    }

    /// Sets the state of the key.
    #[must_use]
    pub fn state<S: Serialize + ?Sized>(mut self, state: &S) -> Self {
        self.state = Some(json(state));
        self
    }

    /// Sets the handler's settings.
    #[must_use]
    pub fn settings<S: Serialize + ?Sized>(mut self, settings: &S) -> Self {
        self.context.settings = json(settings);
        self
    }

    /// Sets the number of the attempt, starting at 1.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.context.attempt = attempt;
        self
    }

    /// Sets the time, in milliseconds since 1970.
    #[must_use]
    pub fn now_millis(mut self, now_millis: i64) -> Self {
        self.context.now_millis = now_millis;
        self
    }

    /// Calls the function.
    ///
    /// # Errors
    ///
    /// The function's own failure, or a rejection if its state or its outcome cannot be represented in JSON.
    pub fn run<S, F>(self, function: F) -> Result<Outcome<S>, Failure>
    where
        S: Serialize + DeserializeOwned,
        F: FnOnce(T, Option<S>, Context) -> Result<Outcome<S>, Failure>,
    {
        let outcome = function(self.trigger, wire::read_state(self.state.as_deref())?, self.context)?;
        wire::check(&outcome)?;
        Ok(outcome)
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|fault| format!("a value that cannot be JSON: {fault}"))
}
