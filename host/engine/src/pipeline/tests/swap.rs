//! The version changes while triggers run, fail, are reverted and run again: each counts once, by one version, and no key
//! goes back.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use sandman_core::outcome::Reply;
use sandman_core::work::{Answer, RequestWork};

/// A version of a handler whose state lists what it saw, each with the version that saw it.
struct Stamp(u64);

impl Guest for Stamp {
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, context: Context<'_>) -> Result<Outcome, Fault> {
        let seen = match trigger {
            Trigger::Event(event) if event.payload == "7" && context.attempt == 1 => {
                return Err(Fault::Retry("not yet".into()));
            }
            Trigger::Event(event) => event.payload.to_owned(),
            Trigger::Request(request) => format!("r{}", request.body.unwrap_or_default()),
        };
        // Long enough for the version to change meanwhile, now and then.
        std::thread::yield_now();
        let document: Arc<str> = format!("{} {seen}@{}", state.unwrap_or_default(), self.0).trim().into();
        let reply = Reply {
            status: 200,
            body: Some("{}".to_owned()),
        };
        Ok(Outcome {
            state: StateChange::Put(document),
            events: Vec::new(),
            reply: Some(reply),
        })
    }
}

fn stamp(number: u64) -> Version {
    let contract = Contract {
        consumes: vec![Consumes {
            event_type: "happened".into(),
            versions: vec!["1.0".into()],
            schema: None,
        }],
        ..Contract::default()
    };
    let terms = Terms::new(&contract, &Grant::default(), |name| Arc::from(name)).unwrap();
    version(number, terms, Box::new(Stamp(number)))
}

fn stamped() -> Arc<Registry> {
    Arc::new(Registry::new(vec![
        handler("lister", stamp(1)),
        handler("other", stamp(1)),
    ]))
}

/// What a key's state lists: what was seen, and by which versions.
fn listed(store: &Flaky, handler: &str, key: &str) -> (Vec<String>, Vec<u64>) {
    let document = store.document(handler, key);
    let entries = document.split(' ').map(|entry| entry.split_once('@').unwrap());
    entries
        .map(|(seen, version)| (seen.to_owned(), version.parse::<u64>().unwrap()))
        .unzip()
}

fn check_versions(versions: &[u64], what: &str) {
    assert!(
        versions.is_sorted(),
        "{what} went back to an older version: {versions:?}"
    );
}

/// Runs `load` while the versions of both handlers change as fast as they can; answers the last version.
fn while_swapping(registry: &Registry, load: impl FnOnce()) -> u64 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            let mut number = 1;
            while !done.load(Ordering::Relaxed) {
                number += 1;
                for (_, handler) in registry.iter() {
                    handler.activate(Arc::new(stamp(number)));
                }
                std::thread::yield_now();
            }
            number
        });
        load();
        done.store(true, Ordering::Relaxed);
        swapping.join().unwrap()
    })
}

#[test]
fn events_count_once_by_one_version_and_no_key_goes_back() {
    let (store, log, registry) = (Flaky::new(), log(), stamped());
    let running = Running::start_with(&store, options(), Arc::clone(&registry));
    let names: Vec<_> = log.keys().map(|number| partition(*number)).collect();
    let last = while_swapping(&registry, || {
        // Taken away and given back in between: what ran and was not committed runs again, on a newer version.
        for _ in 0..3 {
            feed(&running, &log);
            running.intake.revoked(&names);
        }
        feed(&running, &log);
        running.settle();
    });
    running.stop();
    let expected: Vec<_> = (0..EACH).filter(|payload| *payload != 21).collect();
    for key in 0..KEYS {
        let (seen, versions) = listed(&store, "lister", &key.to_string());
        let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(seen, expected, "key {key}");
        check_versions(&versions, &format!("key {key}"));
        assert!(versions.last().unwrap() <= &last);
    }
}

#[test]
fn requests_of_two_handlers_do_not_go_back_either() {
    let (store, registry) = (Flaky::new(), stamped());
    let running = Running::start_with(&store, options(), Arc::clone(&registry));
    while_swapping(&registry, || {
        for n in 0..200 {
            let work = RequestWork {
                handlers: vec![0, 1],
                key: "k".into(),
                body: Some(n.to_string()),
                ..RequestWork::default()
            };
            // The store's planted fault: the client asks again.
            while matches!(
                running.pipeline.request(work.clone()).blocking_recv().unwrap(),
                Answer::Unavailable(_)
            ) {}
        }
    });
    running.stop();
    let expected: Vec<_> = (0..200).map(|n| format!("r{n}")).collect();
    for handler in ["lister", "other"] {
        let (seen, versions) = listed(&store, handler, "k");
        assert_eq!(seen, expected, "{handler}");
        check_versions(&versions, handler);
        assert!(
            versions.last() > versions.first(),
            "the version never changed under load"
        );
    }
}

#[test]
fn an_old_version_lives_as_long_as_somebody_holds_it() {
    let handler = handler("lister", stamp(1));
    let held = handler.active();
    for number in 2..=3 {
        handler.activate(Arc::new(stamp(number)));
    }
    assert_eq!(Arc::strong_count(&held), 1, "nobody else holds version 1");
    assert_eq!((held.number, handler.active().number), (1, 3));
    assert!(handler.standby(1).is_none());
    assert_eq!(handler.standby(2).map(|version| version.number), Some(2));
}
