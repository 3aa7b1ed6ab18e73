//! A connection that is reopened when it is gone, with a pause between attempts.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::fault::{PgFault, words};
use super::session::{Session, TransactionCount};
use super::target::ConnectTarget;

/// The first and the longest pause between attempts to connect; each is twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a reachable server may take to end a transaction whose connection is gone.
const ASKED: Duration = Duration::from_secs(60);

/// A place for a session.
pub(super) struct Link {
    target: Arc<ConnectTarget>,
    count: TransactionCount,
    session: Option<Session>,
    /// No attempt to connect before this time.
    due: Instant,
    wait: Duration,
    /// The error of the last attempt.
    reason: String,
    /// Statements that were sent.
    round_trips: Arc<AtomicU64>,
    /// Why the result of a transaction is not known, while it is being found out.
    doubt: Arc<Mutex<Option<String>>>,
}

impl Link {
    pub(super) fn new(target: &Arc<ConnectTarget>) -> Self {
        Self {
            target: Arc::clone(target),
            count: TransactionCount::new(format!("{}/{}", target.instance, Uuid::new_v4())),
            session: None,
            due: Instant::now(),
            wait: FIRST_WAIT,
            reason: String::new(),
            round_trips: Arc::default(),
            doubt: Arc::default(),
        }
    }

    /// Statements that were sent so far.
    pub(super) fn round_trips(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.round_trips)
    }

    /// Why the result of a transaction is not known, while it is being found out.
    pub(super) fn doubt(&self) -> Arc<Mutex<Option<String>>> {
        Arc::clone(&self.doubt)
    }

    /// The session, reopened if it is gone. Fails at once while the pause after a failed attempt lasts.
    fn session(&mut self) -> Result<&mut Session, PgFault> {
        if self.session.is_none() {
            if Instant::now() < self.due {
                return Err(PgFault::Away(self.reason.clone()));
            }
            match Session::open(&self.target, &self.round_trips) {
                Ok(session) => {
                    self.wait = FIRST_WAIT;
                    self.session = Some(session);
                }
                Err(error) => {
                    self.reason = words(&error);
                    self.due = Instant::now() + self.wait;
                    self.wait = (self.wait * 2).min(LONGEST_WAIT);
                }
            }
        }
        self.session.as_mut().ok_or_else(|| PgFault::Away(self.reason.clone()))
    }

    /// Runs a query that may be run twice: again, on a new connection, if the old one turns out to be gone.
    pub(super) fn read<T>(&mut self, mut query: impl FnMut(&mut Session) -> Result<T, PgFault>) -> Result<T, PgFault> {
        let was_open = self.session.is_some();
        let result = query(self.session()?);
        if self.drops(&result) && was_open {
            let again = query(self.session()?);
            self.drops(&again);
            return again;
        }
        result
    }

    /// Runs a transaction, and finds out its result. Runs it again if it collided with another one, or if the
    /// connection was gone before it was committed.
    pub(super) fn transact<T>(
        &mut self,
        mut work: impl FnMut(&mut Session) -> Result<T, PgFault>,
    ) -> Result<T, PgFault> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let was_open = self.session.is_some();
            let mut done = None;
            self.session()?;
            let Self { session, count, .. } = self;
            let Some(session) = session else { continue };
            let result = session.transact(Some(count), |session| {
                done = Some(work(session)?);
                Ok(())
            });
            let dropped = self.drops(&result);
            let fault = match (result, done) {
                (Ok(()), Some(done)) => return Ok(done),
                (Err(PgFault::Unknown(number)), Some(done)) => {
                    if self.find_out(number)? {
                        return Ok(done);
                    }
                    continue;
                }
                (Err(fault), _) => fault,
                (Ok(()), None) => continue,
            };
            let again = dropped && was_open && attempts == 1;
            let collided = fault.is_collision() && attempts < 10;
            if !again && !collided {
                return Err(fault);
            }
        }
    }

    /// Drops the session if its connection is gone, which the client itself notices only at its next use, if at all.
    /// Returns whether it was dropped.
    fn drops<T>(&mut self, result: &Result<T, PgFault>) -> bool {
        let gone = result.as_ref().err().is_some_and(PgFault::ends_session);
        if gone {
            self.session = None;
        }
        gone
    }

    /// Whether the transaction of this number was committed.
    fn find_out(&mut self, number: i64) -> Result<bool, PgFault> {
        tracing::warn!(
            number,
            store = self.target.name,
            "the connection was lost while a transaction was being committed"
        );
        let found = self.ask_until_known(number);
        *self.doubt.lock() = None;
        found
    }

    fn ask_until_known(&mut self, number: i64) -> Result<bool, PgFault> {
        let mut until = Instant::now() + ASKED;
        let count = self.count.clone();
        loop {
            match self.read(|session| count.committed(session)) {
                Ok(last) => {
                    let committed = last >= number;
                    if committed {
                        self.count.last = number;
                    }
                    return Ok(committed);
                }
                // Retries as long as the server is unreachable or a replica is not promoted: nobody else has the answer.
                Err(fault) if matches!(fault, PgFault::Away(_)) || fault.is_read_only() => {
                    let why = fault.named(&self.target.name);
                    *self.doubt.lock() = Some(format!("whether the last commit took effect is not known yet: {why}"));
                    until = Instant::now() + ASKED;
                }
                // The server is still ending it.
                Err(_) if Instant::now() < until => {}
                Err(_) => return Err(PgFault::Unknown(number)),
            }
            pause(Duration::from_millis(50));
        }
    }
}

/// Waits for an event without a notification: the end of a transaction, or of a host, whose connection is gone.
pub(super) fn pause(time: Duration) {
    let nobody = Mutex::new(());
    Condvar::new().wait_for(&mut nobody.lock(), time);
}
