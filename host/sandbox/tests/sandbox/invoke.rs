//! What a guest that behaves gets and gives.

use std::sync::Arc;

use sandman_core::limits::{Instances, Limits};
use sandman_core::outcome::{Context, EmittedEvent, Failure, Outcome, RequestView, StateChange, Trigger, UploadedFile};
use sandman_sandbox::{InvokeError, LoadError};
use serde_json::json;

use crate::support::{ECHO, SANDBOX, hostile, label, order, tell, tell_attempt};

const BOTH: [Instances; 2] = [Instances::Fresh, Instances::Reused];

#[test]
fn a_guest_says_what_it_is() {
    let guest = SANDBOX
        .load(label("echo"), &ECHO, Limits::default(), Instances::Fresh)
        .unwrap();
    let contract = guest.contract();
    assert_eq!(contract.consumes[0].event_type, "thing.happened");
    assert_eq!(contract.consumes[0].versions, ["1.0"]);
    let emitted: Vec<_> = contract.emits.iter().map(|emits| emits.event_type.as_str()).collect();
    assert_eq!(emitted, ["thing.counted", "thing.echoed"]);
    assert_eq!(guest.digest(), sandman_core::digest(&ECHO));
    assert_eq!(guest.digest().len(), 64);
}

#[test]
fn payload_and_state_go_in_and_come_out_as_json_text() {
    for instances in BOTH {
        let guest = SANDBOX
            .load(label("echo"), &ECHO, Limits::default(), instances)
            .unwrap();
        let first = tell(&guest, "thing.happened", r#"{"n":3}"#, None).unwrap();
        let StateChange::Put(state) = first.state else {
            panic!("no state")
        };
        assert_eq!(&*state, r#"{"count":1,"sum":3,"fold":3,"last":3}"#);

        let payload = r#"{ "n": 4, "text": "ä€😀\u0000\n", "deep": [[1.0e3]] }"#;
        let emitted = |event_type: &str, payload: &str| EmittedEvent {
            event_type: event_type.to_owned(),
            version: "1.0".to_owned(),
            payload: payload.to_owned(),
            key: None,
            metadata: None,
        };
        let tally = r#"{"count":2,"sum":7,"fold":97,"last":4}"#;
        let counted = r#"{"count":2,"sum":7,"fold":97,"last":4,"by":1}"#;
        let expected = Outcome {
            state: StateChange::Put(tally.into()),
            events: vec![emitted("thing.counted", counted), emitted("thing.echoed", payload)],
            reply: None,
        };
        assert_eq!(tell(&guest, "thing.happened", payload, Some(&state)), Ok(expected));
    }
}

#[test]
fn a_payload_or_state_that_does_not_fit_is_rejected_with_its_field() {
    let guest = SANDBOX
        .load(label("echo"), &ECHO, Limits::default(), Instances::Fresh)
        .unwrap();
    let reason = |payload: &str, state: Option<&str>| match tell(&guest, "thing.happened", payload, state) {
        Err(InvokeError::Refused(Failure::Rejected(reason))) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(r#"{"m":1}"#, None),
        "thing.happened 1.0: payload: missing field `n`"
    );
    let text = reason(r#"{"n":-1}"#, None);
    assert!(
        text.starts_with("thing.happened 1.0: payload.n: invalid value: integer, expected u64"),
        "{text}"
    );
    let text = reason(r#"{"n":1}"#, Some(r#"{"count":1,"sum":"x","fold":0,"last":0}"#));
    assert!(text.starts_with("state.sum: invalid type: string"), "{text}");
}

#[test]
fn a_refusal_of_the_guest_is_not_a_trap() {
    let guest = hostile(Limits::default(), Instances::Fresh);
    let refused = |payload| order(&guest, &payload).unwrap_err();
    let rejected = Failure::Rejected("no good".to_owned());
    assert_eq!(
        refused(json!({"do": "reject", "text": "no good"})),
        InvokeError::Refused(rejected)
    );
    let retry = Failure::Retry("later".to_owned());
    assert_eq!(
        refused(json!({"do": "retry", "text": "later"})),
        InvokeError::Refused(retry)
    );
}

#[test]
fn the_context_reaches_the_guest() {
    let guest = hostile(Limits::default(), Instances::Fresh);
    let payload = r#"{"do":"fail","n":2}"#;
    for attempt in 1..=2 {
        assert!(tell_attempt(&guest, ("hostile.told", payload), None, attempt).is_err());
    }
    let third = tell_attempt(&guest, ("hostile.told", payload), None, 3).unwrap();
    assert_eq!(third.events[0].payload, r#"{"attempt":3,"did":"fail","n":2}"#);
}

#[test]
fn a_request_reaches_a_guest_that_serves_none() {
    let guest = hostile(Limits::default(), Instances::Fresh);
    let pairs = [("id".to_owned(), "7".to_owned())];
    let files = [UploadedFile {
        field: "avatar".to_owned(),
        url: "/uploads/x.png".to_owned(),
        media_type: "image/png".to_owned(),
        size: 12,
        digest: "00".repeat(32),
    }];
    let request = RequestView {
        key: "k",
        method: "PUT",
        route: "/things/:id",
        params: &pairs,
        query: &pairs,
        claims: Some(r#"{"userId":"k"}"#),
        body: None,
        files: &files,
        correlation_id: "c",
    };
    let context = Context {
        now_millis: 0,
        attempt: 1,
        settings: "{}",
    };
    let refused = guest.invoke(Trigger::Request(request), None, context).unwrap_err();
    let reason = "this handler serves no requests, and got PUT /things/:id".to_owned();
    assert_eq!(refused, InvokeError::Refused(Failure::Rejected(reason)));
}

#[test]
fn many_threads_call_one_guest() {
    for instances in BOTH {
        let guest = Arc::new(
            SANDBOX
                .load(label("echo"), &ECHO, Limits::default(), instances)
                .unwrap(),
        );
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let guest = Arc::clone(&guest);
                std::thread::spawn(move || {
                    for round in 0..50 {
                        let payload = json!({ "n": n * 1000 + round }).to_string();
                        let outcome = tell(&guest, "thing.happened", &payload, None).unwrap();
                        assert_eq!(outcome.events[1].payload, payload);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let guest = SANDBOX
        .load(label("echo"), &ECHO, Limits::default(), Instances::Reused)
        .unwrap();
    let outcomes: Vec<_> = (0..20)
        .map(|_| tell(&guest, "thing.happened", r#"{"n":5}"#, None))
        .collect();
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.is_ok() && *outcome == outcomes[0])
    );
}

#[test]
fn a_guest_whose_memory_is_over_the_bound_does_not_load() {
    let limits = Limits {
        memory: 64 << 10,
        ..Limits::default()
    };
    let fault = SANDBOX
        .load(label("echo"), &ECHO, limits, Instances::Fresh)
        .unwrap_err();
    assert!(
        matches!(&fault, LoadError::Instantiate(InvokeError::Exceeded { .. })),
        "{fault}"
    );
    assert_eq!(
        fault.to_string(),
        "no instance could be created: the guest needed more than its 65536 bytes of memory"
    );
}
