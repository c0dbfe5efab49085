//! Reading outside of any group, and knowing the end.

use crate::setup::{PATIENCE, TICK, log, output, read_all, spec, text, topic};
use bytes::Bytes;
use engine::{Offset, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use runtime::log::{Cleanup, Event, Log, LogError, Output, Start, TopicSpec, poll_on};
use runtime::testkit::Broker;
use std::sync::Arc;
use std::time::Instant;

/// A transactional producer that leaves its transaction open, as a process does that was stopped in the middle.
fn open_transaction(name: &str, topic: &str, value: &str) -> BaseProducer {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", Broker::shared().brokers()).set("transactional.id", name).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), _>::to(topic).partition(0).payload(value)).unwrap();
    producer.flush(PATIENCE).unwrap();
    producer
}

#[test]
fn the_end_is_after_what_an_open_transaction_hides() {
    let log = log();
    let topic = topic(&log, "reading.open", 1);
    let at = TopicPartition::new(Arc::clone(&topic), 0);
    let plain = log.producer(None).unwrap();
    plain.append(vec![output(&topic, Some(0), "", "before")]).unwrap();
    let open = open_transaction("reading.open", &topic, "aborted");
    plain.append(vec![output(&topic, Some(0), "", "hidden")]).unwrap();

    let mut reader = log.reader(&[(at, Start::Oldest)]).unwrap();
    let mut values = Vec::new();
    while values.is_empty() {
        values.extend(reader.read(10, TICK).unwrap().iter().map(text));
    }
    for _ in 0..5 {
        assert!(!reader.at_end().unwrap(), "`hidden` is committed and was not read");
        values.extend(reader.read(10, TICK).unwrap().iter().map(text));
    }
    assert_eq!(values, ["before"]);
    open.abort_transaction(PATIENCE).unwrap();
    let began = Instant::now();
    while !reader.at_end().unwrap() {
        assert!(began.elapsed() < PATIENCE, "no end");
        values.extend(reader.read(10, TICK).unwrap().iter().map(text));
    }
    assert_eq!(values, ["before", "hidden"]);
}

#[test]
fn the_end_is_found_behind_aborted_records_and_in_an_empty_partition() {
    let log = log();
    let topic = topic(&log, "reading.aborted", 2);
    for n in 0..3 {
        open_transaction("reading.aborted", &topic, &n.to_string()).abort_transaction(PATIENCE).unwrap();
    }
    assert!(read_all(&log, &topic).is_empty());
    log.producer(Some("reading.aborted")).unwrap().append(vec![output(&topic, Some(0), "", "kept")]).unwrap();
    assert_eq!(read_all(&log, &topic).iter().map(text).collect::<Vec<_>>(), ["kept"]);
}

#[test]
fn the_end_moves_with_what_is_appended() {
    let log = log();
    let topic = topic(&log, "reading.moves", 1);
    let at = TopicPartition::new(Arc::clone(&topic), 0);
    let producer = log.producer(Some("reading.moves")).unwrap();
    let mut reader = log.reader(&[(at, Start::Oldest)]).unwrap();
    let mut read = 0;
    for n in 1..=20 {
        producer.append(vec![output(&topic, Some(0), "", &n.to_string())]).unwrap();
        let began = Instant::now();
        while !reader.at_end().unwrap() {
            read += reader.read(10, TICK).unwrap().len();
            assert!(began.elapsed() < PATIENCE, "no end after record {n}");
        }
        assert_eq!(read, n, "the end was reported before the record was read");
    }
}

#[test]
fn starts_are_the_oldest_the_end_or_an_offset() {
    let log = log();
    let topic = topic(&log, "reading.starts", 1);
    let at = TopicPartition::new(Arc::clone(&topic), 0);
    let append = |value: &str| log.producer(None).unwrap().append(vec![output(&topic, Some(0), "", value)]).unwrap();
    append("0");
    append("1");
    append("2");
    let starts = [Start::Oldest, Start::End, Start::At(Offset(1)), Start::At(Offset(3))];
    let mut readers = starts.map(|start| log.reader(&[(at.clone(), start)]).unwrap());
    append("3");
    let firsts = readers.each_mut().map(|reader| {
        let began = Instant::now();
        loop {
            if let Some(record) = reader.read(1, TICK).unwrap().pop() {
                return text(&record);
            }
            assert!(began.elapsed() < PATIENCE);
        }
    });
    assert_eq!(firsts, ["0", "3", "1", "3"]);
}

#[test]
fn several_topics_are_read_together() {
    let log = log();
    let topics = ["reading.several.a", "reading.several.b"].map(|name| topic(&log, name, 2));
    let outputs = topics.iter().flat_map(|topic| (0..100).map(move |n| output(topic, Some(n % 2), "", "x"))).collect();
    log.producer(None).unwrap().append(outputs).unwrap();
    let from: Vec<_> =
        topics.iter().flat_map(|topic| (0..2).map(move |n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest))).collect();
    let mut reader = log.reader(&from).unwrap();
    let began = Instant::now();
    let mut count = [0; 2];
    while !reader.at_end().unwrap() {
        for record in reader.read(30, TICK).unwrap() {
            count[usize::from(record.at.topic == topics[1])] += 1;
        }
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(count, [100, 100]);
}

#[test]
fn an_offset_that_is_gone_is_reported_not_skipped() {
    let log = log();
    let topic = topic(&log, "reading.gone", 1);
    let at = TopicPartition::new(Arc::clone(&topic), 0);
    log.producer(None).unwrap().append((0..10).map(|n| output(&topic, Some(0), "", &n.to_string())).collect()).unwrap();
    Broker::shared().delete_before(&topic, 0, 6);
    let error = log.reader(&[(at.clone(), Start::At(Offset(2)))]).err().unwrap();
    assert!(matches!(error, LogError::OffsetGone { wanted: Offset(2), oldest: Offset(6), .. }), "{error}");
    assert_eq!(log.bounds(&at).unwrap(), (Offset(6), Offset(10)));

    // A group that was away for longer than records are kept.
    let mut worker = log.worker(&crate::setup::member("reading.gone", &topic, "a")).unwrap();
    let began = Instant::now();
    while worker.poll(1, TICK).unwrap().is_empty() {
        assert!(began.elapsed() < PATIENCE);
    }
    worker.commit(runtime::log::Batch { outputs: Vec::new(), positions: vec![(at.clone(), Offset(7))] }).unwrap();
    drop(worker);
    Broker::shared().delete_before(&topic, 0, 9);
    let mut worker = log.worker(&crate::setup::member("reading.gone", &topic, "a")).unwrap();
    let mut lost = 0;
    let record = loop {
        assert!(began.elapsed() < PATIENCE);
        let mut polled = poll_on(&mut *worker, 1, TICK).unwrap();
        lost += polled.lost;
        if let Some(Event::Records(records)) = polled.events.pop() {
            break records[0].clone();
        }
    };
    assert_eq!((lost, text(&record)), (2, "9".to_owned()));
}

#[test]
fn a_late_joiner_of_a_compacted_topic_finds_the_newest_of_each_key_and_the_end() {
    let log = log();
    let spec = TopicSpec { name: "reading.compacted".into(), cleanup: Cleanup::Compact, ..spec("", 1) };
    log.create_topics(std::slice::from_ref(&spec)).unwrap();
    let topic = Arc::clone(&spec.name);
    // Compact at once: segments of a second and no dirt tolerated.
    let settings = "segment.ms=1000,min.cleanable.dirty.ratio=0.001,min.compaction.lag.ms=0,delete.retention.ms=0";
    Broker::shared().alter_topic(&topic, settings);
    let producer = log.producer(Some("reading.compacted")).unwrap();
    let put = |key: &str, value: Option<&str>| {
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        let key = Some(Bytes::copy_from_slice(key.as_bytes()));
        producer.append(vec![Output { topic: Arc::clone(&topic), partition: Some(0), key, value, headers: Vec::new() }]).unwrap();
    };
    for version in 0..50 {
        put("pointer", Some(&format!("v{version}")));
        put(&format!("part/{version}"), Some("bytes"));
    }
    for version in 0..48 {
        put(&format!("part/{version}"), None);
    }
    // Compaction looks at closed segments only, and a segment is closed by the append after its time: writing goes on until most is gone.
    let began = Instant::now();
    let mut beats = 0;
    let left = loop {
        put("beat", Some(&beats.to_string()));
        beats += 1;
        let records = read_all(&log, &topic);
        if records.len() < 60 {
            break records;
        }
        assert!(began.elapsed() < PATIENCE, "{} records are left", records.len());
    };
    let mut newest = std::collections::BTreeMap::new();
    for record in left {
        newest.insert(String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap(), record.value);
    }
    newest.retain(|_, value| value.is_some());
    let keys: Vec<_> = newest.keys().map(String::as_str).collect();
    assert_eq!(keys, ["beat", "part/48", "part/49", "pointer"]);
    assert_eq!(newest["pointer"], Some(Bytes::from_static(b"v49")));
}
