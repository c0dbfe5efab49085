//! Topics that gateways write themselves, in their own format: re-keyed by session onto the traffic topic, in order of time over the partitions
//! that a member reads.
//!
//! Exchanges, dead letters and positions of a batch are one transaction: every record of a raw topic becomes its exchanges, or a dead letter
//! with the reason and the position, exactly once.

use crate::decode::{BadLine, Fault, Format, Options, Reader, Reason};
use crate::in_time::{InTime, Read};
use crate::masking::MaskingError;
use crate::metrics::Metrics;
use crate::service::{Ingest, IngestError};
use crate::{Preparer, traffic};
use bytes::Bytes;
use engine::{Offset, TopicPartition};
use runtime::clock::now_ms;
use runtime::config::RawTopic;
use runtime::log::{Batch, CommitError, Event, LogError, Output, Record, Worker, WorkerSpec, poll_on};
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most records of a batch.
const BATCH: usize = 2_000;

/// Longest wait for a batch.
const POLL: Duration = Duration::from_millis(100);

/// Reads the configured raw topics until it is to stop; returns at once when there are none.
pub(crate) async fn run(ingest: &Ingest, shutdown: Shutdown) -> Result<(), IngestError> {
    let Ingest { config, log, .. } = ingest;
    if config.ingest.topics.is_empty() {
        return Ok(());
    }
    let rekeying = Rekeying::configured(ingest)?;
    let topics = Topics::new(config);
    let spec = WorkerSpec {
        group: topics.groups.ingest,
        topics: config.ingest.topics.iter().map(|topic| topic.name.as_str().into()).collect(),
        instance: config.instance.clone(),
        number: 0,
        of: 1,
    };
    let worker = log.worker(&spec).map_err(|error| match error {
        LogError::NoTopic(name) => IngestError::NoTopic(name),
        other => other.into(),
    })?;
    let reading = tokio::task::spawn_blocking(move || rekeying.run(worker, &shutdown));
    reading.await.unwrap_or(Err(IngestError::RawTopics))
}

/// What becomes of the records of raw topics.
pub(crate) struct Rekeying {
    readers: HashMap<Arc<str>, Reader>,
    preparer: Preparer,
    traffic: Arc<str>,
    deadletter: Arc<str>,
    metrics: Metrics,
    /// Whether dead letters hold the bytes.
    keep: bool,
}

impl Rekeying {
    fn configured(ingest: &Ingest) -> Result<Self, MaskingError> {
        let Ingest { config, key, counts, .. } = ingest;
        let topics = Topics::new(config);
        let options = Options::configured(config);
        let reader = |topic: &RawTopic| {
            let field_map = topic.field_map.as_ref().and_then(|name| config.ingest.field_maps.get(name)).cloned();
            Reader::new(&Options { format: topic.format, field_map, ..options.clone() })
        };
        let readers = config.ingest.topics.iter().map(|topic| (topic.name.as_str().into(), reader(topic))).collect();
        let metrics = Metrics::new("topic", &topics.traffic, counts.clone());
        Ok(Self {
            readers,
            preparer: Preparer::configured(config, key)?,
            traffic: topics.traffic,
            deadletter: topics.deadletter,
            metrics,
            keep: config.deadletter.keep,
        })
    }

    /// Polls, re-keys, commits.
    fn run(&self, mut worker: Box<dyn Worker>, shutdown: &Shutdown) -> Result<(), IngestError> {
        let mut waiting = InTime::default();
        while !shutdown.is_cancelled() {
            for event in poll_on(&mut *worker, BATCH, POLL)?.events {
                match event {
                    Event::Records(records) => records.iter().for_each(|record| waiting.put(self.read(record), now_ms())),
                    Event::Assigned(starts) => starts.into_iter().for_each(|(at, _)| waiting.open(at, Instant::now())),
                    Event::Revoked(gone) => gone.iter().for_each(|at| waiting.close(at)),
                }
            }
            let mut batch = batch(waiting.take(BATCH, Instant::now()));
            let (pause, resume) = waiting.turns();
            if !pause.is_empty() {
                worker.pause(&pause)?;
            }
            if !resume.is_empty() {
                worker.resume(&resume)?;
            }
            if batch.positions.is_empty() {
                continue;
            }
            let sent = self.metrics.sending(&mut batch.outputs);
            match worker.commit(batch) {
                Ok(()) => sent.done(),
                // The records come again, and those after them.
                Err(CommitError::Aborted(why)) => {
                    sent.failed(&why);
                    waiting.clear(Instant::now());
                    tracing::info!(why, "a batch of raw records was aborted");
                }
                Err(CommitError::Fenced(why)) => return Err(LogError::Fatal { doing: "commit raw records".to_owned(), why }.into()),
                Err(CommitError::Fatal(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Exchanges of one record, each to the traffic topic; what cannot be read of it, to the dead letters.
    fn read(&self, record: &Record) -> Read {
        let mut outputs = Vec::new();
        let mut time = None;
        let mut may_be_empty = false;
        if let (Some(reader), Some(value)) = (self.readers.get(&record.at.topic), &record.value) {
            let source = reader.read(&record.at.topic, value.clone());
            // Most requests of spans hold none of a server.
            may_be_empty = source.format() == Format::Otlp;
            for decoded in source {
                let output = match decoded {
                    Ok(decoded) => {
                        let mut exchange = self.preparer.prepared(decoded);
                        exchange.source.get_or_insert_with(|| record.at.topic.to_string().into());
                        time = time.or(exchange.time);
                        traffic::record(&exchange, &self.traffic)
                    }
                    Err(BadLine { fault, .. }) => Err(fault),
                };
                outputs.push(output.unwrap_or_else(|fault| self.dead_letter(record, &fault)));
            }
        }
        if outputs.is_empty() && !may_be_empty {
            outputs.push(self.dead_letter(record, &Fault::new(Reason::NotARequest, "the record holds no exchange")));
        }
        Read { at: record.at.clone(), offset: record.offset, time: time.unwrap_or(record.timestamp_ms), outputs }
    }

    fn dead_letter(&self, record: &Record, fault: &Fault) -> Output {
        let headers = vec![
            runtime::format::header(),
            ("reason", Bytes::from_static(fault.reason.name().as_bytes())),
            ("detail", Bytes::copy_from_slice(fault.detail.as_bytes())),
            ("topic", Bytes::copy_from_slice(record.at.topic.as_bytes())),
            ("partition", Bytes::from(record.at.partition.to_string())),
            ("offset", Bytes::from(record.offset.to_string())),
        ];
        let value = if self.keep { record.value.clone() } else { None };
        Output { topic: Arc::clone(&self.deadletter), partition: None, key: None, value, headers }
    }
}

/// What records write, and how far they go.
fn batch(read: Vec<Read>) -> Batch {
    let mut outputs = Vec::new();
    let mut positions: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
    for read in read {
        outputs.extend(read.outputs);
        positions.insert(read.at, read.offset.next());
    }
    Batch { outputs, positions: positions.into_iter().collect() }
}
