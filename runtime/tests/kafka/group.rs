//! Members of a consumer group.

use crate::setup::{
    PATIENCE, TICK, committed, copy_all, copy_turn, fill, log, log_aborting, member, numbers, output, read_all, text, topic,
};
use engine::{Offset, TopicPartition};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Batch, CommitError, Event, Log, Record, Worker};
use runtime::testkit::Broker;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Polls until records come.
fn records(worker: &mut dyn Worker, limit: usize) -> Vec<Record> {
    let began = Instant::now();
    loop {
        for event in worker.poll(limit, TICK).unwrap() {
            if let Event::Records(records) = event {
                return records;
            }
        }
        assert!(began.elapsed() < PATIENCE, "no records come");
    }
}

/// Polls until `count` partitions are ours; returns the offsets they start at.
fn own(worker: &mut dyn Worker, count: usize) -> BTreeMap<TopicPartition, Offset> {
    let began = Instant::now();
    let mut owned = BTreeMap::new();
    while owned.len() < count {
        assert!(began.elapsed() < PATIENCE, "{} of {count} partitions assigned", owned.len());
        for event in worker.poll(1, TICK).unwrap() {
            match event {
                Event::Assigned(starts) => owned.extend(starts),
                Event::Revoked(gone) => owned.retain(|at, _| !gone.contains(at)),
                Event::Records(_) => {}
            }
        }
    }
    owned
}

fn position(record: &Record) -> Batch {
    Batch { outputs: Vec::new(), positions: vec![(record.at.clone(), record.offset.next())] }
}

#[test]
fn each_record_comes_out_once_though_every_seventh_transaction_is_aborted() {
    let log = log_aborting(7);
    let (input, out) = (topic(&log, "group.seventh.in", 4), topic(&log, "group.seventh.out", 4));
    fill(&log, &input, 5_000);
    let spec = member("group.seventh", &input, "a");
    let mut worker = log.worker(&spec).unwrap();
    let aborted = copy_all(&log, &mut *worker, &spec, &out, 5_000);
    assert!(aborted >= 5, "only {aborted} transactions were aborted");
    assert_eq!(numbers(&log, &out), (0..5_000).collect::<Vec<_>>());
    // Order within a partition is kept.
    let mut last = BTreeMap::new();
    for record in read_all(&log, &out) {
        let number: usize = text(&record).parse().unwrap();
        assert!(last.insert(record.at.partition, number).is_none_or(|before| before < number));
    }
}

#[test]
fn at_least_once_doubles_what_was_in_doubt_and_loses_nothing() {
    let log = KafkaLog::options(Broker::shared().brokers()).at_least_once(true).abort_every(7).open().unwrap();
    let (input, out) = (topic(&log, "group.least.in", 4), topic(&log, "group.least.out", 4));
    fill(&log, &input, 5_000);
    let spec = member("group.least", &input, "a");
    let mut worker = log.worker(&spec).unwrap();
    assert!(copy_all(&log, &mut *worker, &spec, &out, 5_000) > 0);
    let mut numbers = numbers(&log, &out);
    assert!(numbers.len() > 5_000, "what was written before a failed commit is written again");
    numbers.dedup();
    assert_eq!(numbers, (0..5_000).collect::<Vec<_>>());
}

#[test]
fn three_members_join_and_leave_under_load_and_nothing_is_lost_or_doubled() {
    let log = log();
    let (input, out) = (topic(&log, "group.three.in", 6), topic(&log, "group.three.out", 6));
    const COUNT: usize = 30_000;
    let (filled, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let producer = log.producer(None).unwrap();
            for start in (0..COUNT).step_by(100) {
                producer.append((start..start + 100).map(|n| output(&input, Some((n % 6) as u32), "", &n.to_string())).collect()).unwrap();
            }
            filled.store(true, Ordering::Relaxed);
        });
        for (instance, stays) in [("a", usize::MAX), ("b", 60), ("c", 25)] {
            let (log, input, out, done) = (&log, &input, &out, &done);
            scope.spawn(move || {
                // Those who do not stay come back again and again under their name.
                while !done.load(Ordering::Relaxed) {
                    let mut worker = log.worker(&member("group.three", input, instance)).unwrap();
                    let mut turns = 0;
                    while turns < stays && !done.load(Ordering::Relaxed) {
                        copy_turn(&mut *worker, out, 200).unwrap();
                        turns += 1;
                    }
                }
            });
        }
        let began = Instant::now();
        while committed(&log, "group.three", &input) < COUNT as u64 && began.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(filled.load(Ordering::Relaxed));
    assert_eq!(numbers(&log, &out), (0..COUNT).collect::<Vec<_>>());
}

#[test]
fn an_assignment_starts_where_the_group_has_committed() {
    let log = log();
    let input = topic(&log, "group.starts", 2);
    fill(&log, &input, 20);
    let at = |n| TopicPartition::new(Arc::clone(&input), n);
    let mut worker = log.worker(&member("group.starts", &input, "a")).unwrap();
    assert_eq!(own(&mut *worker, 2), BTreeMap::from([(at(0), Offset(0)), (at(1), Offset(0))]));
    worker.commit(Batch { outputs: Vec::new(), positions: vec![(at(1), Offset(4))] }).unwrap();
    drop(worker);
    let mut worker = log.worker(&member("group.starts", &input, "b")).unwrap();
    assert_eq!(own(&mut *worker, 2), BTreeMap::from([(at(0), Offset(0)), (at(1), Offset(4))]));
    assert_eq!(log.committed("group.starts", &at(1)).unwrap(), Some(Offset(4)));
    assert_eq!(log.committed("group.starts", &at(0)).unwrap(), None);
    assert_eq!(worker.ends().unwrap(), [(at(0), Offset(10)), (at(1), Offset(10))]);
}

#[test]
fn marks_of_transactions_are_nothing_that_waits() {
    let log = log();
    let (input, out) = (topic(&log, "group.marks.in", 1), topic(&log, "group.marks.out", 1));
    fill(&log, &input, 10);
    let spec = member("group.marks", &input, "a");
    copy_all(&log, &mut *log.worker(&spec).unwrap(), &spec, &out, 10);
    let mut reader = log.worker(&member("group.marks.reader", &out, "b")).unwrap();
    let (mut last, mut count) = (None, 0);
    while count < 10 {
        let read = records(&mut *reader, 100);
        count += read.len();
        last = read.last().map(position);
    }
    let last = last.expect("ten records").positions;
    let began = Instant::now();
    while reader.ends().unwrap() != last {
        assert!(began.elapsed() < PATIENCE, "{:?} where {last:?} is all", reader.ends());
        assert!(reader.poll(1, TICK).unwrap().is_empty());
    }
}

#[test]
fn a_joining_member_takes_partitions_over_where_the_first_one_stopped() {
    let log = log();
    let input = topic(&log, "group.joins", 2);
    fill(&log, &input, 100);
    let mut first = log.worker(&member("group.joins", &input, "a")).unwrap();
    own(&mut *first, 2);
    let mut second = log.worker(&member("group.joins", &input, "b")).unwrap();
    let (mut starts, mut ends) = (BTreeMap::new(), BTreeMap::new());
    let began = Instant::now();
    while starts.is_empty() {
        assert!(began.elapsed() < PATIENCE, "the second member gets nothing");
        for event in first.poll(3, TICK).unwrap() {
            if let Event::Records(records) = event {
                for record in records {
                    if first.commit(position(&record)).is_ok() {
                        ends.insert(record.at, record.offset.next());
                    }
                }
            }
        }
        for event in second.poll(1, TICK).unwrap() {
            if let Event::Assigned(assigned) = event {
                starts.extend(assigned);
            }
        }
    }
    for (at, start) in starts {
        assert_eq!(start, ends.get(&at).copied().unwrap_or_default(), "{at}");
    }
}

#[test]
fn after_an_abort_reading_goes_on_at_the_committed_offsets() {
    let log = log_aborting(2);
    let (input, out) = (topic(&log, "group.rewind.in", 1), topic(&log, "group.rewind.out", 1));
    fill(&log, &input, 10);
    let mut worker = log.worker(&member("group.rewind", &input, "a")).unwrap();
    let first = records(&mut *worker, 3);
    worker.commit(Batch { outputs: vec![output(&out, Some(0), "", "first")], ..position(&first[2]) }).unwrap();
    let second = records(&mut *worker, 3);
    assert_eq!(text(&second[0]), "3");
    let aborted = worker.commit(Batch { outputs: vec![output(&out, Some(0), "", "second")], ..position(&second[2]) });
    assert!(matches!(aborted, Err(CommitError::Aborted(_))));
    let again = records(&mut *worker, 3);
    assert_eq!(again.iter().map(text).collect::<Vec<_>>(), ["3", "4", "5"]);
    assert_eq!(read_all(&log, &out).iter().map(text).collect::<Vec<_>>(), ["first"]);
}

#[test]
fn a_paused_partition_waits_and_loses_nothing() {
    let log = log();
    let input = topic(&log, "group.pause", 2);
    fill(&log, &input, 2_000);
    let mut worker = log.worker(&member("group.pause", &input, "a")).unwrap();
    own(&mut *worker, 2);
    let paused = [TopicPartition::new(Arc::clone(&input), 1)];
    worker.pause(&paused).unwrap();
    let mut seen: BTreeMap<u32, Vec<Offset>> = BTreeMap::new();
    let mut read = |worker: &mut dyn Worker, partition: u32, count: usize| {
        let began = Instant::now();
        while seen.get(&partition).is_none_or(|offsets| offsets.len() < count) {
            assert!(began.elapsed() < PATIENCE);
            for event in worker.poll(7, TICK).unwrap() {
                if let Event::Records(records) = event {
                    records.into_iter().for_each(|record| seen.entry(record.at.partition).or_default().push(record.offset));
                }
            }
        }
        seen.get(&1).map_or(0, Vec::len)
    };
    // `own` may have brought a first record of either partition.
    assert_eq!(read(&mut *worker, 0, 990), 0, "records of a paused partition");
    worker.resume(&paused).unwrap();
    read(&mut *worker, 1, 500);
    worker.pause(&paused).unwrap();
    worker.resume(&paused).unwrap();
    read(&mut *worker, 1, 990);
    let second = &seen[&1];
    assert!(second.windows(2).all(|pair| pair[1] == pair[0].next()), "records are missing or doubled");
}

#[test]
fn seeking_brings_records_again() {
    let log = log();
    let input = topic(&log, "group.seek", 1);
    fill(&log, &input, 500);
    let mut worker = log.worker(&member("group.seek", &input, "a")).unwrap();
    let first = records(&mut *worker, 100);
    worker.seek(&first[0].at, Offset(450)).unwrap();
    assert_eq!(records(&mut *worker, 1)[0].offset, Offset(450));
    worker.seek(&first[0].at, Offset(1)).unwrap();
    assert_eq!(records(&mut *worker, 1)[0].offset, Offset(1));
    worker.seek(&TopicPartition::new("group.foreign", 0), Offset(1)).unwrap_err();
}

#[test]
fn a_second_worker_of_the_same_name_fences_the_first() {
    let log = log();
    let (input, out) = (topic(&log, "group.fenced.in", 1), topic(&log, "group.fenced.out", 1));
    fill(&log, &input, 10);
    let spec = member("group.fenced", &input, "a");
    let mut first = log.worker(&spec).unwrap();
    let read = records(&mut *first, 10);
    let mut second = log.worker(&spec).unwrap();
    let late = first.commit(Batch { outputs: vec![output(&out, Some(0), "", "999")], ..position(&read[0]) });
    assert!(matches!(late, Err(CommitError::Fenced(_))), "{late:?}");
    drop(first);
    copy_all(&log, &mut *second, &spec, &out, 10);
    assert_eq!(numbers(&log, &out), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_member_that_was_thrown_out_commits_nothing() {
    // A member that does not poll for six seconds is thrown out: its partition, and the duty, are another's.
    let properties = [("max.poll.interval.ms".to_owned(), "6000".to_owned())];
    let log = KafkaLog::options(Broker::shared().brokers()).properties(properties).open().unwrap();
    let (input, out) = (topic(&log, "group.late.in", 1), topic(&log, "group.late.out", 1));
    fill(&log, &input, 10);
    let mut late = log.worker(&member("group.late", &input, "late")).unwrap();
    let read = records(&mut *late, 10);
    let spec = member("group.late", &input, "heir");
    let mut heir = log.worker(&spec).unwrap();
    copy_all(&log, &mut *heir, &spec, &out, 10);
    let commit = late.commit(Batch { outputs: vec![output(&out, Some(0), "", "999")], ..position(&read[0]) });
    assert!(matches!(commit, Err(CommitError::Aborted(_))), "{commit:?}");
    assert_eq!(committed(&log, "group.late", &input), 10, "a late commit turned the offset back");
    assert_eq!(numbers(&log, &out), (0..10).collect::<Vec<_>>());
    // It is told, and may go on as a member without partitions.
    let began = Instant::now();
    while !late.poll(1, TICK).unwrap().iter().any(|event| matches!(event, Event::Revoked(_))) {
        assert!(began.elapsed() < PATIENCE, "the late member is not told");
        heir.poll(1, TICK).unwrap();
    }
}

#[test]
fn a_batch_with_a_record_that_is_too_large_is_refused_whole() {
    let log = log();
    let (input, out) = (topic(&log, "group.large.in", 1), topic(&log, "group.large.out", 1));
    fill(&log, &input, 1);
    let mut worker = log.worker(&member("group.large", &input, "a")).unwrap();
    let read = records(&mut *worker, 1);
    let outputs = vec![output(&out, Some(0), "", "1"), output(&out, Some(0), "", &"x".repeat((4 << 20) + 1))];
    let refused = worker.commit(Batch { outputs, ..position(&read[0]) });
    assert!(matches!(refused, Err(CommitError::Fatal(runtime::log::LogError::TooLarge { .. }))), "{refused:?}");
    worker.commit(Batch { outputs: vec![output(&out, Some(0), "", "2")], ..position(&read[0]) }).unwrap();
    assert_eq!(numbers(&log, &out), [2]);
}
