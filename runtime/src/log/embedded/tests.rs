use super::*;
use crate::clock::Clock;
use crate::log::{Batch, Cleanup, CommitError, Event, Output, Record, poll_on};
use bytes::Bytes;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

mod model;

/// A clock that tests move.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn clock(&self) -> Clock {
        let hand = self.clone();
        Arc::new(move || hand.now())
    }

    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

const DAY_MS: i64 = 24 * 3600 * 1000;

fn delete_after(seconds: u64, max_bytes: Option<u64>) -> Cleanup {
    Cleanup::Delete { keep: Duration::from_secs(seconds), max_bytes }
}

fn topic(name: &str, partitions: u32, cleanup: Cleanup) -> TopicSpec {
    TopicSpec { name: name.into(), partitions, cleanup }
}

fn put(topic: &str, partition: u32, key: &str, value: Option<&[u8]>) -> Output {
    Output {
        topic: topic.into(),
        partition: Some(partition),
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: value.map(Bytes::copy_from_slice),
        headers: vec![("weir-format", Bytes::from_static(b"1"))],
    }
}

fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn spec(topics: &[&str], number: usize, of: usize) -> WorkerSpec {
    WorkerSpec { group: "g".to_owned(), topics: topics.iter().map(|t| (*t).into()).collect(), instance: "here".to_owned(), number, of }
}

/// All records of a partition, from the oldest.
fn all(log: &EmbeddedLog, topic: &str, partition: u32) -> Vec<Record> {
    let mut reader = log.reader(&[(at(topic, partition), Start::Oldest)]).unwrap();
    let mut records = Vec::new();
    while !reader.at_end().unwrap() {
        records.extend(reader.read(7, Duration::ZERO).unwrap());
    }
    records
}

fn offsets(records: &[Record]) -> Vec<u64> {
    records.iter().map(|r| r.offset.0).collect()
}

/// The records of the next poll that brings any.
fn polled(worker: &mut dyn Worker, limit: usize) -> Vec<Record> {
    match &mut worker.poll(limit, Duration::ZERO).unwrap()[..] {
        [] => Vec::new(),
        [Event::Records(records)] => std::mem::take(records),
        other => panic!("unexpected {other:?}"),
    }
}

fn assigned(worker: &mut dyn Worker) -> Vec<(TopicPartition, Offset)> {
    match &mut worker.poll(1, Duration::ZERO).unwrap()[..] {
        [Event::Assigned(partitions)] => std::mem::take(partitions),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn records_come_back_as_they_were_written_also_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::default();
    let open = || EmbeddedLog::options().clock(hand.clock()).open(directory.path()).unwrap();
    let log = open();
    log.create_topics(&[topic("a", 2, delete_after(60, None))]).unwrap();
    let producer = log.producer(None).unwrap();
    hand.set(1000);
    let large = vec![7; 5000];
    let places = producer.append(vec![put("a", 1, "k", Some(b"v")), put("a", 0, "k", None), put("a", 1, "", Some(&large))]).unwrap();
    assert_eq!(places, [(1, Offset(0)), (0, Offset(0)), (1, Offset(1))]);
    // The clock goes back; append times do not.
    hand.set(500);
    producer.append(vec![put("a", 1, "k", Some(b"w"))]).unwrap();
    let check = |log: &EmbeddedLog| {
        let records = all(log, "a", 1);
        assert_eq!(offsets(&records), [0, 1, 2]);
        assert!(records.iter().all(|r| r.timestamp_ms == 1000 && r.header("weir-format") == Some(b"1")));
        assert_eq!(records[1].value.as_deref(), Some(&large[..]));
        assert_eq!(all(log, "a", 0)[0].value, None);
        assert_eq!(log.bounds(&at("a", 1)).unwrap(), (Offset(0), Offset(3)));
    };
    check(&log);
    drop((log, producer));
    let log = open();
    check(&log);
    assert_eq!(log.producer(None).unwrap().append(vec![put("a", 1, "k", None)]).unwrap(), [(1, Offset(3))]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::options().record_limit(200).topic_record_limit("big", 400).open(directory.path()).unwrap();
    log.create_topics(&[topic("a", 2, delete_after(60, None)), topic("big", 1, delete_after(60, None)), topic("c", 1, Cleanup::Compact)])
        .unwrap();
    let producer = log.producer(None).unwrap();
    assert!(matches!(producer.append(vec![put("b", 0, "k", None)]), Err(LogError::NoTopic(t)) if t == "b"));
    assert!(matches!(producer.append(vec![put("a", 2, "k", None)]), Err(LogError::WrongTopic { .. })));
    let large = vec![0; 300];
    assert!(matches!(producer.append(vec![put("a", 0, "k", Some(&large))]), Err(LogError::TooLarge { limit: 200, .. })));
    producer.append(vec![put("big", 0, "k", Some(&large))]).unwrap();
    let keyless = Output { key: None, ..put("c", 0, "", None) };
    assert!(matches!(producer.append(vec![keyless]), Err(LogError::WrongTopic { .. })));
    assert!(matches!(log.create_topics(&[topic("a", 3, delete_after(60, None))]), Err(LogError::WrongTopic { .. })));
    assert!(matches!(log.create_topics(&[topic("a", 2, Cleanup::Compact)]), Err(LogError::WrongTopic { .. })));
    assert!(matches!(log.create_topics(&[topic("a/b", 2, Cleanup::Compact)]), Err(LogError::WrongTopic { .. })));
    assert!(matches!(log.create_topics(&[topic("z", 0, Cleanup::Compact)]), Err(LogError::WrongTopic { .. })));
    assert!(matches!(log.worker(&spec(&["a", "nope"], 0, 1)), Err(LogError::NoTopic(_))));
    assert!(matches!(log.worker(&spec(&["a"], 1, 1)), Err(LogError::Fatal { .. })));
    assert!(matches!(log.reader(&[(at("a", 9), Start::End)]), Err(LogError::WrongTopic { .. })));
    assert!(matches!(EmbeddedLog::open(directory.path()), Err(LogError::InUse { .. })));
    // Nothing of a refused append is there.
    assert_eq!(all(&log, "a", 0).len() + all(&log, "a", 1).len(), 0);
}

#[test]
fn keys_choose_partitions_as_java_clients_do() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path()).unwrap();
    log.create_topics(&[topic("a", 24, delete_after(60, None))]).unwrap();
    let output = Output { partition: None, ..put("a", 0, "foobar", None) };
    let places = log.producer(None).unwrap().append(vec![output]).unwrap();
    assert_eq!(places, [(((-790_332_482i32) & i32::MAX).cast_unsigned() % 24, Offset(0))]);
}

#[test]
fn a_commit_is_outputs_and_positions_together_and_an_abort_is_neither() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::options().abort_every(2).open(directory.path()).unwrap();
    log.create_topics(&[topic("in", 2, delete_after(60, None)), topic("out", 2, delete_after(60, None))]).unwrap();
    let input = (0..6).map(|n| put("in", n % 2, &n.to_string(), Some(b"x"))).collect();
    log.producer(None).unwrap().append(input).unwrap();
    let mut worker = log.worker(&spec(&["in"], 0, 1)).unwrap();
    assert_eq!(assigned(&mut *worker), [(at("in", 0), Offset(0)), (at("in", 1), Offset(0))]);
    let first = polled(&mut *worker, 2);
    assert_eq!(first.len(), 2);
    let batch = |records: &[Record]| Batch {
        outputs: records.iter().map(|r| put("out", r.at.partition, "k", Some(b"y"))).collect(),
        positions: records.iter().map(|r| (r.at.clone(), r.offset.next())).collect(),
    };
    worker.commit(batch(&first)).unwrap();
    let second = polled(&mut *worker, 100);
    assert_eq!(second.len(), 4);
    assert!(matches!(worker.commit(batch(&second)), Err(CommitError::Aborted(_))));
    assert_eq!(all(&log, "out", 0).len() + all(&log, "out", 1).len(), 2);
    let mut again = polled(&mut *worker, 100);
    again.sort_by_key(|r| (r.at.clone(), r.offset));
    let mut expected = second;
    expected.sort_by_key(|r| (r.at.clone(), r.offset));
    assert_eq!(format!("{again:?}"), format!("{expected:?}"));
    worker.commit(batch(&again)).unwrap();
    assert_eq!(all(&log, "out", 0).len() + all(&log, "out", 1).len(), 6);
    drop((worker, log));
    let log = EmbeddedLog::open(directory.path()).unwrap();
    assert_eq!(log.committed("g", &at("in", 0)).unwrap(), Some(Offset(3)));
    assert_eq!(log.committed("g", &at("in", 1)).unwrap(), Some(Offset(3)));
    assert_eq!(log.committed("other", &at("in", 1)).unwrap(), None);
    let mut worker = log.worker(&spec(&["in"], 0, 1)).unwrap();
    assert_eq!(assigned(&mut *worker)[0].1, Offset(3));
    assert!(polled(&mut *worker, 100).is_empty());
}

#[test]
fn workers_divide_partitions_seek_and_pause() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path()).unwrap();
    log.create_topics(&[topic("in", 5, delete_after(60, None))]).unwrap();
    let producer = log.producer(None).unwrap();
    producer.append((0..5).flat_map(|p| (0..3).map(move |_| put("in", p, "k", None))).collect()).unwrap();
    let mut second = log.worker(&spec(&["in"], 1, 2)).unwrap();
    assert_eq!(assigned(&mut *second), [(at("in", 1), Offset(0)), (at("in", 3), Offset(0))]);
    assert_eq!(second.ends().unwrap(), [(at("in", 1), Offset(3)), (at("in", 3), Offset(3))]);
    second.pause(&[at("in", 1)]).unwrap();
    assert!(polled(&mut *second, 100).iter().all(|r| r.at.partition == 3));
    assert!(polled(&mut *second, 100).is_empty());
    second.resume(&[at("in", 1)]).unwrap();
    second.seek(&at("in", 3), Offset(2)).unwrap();
    assert_eq!(polled(&mut *second, 100).len(), 3 + 1);
    assert!(second.seek(&at("in", 0), Offset(0)).is_err());
    assert!(second.pause(&[at("in", 0)]).is_err());
    assert!(second.resume(&[at("in", 0)]).is_err());
    // A small limit does not starve the later partition.
    second.seek(&at("in", 1), Offset(0)).unwrap();
    second.seek(&at("in", 3), Offset(0)).unwrap();
    let seen: Vec<u32> = (0..4).flat_map(|_| polled(&mut *second, 1)).map(|r| r.at.partition).collect();
    assert!(seen.contains(&1) && seen.contains(&3), "{seen:?}");
}

#[test]
fn a_partition_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path()).unwrap();
    log.create_topics(&[topic("in", 2, delete_after(60, None))]).unwrap();
    let mut alone = log.worker(&spec(&["in"], 0, 1)).unwrap();
    assigned(&mut *alone);
    let mut other = log.worker(&WorkerSpec { instance: "there".to_owned(), ..spec(&["in"], 1, 2) }).unwrap();
    assert_eq!(assigned(&mut *other), [(at("in", 1), Offset(0))]);
    let of = |partition| Batch { outputs: vec![], positions: vec![(at("in", partition), Offset(0))] };
    assert!(matches!(alone.commit(of(1)), Err(CommitError::Aborted(_))));
    alone.commit(of(0)).unwrap();
    match &alone.poll(1, Duration::ZERO).unwrap()[..] {
        [Event::Revoked(partitions)] => assert_eq!(*partitions, [at("in", 1)]),
        other => panic!("unexpected {other:?}"),
    }
    let _same_name = log.worker(&spec(&["in"], 0, 1)).unwrap();
    assert!(matches!(alone.commit(of(0)), Err(CommitError::Fenced(_))));
    assert!(alone.poll(1, Duration::ZERO).is_err());
    let old = log.producer(Some("trainer")).unwrap();
    old.append(vec![put("in", 0, "k", None)]).unwrap();
    let new = log.producer(Some("trainer")).unwrap();
    assert!(matches!(old.append(vec![put("in", 0, "k", None)]), Err(LogError::Fatal { .. })));
    assert_eq!(new.append(vec![put("in", 0, "k", None)]).unwrap(), [(0, Offset(1))]);
}

#[test]
fn an_append_wakes_who_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path()).unwrap();
    log.create_topics(&[topic("a", 1, delete_after(60, None))]).unwrap();
    let mut reader = log.reader(&[(at("a", 0), Start::End)]).unwrap();
    let waiting = std::thread::spawn(move || reader.read(10, Duration::from_secs(3600)).unwrap());
    log.producer(None).unwrap().append(vec![put("a", 0, "k", Some(b"v"))]).unwrap();
    assert_eq!(waiting.join().unwrap().len(), 1);
}

#[test]
fn appends_at_once_each_get_their_own_places() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::options().segment_bytes(10_000).open(directory.path()).unwrap();
    log.create_topics(&[topic("a", 3, delete_after(60, None))]).unwrap();
    let producer = log.producer(None).unwrap();
    let append = |thread: u32| {
        let mut places = Vec::new();
        for n in 0..50 {
            let name = format!("{thread}-{n}");
            let outputs = (0..4).map(|i| put("a", (n + i) % 3, &name, Some(b"v"))).collect();
            places.extend(producer.append(outputs).unwrap().into_iter().map(|(p, o)| (p, o.0, name.clone())));
        }
        places
    };
    let mut told: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|t| {
                scope.spawn({
                    let append = &append;
                    move || append(t)
                })
            })
            .collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    told.sort();
    let name = |r: &Record| String::from_utf8(r.key.as_deref().unwrap().to_vec()).unwrap();
    let there: Vec<_> = (0..3).flat_map(|p| all(&log, "a", p)).map(|r| (r.at.partition, r.offset.0, name(&r))).collect();
    assert_eq!(there, told);
}

#[test]
fn age_moves_the_floor_and_gives_disk_space_back() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::default();
    let open = || EmbeddedLog::options().clock(hand.clock()).segment_bytes(50_000).open(directory.path()).unwrap();
    let log = open();
    log.create_topics(&[topic("a", 2, delete_after(3600, None))]).unwrap();
    let producer = log.producer(None).unwrap();
    let value = vec![1; 1000];
    for minute in 0..120 {
        hand.set(minute * 60_000);
        producer.append(vec![put("a", 0, "k", Some(&value)), put("a", 1, "k", Some(&value))]).unwrap();
    }
    let segments_before = log.0.topic("a").unwrap().segments().len();
    assert!(segments_before >= 4, "{segments_before}");
    let done = log.maintain(119 * 60_000).unwrap();
    assert_eq!(done.expired, 2 * 59);
    assert!(done.segments_dropped >= 1);
    for partition in 0..2 {
        assert_eq!(log.bounds(&at("a", partition)).unwrap(), (Offset(59), Offset(120)));
        assert_eq!(offsets(&all(&log, "a", partition)), (59..120).collect::<Vec<_>>());
    }
    let mut late = log.reader(&[(at("a", 0), Start::At(Offset(3)))]).unwrap();
    match late.read(1, Duration::ZERO) {
        Err(LogError::OffsetGone { wanted, oldest, .. }) => assert_eq!((wanted, oldest), (Offset(3), Offset(59))),
        other => panic!("unexpected {other:?}"),
    }
    let mut member = log.worker(&spec(&["a"], 0, 2)).unwrap();
    assigned(&mut *member);
    member.seek(&at("a", 0), Offset(3)).unwrap();
    assert_eq!(poll_on(&mut *member, 1, Duration::ZERO).unwrap().lost, 56);
    assert_eq!(offsets(&polled(&mut *member, 1)), [59]);
    drop(member);
    // What is gone stays gone, and offsets go on, when all was dropped.
    let done = log.maintain(1000 * 60_000).unwrap();
    assert_eq!(done.expired, 2 * 61);
    assert_eq!(log.0.topic("a").unwrap().segments().len(), 1);
    drop((log, producer, late));
    let log = open();
    assert_eq!(log.bounds(&at("a", 0)).unwrap(), (Offset(120), Offset(120)));
    assert!(all(&log, "a", 0).is_empty());
    assert_eq!(log.producer(None).unwrap().append(vec![put("a", 1, "k", None)]).unwrap(), [(1, Offset(120))]);
    // A topic that fell silent before the restart gives its space back, too.
    drop(log);
    let done = open().maintain(10_000 * 60_000).unwrap();
    assert_eq!((done.expired, done.segments_dropped), (1, 1));
}

#[test]
fn a_flood_in_one_partition_drops_its_own_records_only() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::default();
    let open = || EmbeddedLog::options().clock(hand.clock()).segment_bytes(100_000).open(directory.path()).unwrap();
    let log = open();
    log.create_topics(&[topic("a", 3, delete_after(3600, Some(50_000)))]).unwrap();
    let producer = log.producer(None).unwrap();
    let value = vec![1; 1000];
    producer.append(vec![put("a", 0, "quiet", Some(b"1")), put("a", 2, "quiet", Some(b"1"))]).unwrap();
    for n in 0..1000 {
        producer.append(vec![put("a", 1, "flood", Some(&value))]).unwrap();
        if n % 100 == 0 {
            producer.append(vec![put("a", 0, "quiet", Some(b"1"))]).unwrap();
        }
    }
    log.maintain(0).unwrap();
    let check = |log: &EmbeddedLog| {
        let kept = all(log, "a", 1);
        assert!((40..=50).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept.last().unwrap().offset, Offset(999));
        assert_eq!(offsets(&all(log, "a", 0)), (0..11).collect::<Vec<_>>());
        assert_eq!(offsets(&all(log, "a", 2)), [0]);
    };
    check(&log);
    // The flood's segments went although they held a few kept records.
    assert!(log.0.topic("a").unwrap().segments().len() <= 2);
    drop((log, producer));
    check(&open());
}

#[test]
fn compaction_keeps_the_newest_of_a_key_and_tombstones_for_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::default();
    let open = || EmbeddedLog::options().clock(hand.clock()).open(directory.path()).unwrap();
    let log = open();
    log.create_topics(&[topic("c", 1, Cleanup::Compact)]).unwrap();
    let producer = log.producer(None).unwrap();
    let append = |key, value: Option<&[u8]>| producer.append(vec![put("c", 0, key, value)]).unwrap();
    append("a", Some(b"1"));
    append("b", Some(b"1"));
    append("a", Some(b"2"));
    append("b", None);
    append("c", None);
    append("c", Some(b"1"));
    assert_eq!(log.maintain(59_999).unwrap().compacted, 0, "readers have a minute");
    assert_eq!(log.maintain(60_000).unwrap().compacted, 3);
    assert_eq!(offsets(&all(&log, "c", 0)), [2, 3, 5]);
    assert_eq!(log.bounds(&at("c", 0)).unwrap(), (Offset(0), Offset(6)));
    append("a", None);
    assert_eq!(log.maintain(DAY_MS - 1).unwrap().compacted, 1);
    assert_eq!(offsets(&all(&log, "c", 0)), [3, 5, 6]);
    drop(log);
    drop(producer);
    let log = open();
    assert_eq!(log.maintain(DAY_MS).unwrap().compacted, 2);
    assert_eq!(offsets(&all(&log, "c", 0)), [5]);
    // The newest offset was a tombstone's and is gone; the next one is a new one all the same.
    drop(log);
    let log = open();
    assert_eq!(log.bounds(&at("c", 0)).unwrap(), (Offset(0), Offset(7)));
    assert_eq!(log.producer(None).unwrap().append(vec![put("c", 0, "a", None)]).unwrap(), [(0, Offset(7))]);
}

#[test]
fn compaction_gives_disk_space_back() {
    let directory = tempfile::tempdir().unwrap();
    let hand = Hand::default();
    let log = EmbeddedLog::options().clock(hand.clock()).memtable_bytes(1 << 20).open(directory.path()).unwrap();
    log.create_topics(&[topic("c", 1, Cleanup::Compact)]).unwrap();
    let producer = log.producer(None).unwrap();
    let value: Vec<u8> = (0..2000u32).flat_map(u32::to_le_bytes).take(700).collect();
    for _ in 0..250 {
        producer.append((0..100).map(|n| put("c", 0, &n.to_string(), Some(&value))).collect()).unwrap();
    }
    assert_eq!(log.maintain(60_000).unwrap().compacted, 249 * 100);
    let keyspace = log.0.topic("c").unwrap().segments()[0].keyspace.clone();
    // The store may still be busy with the appends; then the files are rewritten the next time.
    let is_small = (0..10_000).any(|_| log.maintain(60_000).is_ok() && keyspace.disk_space() < 1_000_000);
    assert!(is_small, "{} bytes for 100 records", keyspace.disk_space());
    assert_eq!(all(&log, "c", 0).len(), 100);
}
