//! Sweeps of a real folder, against a store in memory.

use std::fs;

use tempfile::TempDir;

use super::*;
use sandman_core::outcome::StateChange;
use sandman_core::store::{Commit, StateWrite};
use sandman_engine::meters::Meters;
use sandman_store::SqliteStore;

const KEEP: Duration = Duration::from_millis(1_000);

struct Scene {
    place: TempDir,
    sweep: Sweep,
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        fs::create_dir(place.path().join("avatars")).expect("a folder");
        let store = Arc::new(SqliteStore::in_memory().expect("a store"));
        let meters = Meters::new().http();
        let sweep = Sweep::new(place.path(), KEEP, Arc::default(), store, meters);
        Self { place, sweep }
    }

    fn file(&self, name: &str) {
        fs::write(self.place.path().join("avatars").join(name), "x").expect("a file");
    }

    fn is_there(&self, name: &str) -> bool {
        self.place.path().join("avatars").join(name).exists()
    }

    /// From now on the user's state is this document.
    fn put(&self, key: &str, document: &str) {
        let stored = self.sweep.store.state("profile", key).expect("a store that reads");
        let state = StateWrite {
            handler: "profile".into(),
            key: key.into(),
            base: stored.map(|stored| stored.revision),
            change: StateChange::Put(document.into()),
            recent: None,
        };
        let commit = Commit {
            states: vec![state],
            ..Commit::default()
        };
        self.sweep.store.commit(&commit, 0).expect("a commit");
    }

    fn sweep(&self, now: i64) -> u64 {
        self.sweep.sweep(now, &|| false).expect("a sweep")
    }
}

fn naming(name: &str) -> String {
    format!(r#"{{"avatar":"/uploads/avatars/{name}"}}"#)
}

#[test]
fn what_no_state_names_goes_when_its_time_is_over_and_not_before() {
    let scene = Scene::new();
    for name in ["avatar-1-a.png", "avatar-1-b.png", "avatar-1-c.png#2"] {
        scene.file(name);
    }
    scene.put("ada", &naming("avatar-1-a.png"));
    assert_eq!(scene.sweep(10_000), 0);
    assert_eq!(scene.sweep(10_999), 0);
    assert!(scene.is_there("avatar-1-b.png") && scene.is_there("avatar-1-c.png#2"));
    assert_eq!(scene.sweep(11_000), 2);
    assert!(!scene.is_there("avatar-1-b.png") && !scene.is_there("avatar-1-c.png#2"));
    assert!(scene.is_there("avatar-1-a.png"));
}

#[test]
fn a_replaced_file_is_kept_from_its_replacement_on() {
    let scene = Scene::new();
    scene.file("avatar-1-a.png");
    scene.put("ada", &naming("avatar-1-a.png"));
    assert_eq!(scene.sweep(0), 0);
    scene.file("avatar-2-b.png");
    scene.put("ada", &naming("avatar-2-b.png"));
    assert_eq!(scene.sweep(50_000), 0);
    assert_eq!(scene.sweep(50_500), 0);
    // Named again in between: the time begins anew.
    scene.put("ada", &naming("avatar-1-a.png"));
    assert_eq!(scene.sweep(50_900), 0);
    scene.put("ada", &naming("avatar-2-b.png"));
    assert_eq!(scene.sweep(51_500), 0);
    assert_eq!(scene.sweep(52_500), 1);
    assert!(!scene.is_there("avatar-1-a.png") && scene.is_there("avatar-2-b.png"));
}

#[test]
fn the_file_of_a_request_under_way_is_left_alone() {
    let scene = Scene::new();
    scene.sweep.held.hold("avatars/avatar-1-a.png");
    scene.file("avatar-1-a.png");
    scene.file("avatar-1-a.png#1");
    assert_eq!((scene.sweep(0), scene.sweep(90_000)), (0, 0));
    scene.sweep.held.release("avatars/avatar-1-a.png");
    assert_eq!((scene.sweep(90_000), scene.sweep(91_000)), (0, 2));
}

#[test]
fn what_a_sweep_that_was_cut_off_has_put_aside_is_brought_back_if_a_state_names_it() {
    let scene = Scene::new();
    for name in ["avatar-1-a.png", "avatar-1-b.png"] {
        scene.file(name);
        let file = FoundFile {
            path: format!("avatars/{name}"),
        };
        scene.sweep.folder.put_aside(&file).expect("a move");
    }
    scene.put("ada", &naming("avatar-1-a.png"));
    assert_eq!(scene.sweep(0), 1);
    assert!(scene.is_there("avatar-1-a.png") && !scene.is_there("avatar-1-b.png"));
    assert_eq!(scene.sweep.folder.aside().expect("a folder"), []);
}

#[test]
fn all_states_are_read_however_many_there_are() {
    let scene = Scene::new();
    for n in 0..2 * STATES {
        scene.put(&format!("u-{n}"), "{}");
    }
    scene.file("avatar-1-a.png");
    scene.put("last", &naming("avatar-1-a.png"));
    assert_eq!((scene.sweep(0), scene.sweep(90_000)), (0, 0));
    assert!(scene.is_there("avatar-1-a.png"));
    let stopped = scene.sweep.sweep(90_000, &|| true);
    assert!(matches!(stopped, Err(SweepError::Stopped)), "{stopped:?}");
}

#[test]
fn a_ledger_that_cannot_be_read_keeps_files_for_longer() {
    let scene = Scene::new();
    scene.file("avatar-1-a.png");
    assert_eq!(scene.sweep(0), 0);
    fs::write(scene.place.path().join("unnamed.json"), "{").expect("a file");
    assert_eq!((scene.sweep(90_000), scene.sweep(91_000)), (0, 1));
}
