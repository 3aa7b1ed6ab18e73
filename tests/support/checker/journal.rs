//! What was sent, and what its sender heard of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use witness::{Asked, Testimony};

/// What the sender of an input knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it was sent, and no answer came, or one that does not tell.
    Unknown,
    /// Kafka has it, or the host has answered that it is done.
    Acknowledged,
    /// It was refused, or never left: it must not show anywhere.
    Failed,
}

/// What is to become of an input that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Two events.
    Answer,
    /// A dead letter, and no event.
    DeadLetter,
    /// Either of them.
    Either,
    /// A dead letter, and two events too where it was redriven.
    GivenUp,
    /// A dead letter, and two events once it was redriven.
    Redriven,
    /// Two events; a dead letter before them where it was given up, and none where it waited behind one of its key.
    Released,
}

impl Expected {
    /// Whether its events come after all, behind what came later for its key.
    pub(super) fn comes_late(self) -> bool {
        matches!(self, Self::GivenUp | Self::Redriven)
    }

    /// Whether events beside a dead letter are no duplicate.
    pub(super) fn allows_both(self) -> bool {
        matches!(self, Self::GivenUp | Self::Redriven | Self::Released)
    }

    /// Whether two events must come.
    pub fn is_answered(self) -> bool {
        matches!(self, Self::Answer | Self::Redriven | Self::Released)
    }

    /// Whether a dead letter must come.
    pub fn is_given_up(self) -> bool {
        matches!(self, Self::DeadLetter | Self::GivenUp | Self::Redriven)
    }
}

/// An input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Whose it is.
    pub key: Arc<str>,
    /// Its place among the inputs of its key.
    pub seq: u64,
    /// What its sender knows.
    pub fate: Fate,
    /// What is to become of it.
    pub expected: Expected,
    /// What its sender was answered, if it was a request: its first event, word for word.
    pub told: Option<Box<Testimony>>,
    /// What was sent, word for word, if it is of the few that fail: a dead letter must hold it.
    pub asked: Option<Box<Asked>>,
}

/// All inputs of a run; an input's id is its place here.
#[derive(Debug, Default)]
pub struct Journal {
    inputs: Mutex<Vec<Input>>,
}

impl Journal {
    /// Enters an input before it is sent, and returns it as it is to be sent.
    pub fn enter(&self, key: &Arc<str>, seq: u64, asked: Asked) -> Asked {
        let expected = match asked.refuse {
            true => Expected::DeadLetter,
            false => Expected::Answer,
        };
        let mut inputs = self.lock();
        let asked = Asked {
            id: inputs.len() as u64,
            seq,
            ..asked
        };
        let fails = asked.refuse || asked.fails > 0;
        inputs.push(Input {
            key: Arc::clone(key),
            seq,
            fate: Fate::Unknown,
            expected,
            told: None,
            asked: fails.then(|| Box::new(asked.clone())),
        });
        asked
    }

    /// Notes what the sender of an input has heard.
    pub fn hear(&self, id: u64, fate: Fate) {
        let id = usize::try_from(id).unwrap_or(usize::MAX);
        if let Some(input) = self.lock().get_mut(id) {
            input.fate = fate;
        }
    }

    /// Notes that the sender of a request was answered, and what.
    pub fn answered(&self, id: u64, told: Testimony) {
        let id = usize::try_from(id).unwrap_or(usize::MAX);
        if let Some(input) = self.lock().get_mut(id) {
            input.fate = Fate::Acknowledged;
            input.told = Some(Box::new(told));
        }
    }

    /// Changes what is to become of an input.
    pub fn expect(&self, id: u64, expected: Expected) {
        let id = usize::try_from(id).unwrap_or(usize::MAX);
        if let Some(input) = self.lock().get_mut(id) {
            input.expected = expected;
        }
    }

    /// Changes what is to become of all inputs so far that fail at first and are not refused. Returns how many they are.
    pub fn expect_of_failing(&self, expected: Expected) -> usize {
        let mut inputs = self.lock();
        let fails = |input: &&mut Input| {
            let asked = input.asked.as_ref();
            asked.is_some_and(|asked| asked.fails > 0 && !asked.refuse)
        };
        let failing = inputs.iter_mut().filter(fails);
        failing.map(|input| input.expected = expected).count()
    }

    /// How many inputs are refused for good.
    pub fn refused(&self) -> usize {
        let inputs = self.lock();
        let refused = |input: &&Input| input.asked.as_ref().is_some_and(|asked| asked.refuse);
        inputs.iter().filter(refused).count()
    }

    /// How many inputs there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them were acknowledged.
    pub fn acknowledged(&self) -> usize {
        let inputs = self.lock();
        inputs.iter().filter(|input| input.fate == Fate::Acknowledged).count()
    }

    /// How many requests were answered.
    pub fn answered_requests(&self) -> usize {
        self.lock().iter().filter(|input| input.told.is_some()).count()
    }

    /// All inputs, in the order of their ids.
    pub fn inputs(&self) -> Vec<Input> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Input>> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
