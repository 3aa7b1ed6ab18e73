//! A connection that is made anew when it is gone, with a pause between attempts.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::postgres::fallible_iterator::FallibleIterator;
use ::postgres::types::ToSql;
use ::postgres::{Client, Config, NoTls, Row, Statement};
use parking_lot::{Condvar, Mutex};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::fault::{self, PgFault, words};

/// The pauses between attempts to connect, each twice the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Settings of each session. A commit that is acknowledged is on the disk; nothing waits for ever, neither for a lock nor
/// with one.
const SET_UP: &str = "
    SET synchronous_commit = on;
    SET statement_timeout = '20s';
    SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '5s';
    SET client_min_messages = warning;
    SET default_transaction_isolation = 'read committed'";

/// Where the store is.
pub(super) struct ConnectTarget {
    pub(super) config: Config,
    /// Encrypts connections, where the URL wants it and the server can.
    pub(super) tls: Option<MakeRustlsConnect>,
    /// The schema, a plain identifier.
    pub(super) schema: String,
    /// How errors name the store; without a password.
    pub(super) name: String,
}

/// Parameters of a statement.
pub(super) type SqlParams<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One connection, with the statements that it has prepared.
pub(super) struct Session {
    client: Client,
    round_trips: Arc<AtomicU64>,
    statements: HashMap<&'static str, Statement>,
}

impl Session {
    pub(super) fn open(target: &ConnectTarget, round_trips: &Arc<AtomicU64>) -> Result<Self, ::postgres::Error> {
        let mut client = match &target.tls {
            Some(tls) => target.config.connect(tls.clone())?,
            None => target.config.connect(NoTls)?,
        };
        client.batch_execute(&format!("SET search_path TO \"{}\";{SET_UP}", target.schema))?;
        Ok(Self {
            client,
            round_trips: Arc::clone(round_trips),
            statements: HashMap::new(),
        })
    }

    fn count(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
    }

    fn statement(&mut self, sql: &'static str) -> Result<Statement, ::postgres::Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        self.count();
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    pub(super) fn query(&mut self, sql: &'static str, params: SqlParams<'_>) -> Result<Vec<Row>, ::postgres::Error> {
        let statement = self.statement(sql)?;
        self.count();
        self.client.query(&statement, params)
    }

    pub(super) fn one(&mut self, sql: &'static str, params: SqlParams<'_>) -> Result<Row, ::postgres::Error> {
        let statement = self.statement(sql)?;
        self.count();
        self.client.query_one(&statement, params)
    }

    /// Hands over row by row, as long as `take` wants more.
    pub(super) fn each(
        &mut self,
        sql: &'static str,
        take: &mut dyn FnMut(&Row) -> Result<bool, PgFault>,
    ) -> Result<(), PgFault> {
        let statement = self.statement(sql)?;
        let none: [&(dyn ToSql + Sync); 0] = [];
        let mut rows = self.client.query_raw(&statement, none)?;
        while let Some(row) = rows.next()? {
            if !take(&row)? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn execute(&mut self, sql: &'static str, params: SqlParams<'_>) -> Result<u64, ::postgres::Error> {
        let statement = self.statement(sql)?;
        self.count();
        self.client.execute(&statement, params)
    }

    /// Statements without parameters.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), ::postgres::Error> {
        self.count();
        self.client.batch_execute(sql)
    }

    /// Runs `work` in a transaction. Where it is not known whether that was committed, the error names it.
    pub(super) fn transact<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, PgFault>) -> Result<T, PgFault> {
        self.batch("BEGIN")?;
        let done = work(self).and_then(|done| {
            let number: Option<String> = self.one(TRANSACTION, &[])?.try_get(0)?;
            Ok((done, number))
        });
        match done {
            Ok((done, number)) => match self.batch("COMMIT") {
                Ok(()) => Ok(done),
                Err(error) if fault::is_undone(&error) => Err(PgFault::Sql(error)),
                // What wrote nothing has no number, and may be run again.
                Err(error) => Err(number.map_or(PgFault::Sql(error), PgFault::Unknown)),
            },
            Err(fault) => {
                // A connection that is gone has rolled back by itself.
                self.batch("ROLLBACK").ok();
                Err(fault)
            }
        }
    }
}

/// The number of the transaction, if it has written anything.
const TRANSACTION: &str = "SELECT pg_current_xact_id_if_assigned()::text";

/// What became of a transaction.
const STATUS: &str = "SELECT pg_xact_status($1::text::xid8)";

/// How long it is asked what became of a transaction, while the server is away or has not ended it.
const ASKED: Duration = Duration::from_secs(60);

/// A place for a session.
pub(super) struct Link {
    target: Arc<ConnectTarget>,
    session: Option<Session>,
    /// No attempt to connect before this time.
    due: Instant,
    wait: Duration,
    /// What the last attempt failed with.
    reason: String,
    /// Statements that were sent.
    round_trips: Arc<AtomicU64>,
}

impl Link {
    pub(super) fn new(target: &Arc<ConnectTarget>) -> Self {
        Self {
            target: Arc::clone(target),
            session: None,
            due: Instant::now(),
            wait: FIRST_WAIT,
            reason: String::new(),
            round_trips: Arc::default(),
        }
    }

    /// Statements that were sent so far.
    pub(super) fn round_trips(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.round_trips)
    }

    /// The session, made anew if it is gone. Fails at once while the pause after a failed attempt lasts.
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

    /// Runs what may be run twice: again, on a new connection, where the old one turns out to be gone.
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

    /// Runs a transaction, and finds out what became of it. Runs it again where it collided with another one, or where the
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
            let result = self.session()?.transact(|session| {
                done = Some(work(session)?);
                Ok(())
            });
            let dropped = self.drops(&result);
            let fault = match (result, done) {
                (Ok(()), Some(done)) => return Ok(done),
                (Err(PgFault::Unknown(number)), Some(done)) => {
                    if self.find_out(&number)? {
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

    /// Lets the session go if its connection is gone: the client itself only knows once it is used again, and not even then
    /// that it is of no use. Returns whether it was so.
    fn drops<T>(&mut self, result: &Result<T, PgFault>) -> bool {
        let gone = result.as_ref().err().is_some_and(PgFault::ends_session);
        if gone {
            self.session = None;
        }
        gone
    }

    /// Whether the transaction of this number was committed.
    fn find_out(&mut self, number: &str) -> Result<bool, PgFault> {
        tracing::warn!(
            number,
            store = self.target.name,
            "the connection was lost while a transaction was being committed"
        );
        let until = Instant::now() + ASKED;
        loop {
            let status = self.read(|session| {
                let status: Option<String> = session.one(STATUS, &[&number])?.try_get(0)?;
                Ok(status)
            });
            match status {
                Ok(Some(status)) if status == "committed" => return Ok(true),
                Ok(Some(status)) if status == "aborted" => return Ok(false),
                Ok(None) => return Err(PgFault::Unknown(number.to_owned())),
                // It is still being ended, or the server is away.
                Ok(Some(_)) | Err(_) if Instant::now() < until => pause(Duration::from_millis(50)),
                Ok(Some(_)) | Err(_) => return Err(PgFault::Unknown(number.to_owned())),
            }
        }
    }
}

/// Waits for what nothing announces: the end of a transaction, or of a host, whose connection is gone.
pub(super) fn pause(time: Duration) {
    let nobody = Mutex::new(());
    Condvar::new().wait_for(&mut nobody.lock(), time);
}
