//! The outbox: batches of a shard in order, numbered once for ever.

use std::collections::BTreeMap;

use sandman_core::store::{BatchNo, CommittedBatch, OutboxBatch, Shard, ShardPublished};

use super::*;

fn all(store: &dyn Store, shard: Shard) -> Vec<OutboxBatch> {
    store.outbox(shard, 0, u64::MAX).unwrap()
}

fn numbers(batches: &[OutboxBatch]) -> Vec<BatchNo> {
    batches.iter().map(|batch| batch.number).collect()
}

/// What is published of a shard that nobody holds by a lease.
fn published(batch: BatchNo, of: CommittedBatch) -> Commit {
    Commit {
        published: vec![ShardPublished {
            shard: of.shard,
            epoch: Epoch::default(),
            batch,
        }],
        ..Commit::default()
    }
}

fn one(store: &dyn Store, value: &str) -> CommittedBatch {
    let committed = committed(store, &publish(&[("u1", value)]));
    let [batch] = committed.batches[..] else {
        panic!("{committed:?}")
    };
    batch
}

pub(crate) fn batches_of_a_shard_are_numbered_without_gaps_and_keep_their_records(backend: &mut impl Backend) {
    let store = backend.host();
    let records = publish(&[("u1", "a"), ("u1", "b")]);
    let first = committed(&*store, &records).batches[0];
    assert_eq!(first.number, 1);
    let without = committed(&*store, &states(vec![put("u1", None, "1")]));
    assert!(without.batches.is_empty());
    let second = committed_at(&*store, &publish(&[("u1", "c")]), 8).batches[0];
    assert_eq!((second.shard, second.number), (first.shard, 2));
    drop(store);
    backend.restart();
    let store = backend.host();
    let batches = all(&*store, first.shard);
    assert_eq!(batches[0].records, records.outbox);
    let parts = (batches[0].number, batches[0].committed_millis, batches[0].bytes);
    assert_eq!(parts, (1, 7, first.bytes));
    assert_eq!((batches[1].number, batches[1].committed_millis), (2, 8));
    assert_eq!(store.outbox(first.shard, 1, u64::MAX).unwrap(), batches[1..]);
    assert_eq!(store.outbox(first.shard, 2, u64::MAX).unwrap(), []);
}

pub(crate) fn records_of_a_key_are_in_one_shard_in_order(backend: &mut impl Backend) {
    let store = backend.host();
    let keys: Vec<String> = (0..40).map(|key| format!("u{key}")).collect();
    for round in 0..5 {
        let value = round.to_string();
        let records: Vec<_> = keys.iter().map(|key| (key.as_str(), value.as_str())).collect();
        let committed = committed(&*store, &publish(&records));
        assert!(committed.batches.is_sorted_by_key(|batch| batch.shard));
        assert!(committed.batches.iter().all(|batch| batch.number == round + 1));
    }
    let mut seen: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for shard in (0..store.shards()).map(Shard) {
        for record in all(&*store, shard).into_iter().flat_map(|batch| batch.records) {
            let key = record.key.unwrap();
            assert_eq!(Shard::of(Some(&key), store.shards()), shard);
            let value = String::from_utf8(record.value.unwrap()).unwrap();
            seen.entry(key).or_default().push(value);
        }
    }
    assert_eq!(seen.len(), keys.len());
    assert!(seen.values().all(|values| *values == ["0", "1", "2", "3", "4"]));
}

pub(crate) fn what_is_published_leaves_and_its_number_is_not_used_again(backend: &mut impl Backend) {
    let store = backend.host();
    let batch = ["a", "b", "c"].map(|value| one(&*store, value))[0];
    let both = Commit {
        published: published(2, batch).published,
        ..states(vec![put("u1", None, "1")])
    };
    committed(&*store, &both);
    let left = all(&*store, batch.shard);
    assert_eq!(numbers(&left), [3]);
    let size = store.outbox_size(batch.shard).unwrap();
    let parts = (size.batches, size.bytes, size.last, size.published);
    assert_eq!(parts, (1, left[0].bytes, 3, 2));
    assert_eq!((size.claimed, size.oldest_millis), (false, Some(7)));
    committed(&*store, &published(1, batch));
    let after = store.outbox_size(batch.shard).unwrap();
    assert_eq!(after, size, "an older word changes nothing");
    committed(&*store, &published(3, batch));
    drop(store);
    backend.restart();
    let store = backend.host();
    let size = store.outbox_size(batch.shard).unwrap();
    let parts = (size.batches, size.bytes, size.last, size.published);
    assert_eq!((parts, size.oldest_millis), ((0, 0, 3, 3), None));
    assert_eq!(one(&*store, "d").number, 4);
}

pub(crate) fn batches_are_handed_out_up_to_a_bound_but_at_least_one(backend: &mut impl Backend) {
    let store = backend.host();
    let batch = [(); 4].map(|()| one(&*store, "same"))[0];
    let bytes = batch.bytes;
    let count = |bound| store.outbox(batch.shard, 0, bound).unwrap().len();
    let bounds = [0, bytes, bytes * 2 - 1, bytes * 2, u64::MAX];
    assert_eq!(bounds.map(count), [1, 1, 1, 2, 4]);
}

pub(crate) fn a_store_that_takes_over_goes_on_above_the_cursor(backend: &mut impl Backend) {
    let store = backend.host();
    let batch = ["a", "b", "c"].map(|value| one(&*store, value))[0];
    committed(&*store, &published(1, batch));
    store.adopt(batch.shard, 40).unwrap();
    drop(store);
    backend.restart();
    let store = backend.host();
    let waiting = store.outbox(batch.shard, 40, u64::MAX).unwrap();
    let value = |batch: &OutboxBatch| (batch.number, batch.records[0].value.clone().unwrap());
    let values: Vec<_> = waiting.iter().map(value).collect();
    assert_eq!(values, [(41, b"b".to_vec()), (42, b"c".to_vec())]);
    let size = store.outbox_size(batch.shard).unwrap();
    assert_eq!((size.batches, size.last, size.published), (2, 42, 40));
    assert_eq!(one(&*store, "d").number, 43);
    store.adopt(batch.shard, 0).unwrap();
    assert_eq!(numbers(&all(&*store, batch.shard)), [41, 42, 43]);
}

pub(crate) fn numbers_that_a_start_skips_belong_to_no_batch_and_are_known(backend: &mut impl Backend) {
    let store = backend.host();
    let first = one(&*store, "a");
    let shard = first.shard;
    store.skip_numbers().unwrap();
    // Nothing is committed between these starts.
    store.skip_numbers().unwrap();
    let second = one(&*store, "b");
    assert!(second.number > 1 << 31, "{second:?}");
    assert_eq!(numbers(&all(&*store, shard)), [1, second.number]);
    drop(store);
    backend.restart();
    let store = backend.host();
    store.skip_numbers().unwrap();
    let third = one(&*store, "c");
    let before = |number| store.skipped(shard, number).unwrap();
    let edges = [
        1,
        2,
        second.number - 1,
        second.number,
        second.number + 1,
        third.number - 1,
        third.number,
    ];
    let known = [
        None,
        Some(1),
        Some(1),
        None,
        Some(second.number),
        Some(second.number),
        None,
    ];
    assert_eq!(edges.map(before), known);
    assert_eq!(before(third.number + 1), None, "it is not given yet");
    for other in (0..store.shards()).map(Shard).filter(|other| *other != shard) {
        assert_eq!(store.skipped(other, 1).unwrap(), Some(0));
    }
    // A start forgets what the relay is past.
    committed(&*store, &published(second.number, second));
    store.skip_numbers().unwrap();
    assert_eq!(
        [2, second.number + 1, third.number + 1].map(before),
        [None, Some(second.number), Some(third.number)]
    );
    store.adopt(shard, second.number + 1).unwrap();
    assert_eq!([second.number + 1, third.number + 1].map(before), [None; 2]);
    assert_eq!(numbers(&all(&*store, shard)), [third.number]);
}

pub(crate) fn a_claim_is_remembered(backend: &mut impl Backend) {
    let store = backend.host();
    for shard in (0..store.shards()).map(Shard) {
        assert!(!store.outbox_size(shard).unwrap().claimed);
        store.claimed(shard).unwrap();
    }
    drop(store);
    backend.restart();
    let store = backend.host();
    for shard in (0..store.shards()).map(Shard) {
        assert!(store.outbox_size(shard).unwrap().claimed);
    }
    store.forget_kafka().unwrap();
    assert!(!store.outbox_size(Shard(0)).unwrap().claimed);
}
