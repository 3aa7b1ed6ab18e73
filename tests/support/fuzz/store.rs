//! What lies in the store's file: progress and outbox batches, as a host finds them after a crash.

use std::collections::BTreeSet;

use sandman_core::event::{Headers, OutRecord};
use sandman_core::progress::{Progress, Span};
use sandman_store::fuzzing;

use super::cursor::Cursor;

/// Progress: what any spans come to, and what any bytes are read as.
pub fn progress(data: &[u8]) {
    if let Some(progress) = written_and_read(data, fuzzing::progress, fuzzing::progress_bytes) {
        sound(progress);
    }
    let mut given = Cursor(data);
    let first = i64::from(given.byte());
    let (mut progress, mut done) = (Progress::starting_at(first), BTreeSet::new());
    while !given.is_empty() {
        let start = i64::from(given.byte());
        let end = start + i64::from(given.byte() % 16) - 2;
        progress.complete(Span { start, end });
        done.extend(start.max(first)..end);
    }
    let is_done = |offset: i64| offset < first || done.contains(&offset);
    for offset in 0..300 {
        assert_eq!(progress.contains(offset), is_done(offset), "offset {offset}");
    }
    assert_eq!(Some(progress.next()), (first..).find(|offset| !is_done(*offset)));
    let bytes = fuzzing::progress_bytes(&progress).expect("progress is written");
    assert_eq!(fuzzing::progress(&bytes).as_ref(), Ok(&progress));
    sound(progress);
}

/// What every progress is that a host wrote: `next` is not done, and all of it together is one run in the end.
fn sound(mut progress: Progress) {
    let next = progress.next();
    assert!(!progress.contains(next), "reading would start at what is done");
    progress.complete(Span {
        start: next,
        end: i64::MAX,
    });
    assert_eq!(progress, Progress::starting_at(i64::MAX), "something is left over");
}

/// Batches of the outbox: bytes are the records that a host wrote, or refused.
pub fn outbox(data: &[u8]) {
    written_and_read(data, fuzzing::batch, |records| fuzzing::batch_bytes(records));
    let mut given = Cursor(data);
    let mut records = Vec::new();
    while !given.is_empty() && records.len() < 20 {
        records.push(OutRecord {
            timestamp_millis: None,
            topic: given.text().into(),
            key: given.large(),
            value: given.large(),
            headers: Headers::from_bytes(given.bytes()).unwrap_or_default(),
        });
    }
    let bytes = fuzzing::batch_bytes(&records).expect("a batch is written");
    assert_eq!(fuzzing::batch(&bytes).as_ref(), Ok(&records));
    // A page that was not written to its end.
    let cut = data.len() % bytes.len();
    assert!(
        fuzzing::batch(&bytes[..cut]).is_err(),
        "cut at {cut} of {}",
        bytes.len()
    );
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(fuzzing::batch(&longer).is_err(), "what follows the end is taken");
}

/// What bytes are read as, if they are; written and read again it is the same.
fn written_and_read<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    read: fn(&[u8]) -> Result<T, String>,
    write: fn(&T) -> Result<Vec<u8>, String>,
) -> Option<T> {
    match read(data) {
        Ok(value) => {
            let bytes = write(&value).expect("what was read is written");
            // Bytes of an earlier format lack what later ones say of each record.
            let earlier = bytes.first() != data.first();
            assert!(earlier || bytes.len() <= data.len(), "it grows");
            assert_eq!(read(&bytes).as_ref(), Ok(&value));
            Some(value)
        }
        Err(why) => {
            assert!(!why.is_empty(), "refused without a reason");
            None
        }
    }
}
