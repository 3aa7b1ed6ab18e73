//! The names of uploaded files.

use sandman_core::store::{Commit, FilesWrite};

use super::{Backend, committed_at, conflict, delete, put, states, text};

const A: &str = "avatar-1-a.png";
const B: &str = "avatar-2-b.png";

/// From now on the state of the key names these files.
fn names(key: &str, names: &[&str]) -> Commit {
    Commit {
        files: vec![FilesWrite {
            handler: text("profile"),
            key: text(key),
            names: names.iter().map(|name| text(name)).collect(),
        }],
        ..Commit::default()
    }
}

pub(crate) fn a_file_is_without_a_name_from_its_listing_or_its_last_name_on(backend: &mut impl Backend) {
    let (store, files) = (backend.host(), backend.files());
    files.list_files(&[A, B], 10).unwrap();
    // It is listed already, since before.
    files.list_files(&[A], 20).unwrap();
    assert!(files.take_unnamed_files(9, 10).unwrap().is_empty());
    committed_at(&*store, &names("ada", &[A, B]), 30);
    // A state names it.
    files.list_files(&[A], 30).unwrap();
    assert!(files.take_unnamed_files(1_000, 10).unwrap().is_empty());
    committed_at(&*store, &names("bob", &[A]), 40);
    committed_at(&*store, &names("ada", &[]), 50);
    assert!(files.take_unnamed_files(49, 10).unwrap().is_empty());
    assert_eq!(files.take_unnamed_files(50, 10).unwrap(), [B]);
    committed_at(&*store, &names("bob", &[]), 60);
    assert!(files.take_unnamed_files(59, 10).unwrap().is_empty());
    drop((store, files));
    backend.restart();
    let files = backend.files();
    assert_eq!(files.take_unnamed_files(60, 10).unwrap(), [A]);
    assert!(files.take_unnamed_files(i64::MAX, 10).unwrap().is_empty());
}

pub(crate) fn names_come_and_go_with_the_commits_of_their_states(backend: &mut impl Backend) {
    let (store, files) = (backend.host(), backend.files());
    let with = |write, files: Commit| Commit {
        states: vec![write],
        ..files
    };
    files.list_files(&[A, B], 0).unwrap();
    let first = committed_at(&*store, &with(put("ada", None, "1"), names("ada", &[A])), 1).revisions;
    // A commit that is refused names nothing and takes no name away.
    conflict(&*store, &with(put("ada", None, "2"), names("ada", &[B])));
    assert_eq!(files.take_unnamed_files(1_000, 10).unwrap(), [B]);
    // Of one key of one handler, whatever others name.
    committed_at(&*store, &names("bob", &[]), 2);
    assert!(files.take_unnamed_files(1_000, 10).unwrap().is_empty());
    // A write that says nothing of files changes no name.
    let second = committed_at(&*store, &states(vec![put("ada", first[0], "2")]), 3).revisions;
    assert!(files.take_unnamed_files(1_000, 10).unwrap().is_empty());
    committed_at(&*store, &with(delete("ada", second[0]), names("ada", &[])), 4);
    assert_eq!(files.take_unnamed_files(1_000, 10).unwrap(), [A]);
}

pub(crate) fn unnamed_files_are_taken_oldest_first_and_once(backend: &mut impl Backend) {
    let files = backend.files();
    let listed: Vec<String> = (0..9).map(|number| format!("avatar-1-{number}.png")).collect();
    for (name, since) in listed.iter().zip([5, 3, 8, 1, 7, 2, 6, 4, 9]) {
        files.list_files(&[name], since).unwrap();
    }
    let mut first = files.take_unnamed_files(8, 3).unwrap();
    first.sort();
    assert_eq!(first, [&*listed[1], &*listed[3], &*listed[5]]);
    assert_eq!(files.take_unnamed_files(8, 100).unwrap().len(), 5);
    assert!(files.take_unnamed_files(8, 100).unwrap().is_empty());
    // What could not be removed is listed again.
    files.list_files(&[&listed[3], &listed[1]], 1).unwrap();
    assert_eq!(files.take_unnamed_files(8, 100).unwrap().len(), 2);
    assert_eq!(files.take_unnamed_files(9, 100).unwrap(), [&*listed[8]]);
}
