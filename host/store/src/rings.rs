//! The batches of recordings in a commit, one for each handler.

use std::sync::Arc;

use sandman_core::store::RecordingWrite;

/// The recordings of one commit may take a quarter of the bytes that a handler may keep: batches are dropped
/// completely, and with only a few large ones each new batch would drop most of the recordings.
const SHARE: u64 = 4;

/// The recordings of one handler in a commit.
pub(crate) struct RingBatch<'a> {
    pub(crate) handler: &'a Arc<str>,
    /// Its lines, joined in their order.
    pub(crate) lines: String,
    /// Bytes that the handler may keep.
    pub(crate) keep: u64,
    /// Bytes of lines that were left out because they exceed a quarter of that.
    pub(crate) left_out: u64,
}

/// The recordings of each handler. If they exceed a quarter of the bytes that it may keep, only the newest are kept, at
/// least one.
pub(crate) fn by_handler(writes: &[RecordingWrite]) -> Vec<RingBatch<'_>> {
    let mut all: Vec<(&Arc<str>, Vec<&str>, u64)> = Vec::new();
    for write in writes {
        match all.iter_mut().find(|(handler, ..)| **handler == write.handler) {
            Some((_, lines, keep)) => {
                lines.push(&write.line);
                *keep = write.keep;
            }
            None => all.push((&write.handler, vec![&write.line], write.keep)),
        }
    }
    let batch = |(handler, lines, keep): (_, Vec<&str>, u64)| {
        let bytes = |lines: &[&str]| lines.iter().map(|line| line.len() as u64).sum::<u64>();
        let all = bytes(&lines);
        let newest = newest(lines, keep / SHARE);
        RingBatch {
            handler,
            left_out: all - bytes(&newest),
            lines: newest.join("\n"),
            keep,
        }
    };
    all.into_iter().map(batch).collect()
}

/// The last of the lines, at least one, that together have at most `bytes`.
fn newest(mut lines: Vec<&str>, bytes: u64) -> Vec<&str> {
    let mut left = bytes;
    let fit = lines.iter().rev().take_while(|line| {
        let rest = left.checked_sub(line.len() as u64 + 1);
        left = rest.unwrap_or(0);
        rest.is_some()
    });
    let gone = lines.len() - fit.count().max(1).min(lines.len());
    lines.split_off(gone)
}
