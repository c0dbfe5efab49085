//! Client properties that are Weir's to set, because what it promises rests on them.

/// Why a property may not be set; `None`: it may.
pub(super) fn refusal(property: &str) -> Option<String> {
    let why = match property {
        "bootstrap.servers" | "metadata.broker.list" => "set `kafka.brokers` instead",
        "group.id" => "groups are named by `topics.prefix`, so that every service finds its own",
        "group.instance.id" | "client.id" => "it is made from `instance`",
        "group.protocol" | "partition.assignment.strategy" => {
            "state follows its partition by cooperative-sticky assignment in the classic protocol"
        }
        "transactional.id" => "it is made from `topics.prefix` and `instance`, so that a restarted process fences its former self",
        "transaction.timeout.ms" => "it bounds how long readers wait after a crash",
        "isolation.level" => "records of aborted transactions must never be read",
        "enable.auto.commit" | "enable.auto.offset.store" | "auto.commit.interval.ms" => {
            "offsets are committed with the verdicts, in one transaction"
        }
        "auto.offset.reset" => "a gap in a topic must be reported, not skipped",
        "enable.idempotence" | "acks" | "request.required.acks" | "max.in.flight" | "max.in.flight.requests.per.connection" => {
            "every record must be written exactly once and in order"
        }
        "partitioner" => "sessions keep their partition by `murmur2_random`, as with Java clients",
        "enable.partition.eof" => "the end of a partition tells that a restore is complete",
        _ => return None,
    };
    Some(format!("this property cannot be set: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_guarantees_rest_on_is_refused_with_a_word_why() {
        let refused =
            ["isolation.level", "enable.auto.commit", "transactional.id", "partitioner", "enable.idempotence", "group.id", "acks"];
        for property in refused {
            assert!(refusal(property).is_some_and(|why| why.contains(": ")), "{property}");
        }
        for property in ["security.protocol", "sasl.mechanism", "linger.ms", "fetch.min.bytes", "ssl.ca.location"] {
            assert_eq!(refusal(property), None);
        }
    }
}
