//! How many numbers of batches a host skips when it starts.
//!
//! A store that was restored from a backup knows nothing of the numbers that it gave after the backup. If it gave them again,
//! new batches would count as published. So each start skips a random amount: the numbers after a restore differ from those
//! before it, and a cursor from before it is among the skipped ones.

use uuid::Uuid;

use sandman_core::store::BatchNo;

/// As many are skipped at least, and less than twice as many. A shard gives that many numbers in 62 days at 200 commits a
/// second, and after five million starts the numbers still fit into the 53 bits that every reader of JSON has for them.
const LEAST: BatchNo = 1 << 30;

/// How many numbers to skip.
pub(crate) fn to_skip() -> BatchNo {
    let (random, ..) = Uuid::new_v4().as_fields();
    LEAST + BatchNo::from(random) % LEAST
}
