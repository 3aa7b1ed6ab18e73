//! Commands of operators for dead letters and held keys, on the running host.

use std::collections::BTreeSet;
use std::time::Duration;

use super::control::HostControl;
use sandman_core::store::{Hold, LetterFilter};
use sandman_engine::registry::Handler;
use sandman_operate::deploy::Refusal;
use sandman_operate::letters::{LettersDropped, RedriveOrdered};

/// The longest time between two checks of the progress.
const LOOK: Duration = Duration::from_millis(500);

impl HostControl {
    fn is_served(&self, name: &str) -> bool {
        let found = self.registry.find(name);
        found.is_some_and(|(_, handler)| !handler.is_retired())
    }

    /// Removed handlers may have letters as well.
    pub(super) fn knows_handler(&self, name: &str) -> Result<(), Refusal> {
        match self.recordings.handlers()?.iter().any(|known| **known == *name) {
            true => Ok(()),
            false => self.find(name).map(drop),
        }
    }

    pub(super) fn order_redrive(
        &self,
        filter: &LetterFilter,
        through: Option<u64>,
        force: bool,
    ) -> Result<RedriveOrdered, Refusal> {
        self.may_run(filter, through)?;
        let ordered = self.letters.order(filter, through, force)?;
        self.pipeline.signal_letters();
        Ok(ordered)
    }

    /// Checks that there are handlers and versions on which the letters can be redriven.
    pub(super) fn may_run(&self, filter: &LetterFilter, through: Option<u64>) -> Result<(), Refusal> {
        let meant = self.letters.list(filter, 0, false)?;
        if let Some(id) = filter.id.filter(|_| meant.count == 0) {
            return Err(Refusal::NoLetter(id));
        }
        let names: BTreeSet<&str> = meant.groups.iter().map(|group| group.handler.as_str()).collect();
        for name in names {
            let serving = self.registry.find(name).filter(|(_, handler)| !handler.is_retired());
            let Some((ix, handler)) = serving else {
                return Err(Refusal::NotConfigured(name.to_owned()));
            };
            if let Some(number) = through {
                let loaded = self.redriver.version(ix, handler, number);
                loaded.map_err(|why| Refusal::Through {
                    number,
                    why: why.to_string(),
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn remove_letters(&self, filter: &LetterFilter, dry_run: bool) -> Result<LettersDropped, Refusal> {
        let (done, gone) = self.letters.remove(filter, dry_run, &|name| self.is_served(name))?;
        if let Some(id) = filter.id.filter(|_| done == LettersDropped::default()) {
            return Err(Refusal::NoLetter(id));
        }
        if !dry_run && !gone.is_empty() {
            // A handler that was removed while the host runs may come back.
            for (ix, _) in gone.iter().filter_map(|name| self.registry.find(name)) {
                self.pipeline.forget_held(ix);
            }
            self.pipeline.load_letters(self.store.held_keys()?, Vec::new());
        }
        Ok(done)
    }

    pub(super) fn release_key(&self, handler: Option<&str>, key: &str, drop: bool) -> Result<Vec<String>, Refusal> {
        if let Some(name) = handler {
            self.knows_handler(name)?;
        }
        if self.store.is_shared() {
            self.look_at_holds();
        }
        let is_meant = |known: &Handler| !known.is_retired() && handler.is_none_or(|name| *known.name == *name);
        let mut released = Vec::new();
        for (ix, known) in self.registry.iter().filter(|(_, known)| is_meant(known)) {
            if self.pipeline.release(ix, key, drop)? {
                released.push(known.name.to_string());
            }
        }
        self.pipeline.signal_letters();
        if released.is_empty() {
            let of_key = LetterFilter {
                key: Some(key.to_owned()),
                handler: handler.map(str::to_owned),
                ..LetterFilter::default()
            };
            let heads = self.store.letters(&of_key, 0, 1_000)?;
            let gone = heads
                .iter()
                .find(|head| head.hold != Hold::No && !self.is_served(&head.handler));
            if let Some(head) = gone {
                return Err(Refusal::HeldByGone(head.handler.to_string()));
            }
        }
        Ok(released)
    }

    /// Reports progress whenever it changes, until it is finished or the receiver is gone.
    pub(super) fn follow_letters<T: PartialEq>(
        &self,
        look: &dyn Fn() -> Result<T, Refusal>,
        is_over: &dyn Fn(&T) -> bool,
        tell: &mut dyn FnMut(&T) -> bool,
    ) -> Result<(), Refusal> {
        let mut last = None;
        loop {
            let progress = look()?;
            let is_new = last.as_ref() != Some(&progress);
            if is_new && (!tell(&progress) || is_over(&progress)) {
                return Ok(());
            }
            last = Some(progress);
            self.pipeline.await_commit(LOOK);
        }
    }
}
