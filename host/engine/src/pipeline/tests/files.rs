//! The store knows at every moment which files the states name: although commits fail, partitions move, and the host stops.

use std::collections::BTreeSet;

use super::*;
use sandman_core::files::names_in;

/// A handler whose state names another file now and then, two at once, or none; sometimes it has no state.
struct Pictured;

impl Guest for Pictured {
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, _: Context<'_>) -> Result<Outcome, Fault> {
        let Trigger::Event(event) = trigger else {
            panic!("events only")
        };
        let number: u32 = event.payload.parse().expect("a number");
        let put = |document: String| StateChange::Put(document.into());
        let state = match number % 7 {
            0 => put(format!(r#"{{"avatar":"/uploads/avatars/avatar-{number}-a.png"}}"#)),
            1 => put(format!(r#"{{"seen":{number},"before":{}}}"#, state.unwrap_or("null"))),
            2 => StateChange::Keep,
            3 => put(r#"["avatar-1-a.png","photo-2-b.gif"]"#.to_owned()),
            4 => put(r#"["photo-2-b.gif","avatar-1-a.png","and no third"]"#.to_owned()),
            5 => put(r#"{"avatar":null}"#.to_owned()),
            _ => StateChange::Delete,
        };
        let events = Vec::new();
        Ok(Outcome {
            state,
            events,
            ..Outcome::default()
        })
    }
}

#[test]
fn names_of_files_are_those_in_the_states_whatever_happens() {
    let (store, log) = (Flaky::new(), log());
    let start = || Running::start_with(&store, options(), registry_of(Box::new(Pictured), 0));
    for _ in 0..3 {
        let running = start();
        feed(&running, &log);
        running.stop();
        check_names(&store);
    }
    let running = start();
    feed(&running, &log);
    running.settle();
    running.stop();
    check_names(&store);
    let tables = store.tables.lock();
    assert!(tables.named > 50, "{} changes of names", tables.named);
}

fn check_names(store: &Flaky) {
    let tables = store.tables.lock();
    for key in 0..KEYS {
        let key = name("lister", &key.to_string());
        let stored = tables.states.get(&key);
        let document = stored.and_then(|stored| stored.document.as_deref());
        let named = document.map(names_in).unwrap_or_default();
        let known = tables.files.get(&key).cloned().unwrap_or_default();
        assert_eq!(known, named, "{key:?}: {document:?}");
    }
    let all: BTreeSet<_> = tables.files.values().flatten().collect();
    assert!(all.len() <= 2 * usize::from(KEYS));
}
