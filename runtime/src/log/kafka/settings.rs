//! Every property name of librdkafka and of Kafka's topics, and nowhere else: what each kind of client is set to, and why.

use super::{KafkaLog, Options};
use crate::log::{Cleanup, WorkerSpec};
use rdkafka::ClientConfig;
use std::collections::HashMap;
use std::time::Duration;

/// How long a transaction may stay open. After kill -9 of a process that does not come back, readers wait this long for its last one.
pub(super) const TRANSACTION_LIMIT: Duration = Duration::from_secs(10);

/// Longest wait for one answer of the brokers.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Longest time of brokers that cannot be reached before an operation that must not be given up in the middle is given up.
pub(super) const OUTAGE_LIMIT: Duration = Duration::from_secs(60);

/// Room that Kafka's own framing of a record takes beside it, generously.
const FRAMING_BYTES: usize = 64 << 10;

/// Largest value that Kafka takes for limits in bytes.
const HIGHEST_RECORD_LIMIT: usize = 64 << 20;

/// Names and wanted values of a topic's properties; the value that Kafka reports for each is compared with it.
pub(super) struct TopicProperties {
    /// Without these Weir's promises break.
    pub(super) needed: Vec<(&'static str, String)>,
    /// Set when the topic is created; operators may have their reasons to change them.
    pub(super) advised: Vec<(&'static str, String)>,
}

/// Property that holds the largest record batch of a topic: one that takes more is as good.
pub(super) const TOPIC_RECORD_LIMIT: &str = "max.message.bytes";

/// Number by which Kafka says "no limit" where larger is more.
pub(super) const UNLIMITED: &str = "-1";

impl TopicProperties {
    pub(super) fn new(cleanup: Cleanup, options: &Options) -> Self {
        let limit = options.record_limit + FRAMING_BYTES;
        let mut needed = vec![(TOPIC_RECORD_LIMIT, limit.to_string()), ("message.timestamp.type", "LogAppendTime".to_owned())];
        let mut advised = vec![("min.insync.replicas", options.replication.saturating_sub(1).max(1).to_string())];
        match cleanup {
            Cleanup::Delete { keep, max_bytes } => {
                needed.push(("cleanup.policy", "delete".to_owned()));
                advised.push(("retention.ms", keep.as_millis().to_string()));
                advised.push(("retention.bytes", max_bytes.map_or_else(|| UNLIMITED.to_owned(), |bytes| bytes.to_string())));
            }
            Cleanup::Compact => {
                needed.push(("cleanup.policy", "compact".to_owned()));
                advised.push(("delete.retention.ms", Duration::from_secs(24 * 3_600).as_millis().to_string()));
                // A restore reads what is not compacted yet: small segments, compacted early.
                advised.push(("segment.bytes", (128 << 20).to_string()));
                advised.push(("segment.ms", Duration::from_secs(3_600).as_millis().to_string()));
                advised.push(("min.cleanable.dirty.ratio", "0.2".to_owned()));
            }
        }
        Self { needed, advised }
    }
}

impl Options {
    /// Passed to librdkafka as they are: security, tuning. Those that Weir's promises rest on are overruled.
    #[must_use]
    pub fn properties(mut self, properties: impl IntoIterator<Item = (String, String)>) -> Self {
        self.properties.extend(properties);
        self
    }

    /// Replicas of the topics that [`Log::create_topics`](crate::log::Log::create_topics) creates (default 1).
    #[must_use]
    pub fn replication(mut self, replicas: u16) -> Self {
        self.replication = replicas.max(1);
        self
    }

    /// Largest record, in bytes of key, value and headers (default 4 MiB; at most 64 MiB).
    #[must_use]
    pub fn record_limit(mut self, bytes: usize) -> Self {
        self.record_limit = bytes.min(HIGHEST_RECORD_LIMIT);
        self
    }

    /// Commits without transactions: outputs first, then positions. What comes between is written again (default: false).
    #[must_use]
    pub fn at_least_once(mut self, yes: bool) -> Self {
        self.at_least_once = yes;
        self
    }

    /// Makes every n-th [`Worker::commit`](crate::log::Worker::commit) of a worker fail with
    /// [`CommitError::Aborted`](crate::log::CommitError::Aborted) after everything was sent. A hook for tests of what stands above the
    /// log; 0, the default, is never.
    #[must_use]
    pub fn abort_every(mut self, n: u64) -> Self {
        self.abort_every = n;
        self
    }

    /// The log. Brokers are asked for nothing yet.
    ///
    /// # Errors
    /// A property that librdkafka does not know or take.
    pub fn open(self) -> Result<KafkaLog, crate::log::LogError> {
        KafkaLog::new(self)
    }

    /// A client that asks: metadata, bounds, committed offsets. `group` is needed for the last.
    pub(super) fn inquirer(&self, group: Option<&str>, isolation: Isolation) -> ClientConfig {
        let mut config = self.base();
        if let Some(group) = group {
            config.set("group.id", group);
        }
        config.set("isolation.level", isolation.name()).set("enable.auto.commit", "false");
        // The time after which the partitions of a killed process go to others. Brokers refuse less than 6 s.
        config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "1500");
        config
    }

    /// A client that reads partitions outside of any group.
    pub(super) fn reader(&self) -> ClientConfig {
        let mut config = self.inquirer(Some("weir-reader"), Isolation::Committed);
        self.tune_fetch(&mut config);
        config.set("auto.offset.reset", "error").set("enable.partition.eof", "true");
        config
    }

    /// A member of a consumer group.
    pub(super) fn member(&self, spec: &WorkerSpec) -> ClientConfig {
        let mut config = self.inquirer(Some(&spec.group), Isolation::Committed);
        self.tune_fetch(&mut config);
        config
            .set("client.id", client_id(spec))
            .set("group.protocol", "classic")
            // Partitions that stay keep their state and go on being read while others move.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("auto.offset.reset", "error");
        config
    }

    /// The producer of a member: its transactional id stays the same over restarts, so that it takes over from its former self at once.
    pub(super) fn member_producer(&self, spec: &WorkerSpec) -> ClientConfig {
        self.transactional(&format!("{}-{}", spec.group, client_id(spec)))
    }

    /// A producer whose appends are transactions of `name`.
    pub(super) fn transactional(&self, name: &str) -> ClientConfig {
        let mut config = self.idempotent();
        let limit = TRANSACTION_LIMIT.as_millis().to_string();
        config.set("transactional.id", name).set("transaction.timeout.ms", &limit).set("message.timeout.ms", &limit);
        config
    }

    /// A producer whose records stand alone.
    pub(super) fn idempotent(&self) -> ClientConfig {
        let mut config = self.base();
        // What is said here can be overruled by the user, what comes after cannot.
        config.set("linger.ms", "1").set("compression.type", "lz4").set("queue.buffering.max.messages", "1000000");
        self.overrule(&mut config);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", (self.record_limit + FRAMING_BYTES / 2).to_string())
            .set("message.timeout.ms", OUTAGE_LIMIT.as_millis().to_string());
        config
    }

    fn tune_fetch(&self, config: &mut ClientConfig) {
        config
            // A partition that was assigned or sought waits until the fetch under way returns; and one whose queue was full, the
            // back-off: by default half a second and a second.
            .set("fetch.wait.max.ms", "50")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.error.backoff.ms", "100")
            .set("queued.max.messages.kbytes", "32768");
        self.overrule(config);
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "weir").set("reconnect.backoff.max.ms", "1000").set("socket.keepalive.enable", "true");
        self.overrule(&mut config);
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// The user's own wishes, where every property is known to one kind of client only by name.
    fn overrule(&self, config: &mut ClientConfig) {
        for (name, value) in &self.properties {
            config.set(name, value);
        }
    }
}

/// Which records count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Those of transactions that have ended well.
    Committed,
    /// All.
    Uncommitted,
}

impl Isolation {
    fn name(self) -> &'static str {
        match self {
            Self::Committed => "read_committed",
            Self::Uncommitted => "read_uncommitted",
        }
    }
}

fn client_id(spec: &WorkerSpec) -> String {
    format!("{}-{}", spec.instance, spec.number)
}

/// A topic's properties as a map from name to the value that holds now.
pub(super) fn held(entries: &[rdkafka::admin::ConfigEntry]) -> HashMap<&str, &str> {
    entries.iter().filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?))).collect()
}

/// Why a property of the client is Weir's to set, because what it promises rests on it; `None`: users may set it.
#[must_use]
pub fn refusal(property: &str) -> Option<String> {
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
        "message.timeout.ms" | "delivery.timeout.ms" => "it bounds how long a batch may stay open",
        "message.max.bytes" => "it follows from the largest record that Weir writes",
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
