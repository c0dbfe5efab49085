//! The embedded log in a process of its own that is killed under load, again and again in one directory.
//!
//! The process is this test binary, started again to run [`the_process_that_is_killed`] only.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test: an error is to end it, and its processes talk by lines")]

use bytes::Bytes;
use engine::{Offset, TopicPartition};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::{Batch, Cleanup, Event, Log, LogError, Output, Record, Start, TopicSpec, WorkerSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DIRECTORY: &str = "WEIR_TEST_KILL_DIRECTORY";
const ROUND: &str = "WEIR_TEST_KILL_ROUND";
const PARTITIONS: u32 = 4;
const APPENDERS: usize = 3;
/// Records of one append of the process: one transaction over all partitions.
const GROUP: u32 = 8;

fn open(directory: &Path) -> Result<EmbeddedLog, LogError> {
    EmbeddedLog::options().segment_bytes(200_000).memtable_bytes(1 << 20).open(directory)
}

fn output(topic: &str, partition: u32, key: String, value: Vec<u8>) -> Output {
    Output { topic: topic.into(), partition: Some(partition), key: Some(key.into()), value: Some(value.into()), headers: vec![] }
}

/// Is a test for the sake of being found by the test harness; without its environment there is nothing to do.
#[test]
fn the_process_that_is_killed() {
    let (Some(directory), Ok(round)) = (std::env::var_os(DIRECTORY), std::env::var(ROUND)) else { return };
    let log = open(&PathBuf::from(directory)).unwrap();
    let forever = Cleanup::Delete { keep: Duration::from_secs(1 << 30), max_bytes: None };
    let soon = Cleanup::Delete { keep: Duration::ZERO, max_bytes: None };
    let topics = [("in", forever), ("out", forever), ("copy", forever), ("state", Cleanup::Compact), ("scratch", soon)];
    let topics = topics.map(|(name, cleanup)| TopicSpec { name: name.into(), partitions: PARTITIONS, cleanup });
    log.create_topics(&topics).unwrap();
    let appenders = (0..APPENDERS).map(|n| {
        let (log, round) = (log.clone(), round.clone());
        std::thread::spawn(move || append_forever(&log, &format!("{round}-{n}")))
    });
    let workers = (0..2).map(|number| {
        let log = log.clone();
        std::thread::spawn(move || work_forever(&log, number))
    });
    let threads: Vec<_> = appenders.chain(workers).collect();
    while threads.iter().all(|t| !t.is_finished()) {
        // Ahead of time, so that there is always something to drop and to compact.
        log.maintain(runtime::clock::now_ms() + 3_600_000).unwrap();
    }
}

/// Appends groups of records and prints the name of each group that was acknowledged.
fn append_forever(log: &EmbeddedLog, name: &str) {
    let producer = log.producer(None).unwrap();
    for n in 0u64.. {
        let group = format!("{name}-{n}");
        let size = 200 + (n % 7) as usize * 500;
        let mut records: Vec<_> = (0..GROUP).map(|p| output("in", p % PARTITIONS, group.clone(), vec![n as u8; size])).collect();
        records.push(output("scratch", (n % u64::from(PARTITIONS)) as u32, group.clone(), vec![0; size]));
        producer.append(records).unwrap();
        println!("acknowledged {group}");
    }
}

/// Answers every record in two topics, and in `state` with the newest offset of the partition.
fn work_forever(log: &EmbeddedLog, number: usize) {
    let spec = WorkerSpec { group: "g".to_owned(), topics: vec!["in".into()], instance: "i".to_owned(), number, of: 2 };
    let mut worker = log.worker(&spec).unwrap();
    loop {
        for event in worker.poll(100, Duration::from_secs(1)).unwrap() {
            let Event::Records(records) = event else { continue };
            let mut batch = Batch::default();
            for record in &records {
                let p = record.at.partition;
                for topic in ["out", "copy"] {
                    batch.outputs.push(output(topic, p, record.offset.to_string(), vec![1; 300]));
                }
                batch.outputs.push(output("state", p, "newest".to_owned(), record.offset.to_string().into_bytes()));
                batch.positions.push((record.at.clone(), record.offset.next()));
            }
            worker.commit(batch).unwrap();
        }
    }
}

fn start(directory: &Path, round: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Names of acknowledged groups, up to `enough` and then those still in the pipe when it is killed.
fn acknowledged_until_killed(child: &mut Child, enough: usize) -> BTreeSet<String> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut groups = BTreeSet::new();
    let mut alive = true;
    while let Some(Ok(line)) = lines.next() {
        // The test harness may have written a beginning of the first line.
        if let Some((_, group)) = line.split_once("acknowledged ") {
            groups.insert(group.to_owned());
        }
        if alive && groups.len() >= enough {
            child.kill().unwrap();
            alive = false;
        }
    }
    child.wait().unwrap();
    assert!(!alive, "the process ended by itself after {} groups", groups.len());
    groups
}

fn all(log: &EmbeddedLog, topic: &str, partition: u32) -> Vec<Record> {
    let mut reader = log.reader(&[(TopicPartition::new(topic, partition), Start::Oldest)]).unwrap();
    let mut records = Vec::new();
    while !reader.at_end().unwrap() {
        records.extend(reader.read(1000, Duration::ZERO).unwrap());
    }
    records
}

fn text(bytes: Option<&Bytes>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

/// Every acknowledged group is there, and of every group all records or none, each once.
fn check_input(log: &EmbeddedLog, acknowledged: &BTreeSet<String>) {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        for (n, record) in all(log, "in", partition).iter().enumerate() {
            assert_eq!(record.offset, Offset(n as u64));
            *counts.entry(text(record.key.as_ref())).or_default() += 1;
        }
    }
    assert!(counts.values().all(|n| *n == GROUP), "a transaction is there in part");
    let lost: Vec<_> = acknowledged.iter().filter(|g| !counts.contains_key(*g)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

/// Every record before the committed offset is answered once in each topic, none after it is.
fn check_transactions(log: &EmbeddedLog) {
    for partition in 0..PARTITIONS {
        let committed = log.committed("g", &TopicPartition::new("in", partition)).unwrap().map_or(0, |o| o.0);
        for topic in ["out", "copy"] {
            let answered: Vec<String> = all(log, topic, partition).iter().map(|r| text(r.key.as_ref())).collect();
            let expected: Vec<String> = (0..committed).map(|o| o.to_string()).collect();
            assert!(answered == expected, "{topic}-{partition}: {} answers to {committed} records", answered.len());
        }
        let newest = all(log, "state", partition).last().map(|r| text(r.value.as_ref()));
        assert_eq!(newest, committed.checked_sub(1).map(|o| o.to_string()));
        let scratch = all(log, "scratch", partition);
        let (floor, end) = log.bounds(&TopicPartition::new("scratch", partition)).unwrap();
        assert_eq!(scratch.iter().map(|r| r.offset.0).collect::<Vec<_>>(), (floor.0..end.0).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_acknowledged_survives_kill_and_transactions_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for (round, enough) in [1, 200, 37, 600, 300].into_iter().enumerate() {
        let mut child = start(directory.path(), round);
        acknowledged.append(&mut acknowledged_until_killed(&mut child, enough));
        let log = open(directory.path()).unwrap();
        check_input(&log, &acknowledged);
        check_transactions(&log);
    }
}

#[test]
fn a_second_process_is_told_who_holds_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(directory.path(), 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("acknowledged")));
    let refused = open(directory.path());
    let pid = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    match refused.map(|_| ()) {
        Err(LogError::InUse { path, pid: Some(holder) }) => {
            assert_eq!((path.as_str(), holder), (directory.path().to_str().unwrap(), pid));
        }
        other => panic!("unexpected {other:?}"),
    }
    open(directory.path()).unwrap();
}
