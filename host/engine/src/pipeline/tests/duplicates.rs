//! What a producer sends again is handled once: although commits fail, partitions move, and the host stops anywhere.

use super::*;

/// A handler without a state, which publishes what it saw; payload 13 is rejected.
struct Teller;

impl Guest for Teller {
    fn invoke(&self, trigger: Trigger<'_>, _: Option<&str>, _: Context<'_>) -> Result<Outcome, Fault> {
        let Trigger::Event(event) = trigger else {
            panic!("events only")
        };
        if event.payload == "13" {
            return Err(Fault::Rejected("unlucky".into()));
        }
        Ok(Outcome {
            events: vec![EmittedEvent {
                event_type: "listed".into(),
                version: "1.0".into(),
                payload: event.payload.to_owned(),
                key: None,
                metadata: None,
            }],
            ..Outcome::default()
        })
    }
}

/// How many events later a producer sends one again.
const LATER: u32 = 3;

/// A log in which every event of every key is sent again, some events later.
fn doubled() -> BTreeMap<i32, Vec<Record>> {
    let mut log: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    for payload in 0..EACH + LATER {
        for key in 0..KEYS {
            let number = i32::from(key % 3);
            let records = log.entry(number).or_default();
            let sent = (payload < EACH).then_some(payload);
            for payload in sent.into_iter().chain(payload.checked_sub(LATER)) {
                let offset = i64::try_from(records.len()).unwrap();
                records.push(record(key, payload, number, offset));
            }
        }
    }
    log
}

/// Each event came out once, in order; what was given up is no outcome, and was tried again.
fn check_once(store: &Flaky, log: &BTreeMap<i32, Vec<Record>>) {
    let tables = store.tables.lock();
    let expected = EACH as usize - 1;
    for key in 0..KEYS {
        let key = key.to_string();
        let published = tables
            .outbox
            .iter()
            .filter(|record| record.key.as_deref() == Some(key.as_bytes()));
        let (letters, events): (Vec<_>, Vec<_>) = published.partition(|record| &*record.topic == "t.dlq");
        assert_eq!((letters.len(), events.len()), (2, expected), "key {key}");
        let lengths: Vec<_> = events.iter().map(|event| event.value.as_ref().unwrap().len()).collect();
        assert!(lengths.is_sorted(), "events of key {key} out of order");
    }
    for (number, records) in log {
        let progress = &tables.progress[&partition(*number)];
        assert_eq!((progress.next(), progress.gaps()), (records.len() as i64, 0));
    }
}

fn run(guest: fn() -> Box<dyn Guest>, check: impl Fn(&Flaky)) {
    let (store, log) = (Flaky::new(), doubled());
    for _ in 0..4 {
        let running = Running::start_with(&store, options(), registry_of(guest(), 16));
        feed(&running, &log);
        let names: Vec<_> = log.keys().map(|number| partition(*number)).collect();
        running.intake.revoked(&names);
        feed(&running, &log);
        running.stop();
    }
    let running = Running::start_with(&store, options(), registry_of(guest(), 16));
    feed(&running, &log);
    running.settle();
    running.stop();
    check_once(&store, &log);
    check(&store);
}

#[test]
fn a_retry_of_a_producer_changes_a_state_once() {
    let expected: Vec<_> = (0..EACH)
        .filter(|payload| *payload != 13)
        .map(|n| n.to_string())
        .collect();
    run(
        || Box::new(Lister),
        |store| {
            for key in 0..KEYS {
                assert_eq!(
                    store.document("lister", &key.to_string()),
                    expected.join(" "),
                    "key {key}"
                );
            }
        },
    );
}

#[test]
fn a_handler_without_a_state_remembers_as_well() {
    run(
        || Box::new(Teller),
        |store| {
            let tables = store.tables.lock();
            for (name, stored) in &tables.states {
                assert_eq!(stored.document, None, "{name:?}");
                assert_eq!(stored.recent.as_bytes().len(), 16 * 8, "{name:?}");
            }
            assert_eq!(tables.states.len(), usize::from(KEYS));
        },
    );
}

#[test]
fn the_same_id_for_another_key_or_another_handler_is_no_duplicate() {
    let store = Flaky::steady();
    let running = Running::start_with(&store, options(), registry_of(Box::new(Lister), 16));
    running.intake.assigned(&[partition(0)], &[]).unwrap();
    for (offset, key) in (0..).zip([1, 2, 1, 2]) {
        let mut record = record(1, 5, 0, offset);
        record.key = Some(format!("{key}").into_bytes());
        running.intake.record(record);
    }
    running.intake.caught_up();
    running.settle();
    running.stop();
    for key in ["1", "2"] {
        assert_eq!(store.document("lister", key), "5", "key {key}");
    }
}
