//! Counts and folds what happened to a key and publishes two events for each: the guest of the torture tests and
//! benchmarks. A lost, doubled or reordered input shows in `count`, `sum` or `fold`.

use std::hint::black_box;

use sandman_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Thing {
    n: u64,
    /// Thousands of steps to spend on it: a slow handler.
    #[serde(default)]
    burn: u64,
}

/// JSON Schema of [`Tally`].
const TALLY: &str = r#"{
    "type": "object",
    "required": ["count", "sum", "fold", "last"],
    "additionalProperties": false,
    "properties": {
        "count": { "type": "integer", "minimum": 0 },
        "sum": { "type": "integer", "minimum": 0 },
        "fold": { "type": "integer", "minimum": 0 },
        "last": { "type": "integer", "minimum": 0 }
    }
}"#;

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// How many inputs.
    pub count: u64,
    /// The sum of their `n`.
    pub sum: u64,
    /// `fold * 31 + n` over them, wrapping at 53 bits: differs as soon as two change places.
    pub fold: u64,
    /// The last `n`.
    pub last: u64,
}

impl Tally {
    /// The tally after one more input.
    #[must_use]
    pub fn after(self, n: u64) -> Self {
        Self {
            count: self.count + 1,
            sum: self.sum.wrapping_add(n),
            fold: self.fold.wrapping_mul(31).wrapping_add(n) % (1 << 53),
            last: n,
        }
    }
}

/// A tally as it is published, and which version of the guest counted.
#[derive(Serialize)]
struct Counted {
    count: u64,
    sum: u64,
    fold: u64,
    last: u64,
    by: u64,
}

impl From<Tally> for Counted {
    fn from(tally: Tally) -> Self {
        let Tally { count, sum, fold, last } = tally;
        let by = version();
        Self {
            count,
            sum,
            fold,
            last,
            by,
        }
    }
}

/// Names the version. The tests write other digits over these in the built component: another version, visibly, without
/// building it.
static VERSION: [u8; 20] = *b"echo version: 000001";

fn version() -> u64 {
    let digits = black_box(&VERSION).iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// What the handler consumes and emits.
pub fn describe() -> Contract {
    Contract::new()
        .consumes("thing.happened", ["1.0"])
        .serves("POST", "/things/{key}")
        .serves("POST", "/others/{key}")
        .emits("thing.counted", "1.0")
        .emits("thing.echoed", "1.0")
        .state_schema(TALLY)
}

/// Publishes the tally and the payload as it came.
///
/// # Errors
///
/// Rejected where the payload has no `n`.
pub fn on_event(event: Event, state: Option<Tally>, _: Context) -> Result<Outcome<Tally>, Failure> {
    let thing: Thing = event.payload()?;
    let as_it_came: Box<RawValue> = event.payload()?;
    for step in 0..thing.burn.saturating_mul(1_000) {
        black_box(step);
    }
    let tally = state.unwrap_or_default().after(thing.n);
    Ok(Outcome::new()
        .emit("thing.counted", "1.0", &Counted::from(tally))
        .emit("thing.echoed", "1.0", &as_it_came)
        .put(tally))
}

/// Counts as an event does, and answers with the tally; publishes nothing.
///
/// # Errors
///
/// Rejected where the body has no `n`.
pub fn on_request(request: Request, state: Option<Tally>, _: Context) -> Result<Outcome<Tally>, Failure> {
    let thing: Thing = request.body()?;
    let tally = state.unwrap_or_default().after(thing.n);
    Ok(Outcome::new().reply(200, &Counted::from(tally)).put(tally))
}

sandman_sdk::export!(describe, event = on_event, request = on_request);

#[cfg(test)]
mod tests {
    use super::{Tally, on_event};
    use sandman_sdk::rejected;
    use sandman_sdk::testing::Call;
    use serde_json::json;

    #[test]
    fn every_input_is_counted_and_echoed_as_it_came() {
        let call =
            Call::event("thing.happened", "1.0", &json!({"n": 7, "text": "é"})).state(&Tally::default().after(3));
        let outcome = call.run(on_event).unwrap();
        let expected = Tally {
            count: 2,
            sum: 10,
            fold: 100,
            last: 7,
        };
        assert_eq!(outcome.state.document(), Some(&expected));
        assert_eq!(outcome.events[0].payload(), Ok(expected));
        assert_eq!(outcome.events[1].payload_json(), Some(r#"{"n":7,"text":"é"}"#));
    }

    #[test]
    fn a_payload_that_does_not_fit_is_rejected_with_its_field() {
        let refused = Call::event("thing.happened", "1.0", &json!({"n": "seven"})).run(on_event);
        let reason = "thing.happened 1.0: payload.n: invalid type: string, expected u64";
        assert_eq!(refused.unwrap_err(), rejected(reason));
    }
}
