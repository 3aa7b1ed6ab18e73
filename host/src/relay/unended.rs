//! Transactions of ours that Kafka has left without an end: neither visible nor taken back, and in the way of who reads
//! committed.
//!
//! A coordinator that is killed between its decision and the markers in the partitions may forget the markers (seen with
//! Apache Kafka 4.3.1, one node that is broker and controller). Such records wait until the next transaction of the same
//! producer ends in their partition, and share its end. So they are ended here before anything else is published.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{FIRST_WAIT, PATIENCE, Refusal, Relay, RelayError, Resume, TRANSACTION_BYTES};
use crate::kafka::{Cursor, PublishError, Publisher, read_open_cursor};
use crate::store::BatchNo;

/// How long a cursor that is behind, or a transaction that is open, may take to come right by itself.
const SETTLE: Duration = Duration::from_secs(5);
/// The same where the store knows that the transaction was confirmed.
const LONGEST_SETTLE: Duration = Duration::from_secs(180);

/// What an open transaction that is ours can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unended {
    /// The store knows that Kafka has confirmed it: it must come into view.
    Confirmed(BatchNo),
    /// Nobody knows what became of it, and nobody has seen it: the outbox has all of it, and it can be taken back.
    Doubtful {
        /// The last batch that is visible.
        after: BatchNo,
        /// The last one in the transaction.
        last: BatchNo,
    },
}

/// What the open transaction is whose cursor stands at `open`. `None` if it holds nothing that matters.
fn unended(found: &Result<Resume, Refusal>, published: BatchNo, open: Option<BatchNo>) -> Option<Unended> {
    let open = open?;
    match found {
        Err(Refusal::CursorBehind { .. }) => (open == published).then_some(Unended::Confirmed(open)),
        Err(_) => None,
        Ok(Resume::Behind(after) | Resume::Claim { batch: after, .. }) => {
            (open > *after).then_some(Unended::Doubtful {
                after: *after,
                last: open,
            })
        }
    }
}

impl Relay {
    /// What the cursor and the store say of each other once nobody else can move the cursor, and every transaction of ours
    /// has its end. What Kafka has confirmed it may show later: that is waited for.
    pub(super) fn settled(&self, publisher: &mut Publisher) -> Result<Resume, RelayError> {
        let (began, mut looks, mut mended) = (Instant::now(), 1, false);
        loop {
            // Before the cursor is looked at: a transaction that ends in between is seen there.
            let open = self.open_cursor()?;
            let found = self.found()?;
            let unended = unended(&found, self.store.outbox_size()?.published, open);
            let behind = matches!(found, Err(Refusal::CursorBehind { .. }));
            let longest = match unended {
                Some(Unended::Confirmed(_)) => LONGEST_SETTLE,
                // Who has another transactional id than ours can have left it.
                Some(Unended::Doubtful { .. }) => 2 * SETTLE,
                None => SETTLE,
            };
            let waited = began.elapsed();
            if (unended.is_none() && !behind) || waited >= longest {
                if looks > 1 {
                    tracing::info!(looks, after = ?waited, settled = found.is_ok(), ?unended, "the last transaction is looked at");
                }
                return Ok(found?);
            }
            if self.give_up.load(Ordering::Relaxed) {
                let reason = "the host stops while the last transaction has no end".to_owned();
                return Err(PublishError::Aborted { reason }.into());
            }
            if waited >= SETTLE
                && !mended
                && let Some(unended) = unended
            {
                self.end(publisher, unended)?;
                mended = true;
            }
            looks += 1;
            self.rest(FIRST_WAIT);
        }
    }

    /// Ends it by a transaction that ends likewise, in the same partitions if it is taken back.
    fn end(&self, publisher: &mut Publisher, unended: Unended) -> Result<(), RelayError> {
        match unended {
            Unended::Confirmed(batch) => {
                tracing::warn!(
                    batch,
                    "kafka confirmed a transaction and did not end it; the next ones end it"
                );
                publisher.publish([], &self.cursor(batch)).map(drop)?;
            }
            Unended::Doubtful { mut after, last } => {
                tracing::warn!(
                    after,
                    last,
                    "kafka did not end a transaction; it is taken back, and its batches follow anew"
                );
                let mut topics = HashMap::new();
                while after < last {
                    let batches = self.store.outbox(after, TRANSACTION_BYTES)?;
                    let Some(number) = batches.last().map(|batch| batch.number) else {
                        break;
                    };
                    after = number;
                    let records = batches.into_iter().flat_map(|batch| batch.records);
                    topics.extend(records.map(|record| (record.topic.clone(), record)));
                }
                publisher.withdraw(topics.values(), &self.cursor(last))?;
            }
        }
        Ok(())
    }

    /// The batch in the cursor of a transaction without an end, if it is this store's.
    fn open_cursor(&self) -> Result<Option<BatchNo>, RelayError> {
        let open = read_open_cursor(&self.settings, &self.cursor_topic(), &self.health, PATIENCE)?;
        let ours = |Cursor { store, batch }| (*store == *self.store.id().0).then_some(batch);
        Ok(open.and_then(ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_knows_comes_into_view_and_what_it_does_not_is_taken_back() {
        let behind = |published, cursor| Err(Refusal::CursorBehind { published, cursor });
        let claim = |batch| Ok(Resume::Claim { batch, raise: false });
        let doubtful = |after, last| Some(Unended::Doubtful { after, last });
        for (found, published, open, is) in [
            (Ok(Resume::Behind(7)), 7, None, None),
            (Ok(Resume::Behind(7)), 7, Some(9), doubtful(7, 9)),
            (Ok(Resume::Behind(8)), 7, Some(9), doubtful(8, 9)),
            // It says no more than what is visible.
            (Ok(Resume::Behind(7)), 7, Some(7), None),
            (claim(0), 0, Some(0), None),
            (claim(0), 0, Some(2), doubtful(0, 2)),
            (behind(9, 7), 9, Some(9), Some(Unended::Confirmed(9))),
            // Not what the store knows of: something else is wrong here.
            (behind(9, 7), 9, Some(8), None),
            (behind(9, 7), 9, Some(10), None),
            (Err(Refusal::OlderStore { last: 1, cursor: 2 }), 1, Some(2), None),
        ] {
            assert_eq!(unended(&found, published, open), is, "{found:?}, {published}, {open:?}");
        }
    }
}
