//! Why an attempt gave no decision.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::contract::TermsError;
use crate::outcome::Fault;
use crate::printable;
use crate::reason::{ReasonCode, without_guest_text};
use crate::unit::EmitError;

/// Why an attempt gave no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct AttemptFailure {
    /// What failed.
    pub cause: FailureCause,
    /// The same for programs, in more detail: the code of the dead letter.
    pub code: ReasonCode,
    /// As text, as the guest or the host wrote it, at most [`printable::LONGEST`] bytes. It may contain user data; logs
    /// get [`AttemptFailure::without_guest_text`].
    pub reason: String,
}

/// What failed in an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureCause {
    /// The trigger does not fit the handler's contract; the guest was not called.
    Trigger,
    /// The guest said that another attempt will not help.
    Rejected,
    /// The guest asked for another attempt.
    Retry,
    /// The guest trapped.
    Trap,
    /// The guest exceeded a limit.
    Exceeded,
    /// The guest returned no valid outcome.
    Outcome,
    /// An emitted event does not fit the contract.
    Emitted,
}

impl FailureCause {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Rejected => "rejected",
            Self::Retry => "retry",
            Self::Trap => "trap",
            Self::Exceeded => "exceeded",
            Self::Outcome => "outcome",
            Self::Emitted => "emitted",
        }
    }

    /// Whether the guest was called.
    pub fn called(self) -> bool {
        self != Self::Trigger
    }

    /// Whether another attempt may help. A handler is a pure function, so another attempt can end differently only if
    /// the handler asked for it or if CPU time may have decided.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Retry | Self::Trap | Self::Exceeded)
    }
}

impl AttemptFailure {
    pub(super) fn new(cause: FailureCause, code: ReasonCode, reason: impl ToString) -> Self {
        Self {
            cause,
            code,
            reason: cut(reason.to_string()),
        }
    }

    /// The reason without text of the guest, for those who may not read data.
    pub fn without_guest_text(&self) -> Cow<'_, str> {
        without_guest_text(self.code, &self.reason)
    }
}

/// At most [`printable::LONGEST`] bytes, whole characters only.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(printable::LONGEST));
    text
}

impl From<TermsError> for AttemptFailure {
    fn from(error: TermsError) -> Self {
        let code = match error {
            TermsError::Payload { .. } | TermsError::TooCostly { .. } => ReasonCode::Schema,
            TermsError::UnknownVersion { .. } | TermsError::NotDeclared { .. } => ReasonCode::Contract,
        };
        Self::new(FailureCause::Trigger, code, error)
    }
}

impl From<EmitError> for AttemptFailure {
    fn from(error: EmitError) -> Self {
        Self::new(FailureCause::Emitted, ReasonCode::Emitted, error)
    }
}

impl From<Fault> for AttemptFailure {
    fn from(fault: Fault) -> Self {
        let (cause, code, reason) = match fault {
            Fault::Rejected(reason) => (FailureCause::Rejected, ReasonCode::Rejected, reason),
            Fault::Invalid(reason) => (FailureCause::Outcome, ReasonCode::Outcome, reason),
            Fault::Retry(reason) => (FailureCause::Retry, ReasonCode::Retries, reason),
            Fault::Trap(kind, reason) => (FailureCause::Trap, ReasonCode::Trap(kind), reason),
            Fault::Exceeded(kind, reason) => (FailureCause::Exceeded, ReasonCode::Limit(kind), reason),
        };
        Self::new(cause, code, reason)
    }
}
