//! Requests: whole or not at all, answered after the commit, and once.

use super::*;
use sandman_core::outcome::Reply;
use sandman_core::reason::{LimitKind, TrapKind};
use sandman_core::work::{Answer, Idempotency, RequestWork};

/// A handler of requests: `put` stores the body, `refuse` refuses it; replies with what it stored under its own name.
struct Keeper(&'static str);

impl Guest for Keeper {
    fn invoke(&self, trigger: Trigger<'_>, state: Option<&str>, _: Context<'_>) -> Result<Outcome, Fault> {
        let Trigger::Request(request) = trigger else {
            panic!("requests only")
        };
        let body = request.body.unwrap_or("null");
        if body == format!("\"refused by {}\"", self.0) {
            return Ok(Outcome {
                reply: Some(Reply {
                    status: 409,
                    body: Some(r#"{"error":"no"}"#.into()),
                }),
                ..Outcome::default()
            });
        }
        let document: Arc<str> = format!("{}{body}", state.unwrap_or_default()).into();
        Ok(Outcome {
            reply: Some(Reply {
                status: 200,
                body: Some(format!(r#"{{"{}":"{}"}}"#, self.0, document.replace('"', "'"))),
            }),
            state: StateChange::Put(document),
            events: Vec::new(),
        })
    }
}

fn keepers() -> Arc<Registry> {
    let keeper = |name: &'static str| {
        let terms = Terms::new(&Contract::default(), &Grant::default(), |name| Arc::from(name)).unwrap();
        handler(name, version(1, terms, Box::new(Keeper(name))))
    };
    Arc::new(Registry::new(vec![keeper("one"), keeper("two")]))
}

fn ask(key: &str, body: &str, idempotency: Option<&str>) -> RequestWork {
    RequestWork {
        handlers: vec![0, 1],
        key: key.into(),
        method: "PUT".into(),
        route: "/x".into(),
        body: Some(format!("\"{body}\"")),
        idempotency: idempotency.map(|key| Idempotency {
            key: key.into(),
            digest: body.into(),
        }),
        ..RequestWork::default()
    }
}

fn answer(running: &Running, work: RequestWork) -> Answer {
    loop {
        match running.pipeline.request(work.clone()).blocking_recv().unwrap() {
            // The planted fault of the store.
            Answer::Unavailable(_) => {}
            answer => return answer,
        }
    }
}

#[test]
fn a_store_that_can_write_again_is_found_without_a_request() {
    let running = Running::start_with(&Flaky::new(), options(), keepers());
    let ask = |body| running.pipeline.request(ask("k", body, None)).blocking_recv().unwrap();
    assert!(matches!(ask("a"), Answer::Reply { .. }));
    assert!(matches!(ask("b"), Answer::Unavailable(_)), "the second commit fails");
    let deadline = Instant::now() + Duration::from_secs(30);
    while running.pipeline.store_fault().is_some() {
        assert!(Instant::now() < deadline, "nobody tries the store");
        std::thread::yield_now();
    }
    running.stop();
}

fn reply(status: u16, body: &str) -> Answer {
    Answer::Reply {
        status,
        body: Some(body.to_owned()),
    }
}

#[test]
fn a_request_of_two_handlers_commits_whole_or_not_at_all() {
    let store = Flaky::new();
    let running = Running::start_with(&store, options(), keepers());
    assert_eq!(
        answer(&running, ask("k", "a", None)),
        reply(200, r#"{"one":"'a'","two":"'a'"}"#)
    );
    assert_eq!(
        answer(&running, ask("k", "refused by two", None)),
        reply(409, r#"{"error":"no"}"#)
    );
    assert_eq!(
        answer(&running, ask("k", "b", None)),
        reply(200, r#"{"one":"'a''b'","two":"'a''b'"}"#)
    );
    running.stop();
    let tables = store.tables.lock();
    let documents: Vec<_> = tables
        .states
        .values()
        .map(|stored| stored.document.as_deref())
        .collect();
    assert_eq!(documents, [Some(r#""a""b""#); 2]);
}

#[test]
fn a_repeated_request_is_answered_again_and_has_no_second_effect() {
    let store = Flaky::new();
    let running = Running::start_with(&store, options(), keepers());
    let first = answer(&running, ask("k", "a", Some("i")));
    let Answer::Reply { status, body } = first else {
        panic!("{first:?}")
    };
    assert_eq!(
        answer(&running, ask("k", "a", Some("i"))),
        Answer::Replayed { status, body }
    );
    assert_eq!(answer(&running, ask("k", "b", Some("i"))), Answer::IdempotencyMismatch);
    assert!(
        matches!(answer(&running, ask("other", "b", Some("i"))), Answer::Reply { .. }),
        "another user's key"
    );
    let many: Vec<_> = (0..50)
        .map(|_| running.pipeline.request(ask("m", "a", Some("j"))))
        .collect();
    let effects = many.into_iter().map(|answer| answer.blocking_recv().unwrap());
    let effects = effects.filter(|answer| matches!(answer, Answer::Reply { .. })).count();
    assert!(effects <= 1, "{effects} effects of one request");
    running.stop();
}

/// A handler that fails in one way, for ever.
struct Failing(Fault);

impl Guest for Failing {
    fn invoke(&self, _: Trigger<'_>, _: Option<&str>, _: Context<'_>) -> Result<Outcome, Fault> {
        Err(self.0.clone())
    }
}

/// What a client is told where the handler fails so.
fn told(fault: Fault) -> Answer {
    let terms = Terms::new(&Contract::default(), &Grant::default(), |name| Arc::from(name)).unwrap();
    let failing = handler("failing", version(1, terms, Box::new(Failing(fault))));
    let running = Running::start_with(&Flaky::new(), options(), Arc::new(Registry::new(vec![failing])));
    let work = RequestWork {
        handlers: vec![0],
        ..ask("k", "a", None)
    };
    let told = running.pipeline.request(work).blocking_recv().unwrap();
    running.stop();
    told
}

/// A client is at fault (400) only where the handler says so. A handler that breaks its contract, by a status that HTTP does
/// not have or a body that is not JSON, is the platform's fault (500); what another attempt may end differently is a 503.
#[test]
fn a_client_is_told_of_its_own_mistakes_alone() {
    let text = || "the reason".to_owned();
    assert_eq!(told(Fault::Rejected(text())), reply(400, r#"{"error":"the reason"}"#));
    assert!(matches!(told(Fault::Invalid(text())), Answer::Failed(_)));
    for fault in [
        Fault::Retry(text()),
        Fault::Trap(TrapKind::Panic, text()),
        Fault::Exceeded(LimitKind::Time, text()),
    ] {
        assert!(matches!(told(fault), Answer::Unavailable(_)));
    }
}
