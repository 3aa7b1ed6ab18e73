//! The reports of a run: each stage for the caller, and the end for the history.

use std::time::Instant;

use super::super::{Done, Passed, Report, Stage};
use super::fault::StageFault;
use super::{Ended, Run};
use sandman_core::printable;
use sandman_core::store::{Activation, Outcome, StoreError};
use sandman_engine::clock;

impl Run<'_> {
    /// Reports that the stage before `next` is passed.
    pub(super) fn pass(&mut self, next: Stage, detail: String) {
        let passed = self.stage;
        self.stage = next;
        self.told(passed, detail);
    }

    pub(super) fn told(&mut self, stage: Stage, detail: String) {
        let now = Instant::now();
        let millis = millis(self.stage_began, now);
        self.stage_began = now;
        (self.tell)(Report::Passed(Passed { stage, millis, detail }));
    }

    pub(super) fn failed(&self, fault: &StageFault) -> Ended {
        if let (StageFault::Store(StoreError::Failed(_)), Some(live)) = (fault, &self.subject.live) {
            // The state of the store is not known: only a restart can tell.
            live.deployer.alarm.raise(fault);
        }
        Ended::Refused(printable::line(&fault.to_string(), printable::LONGEST).into_owned())
    }

    pub(super) fn entry(&self, outcome: Outcome, detail: String) -> Activation {
        Activation {
            number: self.number,
            digest: self.digest.clone(),
            at_millis: clock::wall_millis(),
            by: self.order.by.to_owned(),
            action: self.action,
            outcome,
            detail,
        }
    }

    /// Writes the end to the history, unless that was already done.
    pub(in super::super) fn finish(self, ended: Ended) -> Done {
        let (outcome, error) = match ended {
            Ended::Active => (Outcome::Active, None),
            Ended::Unchanged => (Outcome::Unchanged, None),
            Ended::Refused(error) => (Outcome::Refused, Some(error)),
        };
        let stage = error.as_ref().map(|_| self.stage);
        let name = self.subject.name;
        if outcome != Outcome::Active {
            let failed = stage.zip(error.as_ref());
            let detail = failed.map_or(String::new(), |(stage, error)| format!("{}: {error}", stage.word()));
            let (by, action) = (self.order.by, self.action.word());
            match stage {
                None => tracing::info!(handler = &**name, by, action, "serves already"),
                Some(_) => tracing::warn!(handler = &**name, by, action, detail, "refused"),
            }
            if let Err(error) = self.subject.versions.note(name, &self.entry(outcome, detail)) {
                tracing::error!(handler = &**name, %error, "the history cannot be written");
            }
        }
        if let Some(live) = &self.subject.live {
            live.deployed(outcome);
        }
        Done {
            outcome,
            action: self.action,
            handler: name.to_string(),
            version: self.number,
            digest: self.digest.as_deref().map(str::to_owned),
            previous: self.subject.before.number,
            stage,
            error,
            millis: millis(self.began, Instant::now()),
            hosts: Vec::new(),
        }
    }
}

fn millis(from: Instant, to: Instant) -> f64 {
    let micros = to.saturating_duration_since(from).as_micros();
    micros as f64 / 1_000.0
}
