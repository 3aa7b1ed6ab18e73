//! The dead letters of a store, for operators: in groups, and one by one.

mod orders;
mod redrive;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sandman_core::store::{DroppedLetters, Hold, LetterFilter, LetterHead, LetterStore, RedriveOrder, StoreError};
use sandman_engine::clock;

pub use orders::{
    LettersDropped, RedriveCancelled, RedriveOrdered, RedriveProgress, Rehearsed, RehearsedEvent, ReleaseProgress,
    ReleasedKey,
};
pub use redrive::{NotRunnable, RedriveHow, Redriver};
pub use view::{
    Data, HeldAs, LetterData, LetterGroup, LetterHeader, LetterLine, LetterList, LetterQuery, LetterReport,
};

/// A letter that was redriven this often is not redriven again unless forced.
pub const MOST_REDRIVEN: u32 = 5;

/// How many of the last redrive jobs are kept with their results.
pub const ORDERS_KEPT: u64 = 1_000;

/// Letters that are read in one step.
const STEP: usize = 1_000;

/// The dead letters of a running host, or of the store of a stopped one.
pub struct Letters {
    store: Arc<dyn LetterStore>,
}

impl Letters {
    /// The letters of this store.
    pub fn new(store: Arc<dyn LetterStore>) -> Self {
        Self { store }
    }

    /// All matching letters, in groups by handler, version and code, and the newest `most` of them. Keys and texts of
    /// guests are included only for those who may read data.
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
            group.add(&head, reads_data);
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

    /// A letter with all its data; the record and the state are included only for those who may read data.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn show(&self, id: u64, reads_data: bool) -> Result<Option<LetterReport>, StoreError> {
        let letter = self.store.letter(id)?;
        Ok(letter.map(|letter| LetterReport::of(&letter, reads_data)))
    }

    /// Redrives letters. Without `force`, those that were redriven [`MOST_REDRIVEN`] times are left out, because they
    /// would probably fail for ever.
    ///
    /// # Errors
    /// As for a commit.
    pub fn order(
        &self,
        filter: &LetterFilter,
        through: Option<u64>,
        force: bool,
    ) -> Result<RedriveOrdered, StoreError> {
        let order = RedriveOrder {
            from: clock::wall_millis().unsigned_abs(),
            through,
            most_redriven: if force { u32::MAX } else { MOST_REDRIVEN },
            kept: ORDERS_KEPT,
        };
        let (job, ordered) = self.store.order_redrive(filter, &order)?;
        Ok(RedriveOrdered::of(job, ordered))
    }

    /// The progress of a job; `None` if there was none with this number, or it is no longer kept. Letters that were
    /// handled are gone, so they are only counted.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn progress(&self, job: u64, reads_data: bool) -> Result<Option<RedriveProgress>, StoreError> {
        let filter = LetterFilter {
            job: Some(job),
            ..LetterFilter::default()
        };
        let Some(result) = self.store.order_result(job)? else {
            return Ok(None);
        };
        // After the counts, so that all failed letters of a finished job are included. Later failures are reported the
        // next time.
        let mut failed = Vec::new();
        self.each(&filter, |head| {
            if !head.ordered {
                failed.push(LetterLine::of(&head, reads_data));
            }
            Ok(())
        })?;
        failed.truncate(usize::try_from(result.failed).unwrap_or(usize::MAX));
        Ok(Some(RedriveProgress::of(job, &result, failed)))
    }

    /// The handler and the key of a letter, if there is such a letter; it may have no key.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn key_of(&self, id: u64) -> Result<Option<(String, Option<String>)>, StoreError> {
        let letter = self.store.letter(id)?;
        Ok(letter.map(|letter| {
            let key = letter.head.key.map(|key| key.to_string());
            (letter.head.handler.to_string(), key)
        }))
    }

    /// The progress of a release of a key: the letters that are still to run, and those that failed again and hold the key.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub fn released(
        &self,
        handlers: &[String],
        key: &ReleasedKey,
        reads_data: bool,
    ) -> Result<ReleaseProgress, StoreError> {
        let filter = LetterFilter {
            key: key.text().map(str::to_owned),
            ..LetterFilter::default()
        };
        let mut progress = ReleaseProgress::default();
        self.each(&filter, |head| {
            let is_of_key = head.key.as_ref().is_some_and(|known| key.is(known));
            let is_meant = head.hold != Hold::No && is_of_key && handlers.iter().any(|name| *name == *head.handler);
            match (is_meant, head.ordered, head.hold) {
                (false, ..) => {}
                (true, true, _) => progress.remaining += 1,
                (true, false, Hold::Head) => progress.failed.push(LetterLine::of(&head, reads_data)),
                (true, false, _) => progress.waiting += 1,
            }
            Ok(())
        })?;
        Ok(progress)
    }

    /// Removes letters, or says how many it would remove. Those that are being redriven are left out, and so are those
    /// of held keys, except for handlers that no host serves, whose names are returned.
    ///
    /// # Errors
    /// As for a commit.
    pub fn remove(
        &self,
        filter: &LetterFilter,
        dry_run: bool,
        serves: &dyn Fn(&str) -> bool,
    ) -> Result<(LettersDropped, BTreeSet<Arc<str>>), StoreError> {
        let (mut done, mut gone) = (LettersDropped::default(), BTreeSet::new());
        self.each(filter, |head| {
            match head.hold {
                Hold::No if head.ordered => done.ordered += 1,
                Hold::No => done.dropped += 1,
                Hold::Head | Hold::Behind if serves(&head.handler) => done.held += 1,
                Hold::Head | Hold::Behind => {
                    done.dropped += 1;
                    gone.insert(head.handler);
                }
            }
            Ok(())
        })?;
        if dry_run {
            return Ok((done, gone));
        }
        // Counted in the same transaction: letters may have failed or been ordered since they were listed.
        let DroppedLetters { dropped, ordered, held } = self.store.drop_letters(filter)?;
        let mut done = LettersDropped { dropped, held, ordered };
        for name in &gone {
            let of_handler = LetterFilter {
                handler: Some(name.to_string()),
                ..filter.clone()
            };
            let dropped = self.store.drop_held_letters(&of_handler)?;
            done.dropped += dropped;
            done.held = done.held.saturating_sub(dropped);
        }
        Ok((done, gone))
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
