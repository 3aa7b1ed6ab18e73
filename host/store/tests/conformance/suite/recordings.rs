//! Recordings: batches of lines, a ring for each handler.

use sandman_core::store::{RecordingStore, RecordingWrite};

use super::*;

fn write(handler: &str, keep: u64, line: &str) -> RecordingWrite {
    RecordingWrite {
        handler: handler.into(),
        keep,
        line: line.into(),
    }
}

fn record_all(store: &dyn Store, recordings: Vec<RecordingWrite>) {
    let commit = Commit {
        recordings,
        ..Commit::default()
    };
    committed(store, &commit);
}

fn lines(store: &dyn RecordingStore, handler: &str) -> Vec<String> {
    let batches = store.recordings(handler, None, 100).unwrap();
    batches.into_iter().map(|batch| batch.lines).collect()
}

pub(crate) fn a_commit_is_one_batch_per_handler_and_lines_are_taken_out_of_it(backend: &mut impl Backend) {
    let (here, there) = (backend.host(), backend.host());
    let both = vec![
        write("a", 100, "one"),
        write("b", 100, "two"),
        write("a", 100, "three\u{0}é"),
    ];
    record_all(&*here, both);
    record_all(&*there, vec![write("a", 100, "four")]);
    assert_eq!(lines(&*here, "a"), ["four", "one\nthree\u{0}é"]);
    assert_eq!(lines(&*there, "b"), ["two"]);
    assert_eq!(lines(&*there, "nobody"), [""; 0]);
    let newest = here.recordings("a", None, 1).unwrap();
    let older = here.recordings("a", Some(newest[0].number), 9).unwrap();
    assert_eq!(here.recording_batch(older[0].number).unwrap(), Some(older[0].clone()));
    assert!(there.keep_of_recordings(&older[0], "three").unwrap());
    assert!(there.keep_of_recordings(&newest[0], "").unwrap());
    assert_eq!(here.recording_batch(newest[0].number).unwrap(), None);
    // What one has taken out does not come back with what another takes out, who has read it before.
    assert!(!here.keep_of_recordings(&older[0], "one").unwrap());
    assert!(!here.keep_of_recordings(&older[0], "").unwrap());
    assert!(!here.keep_of_recordings(&newest[0], "four").unwrap());
    drop((here, there));
    backend.restart();
    assert_eq!(lines(&*backend.host(), "a"), ["three"]);
}

pub(crate) fn a_ring_keeps_the_newest_within_its_bound(backend: &mut impl Backend) {
    let store = backend.host();
    let kept = |line: &str| {
        record_all(&*store, vec![write("a", 10, line), write("other", 1_000, "x")]);
        lines(&*store, "a")
    };
    assert_eq!(kept("1111"), ["1111"]);
    assert_eq!(kept("222222"), ["222222", "1111"]);
    assert_eq!(kept("3"), ["3", "222222"]);
    assert_eq!(
        kept("44444444444444"),
        ["44444444444444"],
        "the newest stays, whatever its size"
    );
    assert_eq!(kept("5"), ["5"]);
    assert_eq!(lines(&*store, "other").len(), 5);
    assert_eq!(store.recordings_bytes("other").unwrap(), 5);
    assert_eq!(store.recordings_bytes("nobody").unwrap(), 0);
}

pub(crate) fn a_commit_tells_how_large_its_rings_are(backend: &mut impl Backend) {
    let store = backend.host();
    let sizes = |store: &dyn Store, recordings: Vec<RecordingWrite>| {
        let commit = Commit {
            recordings,
            ..Commit::default()
        };
        let told = committed(store, &commit).recordings;
        let told = told
            .into_iter()
            .map(|size| (size.handler.to_string(), size.bytes, size.gone));
        told.collect::<Vec<_>>()
    };
    assert_eq!(sizes(&*store, vec![write("a", 10, "1111")]), [("a".to_owned(), 4, 0)]);
    assert_eq!(
        sizes(&*store, vec![write("b", 10, "1"), write("a", 10, "222222")]),
        [("b".to_owned(), 1, 0), ("a".to_owned(), 10, 0)]
    );
    drop(store);
    backend.restart();
    let store = backend.host();
    assert_eq!(store.recordings_bytes("a").unwrap(), 10);
    assert_eq!(sizes(&*store, vec![write("a", 10, "3")]), [("a".to_owned(), 7, 4)]);
    assert_eq!(sizes(&*store, Vec::new()), []);
    // Of a commit with more than a quarter of what is kept, the newest stay.
    let many = vec![write("c", 40, "one"), write("c", 40, "two"), write("c", 40, "three")];
    assert_eq!(sizes(&*store, many), [("c".to_owned(), 9, 3)]);
}

pub(crate) fn of_a_commit_with_more_than_a_quarter_of_what_is_kept_the_newest_stay(backend: &mut impl Backend) {
    let store = backend.host();
    record_all(&*store, vec![write("a", 100, "before")]);
    let many = (0..50).map(|n| write("a", 100, &format!("line {n:>4}")));
    record_all(&*store, many.collect());
    assert_eq!(lines(&*store, "a"), ["line   48\nline   49", "before"]);
    // One that is larger than all of it stays alone.
    let large = "x".repeat(101);
    record_all(&*store, vec![write("a", 100, "small"), write("a", 100, &large)]);
    assert_eq!(lines(&*store, "a"), [large]);
}
