//! Appending and reading.

use crate::setup::{log, output, read_all, spec, text, topic};
use bytes::Bytes;
use engine::{Offset, TopicPartition};
use runtime::log::partitioner::partition_of;
use runtime::log::{Log, LogError, Output, Start};
use std::sync::Arc;

#[test]
fn a_record_is_read_as_it_was_written_where_the_append_said() {
    let log = log();
    let topic = topic(&log, "log.written", 3);
    let written = Output {
        topic: Arc::clone(&topic),
        partition: Some(2),
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::from_static(b"value")),
        headers: vec![("weir-format", Bytes::from_static(b"1")), ("empty", Bytes::new())],
    };
    let tombstone = Output { value: None, headers: Vec::new(), ..written.clone() };
    let places = log.producer(None).unwrap().append(vec![written.clone(), tombstone]).unwrap();
    assert_eq!(places, [(2, Offset(0)), (2, Offset(1))]);

    let records = read_all(&log, &topic);
    assert_eq!(records[0].at, TopicPartition::new(topic, 2));
    assert_eq!((&records[0].key, &records[0].value), (&written.key, &written.value));
    let headers: Vec<_> = records[0].headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(headers, written.headers);
    assert!(records[0].timestamp_ms > 1_600_000_000_000);
    assert_eq!((records[1].offset, &records[1].value), (Offset(1), &None));
    assert_eq!(log.bounds(&records[0].at).unwrap(), (Offset(0), Offset(2)));
}

#[test]
fn a_key_has_the_partition_that_java_clients_give_it() {
    let log = log();
    let topic = topic(&log, "log.keys", 7);
    let keys: Vec<String> = (0..200).map(|n| format!("session-{n}")).collect();
    let places = log.producer(None).unwrap().append(keys.iter().map(|key| output(&topic, None, key, "")).collect()).unwrap();
    for (key, (partition, _)) in keys.iter().zip(places) {
        assert_eq!(partition, partition_of(key.as_bytes(), 7), "{key}");
    }
}

#[test]
fn appends_of_many_threads_keep_their_own_places() {
    let log = log();
    let topic = topic(&log, "log.threads", 2);
    let producer = log.producer(None).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (log, producer, topic) = (&log, &producer, &topic);
            scope.spawn(move || {
                for n in 0..20 {
                    let value = format!("{thread}-{n}");
                    let places = producer.append(vec![output(topic, Some(thread % 2), "", &value)]).unwrap();
                    let at = TopicPartition::new(Arc::clone(topic), places[0].0);
                    let mut reader = log.reader(&[(at, Start::At(places[0].1))]).unwrap();
                    let found = (0..200).find_map(|_| reader.read(1, crate::setup::TICK).unwrap().pop()).unwrap();
                    assert_eq!(text(&found), value);
                    if n >= 3 {
                        break;
                    }
                }
            });
        }
    });
}

#[test]
fn an_append_in_a_transaction_is_all_or_nothing() {
    let log = log();
    let topic = topic(&log, "log.transaction", 1);
    let producer = log.producer(Some("log.transaction")).unwrap();
    let places = producer.append(vec![output(&topic, Some(0), "a", "1"), output(&topic, Some(0), "b", "2")]).unwrap();
    assert_eq!(places, [(0, Offset(0)), (0, Offset(1))]);
    // The second record goes to a partition that is not there: the first must not appear.
    producer.append(vec![output(&topic, Some(0), "c", "3"), output(&topic, Some(9), "d", "4")]).unwrap_err();
    producer.append(vec![output(&topic, Some(0), "e", "5")]).unwrap();
    assert_eq!(read_all(&log, &topic).iter().map(text).collect::<Vec<_>>(), ["1", "2", "5"]);
}

#[test]
fn an_owner_of_a_name_fences_the_one_before() {
    let log = log();
    let topic = topic(&log, "log.names", 1);
    let first = log.producer(Some("log.names")).unwrap();
    first.append(vec![output(&topic, Some(0), "", "1")]).unwrap();
    let second = log.producer(Some("log.names")).unwrap();
    let error = first.append(vec![output(&topic, Some(0), "", "2")]).unwrap_err();
    assert!(matches!(&error, LogError::Fatal { why, .. } if why.contains("fenced by another instance")), "{error}");
    second.append(vec![output(&topic, Some(0), "", "3")]).unwrap();
    assert_eq!(read_all(&log, &topic).iter().map(text).collect::<Vec<_>>(), ["1", "3"]);
}

#[test]
fn a_record_over_the_limit_is_refused_and_says_so() {
    let log = log();
    let topic = topic(&log, "log.large", 1);
    let large = |bytes: usize| output(&topic, Some(0), "", &"x".repeat(bytes));
    for producer in [log.producer(None).unwrap(), log.producer(Some("log.large")).unwrap()] {
        let error = producer.append(vec![large(100), large((4 << 20) + 1)]).unwrap_err();
        assert!(matches!(error, LogError::TooLarge { limit: 0x40_0000, size: 0x40_0001, .. }), "{error}");
        producer.append(vec![large(4 << 20)]).unwrap();
    }
    assert_eq!(read_all(&log, &topic).len(), 2, "the batch with a record that is too large was written in part");
}

#[test]
fn what_is_not_there_is_named() {
    let log = log();
    let no_topic = |e: LogError| matches!(&e, LogError::NoTopic(name) if name.starts_with("log.missing"));
    let missing: Arc<str> = "log.missing".into();
    assert!(no_topic(log.partitions(&missing).unwrap_err()));
    assert!(no_topic(log.reader(&[(TopicPartition::new("log.missing", 0), Start::Oldest)]).err().unwrap()));
    assert!(no_topic(log.worker(&crate::setup::member("log.missing", &missing, "a")).err().unwrap()));
    assert!(no_topic(log.bounds(&TopicPartition::new("log.missing", 0)).unwrap_err()));
    log.create_topics(&[spec("log.missing.partition", 1)]).unwrap();
    assert!(no_topic(log.bounds(&TopicPartition::new("log.missing.partition", 1)).unwrap_err()));
}
