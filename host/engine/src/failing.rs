//! Whether a handler fails for most triggers: a window over its last ones.

use std::collections::VecDeque;

use sandman_core::limits::Failing;

/// How the last triggers of a handler ended on one version.
#[derive(Debug, Default)]
pub struct FailingWindow {
    version: u64,
    ended: VecDeque<bool>,
    failed: usize,
}

impl FailingWindow {
    /// Records how a trigger ended on a version. Returns how many of the last triggers failed if that is more than the
    /// policy allows; then, and with another version, a new window begins.
    pub fn note(&mut self, version: u64, failed: bool, policy: &Failing) -> Option<usize> {
        if self.version != version {
            *self = Self {
                version,
                ..Self::default()
            };
        }
        self.ended.push_back(failed);
        self.failed += usize::from(failed);
        let of = policy.of as usize;
        while self.ended.len() > of {
            self.failed -= usize::from(self.ended.pop_front().unwrap_or_default());
        }
        let bears = policy.share * f64::from(policy.of);
        if !failed || self.ended.len() < of || self.failed as f64 <= bears {
            return None;
        }
        let failed = self.failed;
        *self = Self::default();
        Some(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const POLICY: Failing = Failing {
        share: 0.5,
        of: 4,
        rollback: Duration::ZERO,
    };

    fn noted(window: &mut FailingWindow, version: u64, ended: &[bool]) -> Vec<Option<usize>> {
        let note = |failed: &bool| window.note(version, *failed, &POLICY);
        ended.iter().map(note).collect()
    }

    #[test]
    fn more_than_the_share_of_a_full_window_is_too_much() {
        let mut window = FailingWindow::default();
        assert_eq!(
            noted(&mut window, 1, &[true, true, true]),
            [None; 3],
            "not enough are known"
        );
        assert_eq!(window.note(1, false, &POLICY), None, "a success never stops a handler");
        assert_eq!(window.note(1, true, &POLICY), Some(3));
        assert_eq!(window.note(1, true, &POLICY), None, "it begins anew");
        let mut window = FailingWindow::default();
        let half = [true, false].repeat(10);
        assert!(
            noted(&mut window, 1, &half).iter().all(Option::is_none),
            "half is borne"
        );
    }

    #[test]
    fn another_version_begins_anew() {
        let mut window = FailingWindow::default();
        noted(&mut window, 1, &[true, true, true]);
        assert_eq!(noted(&mut window, 2, &[true, true, true]), [None; 3]);
        assert_eq!(window.note(2, true, &POLICY), Some(4));
    }
}
