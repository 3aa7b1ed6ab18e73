//! The batches of recordings that a commit makes, one for each handler.

use std::sync::Arc;

use sandman_core::store::RecordingWrite;

/// The part of what a handler may keep that the recordings of one commit may take: batches are dropped whole, and a ring of a
/// few of them would lose most of what it holds with each that comes.
const SHARE: u64 = 4;

/// The recordings of one handler in a commit.
pub(crate) struct RingBatch<'a> {
    pub(crate) handler: &'a Arc<str>,
    /// Its lines in one text, in their order.
    pub(crate) lines: String,
    /// Bytes that the handler may keep.
    pub(crate) keep: u64,
    /// Bytes of lines that are more than a quarter of that, and left out.
    pub(crate) left_out: u64,
}

/// The recordings of each handler. Of lines that are more than a quarter of what it may keep, the newest stay, at least one.
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
