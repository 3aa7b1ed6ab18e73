//! Allows one change of a handler at a time, and none while the configuration changes.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The handlers that are being changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy(Arc<Mutex<Changing>>);

#[derive(Debug, Default)]
struct Changing {
    handlers: HashSet<Arc<str>>,
    all: bool,
}

/// The right to change one handler, or all of them; given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    busy: Busy,
    /// `None`: all of them.
    handler: Option<Arc<str>>,
}

impl Busy {
    /// The right to change one handler, unless it is taken.
    pub(super) fn one(&self, handler: &Arc<str>) -> Option<Slot> {
        let mut changing = self.0.lock();
        let free = !changing.all && changing.handlers.insert(Arc::clone(handler));
        free.then(|| Slot {
            busy: self.clone(),
            handler: Some(Arc::clone(handler)),
        })
    }

    /// The right to change everything, unless any change is in progress.
    pub(super) fn all(&self) -> Option<Slot> {
        let mut changing = self.0.lock();
        let free = !changing.all && changing.handlers.is_empty();
        changing.all |= free;
        free.then(|| Slot {
            busy: self.clone(),
            handler: None,
        })
    }
}

impl Slot {
    /// A slot that blocks nothing.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        Self {
            busy: Busy::default(),
            handler: None,
        }
    }

    /// The handler that may be changed.
    pub(super) fn handler(&self) -> Option<&Arc<str>> {
        self.handler.as_ref()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut changing = self.busy.0.lock();
        match &self.handler {
            Some(handler) => drop(changing.handlers.remove(handler)),
            None => changing.all = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_changed_by_one_and_everything_by_nobody_else() {
        let busy = Busy::default();
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let first = busy.one(&a).unwrap();
        assert!(busy.one(&a).is_none() && busy.all().is_none());
        let other = busy.one(&b).unwrap();
        drop(first);
        assert!(busy.all().is_none());
        drop((busy.one(&a).unwrap(), other));
        let all = busy.all().unwrap();
        assert!(busy.one(&a).is_none() && busy.all().is_none());
        drop(all);
        assert!(busy.one(&a).is_some());
    }
}
