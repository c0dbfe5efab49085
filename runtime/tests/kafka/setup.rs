//! A log on the shared broker, topics of one's own, and reading them whole.

use bytes::Bytes;
use engine::TopicPartition;
use runtime::log::kafka::KafkaLog;
use runtime::log::{Batch, Cleanup, CommitError, Event, Log, Output, Record, Start, TopicSpec, Worker, WorkerSpec};
use runtime::testkit::Broker;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time that anything here is waited for: what takes longer does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) const TICK: Duration = Duration::from_millis(50);

/// A log on the broker that all tests share.
pub(crate) fn log() -> KafkaLog {
    KafkaLog::options(Broker::shared().brokers()).open().unwrap()
}

/// A log whose every n-th commit is aborted at the last moment.
pub(crate) fn log_aborting(every: u64) -> KafkaLog {
    KafkaLog::options(Broker::shared().brokers()).abort_every(every).open().unwrap()
}

pub(crate) fn spec(name: &str, partitions: u32) -> TopicSpec {
    let cleanup = Cleanup::Delete { keep: Duration::from_secs(3_600), max_bytes: None };
    TopicSpec { name: name.into(), partitions, cleanup }
}

pub(crate) fn topic(log: &KafkaLog, name: &str, partitions: u32) -> Arc<str> {
    log.create_topics(&[spec(name, partitions)]).unwrap();
    name.into()
}

pub(crate) fn output(topic: &Arc<str>, partition: Option<u32>, key: &str, value: &str) -> Output {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    Output { topic: Arc::clone(topic), partition, key: Some(Bytes::copy_from_slice(key.as_bytes())), value, headers: Vec::new() }
}

pub(crate) fn member(group: &str, topic: &Arc<str>, instance: &str) -> WorkerSpec {
    WorkerSpec { group: group.to_owned(), topics: vec![Arc::clone(topic)], instance: instance.to_owned(), number: 0, of: 1 }
}

/// Appends `count` records with values 0, 1, 2, …, spread over the partitions of a topic.
pub(crate) fn fill(log: &KafkaLog, topic: &Arc<str>, count: usize) {
    let partitions = log.partitions(topic).unwrap() as usize;
    let outputs = (0..count).map(|n| output(topic, Some((n % partitions) as u32), &format!("k{n}"), &n.to_string())).collect();
    log.producer(None).unwrap().append(outputs).unwrap();
}

/// Everything that is committed in a topic.
pub(crate) fn read_all(log: &KafkaLog, topic: &Arc<str>) -> Vec<Record> {
    let partitions = log.partitions(topic).unwrap();
    let from: Vec<_> = (0..partitions).map(|n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest)).collect();
    let mut reader = log.reader(&from).unwrap();
    let began = Instant::now();
    let mut records = Vec::new();
    loop {
        records.extend(reader.read(10_000, TICK).unwrap());
        if reader.at_end().unwrap() {
            return records;
        }
        assert!(began.elapsed() < PATIENCE, "no end of {topic} after {} records", records.len());
    }
}

pub(crate) fn text(record: &Record) -> String {
    String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap()
}

/// Values of a topic, committed, as sorted numbers.
pub(crate) fn numbers(log: &KafkaLog, topic: &Arc<str>) -> Vec<usize> {
    let mut numbers: Vec<usize> = read_all(log, topic).iter().map(|record| text(record).parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// One turn of what a scorer does: each record to the partition of the same number of another topic. `false`: the transaction was aborted.
pub(crate) fn copy_turn(worker: &mut dyn Worker, to: &Arc<str>, limit: usize) -> Result<bool, CommitError> {
    let mut batch = Batch::default();
    for event in worker.poll(limit, TICK)? {
        let Event::Records(records) = event else { continue };
        for record in records {
            batch.outputs.push(output(to, Some(record.at.partition), "", &text(&record)));
            batch.positions.retain(|(at, _)| *at != record.at);
            batch.positions.push((record.at, record.offset.next()));
        }
    }
    match worker.commit(batch) {
        Ok(()) => Ok(true),
        Err(CommitError::Aborted(_)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Records that a group has committed in a topic.
pub(crate) fn committed(log: &KafkaLog, group: &str, topic: &Arc<str>) -> u64 {
    let of = |n| log.committed(group, &TopicPartition::new(Arc::clone(topic), n)).unwrap().map_or(0, |offset| offset.0);
    (0..log.partitions(topic).unwrap()).map(of).sum()
}

/// Copies until the group has committed `count` records.
pub(crate) fn copy_all(log: &KafkaLog, worker: &mut dyn Worker, spec: &WorkerSpec, to: &Arc<str>, count: u64) -> u64 {
    let began = Instant::now();
    let mut aborted = 0;
    while committed(log, &spec.group, &spec.topics[0]) < count {
        assert!(began.elapsed() < PATIENCE, "{} of {count} committed", committed(log, &spec.group, &spec.topics[0]));
        for _ in 0..10 {
            aborted += u64::from(!copy_turn(worker, to, 100).unwrap());
        }
    }
    aborted
}
