//! The suite, written against the port.

pub(crate) mod concurrent;
pub(crate) mod files;
pub(crate) mod letters;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod partitions;
pub(crate) mod recordings;
pub(crate) mod states;
pub(crate) mod versions;

pub(crate) use std::sync::Arc;

pub(crate) use sandman_core::event::{Header, Headers, OutRecord, TopicPartition};
pub(crate) use sandman_core::outcome::StateChange;
pub(crate) use sandman_core::progress::Progress;
pub(crate) use sandman_core::store::{
    AttemptWrite, Attempts, Commit, CommitConflict, CommitResult, Committed, DeploymentStore, Epoch, FileStore,
    ProgressWrite, Revision, StateWrite, Store, VersionStore,
};

/// A deployment's store, empty at first.
pub(crate) trait Backend {
    /// The store as one of the deployment's hosts has it. Where the store is shared, each call makes another host.
    fn host(&self) -> Arc<dyn DeploymentStore>;

    /// The same store, for versions.
    fn versions(&self) -> Arc<dyn VersionStore>;

    /// The same store, for the names of uploaded files.
    fn files(&self) -> Arc<dyn FileStore>;

    /// All hosts end, and one starts again. No store that was made before is in use any more.
    fn restart(&mut self);
}

/// A test for each promise, on a store of its own.
macro_rules! conformance {
    ($name:ident, $backend:expr) => {
        $crate::suite::conformance!($name, $backend,
            states::a_state_is_made_changed_and_deleted_by_revision,
            states::a_revision_is_never_given_twice,
            states::a_stale_commit_names_every_stale_state_and_changes_nothing,
            states::a_state_that_was_read_and_kept_must_be_the_same,
            states::a_state_says_since_when_the_newest_version_serves_that_wrote_it,
            states::recent_events_are_kept_with_the_state_and_without_one_for_a_day,
            states::documents_and_keys_are_kept_to_the_byte,
            states::an_answer_is_given_once_and_forgotten_after_a_day,
            partitions::an_assignment_ends_the_one_before_although_nothing_was_committed_under_it,
            partitions::an_assignment_brings_progress_and_attempts,
            partitions::a_conflict_over_a_partition_changes_nothing_else,
            partitions::a_topic_that_was_made_anew_has_neither_progress_nor_assignments,
            partitions::epochs_grow_over_a_restart,
            partitions::without_kafka_states_stay_and_progress_goes,
            outbox::batches_of_a_shard_are_numbered_without_gaps_and_keep_their_records,
            outbox::records_of_a_key_are_in_one_shard_in_order,
            outbox::what_is_published_leaves_and_its_number_is_not_used_again,
            outbox::numbers_that_a_start_skips_belong_to_no_batch_and_are_known,
            outbox::batches_are_handed_out_up_to_a_bound_but_at_least_one,
            outbox::a_store_that_takes_over_goes_on_above_the_cursor,
            outbox::a_claim_is_remembered,
            files::a_file_is_without_a_name_from_its_listing_or_its_last_name_on,
            files::names_come_and_go_with_the_commits_of_their_states,
            files::unnamed_files_are_taken_oldest_first_and_once,
            versions::a_version_serves_once_it_is_activated,
            versions::a_number_is_one_component_for_ever,
            versions::the_history_has_the_newest_first,
            letters::a_letter_comes_back_as_it_went,
            letters::letters_are_found_by_what_is_known_of_them,
            letters::beyond_the_bound_the_oldest_go_that_are_published_and_no_others,
            letters::a_letter_that_is_redriven_goes_with_its_outcome_or_stays_with_another_reason,
            letters::what_an_order_came_to_is_counted_with_its_commits,
            orders::orders_at_once_have_numbers_of_their_own,
            letters::a_letter_that_another_host_has_handled_is_a_conflict_over_that_letter,
            letters::a_held_key_is_released_from_its_head_in_order,
            letters::an_order_is_taken_back_and_what_nobody_can_release_goes,
            letters::a_pause_is_kept_until_it_is_resumed,
            recordings::a_commit_is_one_batch_per_handler_and_lines_are_taken_out_of_it,
            recordings::a_ring_keeps_the_newest_within_its_bound,
            recordings::a_commit_tells_how_large_its_rings_are,
            recordings::of_a_commit_with_more_than_a_quarter_of_what_is_kept_the_newest_stay,
            concurrent::a_store_may_be_asked_from_asynchronous_code,
            concurrent::no_update_is_lost_between_hosts,
            concurrent::a_batch_that_is_visible_has_none_before_it_to_come,
            concurrent::random_histories_agree_with_a_map
        );
    };
    ($name:ident, $backend:expr, $($module:ident :: $test:ident),*) => {
        mod $name {
            use super::*;
            $(
                #[test]
                fn $test() {
                    $crate::suite::$module::$test(&mut $backend);
                }
            )*
        }
    };
}
pub(crate) use conformance;

pub(crate) fn text(text: &str) -> Arc<str> {
    text.into()
}

pub(crate) fn committed(store: &dyn Store, commit: &Commit) -> Committed {
    committed_at(store, commit, 7)
}

fn committed_at(store: &dyn Store, commit: &Commit, now: i64) -> Committed {
    match store.commit(commit, now).unwrap() {
        CommitResult::Committed(committed) => committed,
        CommitResult::Conflict(conflict) => panic!("{conflict:?}"),
    }
}

fn conflict(store: &dyn Store, commit: &Commit) -> CommitConflict {
    match store.commit(commit, 7).unwrap() {
        CommitResult::Committed(committed) => panic!("no conflict: {committed:?}"),
        CommitResult::Conflict(conflict) => {
            assert!(!conflict.is_empty());
            conflict
        }
    }
}

pub(crate) fn put(key: &str, base: Option<Revision>, document: &str) -> StateWrite {
    StateWrite {
        handler: text("profile"),
        key: key.into(),
        base,
        change: StateChange::Put(document.into()),
        recent: None,
    }
}

fn delete(key: &str, base: Option<Revision>) -> StateWrite {
    StateWrite {
        change: StateChange::Delete,
        ..put(key, base, "")
    }
}

pub(crate) fn states(states: Vec<StateWrite>) -> Commit {
    Commit {
        states,
        ..Commit::default()
    }
}

pub(crate) fn document(store: &dyn Store, key: &str) -> Option<String> {
    let stored = store.state("profile", key).unwrap();
    stored
        .and_then(|stored| stored.document)
        .map(|document| document.to_string())
}

fn record(key: &str, value: &str) -> OutRecord {
    OutRecord {
        topic: "dreamscape.user.updated".into(),
        key: Some(key.into()),
        value: Some(value.into()),
        timestamp_millis: None,
        headers: Headers::from_iter([
            Header::text("eventType", "user.updated"),
            Header {
                name: "null",
                value: None,
            },
        ]),
    }
}

pub(crate) fn publish(records: &[(&str, &str)]) -> Commit {
    Commit {
        outbox: records.iter().map(|(key, value)| record(key, value)).collect(),
        ..Commit::default()
    }
}

pub(crate) fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic: "t".into(),
        partition: number,
    }
}

pub(crate) fn progress(number: i32, epoch: Epoch, next: i64) -> Commit {
    Commit {
        progress: vec![ProgressWrite {
            handler: text("profile"),
            partition: partition(number),
            progress: Progress::starting_at(next),
            epoch,
        }],
        ..Commit::default()
    }
}

pub(crate) fn attempt(number: i32, epoch: Epoch, (offset, failed): (i64, Option<u32>)) -> Commit {
    Commit {
        attempts: vec![AttemptWrite {
            handler: text("profile"),
            partition: partition(number),
            offset,
            epoch,
            attempts: failed.map(|failed| Attempts {
                offset,
                failed,
                due_millis: 1_000,
            }),
        }],
        ..Commit::default()
    }
}

pub(crate) fn assign(store: &dyn Store, number: i32) -> sandman_core::store::Assigned {
    let assigned = store.assign(&text("profile"), &[partition(number)]).unwrap();
    assert_eq!(assigned.len(), 1);
    assigned.into_iter().next().unwrap()
}
