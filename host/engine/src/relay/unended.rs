//! Transactions of ours that Kafka has not ended: neither visible nor aborted, they block read-committed consumers.
//!
//! A coordinator that is killed between its decision and the markers in the partitions may forget the markers (seen
//! with Apache Kafka 4.3.1, one node that is broker and controller). Such records wait until the next transaction of
//! the same producer ends in their partition, and then end in the same way. Each transaction begins with the cursor, so
//! a cursor in an open transaction reveals them; the relay handles them after it opens a publisher and before it
//! publishes anything else.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{CursorRefusal, FIRST_WAIT, Relay, RelayError, RelayProgress, Resume, pace};
use sandman_core::broker::{Cursor, PublishError, Publisher};
use sandman_core::event::OutRecord;
use sandman_core::store::BatchNo;

/// How long the relay waits for a cursor that is behind, or for an open transaction to end.
const SETTLE: Duration = Duration::from_secs(5);
/// The same for a confirmed transaction, after another one has ended after it.
const LONGEST_SETTLE: Duration = Duration::from_secs(180);
/// Tests with a Kafka in memory do not wait.
const WAITED: Duration = if cfg!(test) { LONGEST_SETTLE } else { Duration::ZERO };
const LOOK_AGAIN: Duration = if cfg!(test) { Duration::ZERO } else { FIRST_WAIT };

/// An open transaction of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Unended {
    /// Kafka has confirmed it: it must become visible. Its cursor.
    Confirmed(Cursor),
    /// Its outcome is not known. If nobody can have seen it, it can be aborted: the outbox has its batches.
    Doubtful {
        /// The cursor that is visible.
        after: Cursor,
        /// The cursor in the transaction.
        last: Cursor,
    },
}

/// Classifies the open transaction with the cursor `open`, when `after` is visible and the store has dropped batches up
/// to `told`, or is about to. `None` if it has no relevant records.
fn unended(
    found: &Result<Resume, CursorRefusal>,
    (published, told): (BatchNo, BatchNo),
    after: Cursor,
    open: Option<Cursor>,
) -> Option<Unended> {
    let open = open?;
    match found {
        Err(CursorRefusal::CursorBehind { .. }) => (open.batch == published).then_some(Unended::Confirmed(open)),
        Err(_) => None,
        Ok(_) if !open.is_ahead_of(&after) => None,
        // It moved only held topics. The store may already have dropped some of its batches; these were confirmed and
        // cannot be published again.
        Ok(_) if open.batch == after.batch && open.moved(&after).any(|topic| after.at(topic) < told) => {
            Some(Unended::Confirmed(open))
        }
        Ok(_) => Some(Unended::Doubtful { after, last: open }),
    }
}

/// Whether a record of this batch is in the transaction of the cursor `last`, when `after` is visible.
fn within(after: &Cursor, last: &Cursor, topic: &str, batch: BatchNo) -> bool {
    after.at(topic) < batch && batch <= last.at(topic)
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// Accept the result.
    Go,
    /// Look again.
    Wait,
    /// End it.
    End(Unended),
    /// We cannot end it, because it is not our producer's.
    Foreign,
}

/// What to do next, given the time since the first look and since the attempt to end it, if there was one.
fn next(behind: bool, unended: Option<Unended>, waited: Duration, mended: Option<Duration>) -> Next {
    let since = mended.unwrap_or(waited);
    match unended {
        None if behind && since < SETTLE => Next::Wait,
        None => Next::Go,
        Some(unended) if mended.is_none() && waited >= SETTLE => Next::End(unended),
        Some(_) if since < SETTLE => Next::Wait,
        Some(Unended::Confirmed(_)) if since < LONGEST_SETTLE => Next::Wait,
        Some(Unended::Confirmed(_)) => Next::Go,
        Some(Unended::Doubtful { .. }) => Next::Foreign,
    }
}

impl Relay {
    /// Compares the cursor with the store once nobody else can move the cursor, and ends transactions that Kafka has
    /// left open. A confirmed transaction may become visible later: the relay waits for that.
    pub(super) fn settled(&self, publisher: &mut dyn Publisher, progress: RelayProgress) -> Result<Resume, RelayError> {
        let began = Instant::now();
        let mut mended: Option<Instant> = None;
        loop {
            // Reading may take long: the result is as old as the beginning of the read.
            let (waited, since) = (WAITED + began.elapsed(), mended.map(|mended| WAITED + mended.elapsed()));
            // Before the cursor is read, so that a transaction that ends in between is seen there.
            let open = self.open_cursor()?;
            let size = self.size(progress)?;
            let cursor = self.broker.cursor()?;
            let size = self.until_read(size, cursor.as_ref())?;
            let found = self.compared(cursor.as_ref(), size);
            let after = match (&found, cursor) {
                (Ok(Resume::Claim { batch, .. }), _) => self.cursor(*batch),
                (_, cursor) => cursor.unwrap_or_else(|| self.cursor(0)),
            };
            let told = self.store.outbox_size(self.lease.shard)?.published.max(progress.told);
            let unended = unended(&found, (size.published, told), after, open);
            let behind = matches!(found, Err(CursorRefusal::CursorBehind { .. }));
            match next(behind, unended, waited, since) {
                Next::Go => {
                    if waited >= FIRST_WAIT {
                        tracing::info!(after = ?waited, settled = found.is_ok(), "waited for the last transaction to end");
                    }
                    return Ok(found?);
                }
                Next::Wait => {}
                Next::End(unended) => {
                    self.end(publisher, unended)?;
                    mended = Some(Instant::now());
                }
                Next::Foreign => {
                    let reason =
                        "another producer has an open transaction with this store's cursor; if it stays, look for it \
                                  with kafka-transactions.sh find-hanging"
                            .to_owned();
                    return Err(PublishError::Aborted { reason }.into());
                }
            }
            if self.give_up.load(Ordering::Relaxed) {
                let reason = "the host stops while the last transaction has not ended".to_owned();
                return Err(PublishError::Aborted { reason }.into());
            }
            self.rest(LOOK_AGAIN);
        }
    }

    /// Ends it by another transaction that ends in the same way. After a commit, its records become visible with the
    /// next commit in their partitions, and the cursor at once; an abort covers all partitions of its topics.
    fn end(&self, publisher: &mut dyn Publisher, unended: Unended) -> Result<(), RelayError> {
        match unended {
            Unended::Confirmed(cursor) => {
                tracing::warn!(
                    batch = cursor.batch,
                    "kafka confirmed a transaction and did not end it; the next ones end it"
                );
                publisher.publish(&mut [].iter(), &cursor).map(drop)?;
            }
            Unended::Doubtful { after, last } => {
                let records = self.records(&after, &last)?;
                let (after, batch) = (after.batch, last.batch);
                // Kafka may have written the markers in some of the partitions. Records that the outbox no longer has
                // were confirmed.
                if records.is_empty() || self.broker.any_visible(&records)? {
                    tracing::warn!(
                        after,
                        last = batch,
                        "kafka ended a transaction in some partitions only; the next ones end it in the others"
                    );
                    publisher.publish(&mut [].iter(), &last).map(drop)?;
                    return Ok(());
                }
                tracing::warn!(
                    after,
                    last = batch,
                    "kafka did not end a transaction; it is aborted, and its batches are published again"
                );
                let mut smallest: HashMap<&str, &OutRecord> = HashMap::new();
                for record in &records {
                    let known = smallest.entry(&record.topic).or_insert(record);
                    if record.bytes() < known.bytes() {
                        *known = record;
                    }
                }
                publisher.withdraw(&mut smallest.into_values(), &last)?;
            }
        }
        Ok(())
    }

    /// The records of the outbox in the transaction of the cursor `last`, where `after` is visible.
    fn records(&self, after: &Cursor, last: &Cursor) -> Result<Vec<OutRecord>, RelayError> {
        let mut records = Vec::new();
        let moved = last.moved(after).map(|topic| after.at(topic));
        let mut at = moved
            .chain((last.batch > after.batch).then_some(after.batch))
            .min()
            .unwrap_or(last.batch);
        while at < last.batch {
            let batches = self.store.outbox(self.lease.shard, at, pace::MOST)?;
            let Some(newest) = batches.last() else {
                break;
            };
            at = newest.number;
            for batch in batches {
                let ours = |record: &OutRecord| within(after, last, &record.topic, batch.number);
                records.extend(batch.records.into_iter().filter(ours));
            }
        }
        Ok(records)
    }

    /// The cursor of an open transaction, if it is this store's.
    fn open_cursor(&self) -> Result<Option<Cursor>, RelayError> {
        let open = self.broker.open_cursor()?;
        Ok(open.filter(|cursor| *cursor.store == *self.store.id().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_knows_comes_into_view_and_what_it_does_not_is_taken_back() {
        let behind = |published, cursor| Err(CursorRefusal::CursorBehind { published, cursor });
        let claim = |batch| Ok(Resume::Claim { batch, raise: false });
        let at = |batch| cursor(batch, &[]);
        let doubtful = |after, last| {
            Some(Unended::Doubtful {
                after: at(after),
                last: at(last),
            })
        };
        for (found, published, open, is) in [
            (Ok(Resume::Behind(7)), 7, None, None),
            (Ok(Resume::Behind(7)), 7, Some(9), doubtful(7, 9)),
            (Ok(Resume::Behind(8)), 7, Some(9), doubtful(8, 9)),
            // It says no more than what is visible.
            (Ok(Resume::Behind(7)), 7, Some(7), None),
            (claim(0), 0, Some(0), None),
            (claim(0), 0, Some(2), doubtful(0, 2)),
            (behind(9, 7), 9, Some(9), Some(Unended::Confirmed(at(9)))),
            // Not what the store knows of: something else is wrong here.
            (behind(9, 7), 9, Some(8), None),
            (behind(9, 7), 9, Some(10), None),
            (Err(CursorRefusal::OlderStore { last: 1, cursor: 2 }), 1, Some(2), None),
        ] {
            let after = match found {
                Ok(Resume::Behind(batch) | Resume::Claim { batch, .. }) => at(batch),
                Err(_) => at(7),
            };
            let open = open.map(at);
            let said = unended(&found, (published, published), after, open.clone());
            assert_eq!(said, is, "{found:?}, {published}, {open:?}");
        }
    }

    fn cursor(batch: BatchNo, held: &[(&str, BatchNo)]) -> Cursor {
        Cursor {
            store: "us".into(),
            batch,
            held: held.iter().map(|(topic, at)| ((*topic).to_owned(), *at)).collect(),
        }
    }

    #[test]
    fn an_open_transaction_of_a_held_topic_alone_is_seen_to_as_well() {
        let found = Ok(Resume::Behind(9));
        let after = cursor(9, &[("t", 4), ("u", 3)]);
        let moved = cursor(9, &[("t", 7), ("u", 3)]);
        let released = cursor(9, &[("u", 3)]);
        for open in [&moved, &released] {
            let doubtful = Unended::Doubtful {
                after: after.clone(),
                last: open.clone(),
            };
            let said = unended(&found, (9, 3), after.clone(), Some(open.clone()));
            assert_eq!(said, Some(doubtful));
            // The store has dropped all of it, or a part: another topic holds back the rest.
            for told in [9, 5] {
                let said = unended(&found, (9, told), after.clone(), Some(open.clone()));
                assert_eq!(said, Some(Unended::Confirmed(open.clone())));
            }
            assert_eq!(
                unended(&found, (9, 3), open.clone(), Some(after.clone())),
                None,
                "it is older"
            );
        }
        let of = |topic, batch| within(&after, &moved, topic, batch);
        assert!(of("t", 5) && of("t", 7) && !of("t", 4) && !of("t", 8));
        assert!(!of("u", 5) && !of("v", 5));
    }

    #[test]
    fn nothing_goes_on_while_a_transaction_is_open() {
        let (second, doubtful) = (
            Duration::from_secs,
            Some(Unended::Doubtful {
                after: cursor(7, &[]),
                last: cursor(9, &[]),
            }),
        );
        let confirmed = Some(Unended::Confirmed(cursor(9, &[])));
        let (doubtful, confirmed) = (|| doubtful.clone(), || confirmed.clone());
        for (behind, unended, waited, mended, is) in [
            (false, None, 0, None, Next::Go),
            (true, None, 0, None, Next::Wait),
            (true, None, 5, None, Next::Go),
            (true, None, 60, Some(1), Next::Wait),
            (false, doubtful(), 4, None, Next::Wait),
            // However late the first look that counts.
            (false, doubtful(), 60, None, doubtful().map_or(Next::Go, Next::End)),
            (false, doubtful(), 60, Some(4), Next::Wait),
            (false, doubtful(), 60, Some(5), Next::Foreign),
            (false, None, 60, Some(1), Next::Go),
            (true, confirmed(), 4, None, Next::Wait),
            (true, confirmed(), 400, None, confirmed().map_or(Next::Go, Next::End)),
            (true, confirmed(), 400, Some(179), Next::Wait),
            (true, confirmed(), 400, Some(180), Next::Go),
        ] {
            let mended = mended.map(second);
            let said = next(behind, unended.clone(), second(waited), mended);
            assert_eq!(said, is, "{behind}, {unended:?}, {waited}, {mended:?}");
        }
    }
}
