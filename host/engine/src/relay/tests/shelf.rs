//! A store that is an outbox and nothing else.

use parking_lot::Mutex;

use sandman_core::event::{OutRecord, TopicId, TopicPartition};
use sandman_core::progress::Progress;
use sandman_core::store::{
    Answered, Assigned, BatchNo, Commit, CommitResult, Committed, OutboxBatch, OutboxSize, Shard, ShardLease, Store,
    StoreError, StoreId, Stored,
};
use std::sync::Arc;

/// Numbers that are skipped at a time.
const SKIPPED: BatchNo = 1_000;

pub(super) struct Shelf {
    id: StoreId,
    skipped: Mutex<Option<(BatchNo, BatchNo)>>,
    inner: Mutex<(Vec<OutboxBatch>, OutboxSize)>,
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self {
            id: StoreId("us".into()),
            skipped: Mutex::default(),
            inner: Mutex::default(),
        }
    }

    /// Each batch is one byte.
    pub(super) fn commit_batch(&self, records: Vec<OutRecord>) {
        let (batches, size) = &mut *self.inner.lock();
        size.last += 1;
        batches.push(OutboxBatch {
            number: size.last,
            committed_millis: 0,
            records,
            bytes: 1,
        });
    }

    pub(super) fn drop_up_to(&self, published: BatchNo) {
        let (batches, size) = &mut *self.inner.lock();
        size.published = size.published.max(published);
        batches.retain(|batch| batch.number > size.published);
    }
}

impl Store for Shelf {
    fn id(&self) -> &StoreId {
        &self.id
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn shards(&self) -> u16 {
        1
    }

    fn leases(&self) -> Vec<ShardLease> {
        vec![ShardLease::default()]
    }

    fn state(&self, _: &str, _: &str) -> Result<Option<Stored>, StoreError> {
        Ok(None)
    }

    fn progress(&self, _: &str) -> Result<Vec<(TopicPartition, Progress)>, StoreError> {
        Ok(Vec::new())
    }

    fn topic_id(&self, _: &str, _: &str) -> Result<Option<TopicId>, StoreError> {
        Ok(None)
    }

    fn adopt_topic(&self, _: &Arc<str>, _: &str, _: &TopicId) -> Result<(), StoreError> {
        Ok(())
    }

    fn restart_topic(&self, _: &Arc<str>, _: &str, _: &TopicId) -> Result<(), StoreError> {
        Ok(())
    }

    fn assign(&self, _: &Arc<str>, _: &[TopicPartition]) -> Result<Vec<Assigned>, StoreError> {
        Ok(Vec::new())
    }

    fn answered(&self, _: &str, _: &str, _: i64) -> Result<Option<Answered>, StoreError> {
        Ok(None)
    }

    fn commit(&self, _: &Commit, _: i64) -> Result<CommitResult, StoreError> {
        Ok(CommitResult::Committed(Committed::default()))
    }

    fn outbox(&self, _: Shard, after: BatchNo, max_bytes: u64) -> Result<Vec<OutboxBatch>, StoreError> {
        let batches = &self.inner.lock().0;
        let behind = batches.iter().filter(|batch| batch.number > after);
        Ok(behind.take(usize::try_from(max_bytes).unwrap()).cloned().collect())
    }

    fn outbox_size(&self, _: Shard) -> Result<OutboxSize, StoreError> {
        self.backlog()
    }

    fn backlog(&self) -> Result<OutboxSize, StoreError> {
        let (batches, size) = &*self.inner.lock();
        Ok(OutboxSize {
            batches: batches.len() as u64,
            ..*size
        })
    }

    fn skip_numbers(&self) -> Result<(), StoreError> {
        let (_, size) = &mut *self.inner.lock();
        *self.skipped.lock() = Some((size.last, size.last + SKIPPED));
        size.last += SKIPPED;
        Ok(())
    }

    fn skipped(&self, _: Shard, number: BatchNo) -> Result<Option<BatchNo>, StoreError> {
        let skipped = *self.skipped.lock();
        let has_it = |&(after, through): &(BatchNo, BatchNo)| after < number && number <= through;
        Ok(skipped.filter(has_it).map(|(after, _)| after))
    }

    fn forget_kafka(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn claimed(&self, _: Shard) -> Result<(), StoreError> {
        self.inner.lock().1.claimed = true;
        Ok(())
    }

    fn adopt(&self, _: Shard, _: BatchNo) -> Result<(), StoreError> {
        Ok(())
    }
}
