//! Names and lay-out of every topic and consumer group of an installation.

use crate::config::Config;
use crate::log::{Cleanup, TopicSpec};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The topics, prefix included.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Exchanges, key = session.
    pub traffic: Arc<str>,
    /// One verdict for each exchange, in the partition of the same number.
    pub verdicts: Arc<str>,
    /// One record for each change of an incident.
    pub alerts: Arc<str>,
    /// Compacted: the scorers' checkpoints, in the partition of the same number.
    pub state: Arc<str>,
    /// Small facts of single partitions, keyed by entity.
    pub facts: Arc<str>,
    /// What is known of an entity, in each partition that showed it.
    pub notes: Arc<str>,
    /// Compacted, one partition: model versions and the pointer.
    pub models: Arc<str>,
    /// A sample of whole sessions, as features.
    pub history: Arc<str>,
    /// What analysts said.
    pub feedback: Arc<str>,
    /// Compacted: what gateways are to keep out.
    pub blocklist: Arc<str>,
    /// Compacted: stages, versions, lag.
    pub status: Arc<str>,
    /// What could not be read, and why.
    pub deadletter: Arc<str>,
    /// Consumer groups.
    pub groups: Groups,
    specs: Vec<TopicSpec>,
}

/// The consumer groups, prefix included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Scorers: `traffic`.
    pub scorer: String,
    /// The fact stage: `facts`.
    pub facts: String,
    /// The trainer: `traffic` and `feedback`.
    pub trainer: String,
    /// Egress: `verdicts` and `alerts`; each receiver has a group of its own, a dot and its name behind this.
    pub egress: String,
    /// The block list: `alerts`.
    pub blocklist: String,
    /// Ingest: topics that gateways write themselves.
    pub ingest: String,
}

/// Names of all topics behind the prefix.
pub(crate) const NAMES: [&str; 12] =
    ["traffic", "verdicts", "alerts", "state", "facts", "notes", "models", "history", "feedback", "blocklist", "status", "deadletter"];

impl Topics {
    /// As the configuration wants them: laid out for Kafka when brokers are set, else for the embedded log.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let name = |name: &str| -> Arc<str> { format!("{}{name}", config.topics.prefix).into() };
        let embedded = config.kafka.brokers.is_none();
        let partitions = if embedded { config.embedded.partitions } else { config.topics.partitions };
        let traffic_bytes = embedded.then(|| config.embedded.max_bytes / u64::from(partitions.max(1)));
        let keep = |keep| Cleanup::Delete { keep, max_bytes: None };
        let traffic = Cleanup::Delete { keep: config.keep.traffic, max_bytes: traffic_bytes };
        let specs: Vec<TopicSpec> = [
            ("traffic", partitions, traffic),
            ("verdicts", partitions, keep(config.keep.verdicts)),
            ("alerts", partitions, keep(config.keep.alerts)),
            ("state", partitions, Cleanup::Compact),
            ("facts", partitions, keep(DAY)),
            ("notes", partitions, keep(DAY)),
            ("models", 1, Cleanup::Compact),
            ("history", partitions, keep(config.history.keep)),
            ("feedback", 1, keep(365 * DAY)),
            ("blocklist", 1, Cleanup::Compact),
            ("status", 1, Cleanup::Compact),
            ("deadletter", 1, keep(7 * DAY)),
        ]
        .into_iter()
        .map(|(topic, partitions, cleanup)| TopicSpec { name: name(topic), partitions, cleanup })
        .collect();
        let group = |name: &str| format!("{}{name}", config.topics.prefix);
        Self {
            traffic: name("traffic"),
            verdicts: name("verdicts"),
            alerts: name("alerts"),
            state: name("state"),
            facts: name("facts"),
            notes: name("notes"),
            models: name("models"),
            history: name("history"),
            feedback: name("feedback"),
            blocklist: name("blocklist"),
            status: name("status"),
            deadletter: name("deadletter"),
            groups: Groups {
                scorer: group("scorer"),
                facts: group("facts"),
                trainer: group("trainer"),
                egress: group("egress"),
                blocklist: group("blocklist"),
                ingest: group("ingest"),
            },
            specs,
        }
    }

    /// All of them, for [`Log::create_topics`](crate::log::Log::create_topics).
    #[must_use]
    pub fn specs(&self) -> &[TopicSpec] {
        &self.specs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FlagValue, Sources};

    fn topics(settings: &[(&str, &str)]) -> Topics {
        let flags = settings.iter().map(|(key, value)| FlagValue { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
        Topics::new(&Config::resolve(&Sources { flags, host_name: "host".to_owned(), ..Sources::default() }).unwrap())
    }

    fn spec<'a>(topics: &'a Topics, name: &str) -> &'a TopicSpec {
        topics.specs().iter().find(|spec| &*spec.name == name).unwrap()
    }

    #[test]
    fn every_name_has_one_spec_and_the_prefix() {
        let topics = topics(&[("topics.prefix", "eu.")]);
        let names = [
            &topics.traffic,
            &topics.verdicts,
            &topics.alerts,
            &topics.state,
            &topics.facts,
            &topics.notes,
            &topics.models,
            &topics.history,
            &topics.feedback,
            &topics.blocklist,
            &topics.status,
            &topics.deadletter,
        ];
        assert_eq!(names.iter().map(|name| name.strip_prefix("eu.").unwrap()).collect::<Vec<_>>(), NAMES);
        assert_eq!(topics.specs().len(), names.len());
        for name in names {
            assert!(name.starts_with("eu."));
            spec(&topics, name);
        }
        assert_eq!(topics.groups.scorer, "eu.scorer");
    }

    #[test]
    fn topics_that_go_along_with_traffic_have_its_partitions() {
        for (settings, partitions) in
            [(&[("kafka.brokers", "a:1"), ("topics.partitions", "12")][..], 12), (&[("embedded.partitions", "3")], 3)]
        {
            let topics = topics(settings);
            for name in [&topics.traffic, &topics.verdicts, &topics.state, &topics.notes] {
                assert_eq!(spec(&topics, name).partitions, partitions, "{name}");
            }
            assert_eq!(spec(&topics, &topics.models).partitions, 1);
        }
    }

    #[test]
    fn only_the_embedded_log_is_bounded_in_bytes() {
        let embedded = topics(&[("embedded.max_bytes", "4GiB"), ("embedded.partitions", "4"), ("traffic.keep", "2h")]);
        let keep = Duration::from_secs(7_200);
        assert_eq!(spec(&embedded, "weir.traffic").cleanup, Cleanup::Delete { keep, max_bytes: Some(1 << 30) });
        let kafka = topics(&[("kafka.brokers", "a:1"), ("traffic.keep", "2h")]);
        assert_eq!(spec(&kafka, "weir.traffic").cleanup, Cleanup::Delete { keep, max_bytes: None });
    }
}
