//! The log against a few vectors and maps that do the same.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PARTITIONS: u32 = 3;

#[derive(Debug, Clone)]
enum Step {
    /// Records of (partition, key, large or small or tombstone).
    Append(Vec<(u32, u8, u8)>),
    /// Reads up to so many records, answers each, and commits.
    Work(usize),
    /// The same, but is not committed: the worker is replaced.
    Crash(usize),
    /// So many milliseconds later.
    Wait(i64),
    Maintain,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec((0..PARTITIONS, 0..4u8, 0..3u8), 1..20).prop_map(Step::Append),
        3 => (1..30usize).prop_map(Step::Work),
        1 => (1..30usize).prop_map(Step::Crash),
        2 => (0..100_000i64).prop_map(Step::Wait),
        2 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    offset: u64,
    key: String,
    value: Option<Vec<u8>>,
    timestamp_ms: i64,
}

#[derive(Default)]
struct Model {
    /// By (topic, partition).
    partitions: BTreeMap<(&'static str, u32), Vec<Kept>>,
    ends: BTreeMap<(&'static str, u32), u64>,
    floors: BTreeMap<u32, u64>,
    committed: BTreeMap<u32, u64>,
}

impl Model {
    fn append(&mut self, topic: &'static str, partition: u32, key: &str, value: Option<&[u8]>, now: i64) {
        let end = self.ends.entry((topic, partition)).or_default();
        let record = Kept { offset: *end, key: key.to_owned(), value: value.map(<[u8]>::to_vec), timestamp_ms: now };
        *end += 1;
        self.partitions.entry((topic, partition)).or_default().push(record);
    }

    fn maintain(&mut self, now: i64) {
        for ((topic, partition), records) in &mut self.partitions {
            if *topic == "state" {
                let old = |r: &Kept| r.timestamp_ms + 60_000 <= now;
                let newest: BTreeMap<String, u64> = records.iter().filter(|r| old(r)).map(|r| (r.key.clone(), r.offset)).collect();
                records.retain(|r| !old(r) || newest.get(&r.key) == Some(&r.offset));
                records.retain(|r| r.value.is_some() || r.timestamp_ms + DAY_MS > now);
            } else {
                records.retain(|r| r.timestamp_ms >= now - KEEP_SECONDS * 1000);
                if *topic == "in" {
                    let end = self.ends[&(*topic, *partition)];
                    self.floors.insert(*partition, records.first().map_or(end, |r| r.offset));
                }
            }
        }
    }
}

const KEEP_SECONDS: i64 = 600;

fn value(kind: u8) -> Option<Vec<u8>> {
    match kind {
        0 => None,
        1 => Some(b"small".to_vec()),
        _ => Some(vec![kind; 2000]),
    }
}

struct System {
    /// In the order in which they are to be dropped.
    worker: Option<Box<dyn Worker>>,
    log: Option<EmbeddedLog>,
    directory: tempfile::TempDir,
    hand: Hand,
}

impl System {
    fn new() -> Self {
        let mut system = Self { directory: tempfile::tempdir().unwrap(), hand: Hand::default(), worker: None, log: None };
        system.reopen();
        let topics = [
            topic("in", PARTITIONS, delete_after(KEEP_SECONDS.cast_unsigned(), None)),
            topic("out", PARTITIONS, delete_after(KEEP_SECONDS.cast_unsigned(), None)),
            topic("state", PARTITIONS, Cleanup::Compact),
        ];
        system.log().create_topics(&topics).unwrap();
        system
    }

    fn log(&self) -> &EmbeddedLog {
        self.log.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.worker = None;
        self.log = None;
        let options = EmbeddedLog::options().clock(self.hand.clock()).segment_bytes(20_000);
        self.log = Some(options.open(self.directory.path()).unwrap());
    }

    /// Reads, answers every record in `out` and in `state`, and commits unless the process is to crash before.
    fn work(&mut self, model: &mut Model, limit: usize, is_committed: bool) -> Result<(), TestCaseError> {
        if self.worker.is_none() {
            let mut worker = self.log().worker(&spec(&["in"], 0, 1)).unwrap();
            for (at, offset) in assigned(&mut *worker) {
                let floor = model.floors.get(&at.partition).copied().unwrap_or(0);
                prop_assert_eq!(offset.0, model.committed.get(&at.partition).copied().unwrap_or(floor));
                worker.seek(&at, offset.max(Offset(floor))).unwrap();
            }
            self.worker = Some(worker);
        }
        let worker = self.worker.as_mut().unwrap();
        let records = match worker.poll(limit, Duration::ZERO) {
            Ok(events) => match events.into_iter().next() {
                Some(Event::Records(records)) => records,
                None => return Ok(()),
                other => panic!("unexpected {other:?}"),
            },
            Err(LogError::OffsetGone { at, oldest, .. }) => {
                prop_assert_eq!(oldest.0, model.floors[&at.partition]);
                worker.seek(&at, oldest).unwrap();
                return Ok(());
            }
            Err(other) => panic!("unexpected {other}"),
        };
        let mut batch = Batch::default();
        for record in &records {
            let key = String::from_utf8(record.key.as_deref().unwrap().to_vec()).unwrap();
            for topic in ["out", "state"] {
                batch.outputs.push(put(topic, record.at.partition, &key, record.value.as_deref()));
            }
            batch.positions.push((record.at.clone(), record.offset.next()));
        }
        if !is_committed {
            self.worker = None;
            return Ok(());
        }
        worker.commit(batch).unwrap();
        for record in &records {
            let key = String::from_utf8(record.key.as_deref().unwrap().to_vec()).unwrap();
            for topic in ["out", "state"] {
                model.append(topic, record.at.partition, &key, record.value.as_deref(), self.hand.now());
            }
            model.committed.insert(record.at.partition, record.offset.0 + 1);
        }
        Ok(())
    }

    fn check(&self, model: &Model) -> Result<(), TestCaseError> {
        for topic in ["in", "out", "state"] {
            for partition in 0..PARTITIONS {
                let read: Vec<Kept> = all(self.log(), topic, partition)
                    .into_iter()
                    .map(|r| Kept {
                        offset: r.offset.0,
                        key: String::from_utf8(r.key.unwrap().to_vec()).unwrap(),
                        value: r.value.map(|v| v.to_vec()),
                        timestamp_ms: r.timestamp_ms,
                    })
                    .collect();
                let empty = Vec::new();
                prop_assert_eq!(&read, model.partitions.get(&(topic, partition)).unwrap_or(&empty), "{}-{}", topic, partition);
                let end = model.ends.get(&(topic, partition)).copied().unwrap_or(0);
                prop_assert_eq!(self.log().bounds(&at(topic, partition)).unwrap().1.0, end);
            }
        }
        for partition in 0..PARTITIONS {
            let committed = self.log().committed("g", &at("in", partition)).unwrap();
            prop_assert_eq!(committed.map(|o| o.0), model.committed.get(&partition).copied());
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_log_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..40)) {
        let mut system = System::new();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Append(records) => {
                    let outputs = records.iter().map(|(p, k, v)| put("in", *p, &k.to_string(), value(*v).as_deref())).collect();
                    system.log().producer(None).unwrap().append(outputs).unwrap();
                    for (p, k, v) in records {
                        model.append("in", p, &k.to_string(), value(v).as_deref(), system.hand.now());
                    }
                }
                Step::Work(limit) => system.work(&mut model, limit, true)?,
                Step::Crash(limit) => system.work(&mut model, limit, false)?,
                Step::Wait(ms) => system.hand.set(system.hand.now() + ms),
                Step::Maintain => {
                    system.log().maintain(system.hand.now()).unwrap();
                    model.maintain(system.hand.now());
                }
                Step::Reopen => system.reopen(),
            }
            system.check(&model)?;
        }
    }
}
