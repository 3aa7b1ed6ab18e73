//! The outbox between the committer, which fills it, and the relays, which publish it: signals between them, and the
//! batches that are still in memory.
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

/// Called when a relay has published something.
type OnPublished = Box<dyn Fn() + Send + Sync>;

/// The outbox of a store, as this process fills and empties it.
pub struct OutboxFeed {
    store: Arc<dyn Store>,
    /// The newest batches, for the relay of a store that no other host writes to.
    buffer: Mutex<OutboxBuffer>,
    size: Mutex<OutboxSize>,
    /// The bytes of `size`, which are checked for each record.
    bytes: AtomicU64,
    /// Published batches that no commit has taken out of the outbox yet.
    published: Mutex<Vec<ShardPublished>>,
    /// One per shard: full if its relay has something to look for.
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
            // Any host may have committed batches.
            return self.store.outbox(shard, after, max_bytes);
        }
        let mut buffer = self.buffer.lock();
        buffer.asked(clock::monotonic_millis());
        let batches = buffer.take(after, max_bytes);
        drop(buffer);
        if !batches.is_empty() {
            return Ok(batches);
        }
        let size = self.store.outbox_size(shard)?;
        if size.batches == 0 || size.last <= after {
            return Ok(batches);
        }
        self.store.outbox(shard, after, max_bytes)
    }

    /// Whether the relay works and has more batches in memory than it will take soon.
    pub(crate) fn is_relay_behind(&self) -> bool {
        self.buffer.lock().is_behind(clock::monotonic_millis)
    }

    /// For tests: the relay counts as working, whatever the time is.
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

    /// Batches of a shard up to this one are in Kafka; they leave the outbox with the next commit.
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

    /// The bytes of [`OutboxFeed::size`], for a limit that is checked for each record.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Registers a function to call each time that a relay has published something. Only the first one is used.
    pub(crate) fn on_published(&self, call: OnPublished) {
        // There is one committer.
        self.on_published.set(call).ok();
    }

    /// Whether the next commit takes published batches out of the outbox.
    pub(crate) fn has_published(&self) -> bool {
        !self.published.lock().is_empty()
    }

    /// Takes the published batches that the next commit removes from the outbox.
    pub(crate) fn take_published(&self) -> Vec<ShardPublished> {
        std::mem::take(&mut *self.published.lock())
    }

    /// The commit with these published batches has failed.
    pub(crate) fn give_back_published(&self, news: &[ShardPublished]) {
        news.iter().for_each(|news| self.note_published(*news));
    }

    /// A commit is durable, with these records and batches; the last argument says whether it took published batches out.
    pub(crate) fn committed(
        &self,
        records: Vec<OutRecord>,
        (batches, committed_millis): (&[CommittedBatch], i64),
        took_published: bool,
    ) {
        // With several shards or several hosts, the relays read the store.
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
                // A full channel means that its relay has already been notified.
                committed.try_send(()).ok();
            }
        }
        if took_published || !batches.is_empty() {
            self.measure();
        }
    }

    /// Asks the store how much waits. If the store fails, so will the next commit; until then the old size is used.
    pub(crate) fn measure(&self) {
        if let Ok(size) = self.store.backlog() {
            *self.size.lock() = size;
            self.bytes.store(size.bytes, Ordering::Relaxed);
        }
    }

    /// Keeps the highest batch of each shard, of the latest lease.
    fn note_published(&self, news: ShardPublished) {
        let mut all = self.published.lock();
        match all.iter_mut().find(|known| known.shard == news.shard) {
            Some(known) if (known.epoch, known.batch) < (news.epoch, news.batch) => *known = news,
            Some(_) => {}
            None => all.push(news),
        }
    }
}
