//! One connection, with prepared statements, or without them if a pooler gives each transaction another session of the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::postgres::fallible_iterator::FallibleIterator;
use ::postgres::types::{ToSql, Type};
use ::postgres::{Client, NoTls, Row, Statement};

use super::fault::{self, PgFault};
use super::target::ConnectTarget;

/// Settings of each session, or of each transaction. An acknowledged commit is on disk; nothing waits for ever, neither
/// for a lock nor with one. Everything is searched by an index or a place: a plan that was made while a table was small is
/// kept for the session, and would read all of it when it has grown. Such plans look expensive, and are not worth compiling.
const SETTINGS: [&str; 7] = [
    "synchronous_commit = on",
    "statement_timeout = '20s'",
    "lock_timeout = '5s'",
    "idle_in_transaction_session_timeout = '5s'",
    "client_min_messages = warning",
    "enable_seqscan = off",
    "jit = off",
];

/// Counts the transactions of a connection, in each of them: if the response to a COMMIT is lost, the host asks for the
/// count. The server's own transaction ids can be assigned again after a crash or a failover, and then do not identify
/// a transaction.
const COUNT: &str = "
    INSERT INTO transactions AS t (link, number, used) VALUES ($1, 1, now())
    ON CONFLICT (link) DO UPDATE SET number = t.number + 1, used = excluded.used RETURNING number, ctid::text";
/// The same where the row was last: old versions of it are not visited.
const COUNT_AT: &str = "
    UPDATE transactions SET number = number + 1, used = now() WHERE ctid = $1::text::tid AND link = $2
    RETURNING number, ctid::text";

/// Reads the count once the transaction that changes the row has ended.
const LAST: &str = "
    INSERT INTO transactions AS t (link, number, used) VALUES ($1, 0, now())
    ON CONFLICT (link) DO UPDATE SET used = excluded.used RETURNING number";

/// The transactions of a connection and of its successors.
#[derive(Clone)]
pub(super) struct TransactionCount {
    name: String,
    /// How many were committed. A server with a lower count has lost some.
    pub(super) last: i64,
    /// Where the row was last.
    place: Option<String>,
}

/// Parameters of a statement.
pub(super) type SqlParams<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One connection.
pub(super) struct Session {
    client: Client,
    round_trips: Arc<AtomicU64>,
    /// The prepared statements of this session.
    statements: HashMap<&'static str, Statement>,
    /// The statement that begins a transaction.
    begin: String,
    /// The types of statements' parameters, if nothing is prepared because the next transaction may have another session.
    pooled: Option<HashMap<&'static str, Vec<Type>>>,
    in_transaction: bool,
}

impl Session {
    pub(super) fn open(target: &ConnectTarget, round_trips: &Arc<AtomicU64>) -> Result<Self, ::postgres::Error> {
        let client = match &target.tls {
            Some(tls) => target.config.connect(tls.clone())?,
            None => target.config.connect(NoTls)?,
        };
        let settings = |word: &str| {
            let path = format!("search_path = \"{}\"", target.schema);
            let all = std::iter::once(path.as_str()).chain(SETTINGS);
            let all: Vec<String> = all.map(|setting| format!("{word} {setting}")).collect();
            all.join("; ")
        };
        let mut session = Self {
            client,
            round_trips: Arc::clone(round_trips),
            statements: HashMap::new(),
            begin: "BEGIN ISOLATION LEVEL READ COMMITTED".to_owned(),
            pooled: target.pooled.then(HashMap::new),
            in_transaction: false,
        };
        match target.pooled {
            true => session.begin = format!("{}; {}", session.begin, settings("SET LOCAL")),
            false => session.client.batch_execute(&settings("SET"))?,
        }
        Ok(session)
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
        if self.pooled.is_some() {
            let mut rows = Vec::new();
            self.within(|session| session.unprepared(sql, params, &mut |row| rows.push(row)))?;
            return Ok(rows);
        }
        let statement = self.statement(sql)?;
        self.count();
        self.client.query(&statement, params)
    }

    pub(super) fn one(&mut self, sql: &'static str, params: SqlParams<'_>) -> Result<Row, PgFault> {
        let none = || PgFault::Damaged(format!("nothing is there for: {sql}"));
        self.query(sql, params)?.into_iter().next().ok_or_else(none)
    }

    /// Passes row by row to `take`, as long as it wants more. Within a transaction.
    pub(super) fn each(
        &mut self,
        sql: &'static str,
        take: &mut dyn FnMut(&Row) -> Result<bool, PgFault>,
    ) -> Result<(), PgFault> {
        self.count();
        let none: [(&(dyn ToSql + Sync), Type); 0] = [];
        let mut rows = self.client.query_typed_raw(sql, none)?;
        while let Some(row) = rows.next()? {
            if !take(&row)? {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn execute(&mut self, sql: &'static str, params: SqlParams<'_>) -> Result<u64, ::postgres::Error> {
        if self.pooled.is_some() {
            return self.within(|session| session.unprepared(sql, params, &mut |_| {}));
        }
        let statement = self.statement(sql)?;
        self.count();
        self.client.execute(&statement, params)
    }

    /// Runs statements without parameters.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), ::postgres::Error> {
        if self.pooled.is_some() {
            return self.within(|session| session.send(sql));
        }
        self.send(sql)
    }

    fn send(&mut self, sql: &str) -> Result<(), ::postgres::Error> {
        self.count();
        self.client.batch_execute(sql)
    }

    /// Runs an unnamed statement in one round trip, except for the first time, which asks for its parameters' types.
    fn unprepared(
        &mut self,
        sql: &'static str,
        params: SqlParams<'_>,
        each: &mut dyn FnMut(Row),
    ) -> Result<u64, ::postgres::Error> {
        self.count();
        let known = self.pooled.as_ref().and_then(|types| types.get(sql));
        let types = match known {
            Some(types) => types.clone(),
            None => {
                self.count();
                // It is removed from the server before the transaction ends.
                let types = self.client.prepare(sql)?.params().to_vec();
                if let Some(known) = &mut self.pooled {
                    known.insert(sql, types.clone());
                }
                types
            }
        };
        let typed = params.iter().copied().zip(types);
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = typed.collect();
        let mut rows = self.client.query_typed_raw(sql, typed)?;
        while let Some(row) = rows.next()? {
            each(row);
        }
        Ok(rows.rows_affected().unwrap_or_default())
    }

    /// Behind a pooler every statement runs in a transaction, so that the store's settings apply.
    fn within<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, ::postgres::Error>,
    ) -> Result<T, ::postgres::Error> {
        if self.in_transaction {
            return work(self);
        }
        self.begin()?;
        let done = work(self);
        let ended = self.end(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
        let done = done?;
        ended.map(|()| done)
    }

    fn begin(&mut self) -> Result<(), ::postgres::Error> {
        let begin = std::mem::take(&mut self.begin);
        let begun = self.send(&begin);
        self.begin = begin;
        self.in_transaction = begun.is_ok();
        begun
    }

    fn end(&mut self, how: &str) -> Result<(), ::postgres::Error> {
        self.in_transaction = false;
        self.send(how)
    }

    /// Runs `work` in a transaction, which is counted. If it is not known whether it was committed, the error has its
    /// number; without a count, it is an ordinary error.
    pub(super) fn transact<T>(
        &mut self,
        mut counted: Option<&mut TransactionCount>,
        work: impl FnOnce(&mut Self) -> Result<T, PgFault>,
    ) -> Result<T, PgFault> {
        self.begin()?;
        let done = work(self).and_then(|done| {
            let number = counted.as_ref().map(|count| count.next(self)).transpose()?;
            Ok((done, number))
        });
        match done {
            Ok((done, number)) => match self.end("COMMIT") {
                Ok(()) => {
                    if let (Some(count), Some((number, place))) = (&mut counted, number) {
                        count.last = number;
                        count.place = Some(place);
                    }
                    Ok(done)
                }
                Err(error) if fault::is_undone(&error) => Err(PgFault::Sql(error)),
                Err(error) => Err(number.map_or(PgFault::Sql(error), |(number, _)| PgFault::Unknown(number))),
            },
            Err(fault) => {
                // A connection that is gone has rolled back automatically.
                self.end("ROLLBACK").ok();
                Err(fault)
            }
        }
    }
}

impl TransactionCount {
    /// A count under that name, with no transaction committed yet.
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            last: 0,
            place: None,
        }
    }

    /// Counts the transaction that is open. Returns its number and the place of the row.
    fn next(&self, session: &mut Session) -> Result<(i64, String), PgFault> {
        let known = match &self.place {
            Some(place) => session.query(COUNT_AT, &[place, &self.name])?.into_iter().next(),
            None => None,
        };
        let row = known.map_or_else(|| session.one(COUNT, &[&self.name]), Ok)?;
        let number: i64 = row.try_get(0)?;
        match self.last > 0 && number != self.last + 1 {
            true => Err(PgFault::Lost),
            false => Ok((number, row.try_get(1)?)),
        }
    }

    /// The count of committed transactions on the server. Waits for one that is ending: its row is locked, or being added.
    pub(super) fn committed(&self, session: &mut Session) -> Result<i64, PgFault> {
        Ok(session.one(LAST, &[&self.name])?.try_get(0)?)
    }
}
