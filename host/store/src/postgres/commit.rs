//! A commit, from its plan to its outcome.

use super::changes::CommitChanges;
use super::fault::PgFault;
use super::plan::CommitPlan;
use super::session::Session;
use super::{PostgresStore, schema};
use sandman_core::store::{Commit, CommitConflict, CommitResult, Committed, StoreError};

impl PostgresStore {
    pub(super) fn commit_plan(&self, commit: &Commit, now: i64) -> Result<CommitResult, StoreError> {
        let plan = CommitPlan::of(commit, self)?;
        let result = match plan.only_reads(commit) {
            true => self.compare(commit, &plan, now),
            false => self.transact(|session| self.changes(session, now).write(commit, &plan)),
        };
        match result {
            Ok(committed) => Ok(CommitResult::Committed(committed)),
            Err(PgFault::Overtaken(conflict)) => Ok(CommitResult::Conflict(conflict)),
            Err(fault) => Err(fault.named(&self.target.name)),
        }
    }

    fn changes<'a>(&'a self, session: &'a mut Session, now: i64) -> CommitChanges<'a> {
        CommitChanges {
            session,
            conflict: CommitConflict::default(),
            now,
            lock_class: self.lock_class,
            shards: self.shards,
            places: &self.places,
        }
    }

    /// Checks that the states that were read are unchanged now: that needs no lock.
    fn compare(&self, commit: &Commit, plan: &CommitPlan, now: i64) -> Result<Committed, PgFault> {
        let conflict = self.look(|session| {
            if plan.reads.ids.is_empty() && plan.absent.keys.is_empty() {
                // An empty query shows whether the server is reachable.
                session.batch("SELECT 1")?;
            }
            let mut changes = self.changes(session, now);
            changes.compare_reads(plan, schema::LOOK_READ)?;
            changes.compare_absent(plan)?;
            Ok(changes.conflict)
        })?;
        match conflict.is_empty() {
            true => Ok(Committed {
                revisions: vec![None; commit.states.len()],
                ..Committed::default()
            }),
            false => Err(PgFault::Overtaken(conflict)),
        }
    }
}
