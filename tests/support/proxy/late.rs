//! A request that ends a transaction, held until the next one is open.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::link::{Asked, Link, i16_at, i32_at};
use super::{Call, Net};

/// How long everybody waits for the broker's answer to the request that was held. It takes some milliseconds.
const ANSWERED: Duration = Duration::from_secs(20);

#[derive(Default)]
enum State {
    /// Nothing is wanted.
    #[default]
    Off,
    /// The next one is to be held, and the client's connection cut.
    Wanted { cut: bool },
    /// It is held.
    Held(Held),
    /// Its transaction has ended in another way, or its producer has a successor.
    Over(Held),
    /// It is on its way.
    Released(Held),
    /// The broker has answered with this error code.
    Answered(i16),
}

struct Held {
    link: Arc<Link>,
    frame: Vec<u8>,
    version: i16,
}

/// The request.
#[derive(Default)]
pub(super) struct Late {
    state: Mutex<State>,
    answered: Condvar,
}

impl Late {
    pub(super) fn want(&self, cut: bool) {
        *self.state() = State::Wanted { cut };
    }

    pub(super) fn answer(&self) -> Option<i16> {
        match *self.state() {
            State::Answered(code) => Some(code),
            _ => None,
        }
    }

    /// Takes the request if it is the one that is wanted; it is not sent on then.
    pub(super) fn takes(&self, link: &Arc<Link>, asked: Asked, frame: &[u8]) -> bool {
        let mut state = self.state();
        let State::Wanted { cut } = *state else { return false };
        link.keep(true);
        *state = State::Held(Held {
            link: Arc::clone(link),
            frame: frame.to_owned(),
            version: asked.version,
        });
        if cut {
            link.cut_client();
        }
        true
    }

    /// Looks at an answer before it is passed on: it may say that the next transaction is open, and then it is passed on
    /// after the request that was held has had its effect.
    pub(super) fn sees(&self, net: &Net, link: &Arc<Link>, asked: Asked, frame: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        *state = match std::mem::take(&mut *state) {
            State::Held(held) if Call::EndTransaction.is(asked.key) || Call::InitProducer.is(asked.key) => {
                State::Over(held)
            }
            State::Over(held) if Call::Produce.is(asked.key) => {
                let broker = Arc::clone(&held.link);
                let late = held.frame.clone();
                *state = State::Released(held);
                drop(state);
                net.touch();
                broker.ask(net, &late)?;
                return self.wait();
            }
            State::Released(held) if Arc::ptr_eq(&held.link, link) && i32_at(frame, 4) == i32_at(&held.frame, 8) => {
                link.keep(false);
                link.cut_client();
                self.answered.notify_all();
                State::Answered(error_code(frame, held.version))
            }
            other => other,
        };
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        let pending = |state: &mut State| matches!(state, State::Released(_));
        let waited = self.answered.wait_timeout_while(self.state(), ANSWERED, pending);
        match waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error in the answer to a request that ends a transaction: behind length, correlation id, from version 3 on an empty
/// set of tags, and the throttle time.
pub(super) fn error_code(frame: &[u8], version: i16) -> i16 {
    i16_at(frame, if version >= 3 { 13 } else { 12 })
}
