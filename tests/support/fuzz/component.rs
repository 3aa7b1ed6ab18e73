//! Any bytes as a component: deployed, stage by stage, beside a version that serves; and if it is a guest, called.

use std::panic;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use sandman_config::Config;
use sandman_core::digest;
use sandman_core::limits::{Instances, Limits};
use sandman_core::outcome::{Context, EventView, Trigger};
use sandman_core::store::{Action, Activation, NewVersion, Outcome, VersionStore};
use sandman_operate::deploy::{Offline, Order, Report, Stage};
use sandman_operate::recordings::Recordings;
use sandman_sandbox::{Label, Sandbox, SandboxOptions};
use sandman_store::SqliteStore;

/// Bytes of the largest component that is loaded.
const MOST: u64 = 64 << 10;
const MEMORY: u64 = 4 << 20;

static SANDBOX: LazyLock<Arc<Sandbox>> =
    LazyLock::new(|| Sandbox::new(SandboxOptions::new(None, 2, MEMORY)).expect("a sandbox"));

/// Bytes of stack for a component of [`MOST`] bytes that is all nested types. A host gives such a component a process of its
/// own; here there is one.
const STACK: usize = 1 << 30;

static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let text = format!(
        "host.source = 'fuzz'\nhost.component = {MOST}\nkafka.brokers = '127.0.0.1:9'\nstore.url = 'sqlite:fuzz.db'\n\
         [handlers.stranger]\ncomponent = 'stranger.wasm'\ntopics = ['things']\nemits = []\n\
         limits = {{ time = '50ms', memory = {MEMORY} }}\n"
    );
    let config = Config::parse(
        Path::new("/sandman.toml"),
        &text,
        std::iter::empty::<(String, String)>(),
    );
    Arc::new(config.expect("a configuration"))
});

/// It is refused by name, or it is a guest, which then answers within its limits.
pub fn component(data: &[u8]) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
            let loads = load(data);
            let served = deploy(data);
            // A guest may still want what it is not granted.
            assert!(loads || !served, "what does not load serves");
        });
        if let Err(panic) = thread.expect("a thread").join() {
            panic::resume_unwind(panic);
        }
    });
}

/// Deploys it in the stages of a host, over a version that serves: it serves then and is kept to the byte, or the other one
/// still does and the end says at which stage it was refused, and why. Says whether it serves.
fn deploy(data: &[u8]) -> bool {
    let versions = Arc::new(SqliteStore::in_memory().expect("a store"));
    let handler = CONFIG.handlers.first().expect("a handler");
    first_version(&versions, &handler.name);
    let offline = Offline {
        config: Arc::clone(&CONFIG),
        sandbox: Arc::clone(&SANDBOX),
        versions: &*versions,
        recordings: Recordings::new(Arc::clone(&versions) as _),
    };
    let mut passed: Vec<Stage> = Vec::new();
    let mut tell = |report| {
        if let Report::Passed(stage) = report {
            passed.push(stage.stage);
        }
    };
    let order = Order {
        by: "fuzz",
        // What serves before does not tell which states it writes.
        force: true,
        accept_diffs: false,
    };
    let done = offline.deploy(handler, (order, data), &mut tell).expect("it begins");
    assert!(passed.is_sorted(), "{passed:?}");
    let active = versions.active(&handler.name).expect("versions").expect("one serves");
    let serves = done.outcome == Outcome::Active;
    match serves {
        true => {
            assert_eq!((done.version, active.number), (Some(2), 2));
            let kept = versions.component(&digest(data)).expect("it is whole");
            assert_eq!(kept.as_deref(), Some(data));
        }
        false => {
            assert_eq!(active.number, 1, "{done:?}");
            let stage = done.stage.expect("a stage");
            assert!(
                passed.iter().all(|passed| *passed < stage),
                "{stage:?} after {passed:?}"
            );
            assert!(done.error.is_some_and(|why| why.len() > 10), "refused at {stage:?}");
        }
    }
    let history = versions.history(&handler.name, 1).expect("a history");
    assert_eq!(history.first().map(|entry| entry.outcome), Some(done.outcome));
    serves
}

/// What serves before: no component at all, for nobody calls it here.
fn first_version(versions: &SqliteStore, handler: &Arc<str>) {
    let name = digest(b"");
    let version = NewVersion {
        handler,
        number: 1,
        digest: &name,
        component: b"",
    };
    versions.keep(&version, 0).expect("it is kept");
    let activation = Activation {
        number: Some(1),
        digest: Some(name.into()),
        at_millis: 0,
        by: "fuzz".to_owned(),
        action: Action::Start,
        outcome: Outcome::Active,
        detail: String::new(),
    };
    versions.activate(handler, &activation, 10).expect("it serves");
}

/// Whether it loads; then it is called, and is a function of what it is given.
fn load(data: &[u8]) -> bool {
    let limits = Limits {
        time: Duration::from_millis(50),
        memory: MEMORY,
        component: MOST,
        ..Limits::default()
    };
    let label = Label {
        handler: "stranger".into(),
        version: 7,
    };
    let guest = match SANDBOX.load(label, data, limits, Instances::Fresh) {
        Ok(guest) => guest,
        Err(fault) => {
            let words = fault.to_string();
            assert!(words.contains("stranger version 7") && words.len() > 25, "{words}");
            return false;
        }
    };
    assert_eq!(guest.digest(), digest(data));
    let event = EventView {
        key: "k",
        event_id: "0d9f6f0e-7c41-4b5e-9f0c-6a9b6d5f1a2b",
        event_type: "thing.happened",
        version: "1.0",
        timestamp: "2025-01-01T00:00:00.000Z",
        source: "test",
        correlation_id: None,
        causation_id: None,
        metadata: None,
        payload: r#"{"n":1}"#,
    };
    let context = Context {
        now_millis: 1_735_689_600_000,
        attempt: 1,
        settings: "{}",
    };
    let call = || guest.invoke(Trigger::Event(event), None, context);
    let (once, again) = (call(), call());
    match (&once, &again) {
        (Ok(once), Ok(again)) => {
            assert_eq!(once, again, "not a function of what it is given");
            assert!(once.events.len() <= 100_000);
        }
        (Err(fault), _) | (_, Err(fault)) => assert!(!fault.to_string().is_empty()),
    }
    assert!(guest.peak_memory() <= MEMORY);
    true
}
