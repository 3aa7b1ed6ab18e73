//! Classifies the errors of a consumer, so that the library never skips a record.

use rdkafka::error::RDKafkaErrorCode;

/// The meaning of an error for the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorVerdict {
    /// The library retries on its own, which is known to help.
    Passes,
    /// It lasts until somebody fixes the cause; unaffected partitions continue.
    Waits,
    /// Not known: if it lasts, the consumer must end.
    Doubtful,
    /// The library would continue after the record that it could not read: the consumer must end before the next record.
    Skips,
    /// The next record to read is gone.
    Gone,
}

/// Classifies an error.
pub(super) fn verdict(code: RDKafkaErrorCode) -> ErrorVerdict {
    use RDKafkaErrorCode as Code;
    match code {
        // A wrong checksum, or a format that the library does not know: it would skip the batch.
        Code::BadMessage | Code::NotImplemented => ErrorVerdict::Skips,
        Code::AutoOffsetReset | Code::LogTruncation | Code::OffsetOutOfRange => ErrorVerdict::Gone,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownTopicId
        | Code::UnknownPartition
        | Code::Authentication
        | Code::SaslAuthenticationFailed => ErrorVerdict::Waits,
        // Lost connections, moved leaders and coordinators, rebalances; and errors that are reported elsewhere.
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::Resolve
        | Code::SSL
        | Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::RequestTimedOut
        | Code::NetworkException
        | Code::WaitingForCoordinator
        | Code::InProgress
        | Code::PreviousInProgress
        | Code::Retry
        | Code::Outdated
        | Code::NodeUpdate
        | Code::AssignmentLost
        | Code::PartitionEOF
        | Code::PollExceeded
        | Code::NoOffset
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::KafkaStorageError
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::MemberIdRequired
        | Code::RebalanceInProgress
        | Code::InconsistentGroupProtocol
        | Code::UnstableOffsetCommit
        | Code::ThrottlingQuotaExceeded => ErrorVerdict::Passes,
        _ => ErrorVerdict::Doubtful,
    }
}
