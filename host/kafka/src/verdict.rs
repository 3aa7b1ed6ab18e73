//! What an error of a consumer means: nothing that would skip a record is left to the library.

use rdkafka::error::RDKafkaErrorCode;

/// What an error means for the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorVerdict {
    /// The library tries again by itself and that is known to help.
    Passes,
    /// It lasts until somebody outside mends it; what is not concerned goes on.
    Waits,
    /// Nobody knows: if it lasts, the consumer must end.
    Doubtful,
    /// The library goes on behind what it could not read: the consumer must end before the next record.
    Skips,
    /// The next record to read is gone.
    Gone,
}

/// What the error means.
pub(super) fn verdict(code: RDKafkaErrorCode) -> ErrorVerdict {
    use RDKafkaErrorCode as Code;
    match code {
        // A checksum that does not fit, or a format that the library does not know: it leaves the batch out.
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
        // Connections, leaders and coordinators that move, members that come and go; and what is told elsewhere.
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
