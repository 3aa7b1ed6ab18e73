//! The lines a process writes, kept to be waited for and to be shown when a behaviour fails.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::wait::PATIENCE;

/// Lines shown of the end of a log.
const SHOWN: usize = 60;

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

/// One output of a process. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Log {
    inner: Arc<(Mutex<Lines>, Condvar)>,
}

impl Log {
    /// Collects the lines of `source` until it ends.
    pub(crate) fn follow(source: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let writer = log.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut bytes = Vec::new();
            while matches!(source.read_until(b'\n', &mut bytes), Ok(length) if length > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                writer.change(|lines| lines.lines.push(line));
                bytes.clear();
            }
            writer.change(|lines| lines.ended = true);
        });
        log
    }

    /// The first line that `wanted` accepts; `None` if the output ended or the deadline passed without it.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.wait_within(PATIENCE, wanted)
    }

    /// The same with a deadline of its own.
    pub(crate) fn wait_within(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + patience;
        let mut looked_at = 0;
        let mut lines = self.lock();
        loop {
            if let Some(line) = lines.lines[looked_at..].iter().find(|line| wanted(line)) {
                return Some(line.clone());
            }
            looked_at = lines.lines.len();
            let left = end.saturating_duration_since(Instant::now());
            if lines.ended || left.is_zero() {
                return None;
            }
            let waited = self.inner.1.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the output.
    pub(crate) fn wait_for_end(&self) {
        let _ = self.wait_for(|_| false);
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// All lines so far, joined.
    pub(crate) fn text(&self) -> String {
        self.lock().lines.join("\n")
    }

    /// The last lines, indented.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lock();
        let first = lines.lines.len().saturating_sub(SHOWN);
        lines.lines[first..]
            .iter()
            .map(|line| format!("    {line}\n"))
            .collect()
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lock());
        self.inner.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
