//! Bears witness to every input: two events each, with the input's id, and a fold of all inputs of the key. The guest of
//! the torture scenarios, whose checker finds in them what was lost, doubled, torn, out of order or handled twice.

use std::hint::black_box;

use sandman_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// An input, as an event's payload or a request's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Unique among all inputs of a run.
    pub id: u64,
    /// Its place among the inputs of its key, from 1.
    pub seq: u64,
    /// Thousands of steps to spend on it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub burn: u64,
    /// How many attempts fail before one does not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fails: u64,
    /// Whether it is refused for good.
    #[serde(default, skip_serializing_if = "is_false")]
    pub refuse: bool,
    /// Bytes of text in each event.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pad: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// How many inputs.
    pub count: u64,
    /// `fold * 31 + seq` over them, modulo 2^53: differs as soon as one is missing, doubled or elsewhere.
    pub fold: u64,
}

impl Memory {
    /// The memory after one more input.
    #[must_use]
    pub fn after(self, seq: u64) -> Self {
        Self {
            count: self.count + 1,
            fold: self.fold.wrapping_mul(31).wrapping_add(seq) % (1 << 53),
        }
    }
}

/// One of the two events that an input is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Testimony {
    /// The input's id.
    pub id: u64,
    /// 0 for the first event, 1 for the second.
    pub index: u64,
    /// The input's place among those of its key.
    pub seq: u64,
    /// The version that handled it.
    pub by: u64,
    /// The attempt that succeeded, from 1.
    pub attempt: u32,
    /// How many inputs of the key there were with this one.
    pub count: u64,
    /// Their fold.
    pub fold: u64,
    /// Nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pad: String,
}

/// Names the version. The tests write other digits over these in the built component.
static VERSION: [u8; 23] = *b"witness version: 000001";

fn version() -> u64 {
    let digits = black_box(&VERSION).iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// The event types of the two events.
pub const TYPES: [&str; 2] = ["work.begun", "work.ended"];

/// What the handler consumes, serves and emits.
pub fn describe() -> Contract {
    Contract::new()
        .consumes("work.asked", ["1.0"])
        .serves("POST", "/work/{key}")
        .serves("GET", "/work/{key}")
        .emits(TYPES[0], "1.0")
        .emits(TYPES[1], "1.0")
}

/// Answers an input, or fails as it is told to.
fn answer(asked: &Asked, state: Option<Memory>, context: &Context) -> Result<(Outcome<Memory>, Testimony), Failure> {
    for step in 0..asked.burn.saturating_mul(1_000) {
        black_box(step);
    }
    if asked.refuse {
        return Err(rejected("told to refuse"));
    }
    if u64::from(context.attempt) <= asked.fails {
        return Err(retry(format!(
            "attempt {} of {} that fail",
            context.attempt, asked.fails
        )));
    }
    let memory = state.unwrap_or_default().after(asked.seq);
    let pad = "x".repeat(usize::try_from(asked.pad).unwrap_or(0));
    let testimony = |index| Testimony {
        id: asked.id,
        index,
        seq: asked.seq,
        by: version(),
        attempt: context.attempt,
        count: memory.count,
        fold: memory.fold,
        pad: pad.clone(),
    };
    let outcome = Outcome::new()
        .emit(TYPES[0], "1.0", &testimony(0))
        .emit(TYPES[1], "1.0", &testimony(1))
        .put(memory);
    Ok((outcome, testimony(0)))
}

/// Answers an event.
///
/// # Errors
///
/// Where told to.
pub fn on_event(event: Event, state: Option<Memory>, context: Context) -> Result<Outcome<Memory>, Failure> {
    answer(&event.payload()?, state, &context).map(|(outcome, _)| outcome)
}

/// Answers a POST as an event, and says so; a GET says what is known.
///
/// # Errors
///
/// Where told to.
pub fn on_request(request: Request, state: Option<Memory>, context: Context) -> Result<Outcome<Memory>, Failure> {
    if request.method == "GET" {
        return Ok(Outcome::new().reply(200, &state.unwrap_or_default()));
    }
    let (outcome, testimony) = answer(&request.body()?, state, &context)?;
    Ok(outcome.reply(200, &testimony))
}

sandman_sdk::export!(describe, event = on_event, request = on_request);

#[cfg(test)]
mod tests {
    use super::{Asked, Memory, Testimony, on_event};
    use sandman_sdk::testing::Call;

    #[test]
    fn an_input_is_answered_with_two_events_of_the_same_memory() {
        let asked = Asked {
            id: 9,
            seq: 4,
            ..Asked::default()
        };
        let before = Memory::default().after(3);
        let call = Call::event("work.asked", "1.0", &asked).state(&before);
        let outcome = call.run(on_event).unwrap();
        assert_eq!(outcome.state.document(), Some(&Memory { count: 2, fold: 97 }));
        let told = |index: usize| outcome.events[index].payload::<Testimony>().unwrap();
        assert_eq!((told(0).index, told(1).index), (0, 1));
        assert_eq!((told(1).id, told(1).fold, told(1).by), (9, 97, 1));
    }

    #[test]
    fn it_fails_as_often_as_it_is_told() {
        let asked = Asked {
            fails: 1,
            ..Asked::default()
        };
        let call = || Call::event("work.asked", "1.0", &asked);
        assert!(call().run(on_event).is_err());
        assert!(call().attempt(2).run(on_event).is_ok());
    }
}
