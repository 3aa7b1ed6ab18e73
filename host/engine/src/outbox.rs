//! The outbox between the committer, which fills it, and the relays, which publish it: who has to be told what, and what of it
//! is still in memory.
//!
//! ```text
//! committer --committed--> [ batches | size ] --next, wait--> relay of each shard
//! committer <--take_published-- [ published ] <--published-- relay of each shard
//! ```

mod buffer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use crate::clock;
use buffer::OutboxBuffer;
use sandman_core::event::OutRecord;
use sandman_core::store::{BatchNo, CommittedBatch, OutboxBatch, OutboxSize, Shard, ShardPublished, Store, StoreError};

/// What is called when a relay has published something.
type OnPublished = Box<dyn Fn() + Send + Sync>;

/// The outbox of a store, as this process fills and empties it.
pub struct OutboxFeed {
    store: Arc<dyn Store>,
    /// The newest batches, for the relay of a store that no other host writes to.
    buffer: Mutex<OutboxBuffer>,
    size: Mutex<OutboxSize>,
    /// Those of `size`, for whoever asks at each record.
    bytes: AtomicU64,
    /// What the relays have published since a commit said so.
    published: Mutex<Vec<ShardPublished>>,
    /// One per shard: full where its relay has something to look for.
    committed: Vec<(Sender<()>, Receiver<()>)>,
    on_published: OnceLock<OnPublished>,
}

impl OutboxFeed {
    /// The outbox of this store.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn new(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let size = store.backlog()?;
        let committed = (0..store.shards()).map(|_| crossbeam_channel::bounded(1));
        Ok(Self {
            committed: committed.collect(),
            store,
            buffer: Mutex::default(),
            size: Mutex::new(size),
            bytes: AtomicU64::new(size.bytes),
            published: Mutex::default(),
            on_published: OnceLock::new(),
        })
    }

    /// The shard's batches after `after`, oldest first: none if there are none, else at least one, up to `max_bytes`.
    ///
    /// # Errors
    /// [`StoreError`] if they have to be read from the store and cannot be.
    pub fn next(&self, shard: Shard, after: BatchNo, max_bytes: u64) -> Result<Vec<OutboxBatch>, StoreError> {
        if self.store.is_shared() {
            // Any host may have committed some.
            return self.store.outbox(shard, after, max_bytes);
        }
        let mut buffer = self.buffer.lock();
        buffer.asked(clock::monotonic_millis());
        let batches = buffer.take(after, max_bytes);
        drop(buffer);
        if !batches.is_empty() || self.store.outbox_size(shard)?.last <= after {
            return Ok(batches);
        }
        self.store.outbox(shard, after, max_bytes)
    }

    /// Whether the relay works, and more is in memory than it takes soon.
    pub(crate) fn is_relay_behind(&self) -> bool {
        self.buffer.lock().is_behind(clock::monotonic_millis)
    }

    /// The relay works, whatever time it is.
    #[cfg(test)]
    pub(crate) fn ask_for_ever(&self) {
        self.buffer.lock().asked(u64::MAX);
    }

    /// Waits until something of the shard is committed in this process, but no longer than `patience`.
    pub fn wait(&self, shard: Shard, patience: Duration) {
        match self.committed.get(usize::from(shard.0)) {
            Some((_, committed)) => drop(committed.recv_timeout(patience)),
            None => std::thread::park_timeout(patience),
        }
    }

    /// Everything of a shard up to a batch is on Kafka; it leaves the outbox with the next commit.
    pub fn published(&self, news: ShardPublished) {
        self.note_published(news);
        if let Some(on_published) = self.on_published.get() {
            on_published();
        }
    }

    /// How much waits to be published, as of the last commit that changed it.
    pub fn size(&self) -> OutboxSize {
        *self.size.lock()
    }

    /// The bytes of [`OutboxFeed::size`]; for a bound that is looked at for each record.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Has this called after each time that a relay has published something; once at most.
    pub(crate) fn on_published(&self, call: OnPublished) {
        // There is one committer.
        self.on_published.set(call).ok();
    }

    /// Whether a commit has something to say of what is published.
    pub(crate) fn has_published(&self) -> bool {
        !self.published.lock().is_empty()
    }

    /// What the next commit says of what is published.
    pub(crate) fn take_published(&self) -> Vec<ShardPublished> {
        std::mem::take(&mut *self.published.lock())
    }

    /// The commit that was to say it has failed.
    pub(crate) fn give_back_published(&self, news: &[ShardPublished]) {
        news.iter().for_each(|news| self.note_published(*news));
    }

    /// A commit is durable: these are its records and its batches, and whether it took published batches out.
    pub(crate) fn committed(
        &self,
        records: Vec<OutRecord>,
        (batches, committed_millis): (&[CommittedBatch], i64),
        took_published: bool,
    ) {
        // Where there are several shards, or several hosts, the relays read the store.
        if let [batch] = batches
            && self.store.shards() == 1
            && !self.store.is_shared()
        {
            self.buffer.lock().put(OutboxBatch {
                number: batch.number,
                committed_millis,
                records,
                bytes: batch.bytes,
            });
        }
        for batch in batches {
            if let Some((committed, _)) = self.committed.get(usize::from(batch.shard.0)) {
                // A full channel means that its relay has been told already.
                committed.try_send(()).ok();
            }
        }
        if took_published || !batches.is_empty() {
            self.measure();
        }
    }

    /// Asks the store how much waits. One that cannot say fails the next commit; until then the old size will do.
    pub(crate) fn measure(&self) {
        if let Ok(size) = self.store.backlog() {
            *self.size.lock() = size;
            self.bytes.store(size.bytes, Ordering::Relaxed);
        }
    }

    /// The highest batch of each shard counts, of the latest lease.
    fn note_published(&self, news: ShardPublished) {
        let mut all = self.published.lock();
        match all.iter_mut().find(|known| known.shard == news.shard) {
            Some(known) if (known.epoch, known.batch) < (news.epoch, news.batch) => *known = news,
            Some(_) => {}
            None => all.push(news),
        }
    }
}
