//! A handler is a function: what it is given decides what it gives, to the byte, whatever ran before it in its instance, in
//! whichever sandbox and process, and however many run beside it.
//!
//! `SANDMAN_TEST_PURITY` is how many invocations of each guest are played, 150 where it is not set; `SANDMAN_TEST_SEED`
//! chooses others.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sandman_core::digest;
use sandman_core::limits::{Instances, Limits};
use sandman_core::outcome::{Context, EventView, Outcome, RequestView, StateChange, Trigger, UploadedFile};
use sandman_sandbox::{Sandbox, SandboxOptions, SandboxedGuest};
use serde_json::{Map, Value, json};

use crate::dreamscape::{PREFERENCES, PROFILE};
use crate::support::{ECHO, MIB, ON_DEMAND, SANDBOX, label};

/// Where the other process leaves the digest of its outcomes.
const OUT: &str = "SANDMAN_TEST_PURITY_OUT";
/// The routes of the guests, and an event that none of them knows.
const ROUTES: [(&str, &str); 7] = [
    ("GET", "/api/v1/users/profile"),
    ("PUT", "/api/v1/users/profile"),
    ("POST", "/api/v1/users/profile/{userId}"),
    ("DELETE", "/api/v1/users/profile/{userId}"),
    ("POST", "/api/v1/users/profile/{userId}/avatar"),
    ("POST", "/things/{key}"),
    ("GET", "/nowhere"),
];
const EVENTS: [&str; 3] = ["thing.happened", "user.created", "nobody.knows"];
/// Names that the guests look for.
const FIELDS: [&str; 24] = [
    "n",
    "userId",
    "email",
    "firstName",
    "lastName",
    "createdAt",
    "name",
    "photo",
    "phone",
    "dateOfBirth",
    "nationality",
    "profile",
    "preferences",
    "notifications",
    "travel",
    "travelPreferences",
    "language",
    "currency",
    "timezone",
    "privacy",
    "tripReminders",
    "seat",
    "activities",
    "bio",
];
/// Values that they take.
const WORDS: [&str; 10] = [
    "k",
    "ada@example.com",
    "Ada",
    "fr",
    "EUR",
    "GB",
    "+33 6 12 34 56 78",
    "1815-12-10",
    "2025-01-01T00:00:00.000Z",
    "window",
];

/// One call but for its state, which is what the call before it left.
#[derive(Clone, Debug)]
struct Given {
    event: bool,
    which: usize,
    document: String,
    now_millis: i64,
    attempt: u32,
    /// Which of a few keys.
    key: usize,
}

type Came = Result<Outcome, String>;

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        3 => (0..1000u64).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        6 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
        2 => ".{0,12}".prop_map(Value::from),
    ];
    let field = || prop::sample::select(&FIELDS[..]);
    let value = leaf.prop_recursive(3, 40, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((field(), inner), 0..8).prop_map(object),
        ]
    });
    prop::collection::vec((field(), value), 0..10).prop_map(object)
}

fn object(fields: Vec<(&str, Value)>) -> Value {
    Value::Object(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

fn given() -> impl Strategy<Value = Given> {
    let complete = |mut document: Value| {
        // Enough for an event to be counted, and for a user to be registered.
        for (name, value) in [
            ("n", json!(7)),
            ("userId", json!("k")),
            ("email", json!("ada@example.com")),
        ] {
            document[name] = value;
        }
        document
    };
    let document = prop_oneof![document(), document().prop_map(complete)];
    let times = (0..4_000_000_000_000i64, 1..4u32, 0..5usize);
    (any::<bool>(), any::<usize>(), document, times).prop_map(|(event, which, document, (now_millis, attempt, key))| {
        let document = document.to_string();
        Given {
            event,
            which,
            document,
            now_millis,
            attempt,
            key,
        }
    })
}

/// The same calls each time, of a guest that is to be loaded.
fn recorded() -> Vec<Given> {
    let number = |variable: &str, default: u64| {
        std::env::var(variable).map_or(default, |text| text.parse().expect("a number in the variable"))
    };
    let (seed, count) = (number("SANDMAN_TEST_SEED", 1), number("SANDMAN_TEST_PURITY", 150));
    let bytes: [u8; 32] = std::array::from_fn(|at| seed.to_le_bytes()[at % 8]);
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    (0..count)
        .map(|_| given().new_tree(&mut runner).unwrap().current())
        .collect()
}

fn call(guest: &SandboxedGuest, given: &Given, state: Option<&str>) -> Came {
    let context = Context {
        now_millis: given.now_millis,
        attempt: given.attempt,
        settings: r#"{"a":1.5}"#,
    };
    let (method, route) = ROUTES[given.which % ROUTES.len()];
    let claims = json!({ "userId": "k", "email": "token@example.com", "type": "access", "exp": 1 }).to_string();
    let files = [UploadedFile {
        field: "avatar".to_owned(),
        url: "/uploads/avatars/avatar-1-2.png".to_owned(),
        media_type: "image/png".to_owned(),
        size: 7,
        digest: "d".to_owned(),
    }];
    let trigger = if given.event {
        Trigger::Event(EventView {
            key: "k",
            event_id: "0d9f6f0e-7c41-4b5e-9f0c-6a9b6d5f1a2b",
            event_type: EVENTS[given.which % EVENTS.len()],
            version: "1.0",
            timestamp: "2025-01-01T00:00:00.000Z",
            source: "test",
            correlation_id: Some("c"),
            causation_id: None,
            metadata: None,
            payload: &given.document,
        })
    } else {
        Trigger::Request(RequestView {
            key: "k",
            method,
            route,
            params: &[("userId".to_owned(), "k".to_owned())],
            query: &[],
            claims: Some(&claims),
            body: (method != "GET").then_some(given.document.as_str()),
            files: if route.ends_with("avatar") { &files } else { &[] },
            correlation_id: "c",
        })
    };
    guest.invoke(trigger, state, context).map_err(|fault| fault.to_string())
}

/// Plays the calls one after the other, each on the state that its key has by then.
fn played(guest: &SandboxedGuest, calls: &[Given]) -> Vec<Came> {
    let mut states: [Option<Arc<str>>; 5] = Default::default();
    let mut came = Vec::with_capacity(calls.len());
    for given in calls {
        let state = &mut states[given.key];
        let outcome = call(guest, given, state.as_deref());
        match outcome.as_ref().map(|outcome| &outcome.state) {
            Ok(StateChange::Put(document)) => *state = Some(Arc::clone(document)),
            Ok(StateChange::Delete) => *state = None,
            Ok(StateChange::Keep) | Err(_) => {}
        }
        came.push(outcome);
    }
    came
}

fn load(sandbox: &Arc<Sandbox>, wasm: &[u8], instances: Instances) -> SandboxedGuest {
    let limits = Limits {
        // What is compared is what a guest does, not how fast.
        time: Duration::from_secs(20),
        ..Limits::default()
    };
    sandbox.load(label("pure"), wasm, limits, instances).unwrap()
}

/// What the same calls come to in every way that the host could run them.
fn is_pure(wasm: &[u8]) {
    let calls = recorded();
    let first = played(&load(&SANDBOX, wasm, Instances::Fresh), &calls);
    let taken = first.iter().filter(|came| came.is_ok()).count();
    assert!(
        taken > calls.len() / 10,
        "{taken} of {} calls came to something",
        calls.len()
    );
    let same = |guest: &SandboxedGuest, how: &str| {
        for ((given, first), now) in calls.iter().zip(&first).zip(played(guest, &calls)) {
            assert_eq!(*first, now, "{how}: {given:?}");
        }
    };
    same(&load(&SANDBOX, wasm, Instances::Fresh), "once more");
    let reused = load(&SANDBOX, wasm, Instances::Reused);
    same(&reused, "in an instance that is used again");
    // A machine with less of everything, and code that it compiles for itself.
    let small = Sandbox::new(SandboxOptions::new(None, 1, 16 * MIB)).unwrap();
    same(&load(&small, wasm, Instances::Fresh), "in a small sandbox");
    same(&load(&small, wasm, Instances::Reused), "used again in a small sandbox");
    same(&load(&ON_DEMAND, wasm, Instances::Fresh), "without a pool of instances");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| same(&reused, "beside three others"));
        }
    });
}

#[test]
fn echo_is_a_function() {
    is_pure(&ECHO);
}

#[test]
fn profile_is_a_function() {
    is_pure(&PROFILE);
}

#[test]
fn preferences_is_a_function() {
    is_pure(&PREFERENCES);
}

/// The outcomes of all three guests, to the byte.
fn outcomes() -> String {
    let calls = recorded();
    let guests: [&[u8]; 3] = [&ECHO, &PROFILE, &PREFERENCES];
    let came = guests.map(|wasm| played(&load(&SANDBOX, wasm, Instances::Fresh), &calls));
    digest(format!("{came:?}").as_bytes())
}

#[test]
fn another_process_comes_to_the_same() {
    // Here we are the other process.
    if let Some(out) = std::env::var_os(OUT) {
        return std::fs::write(out, outcomes()).unwrap();
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("purity-{}", std::process::id()));
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "purity::another_process_comes_to_the_same"])
        .env(OUT, &out)
        .output()
        .unwrap();
    assert!(other.status.success(), "{}", String::from_utf8_lossy(&other.stdout));
    let theirs = std::fs::read_to_string(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    assert_eq!(theirs, outcomes());
}
