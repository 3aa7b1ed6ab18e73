//! Whether the deployment's cursor and the store belong together, and where the relay continues.
//!
//! Pure. A refusal here prevents harm by a second store or an old backup.

use thiserror::Error;

use sandman_core::broker::Cursor;
use sandman_core::store::{BatchNo, OutboxSize};

/// Where the relay continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// After this batch; the cursor already names us.
    Behind(BatchNo),
    /// After this batch, once the cursor names us. `raise`: the store's batch numbers must continue above it.
    Claim { batch: BatchNo, raise: bool },
}

/// Why this store must not publish for this deployment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CursorRefusal {
    /// The cursor names another store.
    #[error(
        "the deployment belongs to store {theirs}, not to this store {ours}: another host runs it, or ran it on another \
         store; stop that host, or give this one its own `[host] deployment`; to take over for good, run with --adopt"
    )]
    OtherStore {
        /// The store in the cursor.
        theirs: String,
        /// Our store.
        ours: String,
    },
    /// The cursor is ahead of everything that the store ever committed.
    #[error(
        "the store is older than what was published: it ends at batch {last}, Kafka has batch {cursor}; it is a restored \
         backup; running it would publish events again; restore a newer one, or run with --adopt to accept that"
    )]
    OlderStore {
        /// The store's last batch.
        last: BatchNo,
        /// The cursor's batch.
        cursor: BatchNo,
    },
    /// The cursor is behind the last batch that the store knows to be published. This is certain only once the
    /// transactional id is ours, because Kafka confirms a transaction before its end is written everywhere.
    #[error(
        "the store's progress and events belong to a Kafka where the deployment's cursor stands at batch {published} or \
         above, but here it is at batch {cursor}: this is another cluster, its data is older, the relay's topic was deleted, \
         `[host] deployment` was changed, or Kafka took back what it had confirmed; mend that, or run with --adopt to go on \
         with this one, without what it lacks"
    )]
    CursorBehind {
        /// The last batch that the store knows to be published.
        published: BatchNo,
        /// The cursor's batch.
        cursor: BatchNo,
    },
    /// The cursor is gone, although the store knows that there was one.
    #[error(
        "the store's progress and events belong to a Kafka where the deployment's cursor stands at batch {published} or \
         above, but here it is gone: this is another cluster, the relay's topic was deleted, or `[host] deployment` was \
         changed; mend that, or run with --adopt to go on with this one"
    )]
    CursorLost {
        /// The last batch that the store knows to be published.
        published: BatchNo,
    },
}

/// Decides from the result before the transactional id is ours whether to take it over and look again.
///
/// If a cursor names us and is behind, Kafka may still be ending a confirmed transaction of ours. Taking over the
/// transactional id then fences no rightful owner, and waits for that end.
pub(super) fn provisional(found: Result<Resume, CursorRefusal>) -> Result<(), CursorRefusal> {
    match found {
        Ok(_) | Err(CursorRefusal::CursorBehind { .. }) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// Compares the cursor with the store. With `adopt`, the store takes over a cursor that does not belong to it.
pub(super) fn reconcile(
    cursor: Option<&Cursor>,
    ours: &str,
    size: OutboxSize,
    adopt: bool,
) -> Result<Resume, CursorRefusal> {
    let OutboxSize {
        last,
        published,
        claimed,
        ..
    } = size;
    let claim = Resume::Claim {
        batch: published,
        raise: false,
    };
    let (refusal, adopted) = match cursor {
        None if published == 0 && !claimed => return Ok(claim),
        None => (CursorRefusal::CursorLost { published }, claim),
        Some(Cursor { store, .. }) if store != ours => {
            let refusal = CursorRefusal::OtherStore {
                theirs: store.clone(),
                ours: ours.to_owned(),
            };
            (refusal, claim)
        }
        Some(Cursor { batch, .. }) if *batch > last => (
            CursorRefusal::OlderStore { last, cursor: *batch },
            Resume::Claim {
                batch: *batch,
                raise: true,
            },
        ),
        Some(Cursor { batch, .. }) if *batch < published => {
            let refusal = CursorRefusal::CursorBehind {
                published,
                cursor: *batch,
            };
            (refusal, claim)
        }
        Some(Cursor { batch, .. }) => return Ok(Resume::Behind(*batch)),
    };
    if adopt { Ok(adopted) } else { Err(refusal) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn size(published: BatchNo, last: BatchNo) -> OutboxSize {
        OutboxSize {
            last,
            published,
            ..OutboxSize::default()
        }
    }

    fn claimed(size: OutboxSize) -> OutboxSize {
        OutboxSize { claimed: true, ..size }
    }

    fn cursor(store: &str, batch: BatchNo) -> Cursor {
        Cursor {
            store: store.into(),
            batch,
            held: BTreeMap::default(),
        }
    }

    #[test]
    fn a_cursor_that_is_ours_is_followed_although_the_store_heard_less() {
        assert_eq!(
            reconcile(Some(&cursor("us", 7)), "us", size(5, 9), false),
            Ok(Resume::Behind(7))
        );
        assert_eq!(
            reconcile(None, "us", size(0, 3), false),
            Ok(Resume::Claim { batch: 0, raise: false })
        );
    }

    #[test]
    fn only_a_cursor_that_is_ours_and_behind_is_looked_at_again_once_nobody_else_can_move_it() {
        let first = |cursor: Option<Cursor>| provisional(reconcile(cursor.as_ref(), "us", size(5, 9), false));
        assert_eq!(first(Some(cursor("us", 5))), Ok(()));
        assert_eq!(first(Some(cursor("us", 4))), Ok(()));
        assert!(first(Some(cursor("them", 4))).is_err(), "its owner would be fenced");
        assert!(first(Some(cursor("us", 10))).is_err());
        assert!(first(None).is_err());
    }

    #[test]
    fn what_does_not_belong_together_is_refused_unless_adopted() {
        let claim = |batch, raise| Ok(Resume::Claim { batch, raise });
        for (cursor, size, adopted) in [
            (Some(cursor("them", 7)), size(5, 9), claim(5, false)),
            (Some(cursor("us", 10)), size(5, 9), claim(10, true)),
            (Some(cursor("us", 4)), size(5, 9), claim(5, false)),
            (None, size(5, 9), claim(5, false)),
            // It has stood on a cluster, and has published nothing yet: its offsets are that cluster's all the same.
            (None, claimed(size(0, 3)), claim(0, false)),
        ] {
            assert!(reconcile(cursor.as_ref(), "us", size, false).is_err(), "{cursor:?}");
            assert_eq!(reconcile(cursor.as_ref(), "us", size, true), adopted, "{cursor:?}");
        }
    }
}
