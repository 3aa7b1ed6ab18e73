//! The dead letters of a store, as operators see them: in groups, and one by one.

mod redrive;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sandman_core::store::{Hold, LetterFilter, LetterHead, LetterStore, RedriveOrder, StoreError};
use sandman_engine::clock;

pub use redrive::Redriver;
pub use view::{
    Data, HeldAs, LetterData, LetterGroup, LetterHeader, LetterLine, LetterList, LetterQuery, LetterReport,
    RedriveOrdered, RedriveProgress, Rehearsed, RehearsedEvent,
};

/// A letter that was redriven as often is not redriven again unless it is forced.
pub const MOST_REDRIVEN: u32 = 5;

/// Letters that are read in one step.
const STEP: usize = 1_000;

/// The dead letters of a host that runs, or of the store of one that is stopped.
pub struct Letters {
    store: Arc<dyn LetterStore>,
    last_job: AtomicU64,
}

impl Letters {
    /// The letters of this store.
    pub fn new(store: Arc<dyn LetterStore>) -> Self {
        Self {
            store,
            last_job: AtomicU64::new(0),
        }
    }

    /// Every letter that is meant, in groups by handler, version and code, and the newest `most` of them. Keys are told
    /// to those alone who may read data.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn list(&self, filter: &LetterFilter, most: usize, reads_data: bool) -> Result<LetterList, StoreError> {
        let mut groups = BTreeMap::new();
        let mut newest = std::collections::VecDeque::new();
        let mut count = 0;
        self.each(filter, |head| {
            let name = (head.handler.to_string(), head.given_up.version, head.given_up.code);
            let group = groups.entry(name).or_insert_with(|| LetterGroup::of(&head));
            group.add(&head);
            count += 1;
            newest.push_front(head);
            newest.truncate(most);
            Ok(())
        })?;
        let letters = newest.iter().map(|head| LetterLine::of(head, reads_data));
        Ok(LetterList {
            count,
            groups: groups.into_values().collect(),
            letters: letters.collect(),
        })
    }

    /// A letter with all that is known of it; what the handler was sent and remembered is told to those alone who may read
    /// data.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn show(&self, id: u64, reads_data: bool) -> Result<Option<LetterReport>, StoreError> {
        let letter = self.store.letter(id)?;
        Ok(letter.map(|letter| LetterReport::of(&letter, reads_data)))
    }

    /// Has letters redriven. Those that were redriven [`MOST_REDRIVEN`] times are left out without `force`: what fails as often
    /// would fail for ever.
    ///
    /// # Errors
    /// As for a commit.
    pub fn order(
        &self,
        filter: &LetterFilter,
        through: Option<u64>,
        force: bool,
    ) -> Result<RedriveOrdered, StoreError> {
        // Two orders in one millisecond would be one.
        let now = clock::wall_millis().unsigned_abs();
        let last = self.last_job.fetch_max(now, Ordering::Relaxed);
        let job = if last < now {
            now
        } else {
            self.last_job.fetch_add(1, Ordering::Relaxed) + 1
        };
        let order = RedriveOrder {
            job,
            through,
            most_redriven: if force { u32::MAX } else { MOST_REDRIVEN },
        };
        let ordered = self.store.order_redrive(filter, &order)?;
        Ok(RedriveOrdered {
            job,
            ordered: ordered.ordered,
            refused: ordered.refused,
            held: ordered.held,
        })
    }

    /// How an order stands. Letters that were handled are gone, so they are not told.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn progress(&self, job: u64, reads_data: bool) -> Result<RedriveProgress, StoreError> {
        let filter = LetterFilter {
            job: Some(job),
            ..LetterFilter::default()
        };
        let (mut remaining, mut failed) = (0, Vec::new());
        self.each(&filter, |head| {
            match head.ordered {
                true => remaining += 1,
                false => failed.push(LetterLine::of(&head, reads_data)),
            }
            Ok(())
        })?;
        Ok(RedriveProgress { job, remaining, failed })
    }

    /// Removes letters, but for those that are being redriven and those of held keys. Returns how many went.
    ///
    /// # Errors
    /// As for a commit.
    pub fn remove(&self, filter: &LetterFilter) -> Result<u64, StoreError> {
        self.store.drop_letters(filter)
    }

    /// How many letters [`Letters::remove`] would remove.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub fn removable(&self, filter: &LetterFilter) -> Result<u64, StoreError> {
        let mut count = 0;
        self.each(filter, |head| {
            count += u64::from(!head.ordered && head.hold == Hold::No);
            Ok(())
        })?;
        Ok(count)
    }

    fn each(
        &self,
        filter: &LetterFilter,
        mut look: impl FnMut(LetterHead) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let heads = self.store.letters(filter, after, STEP)?;
            let Some(last) = heads.last() else { return Ok(()) };
            after = last.id;
            heads.into_iter().try_for_each(&mut look)?;
        }
    }
}
