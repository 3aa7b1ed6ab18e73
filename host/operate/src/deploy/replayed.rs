//! The stage `replayed`: runs the recorded invocations on the candidate, and decides whether the outcomes are accepted.

use std::sync::Arc;
use std::time::Duration;

use crate::recordings::Recordings;
use crate::replay::{Replayed, replay};
use sandman_core::limits::ReplayPolicy;
use sandman_core::recording::RecordingQuery;
use sandman_core::store::StoreError;
use sandman_core::version::Version;

/// The longest time for replaying in a deploy.
const TIME: Duration = Duration::from_secs(10);
/// The most recordings that are replayed, the newest ones.
const MOST: usize = 2_000;

/// The versions and recordings of a replay.
pub(super) struct Replay<'a> {
    pub(super) recordings: &'a Recordings,
    pub(super) handler: &'a str,
    /// The active version's digest.
    pub(super) active: &'a str,
    /// The active version, if it is loaded.
    pub(super) serving: Option<Arc<Version>>,
}

impl Replay<'_> {
    /// Runs the recordings on the candidate: `Ok` with the result, or `Err` with the reason for a refusal.
    pub(super) fn verdict(
        &self,
        candidate: &Version,
        policy: ReplayPolicy,
        accepts: bool,
    ) -> Result<Result<String, String>, StoreError> {
        if policy == ReplayPolicy::Off {
            return Ok(Ok("not replayed: `replay` of the handler is \"off\"".to_owned()));
        }
        let mut recordings = self.recordings.find(self.handler, &RecordingQuery::default(), MOST)?;
        recordings.retain(|recording| recording.outcome.was_run());
        let replayed = replay(&recordings, (self.active, self.serving.as_deref()), candidate, TIME);
        Ok(judge(&replayed, policy, accepts))
    }
}

fn judge(replayed: &Replayed, policy: ReplayPolicy, accepts: bool) -> Result<String, String> {
    let said = replayed.said();
    let refuses = match policy {
        ReplayPolicy::Off => false,
        ReplayPolicy::Failures => replayed.new_failures() > 0,
        ReplayPolicy::Strict => replayed.comparison.differing() > 0,
    };
    match (refuses, accepts) {
        (false, _) => Ok(said),
        (true, true) => Ok(format!("accepted: {said}")),
        (true, false) => Err(said),
    }
}

#[cfg(test)]
mod tests {
    use sandman_core::attempt::FailureCause;
    use sandman_core::comparison::Rerun;
    use sandman_core::recording::RecordedOutcome;

    use super::*;

    #[test]
    fn a_new_failure_refuses_and_another_outcome_does_so_where_that_is_wanted() {
        let failed = RecordedOutcome::Failed {
            cause: FailureCause::Trap,
            code: String::new(),
            reason: "x".to_owned(),
        };
        let decided = |payload: &str| RecordedOutcome::Decided {
            state: sandman_core::recording::RecordedChange::Put(payload.to_owned()),
            events: Vec::new(),
            reply: None,
        };
        let of = |before: &RecordedOutcome, after: &RecordedOutcome| {
            let mut replayed = Replayed::default();
            let after = Rerun {
                outcome: after.clone(),
                cpu: Duration::ZERO,
                memory: 0,
            };
            replayed.comparison.add(None, before, &after, None);
            replayed
        };
        let (same, other) = (of(&decided("1"), &decided("1")), of(&decided("1"), &decided("2")));
        let (new, gone) = (of(&decided("1"), &failed), of(&failed, &decided("1")));
        let refuses = |replayed: &Replayed, policy| judge(replayed, policy, false).is_err();
        let all = [&same, &other, &new, &gone];
        assert_eq!(all.map(|it| refuses(it, ReplayPolicy::Off)), [false; 4]);
        assert_eq!(
            all.map(|it| refuses(it, ReplayPolicy::Failures)),
            [false, false, true, false]
        );
        assert_eq!(
            all.map(|it| refuses(it, ReplayPolicy::Strict)),
            [false, true, true, true]
        );
        assert!(
            judge(&new, ReplayPolicy::Strict, true)
                .unwrap()
                .starts_with("accepted: 1 recordings")
        );
        assert!(Replayed::default().said().contains("nothing recorded yet"));
    }
}
