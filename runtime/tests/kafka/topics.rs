//! Topics as they are wanted.

use crate::setup::{log, spec};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Cleanup, Log, LogError, TopicSpec};
use runtime::testkit::Broker;
use std::time::Duration;

#[test]
fn topics_are_created_once_as_wanted() {
    let log = log();
    let compact = TopicSpec { name: "topics.compact".into(), partitions: 2, cleanup: Cleanup::Compact };
    let specs = [spec("topics.plain", 3), compact];
    let names: Vec<_> = log.check_topics(&specs).unwrap().into_iter().map(|d| (d.what, d.breaks)).collect();
    assert_eq!(names, vec![("does not exist".to_owned(), true); 2]);
    log.create_topics(&specs).unwrap();
    log.create_topics(&specs).unwrap();
    assert_eq!(log.check_topics(&specs).unwrap(), []);
    assert_eq!((log.partitions("topics.plain").unwrap(), log.partitions("topics.compact").unwrap()), (3, 2));
}

#[test]
fn a_topic_that_differs_is_left_alone_and_says_in_what() {
    let log = log();
    log.create_topics(&[spec("topics.differs", 3)]).unwrap();
    let wanted = TopicSpec { partitions: 24, ..spec("topics.differs", 24) };
    let error = log.create_topics(&[wanted]).unwrap_err();
    assert_eq!(error.to_string(), "topic `topics.differs`: has 3 partitions, 24 are wanted");
    assert_eq!(log.partitions("topics.differs").unwrap(), 3);

    let wanted = TopicSpec { cleanup: Cleanup::Compact, ..spec("topics.differs", 3) };
    let error = log.create_topics(&[wanted]).unwrap_err();
    assert!(matches!(error, LogError::WrongTopic { what, .. } if what == "`cleanup.policy` is delete, compact is wanted"));

    let keep = Cleanup::Delete { keep: Duration::from_secs(60), max_bytes: Some(1 << 20) };
    let wanted = [TopicSpec { cleanup: keep, ..spec("topics.differs", 3) }];
    let found = log.check_topics(&wanted).unwrap();
    let whats: Vec<_> = found.iter().map(|d| d.what.as_str()).collect();
    assert_eq!(whats, ["`retention.ms` is 3600000, 60000 is wanted", "`retention.bytes` is -1, 1048576 is wanted"]);
    assert!(found.iter().all(|d| !d.breaks), "retention is the operator's");
    log.create_topics(&wanted).unwrap();
}

#[test]
fn a_topic_that_takes_too_small_records_is_refused() {
    let broker = Broker::shared().brokers();
    KafkaLog::options(broker.clone()).record_limit(1 << 20).open().unwrap().create_topics(&[spec("topics.small", 1)]).unwrap();
    let error = log().create_topics(&[spec("topics.small", 1)]).unwrap_err();
    assert!(error.to_string().contains("`max.message.bytes` is 1114112, 4259840 is wanted"), "{error}");
    KafkaLog::options(broker).record_limit(1 << 19).open().unwrap().create_topics(&[spec("topics.small", 1)]).unwrap();
}

#[test]
fn more_replicas_than_brokers_are_an_error_that_names_the_topic() {
    let log = KafkaLog::options(Broker::shared().brokers()).replication(3).open().unwrap();
    let error = log.create_topics(&[spec("topics.replicas", 1)]).unwrap_err();
    assert!(error.to_string().starts_with("creating topic `topics.replicas`: "), "{error}");
}

#[test]
fn properties_that_the_client_does_not_know_are_refused_at_once() {
    let properties = [("no.such.property".to_owned(), "1".to_owned())];
    let error = KafkaLog::options("127.0.0.1:1").properties(properties).open().err().unwrap();
    assert!(error.to_string().contains("no.such.property"), "{error}");
}

#[test]
fn brokers_that_cannot_be_reached_are_named() {
    let error = KafkaLog::options("127.0.0.1:1").open().unwrap().partitions("any").unwrap_err();
    assert!(matches!(&error, LogError::Retriable { doing, .. } if doing.contains("127.0.0.1:1")), "{error}");
}
