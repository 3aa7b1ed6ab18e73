//! The dead letters of a store, as operators see them: in groups, and one by one.

mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use sandman_core::store::{LetterFilter, LetterHead, LetterStore, StoreError};

pub use view::{Data, LetterData, LetterGroup, LetterHeader, LetterLine, LetterList, LetterQuery, LetterReport};

/// Letters that are read in one step.
const STEP: usize = 1_000;

/// The dead letters of a host that runs, or of the store of one that is stopped.
pub struct Letters {
    store: Arc<dyn LetterStore>,
}

impl Letters {
    /// The letters of this store.
    pub fn new(store: Arc<dyn LetterStore>) -> Self {
        Self { store }
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
