//! A handler that fails in every way there is, and notices a try that was forgotten.

use std::collections::{HashMap, HashSet};

use super::*;

/// A handler whose state is the list of the payloads it saw. Some it rejects, some fail at every try or at the first ones, and
/// some only once in all, as what takes too long does.
pub(super) struct Careful {
    tries: Tries,
    slow: Arc<Mutex<HashSet<u32>>>,
}

/// The latest try of each payload in this life of the host, as far as it must be known later.
pub(super) type Tries = Arc<Mutex<HashMap<u32, u32>>>;

impl Careful {
    /// A handler to which these payloads were slow already.
    pub(super) fn new(slow: Arc<Mutex<HashSet<u32>>>, tries: Tries) -> Self {
        Self { tries, slow }
    }
}

fn is_rejected(payload: u32) -> bool {
    // The last one is Lister's own.
    payload % 11 == 7 || payload == 13
}

fn fails_always(payload: u32) -> bool {
    payload % 13 == 12
}

pub(super) fn is_no_event(payload: u32) -> bool {
    payload % 17 == 16
}

pub(super) fn becomes_a_letter(payload: u32) -> bool {
    is_rejected(payload) || fails_always(payload) || is_no_event(payload)
}

impl Guest for Careful {
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, context: Context<'_>) -> Result<Outcome, Fault> {
        let Trigger::Event(event) = trigger else {
            panic!("events only")
        };
        let payload: u32 = event.payload.parse().unwrap();
        if is_rejected(payload) {
            return Err(Fault::Rejected("never".into()));
        }
        let latest = self.tries.lock().insert(payload, context.attempt).unwrap_or(0);
        assert!(context.attempt >= latest, "a try of {payload} is forgotten");
        let is_slow = payload % 5 == 3 && self.slow.lock().insert(payload);
        if is_slow || fails_always(payload) || context.attempt <= payload % 4 % 3 {
            return Err(Fault::Retry("not yet".into()));
        }
        Lister.invoke(trigger, state, Context { attempt: 2, ..context })
    }
}
