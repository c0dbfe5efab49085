//! librdkafka's errors, told apart by what can be done about them.

use super::convert;
use super::settings::TOPIC_RECORD_LIMIT;
use crate::log::{LogError, Output};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What can be done about an error of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same call again.
    Retry,
    /// Abort, and begin anew.
    Abort,
    /// A new producer of the same name.
    Renew,
    /// Nothing: another has our name.
    Yield,
}

/// Sorts an error of a transactional call.
pub(super) fn remedy(error: &KafkaError) -> Remedy {
    use RDKafkaErrorCode::{Fenced, FencedInstanceId, InvalidProducerEpoch, ProducerFenced};
    if matches!(error.rdkafka_error_code(), Some(Fenced | FencedInstanceId | InvalidProducerEpoch | ProducerFenced)) {
        return Remedy::Yield;
    }
    match error {
        KafkaError::Transaction(e) if e.is_fatal() => Remedy::Renew,
        KafkaError::Transaction(e) if e.txn_requires_abort() => Remedy::Abort,
        KafkaError::Transaction(e) if e.is_retriable() => Remedy::Retry,
        KafkaError::Flush(_) | KafkaError::MessageProduction(_) => Remedy::Abort,
        _ => Remedy::Renew,
    }
}

/// An error of a record that no repetition helps; `None`: it is not the record's.
pub(super) fn refused(output: &Output, error: &KafkaError) -> Option<LogError> {
    use RDKafkaErrorCode as Code;
    let topic = output.topic.to_string();
    match error.rdkafka_error_code()? {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic => Some(LogError::NoTopic(topic)),
        Code::UnknownPartition => {
            let partition = output.partition.unwrap_or_default();
            Some(LogError::WrongTopic { topic, what: format!("has no partition {partition}") })
        }
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            let what = format!("brokers refuse a record of {} bytes: see `{TOPIC_RECORD_LIMIT}`", convert::size(output));
            Some(LogError::WrongTopic { topic, what })
        }
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::PolicyViolation => {
            Some(fatal(&format!("writing to `{topic}`"), error))
        }
        _ => None,
    }
}

/// An error outside of transactions: whether waiting helps is in its code.
pub(super) fn sort(doing: impl Into<String>, error: &KafkaError) -> LogError {
    let (doing, why) = (doing.into(), error.to_string());
    if error.rdkafka_error_code().is_some_and(passes) { LogError::Retriable { doing, why } } else { LogError::Fatal { doing, why } }
}

/// Whether an error goes away: those of the client's own that come of brokers that cannot be reached, and those of brokers that the
/// protocol calls retriable, except for topics that are not there.
fn passes(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::BrokerDestroy
            | Code::DestroyBroker
            | Code::NodeUpdate
            | Code::UnknownBroker
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::QueueFull
            | Code::WaitCache
            | Code::WaitingForCoordinator
            | Code::InProgress
            | Code::PreviousInProgress
            | Code::Outdated
            | Code::Retry
            | Code::State
            | Code::InvalidMessage
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::RequestTimedOut
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::RebalanceInProgress
            | Code::NotController
            | Code::ConcurrentTransactions
            | Code::KafkaStorageError
            | Code::FetchSessionIdNotFound
            | Code::InvalidFetchSessionEpoch
            | Code::ListenerNotFound
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::PreferredLeaderNotAvailable
            | Code::EligibleLeadersNotAvailable
            | Code::UnstableOffsetCommit
            | Code::ThrottlingQuotaExceeded
            | Code::UnknownTopicId
    )
}

/// An error that no waiting helps.
pub(super) fn fatal(doing: &str, why: &(impl ToString + ?Sized)) -> LogError {
    LogError::Fatal { doing: doing.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_outside_of_transactions_passes_or_stays() {
        let passes = |code| matches!(sort("reading", &KafkaError::Global(code)), LogError::Retriable { .. });
        assert!(passes(RDKafkaErrorCode::AllBrokersDown));
        assert!(passes(RDKafkaErrorCode::LeaderNotAvailable));
        assert!(passes(RDKafkaErrorCode::FencedLeaderEpoch), "a broker that came back has a new epoch");
        assert!(!passes(RDKafkaErrorCode::TopicAuthorizationFailed));
        assert!(!passes(RDKafkaErrorCode::Authentication));
    }

    #[test]
    fn whoever_is_fenced_yields() {
        assert_eq!(remedy(&KafkaError::MessageProduction(RDKafkaErrorCode::Fenced)), Remedy::Yield);
        assert_eq!(remedy(&KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)), Remedy::Abort);
        assert_eq!(remedy(&KafkaError::Global(RDKafkaErrorCode::InvalidTransactionalState)), Remedy::Renew);
    }
}
