//! Versions: what is kept, what is active, what was done; over a restart.

use sha2::{Digest, Sha256};

use super::*;
use sandman_core::store::{Action, Activation, NewVersion, Outcome, VersionStore};

fn name() -> Arc<str> {
    "profile".into()
}

fn component(number: u64) -> Vec<u8> {
    format!("component {number}").into_bytes()
}

fn digest(number: u64) -> String {
    format!("{:x}", Sha256::digest(component(number)))
}

fn keep(store: &SqliteStore, number: u64) -> Result<(), StoreError> {
    let (digest, component) = (digest(number), component(number));
    let version = NewVersion {
        handler: &name(),
        number,
        digest: &digest,
        component: &component,
    };
    store.keep(&version, 5)
}

fn entry(action: Action, number: Option<u64>, outcome: Outcome) -> Activation {
    Activation {
        number,
        digest: number.map(|number| digest(number).into()),
        at_millis: 7,
        by: "ann".to_owned(),
        action,
        outcome,
        detail: String::new(),
    }
}

fn activate(store: &SqliteStore, action: Action, number: u64, keep: usize) -> Vec<String> {
    let entry = entry(action, Some(number), Outcome::Active);
    store.activate(&name(), &entry, keep).unwrap()
}

fn numbers_of(store: &SqliteStore) -> Vec<u64> {
    let versions = store.versions("profile").unwrap();
    versions.iter().map(|version| version.number).collect()
}

fn active(store: &SqliteStore) -> Option<u64> {
    store.active("profile").unwrap().map(|active| active.number)
}

#[test]
fn a_version_serves_once_it_is_activated_and_a_restart_changes_nothing() {
    let mut scene = Scene::new();
    assert_eq!((active(scene.store()), numbers_of(scene.store())), (None, vec![]));
    keep(scene.store(), 1).unwrap();
    scene.reopen();
    assert_eq!((active(scene.store()), numbers_of(scene.store())), (None, vec![1]));
    activate(scene.store(), Action::Start, 1, 10);
    keep(scene.store(), 2).unwrap();
    activate(scene.store(), Action::Deploy, 2, 10);
    let refused = entry(Action::Deploy, None, Outcome::Refused);
    scene.store().note(&name(), &refused).unwrap();
    scene.reopen();
    let store = scene.store();
    assert_eq!((active(store), numbers_of(store)), (Some(2), vec![2, 1]));
    assert_eq!(store.versions("profile").unwrap()[0].replaced, Some(1));
    assert_eq!(store.component(&digest(2)).unwrap(), Some(component(2)));
    let history = store.history("profile", 10).unwrap();
    assert_eq!(history[0], refused);
    assert_eq!(history.len(), 3);
    assert_eq!(history[2], entry(Action::Start, Some(1), Outcome::Active));
    assert_eq!(store.history("profile", 1).unwrap(), [refused]);
}

#[test]
fn the_newest_versions_and_the_active_one_are_kept_and_no_component_that_nobody_has() {
    let scene = Scene::new();
    let store = scene.store();
    for number in 1..=4 {
        keep(store, number).unwrap();
        assert_eq!(activate(store, Action::Deploy, number, 10), Vec::<String>::new());
    }
    let other: Arc<str> = "preferences".into();
    let same = NewVersion {
        handler: &other,
        number: 1,
        digest: &digest(2),
        component: &component(2),
    };
    store.keep(&same, 5).unwrap();
    assert_eq!(
        activate(store, Action::Rollback, 1, 2),
        Vec::<String>::new(),
        "the other has the second"
    );
    assert_eq!((active(store), numbers_of(store)), (Some(1), vec![4, 3, 1]));
    assert_eq!(activate(store, Action::Deploy, 4, 2), [digest(1)]);
    assert_eq!(numbers_of(store), [4, 3]);
    assert!(store.component(&digest(2)).unwrap().is_some());
    assert!(store.component(&digest(1)).unwrap().is_none());
}

#[test]
fn a_rollback_is_no_way_back_to_what_it_left() {
    let scene = Scene::new();
    let store = scene.store();
    for number in 1..=2 {
        keep(store, number).unwrap();
        activate(store, Action::Deploy, number, 10);
    }
    activate(store, Action::Rollback, 1, 10);
    let replaced: Vec<_> = store
        .versions("profile")
        .unwrap()
        .iter()
        .map(|version| version.replaced)
        .collect();
    assert_eq!(replaced, [Some(1), None]);
}

#[test]
fn numbers_are_not_used_twice_and_what_is_not_kept_does_not_serve() {
    let scene = Scene::new();
    let store = scene.store();
    keep(store, 1).unwrap();
    assert!(matches!(keep(store, 1), Err(StoreError::Conflict { .. })));
    let gone = entry(Action::Rollback, Some(9), Outcome::Active);
    assert!(matches!(
        store.activate(&name(), &gone, 10),
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!((active(store), store.history("profile", 9).unwrap()), (None, vec![]));
}

#[test]
fn a_component_that_the_disk_changed_does_not_serve() {
    let mut scene = Scene::new();
    for number in 1..=2 {
        keep(scene.store(), number).unwrap();
    }
    scene.store = None;
    let mut bytes = fs::read(scene.path()).unwrap();
    let there = bytes.windows(11).position(|bytes| bytes == b"component 2").unwrap();
    bytes[there + 10] ^= 1;
    fs::write(scene.path(), bytes).unwrap();
    scene.reopen();
    let error = scene.store().component(&digest(2)).unwrap_err().to_string();
    check(&error, &["sandman.db", "damaged", &digest(2), "restore", "backup"]);
    assert_eq!(scene.store().component(&digest(1)).unwrap(), Some(component(1)));
}
