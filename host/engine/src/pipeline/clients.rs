//! Clients that wait for the answers to their requests.
//!
//! Pure: a part of the state behind the pipeline's lock.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use sandman_core::faults::{self, Step};
use sandman_core::store::{AnswerWrite, Answered};
use sandman_core::unit::{Finish, Unit};
use sandman_core::work::{Answer, RequestId};

/// Requests that may wait for their answers at once; further ones are refused as busy.
const WAITING: usize = 10_000;

/// A request's key and its `Idempotency-Key`.
type Remembered = (Arc<str>, Arc<str>);

/// The requests whose answers wait for their commit.
#[derive(Debug, Default)]
pub(super) struct WaitingClients {
    /// How many requests there were: the last one's id.
    requests: RequestId,
    waiting: HashMap<RequestId, oneshot::Sender<Answer>>,
    /// Answers under an `Idempotency-Key` that wait for their commit: a repetition must already find them.
    remembered: HashMap<Remembered, Answered>,
}

impl WaitingClients {
    /// Whether no more clients may wait.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING
    }

    /// Adds a waiting client.
    pub(super) fn add(&mut self, client: oneshot::Sender<Answer>) -> RequestId {
        self.requests += 1;
        self.waiting.insert(self.requests, client);
        self.requests
    }

    /// Takes the client of a request in order to answer it.
    pub(super) fn take(&mut self, request: RequestId) -> Option<oneshot::Sender<Answer>> {
        self.waiting.remove(&request)
    }

    /// The unit waits for its commit, and a repetition of its request finds its answer.
    pub(super) fn queued(&mut self, unit: &Unit) {
        if let Some(AnswerWrite {
            key,
            idempotency_key,
            answered,
        }) = remembered(unit)
        {
            self.remembered
                .insert((Arc::clone(key), Arc::clone(idempotency_key)), answered.clone());
        }
        faults::alter(Step::Queued, &mut self.waiting);
    }

    /// The answer that waits for its commit.
    pub(super) fn recall(&self, key: &Arc<str>, idempotency_key: &str) -> Option<Answered> {
        let name = (Arc::clone(key), Arc::from(idempotency_key));
        self.remembered.get(&name).cloned()
    }

    /// The unit's answer no longer waits for its commit: it is in the store, or its request runs again.
    pub(super) fn forget(&mut self, unit: &Unit) {
        if let Some(write) = remembered(unit) {
            let name = (Arc::clone(&write.key), Arc::clone(&write.idempotency_key));
            self.remembered.remove(&name);
        }
    }

    /// Everything that waited for a commit is reverted.
    pub(super) fn revert(&mut self) {
        self.remembered.clear();
    }
}

fn remembered(unit: &Unit) -> Option<&AnswerWrite> {
    match &unit.finish {
        Finish::Answered { remember, .. } => remember.as_ref(),
        _ => None,
    }
}
