//! What the scorer is compared with: a loop on the same topics that only parses and produces, and the parts of the work without Kafka.

use super::records::Records;
use super::rig::Rig;
use anyhow::bail;
use bytes::Bytes;
use engine::{Effect, Exchange, Features, History, HistoryLimits, LearnConfig, Limits, Model, Offset, Partition, RecordPosition};
use engine::{TopicPartition, learn};
use runtime::log::{Batch, CommitError, Event, Output, Record, WorkerSpec, poll_on};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As the scorer polls.
const BATCH: usize = 2_000;
const WAIT: Duration = Duration::from_millis(20);
/// Bytes of a verdict, and of a state record for every eighth.
const VERDICT: usize = 350;
const STATE: usize = 700;
/// Records that a model is learned from, and that the parts are timed with.
const LEARNED: usize = 8_000;
const TIMED: usize = 10_000;
const PIECE: usize = 10;

/// A model of the records' API.
pub(super) fn model() -> anyhow::Result<Model> {
    let mut history = History::new(HistoryLimits::default());
    let mut records = Records::new();
    for _ in 0..LEARNED {
        history.add(Features::of(&Exchange::from_json(records.make().value.as_bytes())?));
    }
    Ok(learn(&history, &LearnConfig::default(), &mut |_| {})?)
}

/// Time of one exchange on one core, in parts.
pub(super) struct Parts {
    pub(super) parse: Duration,
    /// From the exchange to the verdict's bytes.
    pub(super) judge: Duration,
}

/// Times the parts on one thread.
pub(super) fn parts(model: Model) -> anyhow::Result<Parts> {
    let mut records = Records::new();
    let values: Vec<String> = (0..TIMED).map(|_| records.make().value).collect();
    let parse = typical(&values, |_, value| {
        black_box(Exchange::from_json(value.as_bytes())?);
        Ok(())
    })?;
    let mut partition = Partition::new(TopicPartition::new("weir.traffic", 0), Limits::default());
    partition.apply(Effect::Model(Arc::new(model)));
    let both = typical(&values, |n, value| {
        let at = RecordPosition { offset: Offset(n as u64), appended_ms: None };
        let judged = partition.judge(at, &Exchange::from_json(value.as_bytes())?);
        black_box(judged.verdict.to_json()?);
        Ok(())
    })?;
    Ok(Parts { parse, judge: both.saturating_sub(parse) })
}

/// Time of one value: the median over small pieces, so that what else runs on the machine weighs little.
fn typical(values: &[String], mut work: impl FnMut(usize, &String) -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for (piece, values) in values.chunks(PIECE).enumerate() {
        let began = Instant::now();
        for (n, value) in values.iter().enumerate() {
            work(piece * PIECE + n, value)?;
        }
        times.push(began.elapsed() / PIECE as u32);
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// Records a second of a loop that parses and produces, exactly once, over the first `count` records.
pub(super) fn ceiling(rig: &Rig, count: u64) -> anyhow::Result<f64> {
    let spec = WorkerSpec {
        group: format!("{}ceiling", rig.config.topics.prefix),
        topics: vec![Arc::clone(&rig.topics.traffic)],
        instance: rig.config.instance.clone(),
        number: 0,
        of: 1,
    };
    let mut worker = rig.log.worker(&spec)?;
    // The first batch is not timed: the group is joined meanwhile.
    let mut first: Option<(Instant, u64)> = None;
    let mut done = 0;
    while done < count {
        let records: Vec<Record> = poll_on(&mut *worker, BATCH, WAIT)?.events.into_iter().filter_map(records_of).flatten().collect();
        done += records.len() as u64;
        match worker.commit(produced(rig, records)?) {
            Err(CommitError::Aborted(why)) => bail!("a transaction was aborted: {why}"),
            committed => committed?,
        }
        if done > 0 {
            first.get_or_insert((Instant::now(), done));
        }
    }
    Ok(first.map_or(0.0, |(began, before)| (done - before) as f64 / began.elapsed().as_secs_f64()))
}

fn records_of(event: Event) -> Option<Vec<Record>> {
    if let Event::Records(records) = event { Some(records) } else { None }
}

/// Parses records; as much is written for them as a scorer writes.
fn produced(rig: &Rig, records: Vec<Record>) -> anyhow::Result<Batch> {
    let (mut outputs, mut positions) = (Vec::new(), BTreeMap::new());
    for record in records {
        black_box(Exchange::from_json(record.value.as_deref().unwrap_or_default())?);
        let filler = |bytes: usize| Output {
            topic: Arc::clone(&rig.topics.history),
            partition: Some(record.at.partition),
            key: record.key.clone(),
            value: Some(Bytes::from(vec![b'x'; bytes])),
            headers: Vec::new(),
        };
        outputs.push(filler(VERDICT));
        if record.offset.0.is_multiple_of(8) {
            outputs.push(filler(STATE));
        }
        positions.insert(record.at, record.offset.next());
    }
    Ok(Batch { outputs, positions: positions.into_iter().collect() })
}
