//! The errors that a poll returns.

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::super::consume_error::ConsumeError;
use super::super::verdict::{ErrorVerdict, verdict};
use super::Polling;

impl Polling {
    /// Ends the consumer after an error that it cannot survive, and remembers errors that may not pass.
    pub(super) fn judge(&mut self, error: &KafkaError) -> Result<(), ConsumeError> {
        use RDKafkaErrorCode as Code;
        let reason = self.member().last_reason.lock().clone();
        if let KafkaError::MessageConsumptionFatal(code) = error {
            let group = &self.group;
            if self.is_fenced() {
                return Err(ConsumeError::Fenced(group.clone()));
            }
            return Err(ConsumeError::Failed(format!("{code}: {reason} (group `{group}`)")));
        }
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        match verdict(code) {
            ErrorVerdict::Gone => self.lost_offset(&reason).map_or(Ok(()), Err),
            ErrorVerdict::Skips => Err(self.kept.doubts.skipped(&self.consumer, &reason)),
            verdict @ (ErrorVerdict::Waits | ErrorVerdict::Doubtful) => {
                self.kept
                    .doubts
                    .raise(verdict, &format!("{reason} (group `{}`)", self.group));
                Ok(())
            }
            ErrorVerdict::Passes => {
                match code {
                    Code::InconsistentGroupProtocol => tracing::warn!(
                        group = %self.group,
                        "the group has members that divide partitions in another way, so the handler consumes nothing: \
                         stop them, or give the handler a group of its own"
                    ),
                    Code::PollExceeded => tracing::warn!(group = %self.group, "{reason}"),
                    _ => tracing::debug!(group = %self.group, ?code, "{reason}"),
                }
                Ok(())
            }
        }
    }

    /// Whether the group has another member with our name.
    fn is_fenced(&self) -> bool {
        let fatal = self.consumer.client().fatal_error();
        fatal.is_some_and(|(code, _)| code == RDKafkaErrorCode::FencedInstanceId)
    }
}
