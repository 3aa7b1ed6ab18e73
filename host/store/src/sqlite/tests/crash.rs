//! A crash leaves whole commits: the files are copied, cut or taken from the midst of a transaction, and opened.

use std::fs;

use super::*;

/// A copy of the store's file with the first `end` bytes of its log, as a crash would leave them.
fn crashed(scene: &Scene, end: usize) -> Scene {
    let copy = Scene {
        folder: TempDir::new().unwrap(),
        store: None,
    };
    let log = fs::read(with_log(&scene.path())).unwrap();
    fs::copy(scene.path(), copy.path()).unwrap();
    fs::write(with_log(&copy.path()), &log[..end.min(log.len())]).unwrap();
    copy
}

fn with_log(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

fn log_length(scene: &Scene) -> usize {
    fs::metadata(with_log(&scene.path())).unwrap().len() as usize
}

/// A commit of every kind of change, all of which carry its number.
fn numbered(number: u64, base: Option<Revision>) -> Commit {
    let text = number.to_string();
    Commit {
        states: vec![
            put("u1", base, &text),
            put(&format!("other{number}"), None, &"x".repeat(3_000)),
        ],
        outbox: vec![record(&text)],
        attempts: attempt(i64::try_from(number).unwrap(), Some(1)).attempts,
        ..progress(i64::try_from(number).unwrap(), 1)
    }
}

/// The number of the last commit, which every part of the store must agree on.
fn last_commit(store: &SqliteStore) -> u64 {
    let last = numbers(store).len() as u64;
    let expected = (last > 0).then_some(last);
    assert_eq!(document(store, "u1"), expected.map(|number| number.to_string()));
    assert_eq!(next(store), expected.map(|number| i64::try_from(number).unwrap()));
    assert_eq!(attempts(store).len() as u64, last);
    assert_eq!(size(store).last, last);
    assert_eq!(size(store).batches, last);
    for number in 1..=last + 1 {
        assert_eq!(document(store, &format!("other{number}")).is_some(), number <= last);
    }
    last
}

#[test]
fn a_log_cut_anywhere_holds_whole_commits_and_all_that_were_acknowledged_before_the_cut() {
    let scene = Scene::new();
    let (mut base, mut ends) = (None, vec![(0, log_length(&scene))]);
    for number in 1..=6 {
        base = scene.commit(numbered(number, base)).revisions[0];
        ends.push((number, log_length(&scene)));
    }
    let end = ends.last().unwrap().1;
    for cut in (ends[0].1..=end).step_by(997).chain([end]) {
        let mut copy = crashed(&scene, cut);
        copy.reopen();
        let acknowledged = ends.iter().rev().find(|(_, end)| *end <= cut).unwrap().0;
        assert_eq!(last_commit(copy.store()), acknowledged, "cut at {cut}");
        // And it goes on from there.
        let base = copy.store().state("profile", "u1").unwrap();
        copy.commit(numbered(acknowledged + 1, base.map(|state| state.revision)));
        assert_eq!(last_commit(copy.store()), acknowledged + 1);
    }
}

#[test]
fn a_crash_inside_a_transaction_leaves_nothing_of_it() {
    let scene = Scene::new();
    let base = scene.commit(numbered(1, None)).revisions[0];
    let mut copy = None;
    // So little memory that the transaction's pages go to the log while it runs.
    let few_pages = 2;
    let writer = scene.store().writer.lock();
    writer
        .connection()
        .pragma_update(None, "cache_size", few_pages)
        .unwrap();
    drop(writer);
    let before = log_length(&scene);
    scene.interrupt(&numbered(2, base), || {
        assert!(
            log_length(&scene) > before,
            "the transaction must have reached the disk"
        );
        copy = Some(crashed(&scene, usize::MAX));
    });
    let mut copy = copy.unwrap();
    copy.reopen();
    assert_eq!(last_commit(copy.store()), 1);
    assert_eq!(last_commit(scene.store()), 1);
    scene.commit(numbered(2, base));
    assert_eq!(last_commit(scene.store()), 2);
}

#[test]
fn a_panic_inside_a_transaction_leaves_nothing_of_it() {
    let scene = Scene::new();
    let base = scene.commit(numbered(1, None)).revisions[0];
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scene.interrupt(&numbered(2, base), || panic!("on purpose"));
    }));
    panicked.unwrap_err();
    assert_eq!(last_commit(scene.store()), 1);
    scene.commit(numbered(2, base));
}

/// What that is good for shows only where an fsync fails and the power goes: `disk-fsync-fails` of `torture`.
#[test]
fn a_log_that_is_written_again_is_as_it_was() {
    let scene = Scene::new();
    scene.commit(numbered(1, None));
    let copy = crashed(&scene, usize::MAX);
    let before = fs::read(with_log(&copy.path())).unwrap();
    assert!(!before.is_empty());
    place::write_log_again(&copy.path()).unwrap();
    assert_eq!(fs::read(with_log(&copy.path())).unwrap(), before);
    fs::remove_file(with_log(&copy.path())).unwrap();
    place::write_log_again(&copy.path()).unwrap();
    assert!(!with_log(&copy.path()).exists(), "none is made where there is none");
}

#[test]
fn a_store_that_has_failed_leaves_its_log_as_it_is() {
    let mut scene = Scene::new();
    scene.commit(numbered(1, None));
    scene.store().commit(&published(99), 7).unwrap_err();
    scene.store = None;
    assert!(log_length(&scene) > 0);
    scene.reopen();
    assert_eq!(last_commit(scene.store()), 1);
    scene.store = None;
    assert!(
        !with_log(&scene.path()).exists(),
        "one that has not empties it into the file"
    );
}
