//! Recordings run again: one of them, or many on two versions.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::nice;
use sandman_core::comparison::{Comparison, DifferenceKind, Rerun};
use sandman_core::recording::{RecordedOutcome, Recording};
use sandman_core::version::Version;
use sandman_sandbox::thread_cpu;
use tracing::subscriber::{NoSubscriber, set_default};

/// How much lower the priority of a replay in a running host is, in steps of `nice`.
const LESS_URGENT: i32 = 5;

/// Runs a recording on a version, with the given state.
pub fn rerun(version: &Version, recording: &Recording, state: Option<&str>) -> Rerun {
    let before = thread_cpu();
    let outcome = recording.run(version, state);
    Rerun {
        outcome,
        cpu: thread_cpu().saturating_sub(before),
        memory: version.guest.last_memory(),
    }
}

/// The result of replaying many recordings.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// The differences.
    pub comparison: Comparison,
    /// Recordings that were not run because the time was over.
    pub left: u64,
    /// Recordings that were not run because there is no first version to compare with.
    pub unknown: u64,
}

/// Runs recordings on two versions and compares the outcomes.
pub fn compare(recordings: &[Recording], first: &Version, second: &Version) -> Comparison {
    let mut comparison = Comparison::default();
    for recording in recordings {
        let state = recording.state.as_deref();
        let (one, other) = (rerun(first, recording, state), rerun(second, recording, state));
        comparison.add(recording.id, &one.outcome, &other, Some(&one));
    }
    comparison
}

/// Runs recordings on a candidate, for at most `time`, with a low priority. The outcomes are compared with those of the
/// active version, which has that digest: the recorded outcome if that version ran, otherwise that of running it too,
/// if it is loaded.
pub fn replay(
    recordings: &[Recording],
    (active, serving): (&str, Option<&Version>),
    candidate: &Version,
    time: Duration,
) -> Replayed {
    // On a thread of its own, because a lowered priority cannot be raised again.
    let work = || {
        less_urgent();
        // Its logs were already written when the recording was made.
        let _silent = set_default(NoSubscriber::default());
        let began = Instant::now();
        let mut replayed = Replayed::default();
        for (done, recording) in recordings.iter().enumerate() {
            if began.elapsed() >= time {
                replayed.left = recordings.len().saturating_sub(done) as u64;
                break;
            }
            let state = recording.state.as_deref();
            let before = match serving {
                _ if recording.digest == active => recording.outcome.clone(),
                Some(serving) => rerun(serving, recording, state).outcome,
                None => {
                    replayed.unknown += 1;
                    continue;
                }
            };
            let after = rerun(candidate, recording, state);
            replayed.comparison.add(recording.id, &before, &after, None);
        }
        replayed
    };
    thread::scope(|scope| scope.spawn(work).join()).unwrap_or_default()
}

/// On Linux a thread has its own priority. Elsewhere it belongs to the process, and is not changed.
fn less_urgent() {
    if cfg!(target_os = "linux")
        && let Err(error) = nice(LESS_URGENT)
    {
        tracing::debug!(%error, "a replay runs with the host's priority");
    }
}

impl Replayed {
    /// The result in one line, for the stage and the history.
    pub fn said(&self) -> String {
        let compared = self.comparison.compared();
        let mut text = match (compared, self.comparison.differing()) {
            (0, _) => "nothing recorded yet, so nothing was replayed".to_owned(),
            (_, 0) => format!("{compared} recordings, the same outcome for each"),
            (_, differing) => format!("{compared} recordings, {differing} with another outcome"),
        };
        let groups = self.comparison.groups();
        let shown = groups.iter().filter(|group| group.kind.is_of_outcome()).take(8);
        for group in shown {
            let times = group.count;
            text.push_str(&format!("; {} at {} ({times})", group.kind.words(), group.path));
        }
        if self.left > 0 {
            text.push_str(&format!("; {} not replayed, the time was over", self.left));
        }
        if self.unknown > 0 {
            text.push_str(&format!(
                "; {} not replayed, the active version does not load",
                self.unknown
            ));
        }
        text
    }

    /// Recordings in which the candidate fails and the active version did not.
    pub fn new_failures(&self) -> u64 {
        self.comparison.count(DifferenceKind::NewFailure)
    }
}

/// Whether two runs of the same version differ, which purity rules out.
pub fn impurities(recordings: &[&Recording], version: &Version) -> Comparison {
    let mut comparison = Comparison::default();
    for recording in recordings {
        let state = recording.state.as_deref();
        let one = rerun(version, recording, state);
        let other = rerun(version, recording, state);
        if !is_of_time(&one.outcome) && !is_of_time(&other.outcome) {
            comparison.add(recording.id, &one.outcome, &other, None);
        }
    }
    comparison
}

/// Whether a run was ended by the limit on CPU time, the only thing in which two runs may differ.
pub fn is_of_time(outcome: &RecordedOutcome) -> bool {
    use sandman_core::attempt::FailureCause::Exceeded;
    matches!(outcome, RecordedOutcome::Failed { cause: Exceeded, .. })
}
