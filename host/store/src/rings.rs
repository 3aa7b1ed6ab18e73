//! The batches of recordings that a commit makes, one for each handler.

use std::sync::Arc;

use sandman_core::store::RecordingWrite;

/// The part of what a handler may keep that the recordings of one commit may take: batches are dropped whole, and a ring of a
/// few of them would lose most of what it holds with each that comes.
const SHARE: u64 = 4;

/// The lines of each handler in one text, in their order, and how much the handler may keep. Of lines that are more than a
/// quarter of that, the newest stay, at least one.
pub(crate) fn by_handler(writes: &[RecordingWrite]) -> Vec<(&Arc<str>, String, u64)> {
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
    let text = |(handler, lines, keep): (_, Vec<&str>, u64)| (handler, newest(lines, keep / SHARE).join("\n"), keep);
    all.into_iter().map(text).collect()
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
