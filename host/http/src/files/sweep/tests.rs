//! Sweeps of a real folder, against a store in memory.

use std::fs;

use tempfile::TempDir;

use super::*;
use sandman_config::UploadsUrl;
use sandman_core::store::{Commit, FilesWrite, Store};
use sandman_engine::meters::Meters;
use sandman_store::SqliteStore;

struct Scene {
    place: TempDir,
    store: Arc<SqliteStore>,
    sweep: Sweep,
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a folder");
        fs::create_dir(place.path().join("avatars")).expect("a folder");
        let store = Arc::new(SqliteStore::in_memory().expect("a store"));
        let sweep = Sweep {
            files: StoredFiles::open(&UploadsUrl::Folder(place.path().to_owned())).expect("a folder"),
            held: Arc::default(),
            store: Arc::clone(&store) as _,
            keep: Duration::from_millis(1_000),
            meters: Meters::new().http(),
        };
        Self { place, store, sweep }
    }

    /// A file that is there, listed in the store or not.
    fn file(&self, name: &str, listed: Option<i64>) {
        fs::write(self.place.path().join("avatars").join(name), "x").expect("a file");
        if let Some(since) = listed {
            self.store.list_files(&[name], since).expect("a commit");
        }
    }

    fn is_there(&self, name: &str) -> bool {
        self.place.path().join("avatars").join(name).exists()
    }

    /// From now on the user's state names this file.
    fn name(&self, key: &str, name: Option<&str>, now: i64) {
        let files = FilesWrite {
            handler: "profile".into(),
            key: key.into(),
            names: name.into_iter().map(Arc::from).collect(),
        };
        let commit = Commit {
            files: vec![files],
            ..Commit::default()
        };
        self.store.commit(&commit, now).expect("a commit");
    }

    async fn sweep(&self, now: i64) -> u64 {
        self.sweep.sweep(now, &|| false).await.expect("a sweep")
    }

    async fn start(&self, now: i64) -> u64 {
        self.sweep.list(now, &|| false).await.expect("a list");
        self.sweep(now).await
    }
}

#[tokio::test]
async fn what_no_state_names_goes_when_its_time_is_over_and_not_before() {
    let scene = Scene::new();
    for name in ["avatar-1-a.png", "avatar-1-b.png"] {
        scene.file(name, Some(9_000));
    }
    scene.name("ada", Some("avatar-1-a.png"), 9_500);
    assert_eq!(scene.sweep(9_999).await, 0);
    assert!(scene.is_there("avatar-1-b.png"));
    assert_eq!(scene.sweep(10_000).await, 1);
    assert!(!scene.is_there("avatar-1-b.png") && scene.is_there("avatar-1-a.png"));
    assert_eq!(scene.sweep(90_000).await, 0);
}

#[tokio::test]
async fn a_replaced_file_is_kept_from_its_replacement_on() {
    let scene = Scene::new();
    scene.file("avatar-1-a.png", Some(0));
    scene.name("ada", Some("avatar-1-a.png"), 0);
    scene.file("avatar-2-b.png", Some(50_000));
    scene.name("ada", Some("avatar-2-b.png"), 50_000);
    assert_eq!(scene.sweep(50_500).await, 0);
    // Named again in between: the time begins anew.
    scene.name("bob", Some("avatar-1-a.png"), 50_900);
    assert_eq!(scene.sweep(51_500).await, 0);
    scene.name("bob", None, 52_000);
    assert_eq!((scene.sweep(52_999).await, scene.sweep(53_000).await), (0, 1));
    assert!(!scene.is_there("avatar-1-a.png") && scene.is_there("avatar-2-b.png"));
}

#[tokio::test]
async fn a_file_that_two_states_name_goes_after_the_second() {
    let scene = Scene::new();
    scene.file("avatar-1-a.png", None);
    scene.name("ada", Some("avatar-1-a.png"), 0);
    scene.name("bob", Some("avatar-1-a.png"), 0);
    scene.name("ada", None, 10_000);
    assert_eq!(scene.start(90_000).await, 0);
    scene.name("bob", None, 90_000);
    assert_eq!((scene.sweep(90_999).await, scene.sweep(91_000).await), (0, 1));
}

#[tokio::test]
async fn the_file_of_a_request_under_way_is_left_alone() {
    let scene = Scene::new();
    scene.sweep.held.hold("avatars/avatar-1-a.png");
    scene.file("avatar-1-a.png", Some(0));
    scene.file("avatar-1-a.png#1", None);
    assert_eq!((scene.sweep(0).await, scene.sweep(90_000).await), (0, 0));
    assert!(scene.is_there("avatar-1-a.png") && scene.is_there("avatar-1-a.png#1"));
    scene.sweep.held.release("avatars/avatar-1-a.png");
    assert_eq!(scene.sweep(90_000).await, 1);
    assert!(!scene.is_there("avatar-1-a.png") && !scene.is_there("avatar-1-a.png#1"));
}

#[tokio::test]
async fn files_that_the_store_does_not_know_are_found_and_kept_from_then_on() {
    let scene = Scene::new();
    for name in [
        "avatar-1-a.png",
        "avatar-1-b.png#1",
        "avatar-1-c.png",
        "notes.txt",
        "photo-1-a.png",
    ] {
        scene.file(name, None);
    }
    scene.name("ada", Some("avatar-1-c.png"), 0);
    assert_eq!(scene.start(50_000).await, 0);
    // Found before: its time does not begin anew.
    assert_eq!(scene.start(50_500).await, 0);
    assert_eq!((scene.sweep(50_999).await, scene.sweep(51_000).await), (0, 2));
    for (name, is_there) in [
        ("avatar-1-a.png", false),
        ("avatar-1-b.png#1", false),
        ("avatar-1-c.png", true),
        ("notes.txt", true),
        ("photo-1-a.png", true),
    ] {
        assert_eq!(scene.is_there(name), is_there, "{name}");
    }
}

#[tokio::test]
async fn more_than_one_step_is_swept_at_once_and_a_stop_leaves_the_rest() {
    let scene = Scene::new();
    let names: Vec<String> = (0..=STEP).map(|n| format!("avatar-1-{n}.png")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    scene.store.list_files(&names, 0).expect("a commit");
    scene.file("avatar-1-0.png", None);
    scene.file("avatar-1-999.png", None);
    let stopped = scene.sweep.sweep(90_000, &|| true).await;
    assert!(matches!(stopped, Err(SweepError::Stopped)), "{stopped:?}");
    assert_eq!(scene.sweep(90_000).await, 2);
    assert!(scene.store.take_unnamed_files(90_000, 1).expect("a commit").is_empty());
}
