//! Dead letters and a commit that is cut short; all else is in the suite that every store must pass.

use super::*;
use sandman_core::event::Record;
use sandman_core::reason::{GivenUp, ReasonCode};
use sandman_core::store::{Hold, LetterFilter, LetterHead, LetterStore, LetterWrite, NewLetter};

/// A commit as the pipeline makes it: a letter, and its record for Kafka.
fn given_up() -> Commit {
    let letter = NewLetter {
        handler: "h".into(),
        key: Some("ada".into()),
        record: Record {
            source: TopicPartition {
                topic: "t".into(),
                partition: 1,
            },
            offset: 7,
            key: Some(b"ada".to_vec()),
            value: Some(b"{}".to_vec()),
            headers: Headers::default(),
            timestamp_millis: None,
        },
        given_up: GivenUp {
            code: ReasonCode::Rejected,
            reason: "because".to_owned(),
            version: 1,
            digest: "d".into(),
            attempts: 1,
            state: None,
            at_millis: 1,
        },
        hold: Hold::No,
    };
    Commit {
        letters: vec![LetterWrite::Add(Box::new(letter))],
        letters_bound: u64::MAX,
        ..publish(&["dead"])
    }
}

fn letters(scene: &Scene) -> Vec<LetterHead> {
    scene.store().letters(&LetterFilter::default(), 0, 100).unwrap()
}

#[test]
fn a_commit_that_is_cut_short_leaves_no_letter() {
    let mut scene = Scene::new();
    scene.interrupt(&given_up(), || {});
    assert!(letters(&scene).is_empty());
    scene.commit(given_up());
    scene.reopen();
    assert_eq!(letters(&scene).len(), 1);
}
