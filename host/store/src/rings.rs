//! The batches of recordings that a commit makes, one for each handler.

use std::sync::Arc;

use sandman_core::store::RecordingWrite;

/// The lines of each handler in one text, in their order, and how much the handler may keep. Of lines that are more than that,
/// the newest stay, at least one.
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
    let text = |(handler, lines, keep): (_, Vec<&str>, u64)| (handler, newest(lines, keep).join("\n"), keep);
    all.into_iter().map(text).collect()
}

/// The last of the lines, at least one, that together have at most `keep` bytes.
fn newest(mut lines: Vec<&str>, keep: u64) -> Vec<&str> {
    let mut left = keep;
    let fit = lines.iter().rev().take_while(|line| {
        let rest = left.checked_sub(line.len() as u64 + 1);
        left = rest.unwrap_or(0);
        rest.is_some()
    });
    let gone = lines.len() - fit.count().max(1).min(lines.len());
    lines.split_off(gone)
}
