//! Versions: what is kept, what serves, what was done.

use sandman_core::store::{Action, Activation, KeptVersion, NewVersion, Outcome, StoreError};
use sha2::{Digest, Sha256};

use super::*;

fn component(number: u64) -> Vec<u8> {
    format!("component {number}").into_bytes()
}

fn digest(number: u64) -> String {
    format!("{:x}", Sha256::digest(component(number)))
}

fn keep(store: &dyn VersionStore, number: u64, of: u64) -> Result<(), StoreError> {
    let (digest, component) = (digest(of), component(of));
    let version = NewVersion {
        handler: &text("profile"),
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
        detail: "why".to_owned(),
    }
}

fn activate(store: &dyn VersionStore, action: Action, number: u64, keep: usize) -> Vec<String> {
    let entry = entry(action, Some(number), Outcome::Active);
    store.activate(&text("profile"), &entry, keep).unwrap()
}

pub(crate) fn a_version_serves_once_it_is_activated(backend: &mut impl Backend) {
    let store = backend.versions();
    assert_eq!(store.active("profile").unwrap(), None);
    assert_eq!(store.versions("profile").unwrap(), []);
    for number in 1..=3 {
        keep(&*store, number, number).unwrap();
        let action = if number == 1 { Action::Start } else { Action::Deploy };
        assert!(activate(&*store, action, number, 10).is_empty());
    }
    drop(store);
    backend.restart();
    let store = backend.versions();
    let active = store.active("profile").unwrap().unwrap();
    // Where several hosts activate versions, each activation is later than the one before.
    let since = if backend.host().is_shared() { 9 } else { 7 };
    assert_eq!((active.number, active.since_millis), (3, since));
    let versions = store.versions("profile").unwrap();
    let replaced = |version: &KeptVersion| (version.number, version.replaced);
    let replaced: Vec<_> = versions.iter().map(replaced).collect();
    assert_eq!(replaced, [(3, Some(2)), (2, Some(1)), (1, None)]);
    let newest = (&*versions[0].digest, versions[0].bytes, versions[0].stored_millis);
    assert_eq!(newest, (&*digest(3), 11, 5));
    assert_eq!(store.component(&digest(2)).unwrap(), Some(component(2)));
    assert_eq!(store.component("none").unwrap(), None);
    // The newest one is kept, and the one that serves.
    assert_eq!(activate(&*store, Action::Rollback, 1, 1), [digest(2)]);
    let versions = store.versions("profile").unwrap();
    let numbers: Vec<_> = versions.iter().map(|version| version.number).collect();
    assert_eq!(numbers, [3, 1]);
    assert_eq!(store.component(&digest(2)).unwrap(), None);
}

pub(crate) fn a_number_is_one_component_for_ever(backend: &mut impl Backend) {
    let store = backend.versions();
    keep(&*store, 1, 1).unwrap();
    for (number, of) in [(1, 2), (2, 1)] {
        let error = keep(&*store, number, of).unwrap_err();
        assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    }
    let entry = entry(Action::Deploy, Some(9), Outcome::Active);
    let error = store.activate(&text("profile"), &entry, 10).unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    assert_eq!(store.active("profile").unwrap(), None);
    assert_eq!(store.history("profile", 10).unwrap(), []);
}

pub(crate) fn the_history_has_the_newest_first(backend: &mut impl Backend) {
    let store = backend.versions();
    keep(&*store, 1, 1).unwrap();
    activate(&*store, Action::Start, 1, 10);
    let refused = entry(Action::Deploy, None, Outcome::Refused);
    store.note(&text("profile"), &refused).unwrap();
    let started = entry(Action::Start, Some(1), Outcome::Active);
    assert_eq!(store.history("profile", 10).unwrap(), [refused.clone(), started]);
    assert_eq!(store.history("profile", 1).unwrap(), [refused]);
    assert_eq!(store.history("other", 1).unwrap(), []);
}
