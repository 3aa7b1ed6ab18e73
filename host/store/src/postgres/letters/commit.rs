//! The changes of dead letters in commits, including the results of redrives.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ::postgres::Row;

use super::super::fault::{PgFault, storable, to_sql};
use super::super::schema;
use super::super::session::Session;
use sandman_core::reason::GivenUp;
use sandman_core::store::{
    Commit, CommitConflict, CommittedBatch, Hold, LetterId, LetterWrite, NewLetter, OrderResult, Pause, Shard,
};

/// Writes a commit's changes of dead letters, and drops the oldest ones beyond the limit that are in Kafka. Returns how
/// many were dropped. `batches` are those of the commit's own records, `handlers` the ids of its handlers.
pub(in super::super) fn write(
    session: &mut Session,
    commit: &Commit,
    batches: &[CommittedBatch],
    (handlers, shards): (&HashMap<Arc<str>, i32>, u16),
    now: i64,
) -> Result<u64, PgFault> {
    let number = |name: &Arc<str>| handlers.get(name).copied().unwrap_or_default();
    let (mut gone, mut orders) = (Vec::new(), BTreeMap::<i64, OrderResult>::new());
    let mut end = |id: LetterId, job: Option<JobOf>, what: fn(&mut OrderResult) -> &mut u64| match job {
        Some(Some(job)) => *what(orders.entry(job).or_default()) += 1,
        Some(None) => {}
        None => gone.push(id),
    };
    for write in &commit.letters {
        match write {
            LetterWrite::Add(letter) => {
                let shard = Shard::of(letter.record.key.as_deref(), shards);
                let batch = batches.iter().find(|batch| batch.shard == shard);
                let batch = batch.map_or(0, |batch| batch.number);
                add(session, letter, number(&letter.handler), (shard, batch))?;
            }
            LetterWrite::Done(id) => end(*id, handled(session, *id)?, |order| &mut order.handled),
            LetterWrite::Duplicate(id) => end(*id, handled(session, *id)?, |order| &mut order.duplicates),
            LetterWrite::Failed(id, given_up) => {
                end(*id, failed(session, *id, given_up)?, |order| &mut order.failed);
            }
            LetterWrite::Release(name) => release(session, (number(&name.handler), &name.key), now)?,
            LetterWrite::DropHead(name) => {
                let handler = number(&name.handler);
                session.execute(schema::DROP_HEAD, &[&handler, &name.key.as_bytes()])?;
                release(session, (handler, &name.key), now)?;
            }
            LetterWrite::Pause(handler, Some(Pause { at_millis, by, reason })) => {
                let (by, reason) = (storable(by), storable(reason));
                session.execute(schema::SET_PAUSE, &[&number(handler), at_millis, &by, &reason])?;
            }
            LetterWrite::Pause(handler, None) => {
                session.execute(schema::DROP_PAUSE, &[&number(handler)])?;
            }
        }
    }
    if !gone.is_empty() {
        return Err(PgFault::Overtaken(CommitConflict {
            letters: gone,
            ..CommitConflict::default()
        }));
    }
    for (job, order) in &orders {
        let [handled, duplicates, failed] = [order.handled, order.duplicates, order.failed].map(to_sql);
        session.execute(schema::COUNT_ORDER, &[job, &handled, &duplicates, &failed])?;
    }
    let adds = commit.letters.iter().any(|write| matches!(write, LetterWrite::Add(_)));
    match adds {
        false => Ok(0),
        true => Ok(session.execute(schema::SHRINK_LETTERS, &[&to_sql(commit.letters_bound)])?),
    }
}

/// Releases the held letters of a key, and changes its revision, so that every host notices.
fn release(session: &mut Session, (handler, key): (i32, &str), now: i64) -> Result<(), PgFault> {
    let key = key.as_bytes();
    session.execute(schema::RELEASE_KEY, &[&handler, &key])?;
    session.execute(schema::REVISE_STATE, &[&handler, &key, &now])?;
    Ok(())
}

/// The handlers whose ids a commit's letters need.
pub(in super::super) fn handlers(commit: &Commit) -> impl Iterator<Item = &Arc<str>> {
    commit.letters.iter().filter_map(|write| match write {
        LetterWrite::Add(letter) => Some(&letter.handler),
        LetterWrite::Release(name) | LetterWrite::DropHead(name) => Some(&name.handler),
        LetterWrite::Pause(handler, _) => Some(handler),
        LetterWrite::Done(_) | LetterWrite::Duplicate(_) | LetterWrite::Failed(..) => None,
    })
}

fn add(session: &mut Session, letter: &NewLetter, handler: i32, (shard, batch): (Shard, u64)) -> Result<(), PgFault> {
    let NewLetter {
        key,
        record,
        given_up,
        hold,
        ..
    } = letter;
    let key = key.as_ref().map(|key| key.as_bytes());
    session.execute(
        schema::ADD_LETTER,
        &[
            &handler,
            &key,
            &&*record.source.topic,
            &record.source.partition,
            &record.offset,
            &given_up.at_millis,
            &given_up.code.word(),
            &storable(&given_up.reason),
            &to_sql(given_up.version),
            &&*given_up.digest,
            &attempts(given_up),
            &i32::from(shard.0),
            &to_sql(batch),
            &to_sql(letter.bytes()),
            &record.timestamp_millis,
            &record.headers.as_bytes(),
            &record.key,
            &given_up.state.as_deref(),
            &record.value,
            &held(*hold),
        ],
    )?;
    Ok(())
}

fn attempts(given_up: &GivenUp) -> i32 {
    i32::try_from(given_up.attempts).unwrap_or(i32::MAX)
}

fn held(hold: Hold) -> i32 {
    match hold {
        Hold::No => 0,
        Hold::Head => 1,
        Hold::Behind => 2,
    }
}

/// The order that includes a letter, if any.
type JobOf = Option<i64>;

fn job_of(rows: &[Row]) -> Result<Option<JobOf>, PgFault> {
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// Removes a letter. Returns its order; `None` if it was no longer to be redriven.
fn handled(session: &mut Session, id: LetterId) -> Result<Option<JobOf>, PgFault> {
    job_of(&session.query(schema::DONE_LETTER, &[&to_sql(id)])?)
}

/// Keeps a letter that failed; those that wait behind it are no longer to be redriven. Returns its order; `None` if it
/// was no longer to be redriven.
fn failed(session: &mut Session, id: LetterId, given_up: &GivenUp) -> Result<Option<JobOf>, PgFault> {
    let state = given_up.state.as_deref();
    let texts = given_up.reason.len() + state.map_or(0, str::len);
    let found = session.query(
        schema::FAIL_LETTER,
        &[
            &to_sql(id),
            &given_up.at_millis,
            &given_up.code.word(),
            &storable(&given_up.reason),
            &to_sql(given_up.version),
            &&*given_up.digest,
            &attempts(given_up),
            &state,
            &to_sql(texts as u64),
        ],
    )?;
    if !found.is_empty() {
        session.execute(schema::STALL_KEY, &[&to_sql(id)])?;
    }
    job_of(&found)
}
