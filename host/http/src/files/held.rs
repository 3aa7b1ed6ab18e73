//! Files of current requests: stored, and perhaps named by a unit that is not committed yet.

use std::collections::HashMap;

use parking_lot::Mutex;

/// The files that no sweep may touch.
///
/// A file is held from before it is stored until its request is over. A file whose request ends during a sweep is held
/// until the sweep has ended, because the sweep may have read the states before that request's commit.
#[derive(Debug, Default)]
pub(crate) struct HeldFiles(Mutex<Files>);

#[derive(Debug, Default)]
struct Files {
    /// The files by their paths in the folder; the value says whether the request is over.
    held: HashMap<String, bool>,
    sweeping: bool,
}

/// Lasts as long as a sweep.
pub(super) struct Sweeping<'a>(&'a HeldFiles);

impl HeldFiles {
    /// Holds a file that is about to be stored.
    pub(crate) fn hold(&self, path: &str) {
        self.0.lock().held.insert(path.to_owned(), false);
    }

    /// The file's request is over: its unit is committed, or never will be.
    pub(crate) fn release(&self, path: &str) {
        let mut files = self.0.lock();
        if !files.sweeping {
            files.held.remove(path);
        } else if let Some(over) = files.held.get_mut(path) {
            *over = true;
        }
    }

    /// Whether the file is held.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.0.lock().held.contains_key(path)
    }

    /// Begins a sweep; there is one at a time.
    pub(super) fn sweep(&self) -> Sweeping<'_> {
        self.0.lock().sweeping = true;
        Sweeping(self)
    }
}

impl Drop for Sweeping<'_> {
    fn drop(&mut self) {
        let mut files = self.0.0.lock();
        files.sweeping = false;
        files.held.retain(|_, over| !*over);
    }
}

#[cfg(test)]
mod tests {
    use super::HeldFiles;

    #[test]
    fn a_file_is_held_until_its_request_and_the_sweep_are_over() {
        let held = HeldFiles::default();
        held.hold("a");
        held.hold("b");
        held.release("a");
        assert!(!held.holds("a") && held.holds("b"));
        let sweep = held.sweep();
        held.hold("c");
        held.release("b");
        held.release("c");
        assert!(held.holds("b") && held.holds("c"));
        drop(sweep);
        assert!(!held.holds("b") && !held.holds("c"));
    }
}
