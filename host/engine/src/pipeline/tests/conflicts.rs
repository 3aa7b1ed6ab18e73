//! Other hosts write to the same store: what was decided from a state that has changed is decided again, and nothing else.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::pipeline::Redrive;
use sandman_core::outcome::Reply;
use sandman_core::store::{AnswerWrite, Answered};
use sandman_core::work::{Answer, Idempotency, RequestWork};

/// A handler that answers with what it sees; `PUT` adds a word. It counts its calls.
struct Words(Arc<AtomicU64>);

impl Guest for Words {
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, _: Context<'_>) -> Result<Outcome, Fault> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let Trigger::Request(request) = trigger else {
            panic!("requests only")
        };
        let before = state.unwrap_or_default();
        let change = match request.method {
            "PUT" => StateChange::Put(format!("{before} {}", request.key).trim().into()),
            _ => StateChange::Keep,
        };
        let status = if before == "gone" { 404 } else { 200 };
        Ok(Outcome {
            reply: Some(Reply {
                status,
                body: Some(format!("{{\"saw\":\"{before}\"}}")),
            }),
            state: change,
            events: Vec::new(),
        })
    }
}

fn words(names: &[&'static str]) -> (Arc<Registry>, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let one = |name: &&'static str| {
        let terms = Terms::new(&Contract::default(), &Grant::default(), |name| Arc::from(name)).unwrap();
        handler(name, version(1, terms, Box::new(Words(Arc::clone(&calls)))))
    };
    (Arc::new(Registry::new(names.iter().map(one).collect())), calls)
}

fn ask(method: &str, handlers: Vec<u16>, idempotency: Option<&str>) -> RequestWork {
    RequestWork {
        handlers,
        key: "k".into(),
        method: method.into(),
        route: "/x".into(),
        idempotency: idempotency.map(|key| Idempotency {
            key: key.into(),
            digest: "d".into(),
        }),
        ..RequestWork::default()
    }
}

fn answer(running: &Running, work: RequestWork) -> (u16, String) {
    match running.pipeline.request(work).blocking_recv().unwrap() {
        Answer::Reply { status, body } => (status, body.unwrap()),
        other => panic!("{other:?}"),
    }
}

fn saw(state: &str) -> (u16, String) {
    (200, format!("{{\"saw\":\"{state}\"}}"))
}

#[test]
fn a_read_sees_what_another_host_has_written_although_an_older_state_is_in_memory() {
    let store = Flaky::shared();
    let (registry, _) = words(&["one"]);
    let running = Running::start_with(&store, options(), registry);
    let get = || answer(&running, ask("GET", vec![0], None));
    assert_eq!(get(), saw(""));
    store.write_elsewhere("one", "k", "a");
    assert_eq!(get(), saw("a"));
    store.write_elsewhere("one", "k", "b");
    assert_eq!(get(), saw("a b"));
    running.stop();
    assert_eq!(store.tables.lock().conflicts, 2);
}

#[test]
fn a_refusal_is_decided_from_the_newest_state_as_well() {
    let store = Flaky::shared();
    let (registry, _) = words(&["one"]);
    store.write_elsewhere("one", "k", "gone");
    let running = Running::start_with(&store, options(), registry);
    let get = || answer(&running, ask("GET", vec![0], None));
    assert_eq!(get().0, 404);
    assert_eq!(get().0, 404);
    store.write_elsewhere("one", "k", "back");
    assert_eq!(get(), saw("gone back"));
    running.stop();
}

#[test]
fn a_write_on_a_state_that_has_changed_loses_neither_change() {
    let store = Flaky::shared();
    let (registry, calls) = words(&["one", "two"]);
    let running = Running::start_with(&store, options(), registry);
    assert_eq!(answer(&running, ask("PUT", vec![0, 1], None)).0, 200);
    store.write_elsewhere("two", "k", "x");
    assert_eq!(answer(&running, ask("PUT", vec![0, 1], None)).0, 200);
    running.stop();
    let tables = store.tables.lock();
    let document = |handler| tables.states[&name(handler, "k")].document.as_deref().unwrap();
    assert_eq!((document("one"), document("two")), ("k k", "k x k"));
    assert_eq!(
        (tables.conflicts, calls.load(Ordering::Relaxed)),
        (1, 6),
        "both handlers run again, once"
    );
}

#[test]
fn a_request_that_another_host_has_answered_is_answered_the_same() {
    let store = Flaky::shared();
    let (registry, _) = words(&["one"]);
    let running = Running::start_with(&store, options(), registry);
    let batch = {
        // The other host commits its answer between this one's look for it and its commit.
        let work = ask("GET", vec![0], Some("i"));
        let answer = AnswerWrite {
            key: work.key.clone(),
            idempotency_key: "i".into(),
            answered: Answered {
                digest: "d".into(),
                status: 201,
                body: Some("\"theirs\"".into()),
            },
        };
        store.answer_elsewhere(answer);
        running.pipeline.request(work)
    };
    let replayed = Answer::Replayed {
        status: 201,
        body: Some("\"theirs\"".to_owned()),
    };
    assert_eq!(batch.blocking_recv().unwrap(), replayed);
    running.stop();
    assert_eq!(store.tables.lock().conflicts, 1);
}

#[test]
fn a_letter_that_another_host_has_handled_meanwhile_comes_to_nothing() {
    let store = Flaky::shared();
    let running = Running::start(&store, options());
    store.tables.lock().handled.insert(7);
    for (id, offset) in [(7, 1), (8, 2)] {
        running.pipeline.redrive(Redrive {
            id,
            handler: 0,
            key: Some("1".into()),
            hold: false,
            through: None,
            record: record(1, u32::try_from(offset).unwrap(), 0, offset),
        });
    }
    running.settle();
    assert!(!running.pipeline.is_redriving(7) && !running.pipeline.is_redriving(8));
    running.stop();
    let tables = store.tables.lock();
    assert_eq!(tables.states[&name("lister", "1")].document.as_deref(), Some("2"));
    assert_eq!((tables.outbox.len(), tables.conflicts), (1, 1));
}

#[test]
fn a_state_of_a_newer_version_waits_until_this_host_has_switched() {
    let store = Flaky::shared();
    let (registry, calls) = words(&["one"]);
    let (_, handler) = registry.find("one").unwrap();
    handler.serves_since(10);
    let running = Running::start_with(&store, options(), Arc::clone(&registry));
    assert_eq!(answer(&running, ask("PUT", vec![0], None)).0, 200);
    // Another host serves a version since later, and has written with it.
    store.tables.lock().since = 20;
    store.write_elsewhere("one", "k", "x");
    let asked = running.pipeline.request(ask("GET", vec![0], None));
    registry
        .behind()
        .recv_timeout(std::time::Duration::from_secs(30))
        .unwrap();
    let before = calls.load(Ordering::Relaxed);
    handler.serves_since(20);
    let body = Some("{\"saw\":\"k x\"}".to_owned());
    assert_eq!(asked.blocking_recv().unwrap(), Answer::Reply { status: 200, body });
    assert_eq!(calls.load(Ordering::Relaxed), before + 1);
    // One that does not load here is not waited for, and nothing is decided from its states.
    store.tables.lock().since = 30;
    store.write_elsewhere("one", "k", "y");
    handler.cannot_follow(30);
    let asked = running.pipeline.request(ask("GET", vec![0], None));
    let refused = asked.blocking_recv().unwrap();
    assert!(matches!(refused, Answer::Unavailable(_)), "{refused:?}");
    running.stop();
}

#[test]
fn events_of_many_keys_are_applied_once_while_others_write_the_same_states() {
    let (store, log) = (Flaky::shared(), log());
    let running = Running::start(&store, options());
    let (stop, elsewhere) = crossbeam_channel::bounded::<()>(0);
    let writer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            let mut words = 0;
            while let Err(crossbeam_channel::TryRecvError::Empty) = elsewhere.try_recv() {
                store.write_elsewhere("lister", &(words % 3).to_string(), &format!("x{words}"));
                words += 1;
                std::thread::yield_now();
                if words == 300 {
                    break;
                }
            }
            words
        })
    };
    feed(&running, &log);
    running.settle();
    drop(stop);
    let written = writer.join().unwrap();
    running.settle();
    running.stop();
    let tables = store.tables.lock();
    let expected: Vec<_> = (0..EACH)
        .filter(|payload| ![13, 21].contains(payload))
        .map(|n| n.to_string())
        .collect();
    let mut foreign = BTreeSet::new();
    for key in 0..KEYS {
        let document = tables.states[&name("lister", &key.to_string())]
            .document
            .as_deref()
            .unwrap();
        let (theirs, ours): (Vec<_>, Vec<_>) = document.split_whitespace().partition(|word| word.starts_with('x'));
        assert_eq!(ours, expected, "state of key {key}");
        foreign.extend(theirs.into_iter().map(str::to_owned));
    }
    assert_eq!(foreign.len(), written, "what others wrote is lost");
    let events = tables.outbox.iter().filter(|record| &*record.topic == "listed").count();
    assert_eq!(events, expected.len() * usize::from(KEYS));
}
