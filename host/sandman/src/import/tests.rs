//! Files against a store in memory.

use std::io::{Seek, SeekFrom, Write};

use super::*;
use sandman_core::contract::{Contract, Grant, Terms};
use sandman_store::SqliteStore;

const SCHEMA: &str = r#"{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}"#;

struct Scene {
    store: SqliteStore,
    terms: Terms,
}

impl Scene {
    fn new() -> Self {
        let contract = Contract {
            state_schema: Some(SCHEMA.to_owned()),
            ..Contract::default()
        };
        let terms = Terms::new(&contract, &Grant::default(), |_| "t".into()).expect("terms");
        let store = SqliteStore::in_memory().expect("a store");
        Self { store, terms }
    }

    fn import(&self, lines: &str, overwrite: bool) -> ImportResult {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(lines.as_bytes()).expect("room");
        file.seek(SeekFrom::Start(0)).expect("a file");
        self.importing(overwrite).run(file).expect("no fault of file or store")
    }

    fn importing(&self, overwrite: bool) -> Import<'_> {
        Import {
            handler: "profile".into(),
            shape: self.terms.state(),
            reader: None,
            longest: 100,
            store: Some(&self.store),
            overwrite,
            show: false,
        }
    }

    fn state(&self, key: &str) -> Option<String> {
        let stored = self.store.state("profile", key).expect("a store that reads");
        stored
            .and_then(|stored| stored.document)
            .map(|document| document.to_string())
    }
}

fn lines(range: std::ops::Range<u32>) -> String {
    range
        .map(|n| format!("{{\"key\":\"u-{n}\",\"state\":{{\"n\":{n}}}}}\n"))
        .collect()
}

fn counts(states: u64, added: u64, replaced: u64, same: u64) -> ImportResult {
    ImportResult::Imported(Counts {
        states,
        added,
        replaced,
        same,
    })
}

#[test]
fn states_are_imported_once_and_a_second_run_goes_on() {
    let scene = Scene::new();
    assert_eq!(scene.import(&lines(0..2_500), false), counts(2_500, 2_500, 0, 0));
    assert_eq!(scene.state("u-2499").as_deref(), Some("{\"n\":2499}"));
    assert_eq!(scene.import(&lines(0..2_600), false), counts(2_600, 100, 0, 2_500));
    let spaced = "{\"key\": \"u-7\", \"state\": { \"n\": 7 }}";
    assert_eq!(scene.import(spaced, false), counts(1, 0, 0, 1));
}

#[test]
fn another_state_is_replaced_only_when_told() {
    let scene = Scene::new();
    scene.import(&lines(0..3), false);
    let other = "{\"key\":\"new\",\"state\":{\"n\":1}}\n{\"key\":\"u-1\",\"state\":{\"n\":100}}\n";
    let ImportResult::Refused(mistakes) = scene.import(other, false) else {
        panic!("taken")
    };
    assert_eq!((mistakes.problems.len(), mistakes.more), (1, 0));
    assert_eq!(
        (mistakes.problems[0].line, mistakes.problems[0].place.as_str()),
        (2, "key")
    );
    assert_eq!(
        (scene.state("new"), scene.state("u-1").as_deref()),
        (None, Some("{\"n\":1}"))
    );
    assert_eq!(scene.import(other, true), counts(2, 1, 1, 0));
    assert_eq!(scene.state("u-1").as_deref(), Some("{\"n\":100}"));
    assert_eq!(scene.import(other, true), counts(2, 0, 0, 2));
}

#[test]
fn one_mistake_keeps_everything_out_and_all_are_told_up_to_a_bound() {
    let scene = Scene::new();
    let file = format!(
        "{}{{\"key\":\"u-0\",\"state\":{{\"n\":1}}}}\n{}",
        lines(0..1),
        "{\"key\":\"x\",\"state\":{}}\n".repeat(1_005)
    );
    let ImportResult::Refused(mistakes) = scene.import(&file, true) else {
        panic!("taken")
    };
    assert_eq!((mistakes.problems.len(), mistakes.more), (1_000, 6));
    assert!(
        mistakes.problems[0].problem.contains("the key of line 1"),
        "{mistakes:?}"
    );
    assert_eq!(
        (mistakes.problems[1].line, mistakes.problems[1].place.as_str()),
        (3, "state")
    );
    let long = format!("{{\"key\":\"l\",\"state\":\"{}\"}}", "x".repeat(20_000));
    let ImportResult::Refused(mistakes) = scene.import(&long, true) else {
        panic!("taken")
    };
    assert!(mistakes.problems[0].problem.contains("limits.output"), "{mistakes:?}");
    assert_eq!(scene.state("u-0"), None);
}

#[test]
fn a_file_that_was_changed_between_the_passes_brings_in_nothing_that_does_not_fit() {
    let scene = Scene::new();
    let import = scene.importing(false);
    let rules = Rules {
        shape: import.shape,
        reader: None,
        longest: 100,
    };
    let write = |text: &str, checked: u64| {
        let lines = &mut Lines::new(text.as_bytes(), rules.longest_line());
        import.write(&scene.store, &rules, lines, (&ImportProgress::Quiet, checked))
    };
    let bad = format!("{}{}", lines(0..1_500), "{\"key\":\"x\",\"state\":{}}\n");
    let error = write(&bad, 1_501).expect_err("the last line does not fit");
    assert!(matches!(error, ImportError::Changed { written: 1_000 }), "{error}");
    assert_eq!(
        (scene.state("u-999").is_some(), scene.state("u-1000"), scene.state("x")),
        (true, None, None)
    );
    let error = write(&lines(0..10), 11).expect_err("a line is missing");
    assert!(matches!(error, ImportError::Changed { written: 0 }), "{error}");
    write(&lines(0..1_500), 1_500).expect("all of it");
    assert!(scene.state("u-1499").is_some());
}
