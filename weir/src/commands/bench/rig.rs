//! What is measured: a scorer on topics of its own, a sender that knows when it sent what, and a reader that knows when each verdict came.

use super::records::{Made, Records};
use crate::installation;
use anyhow::{Context as _, bail};
use engine::{Model, TopicPartition};
use runtime::config::Config;
use runtime::format;
use runtime::keys::{SigningKey, TrustedKeys};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Log, LogError, Output, Producer, Start};
use runtime::model_file::TrainingRange;
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use scorer::ScorerError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use trainer::publish::{Publisher, Role};

/// Records of one append while nothing is timed.
const PIECE: u64 = 500;
/// Time between two appends of a sender that keeps a rate.
const TICK: Duration = Duration::from_millis(5);
/// Verdicts of one read, and the longest wait for them.
const READ: usize = 4_000;
const WAIT: Duration = Duration::from_millis(20);
/// Time without any verdict after which none is waited for any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Moments by partition, in the order of offsets.
type Times = Vec<Vec<Instant>>;

/// Topics of its own on the configured brokers.
pub(super) struct Rig {
    pub(super) config: Config,
    pub(super) topics: Topics,
    pub(super) log: Arc<dyn Log>,
    kafka: KafkaLog,
    key: Arc<SigningKey>,
}

impl Rig {
    /// Creates the topics, under a prefix of this process.
    pub(super) fn open(mut config: Config) -> anyhow::Result<Self> {
        config.topics.prefix = format!("weir-bench-{}.", std::process::id());
        let topics = Topics::new(&config);
        let kafka = installation::kafka(&config)?;
        let directory = tempfile::tempdir().context("a directory for a key")?;
        let key = Arc::new(SigningKey::create(&directory.path().join("sign.pem"))?);
        kafka.create_topics(topics.specs()).context("creating topics to measure with")?;
        Ok(Self { config, topics, log: Arc::new(kafka.clone()), kafka, key })
    }

    /// Makes a model active.
    pub(super) fn publish(&self, model: &Model) -> anyhow::Result<()> {
        let mut publisher = Publisher::open(&self.log, &self.topics, Arc::clone(&self.key), Role::Operator)?;
        let file = publisher.file(model, 0, TrainingRange::default(), None)?;
        publisher.publish(&file)?;
        Ok(())
    }

    /// Starts a scorer.
    pub(super) fn score(&self) -> Running {
        let settings = scorer::Settings::new(&self.config, TrustedKeys::new(vec![self.key.public()]));
        let (log, shutdown) = (Arc::clone(&self.log), Shutdown::new());
        let asked = shutdown.clone();
        Running { shutdown, thread: std::thread::spawn(move || scorer::run(&settings, &log, &asked)) }
    }

    /// Removes the topics.
    pub(super) fn remove(&self) -> Result<(), LogError> {
        self.kafka.delete_topics(self.topics.specs())
    }
}

/// A scorer at work.
pub(super) struct Running {
    shutdown: Shutdown,
    thread: JoinHandle<Result<(), ScorerError>>,
}

impl Running {
    /// Stops it, or says why it had ended before.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        self.thread.join().map_err(|_| anyhow::anyhow!("the scorer ended by a panic"))?.map_err(Into::into)
    }
}

/// Writes records to the traffic topic.
pub(super) struct Sender {
    producer: Box<dyn Producer>,
    topic: Arc<str>,
    records: Records,
    pub(super) sent: Times,
}

impl Sender {
    pub(super) fn open(rig: &Rig, records: Records) -> Result<Self, LogError> {
        let topic = Arc::clone(&rig.topics.traffic);
        let sent = vec![Vec::new(); rig.log.partitions(&topic)? as usize];
        Ok(Self { producer: rig.log.producer(None)?, topic, records, sent })
    }

    /// Sends as fast as it goes.
    pub(super) fn send(&mut self, count: u64) -> Result<(), LogError> {
        let mut left = count;
        while left > 0 {
            let piece = left.min(PIECE);
            self.append(piece)?;
            left -= piece;
        }
        Ok(())
    }

    /// Sends so many a second for so long; returns how many.
    pub(super) fn send_at(&mut self, rate: f64, length: Duration) -> Result<u64, LogError> {
        let began = Instant::now();
        let mut sent = 0;
        while began.elapsed() < length {
            let due = (began.elapsed().as_secs_f64() * rate) as u64;
            self.append((due - sent).min(PIECE))?;
            sent += (due - sent).min(PIECE);
            std::thread::sleep(TICK);
        }
        Ok(sent)
    }

    fn append(&mut self, count: u64) -> Result<(), LogError> {
        let output = |Made { session, value }| Output {
            topic: Arc::clone(&self.topic),
            partition: None,
            key: Some(session.into()),
            value: Some(value.into()),
            headers: vec![format::header()],
        };
        let outputs: Vec<Output> = (0..count).map(|_| output(self.records.make())).collect();
        let now = Instant::now();
        for (partition, _) in self.producer.append(outputs)? {
            if let Some(times) = self.sent.get_mut(partition as usize) {
                times.push(now);
            }
        }
        Ok(())
    }

    /// Records sent so far.
    pub(super) fn count(&self) -> u64 {
        self.sent.iter().map(|times| times.len() as u64).sum()
    }
}

/// Reads committed verdicts on a thread of its own: the n-th of a partition belongs to the n-th record of it.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), LogError>>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Times>,
    count: AtomicU64,
    stop: AtomicBool,
}

impl Watcher {
    pub(super) fn start(rig: &Rig) -> Result<Self, LogError> {
        let topic = &rig.topics.verdicts;
        let partitions = rig.log.partitions(topic)?;
        let from: Vec<_> = (0..partitions).map(|n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest)).collect();
        let mut reader = rig.log.reader(&from)?;
        let shared = Arc::new(Shared { seen: Mutex::new(vec![Vec::new(); partitions as usize]), ..Shared::default() });
        let its = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !its.stop.load(Ordering::Relaxed) {
                let records = reader.read(READ, WAIT)?;
                let now = Instant::now();
                let mut seen = its.seen.lock().unwrap_or_else(PoisonError::into_inner);
                for record in &records {
                    if let Some(times) = seen.get_mut(record.at.partition as usize) {
                        times.push(now);
                    }
                }
                its.count.fetch_add(records.len() as u64, Ordering::Relaxed);
            }
            Ok(())
        });
        Ok(Self { shared, thread })
    }

    /// Verdicts that have come.
    pub(super) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Waits until so many verdicts have come.
    pub(super) fn wait_for(&self, count: u64) -> anyhow::Result<()> {
        let (mut last, mut moved) = (self.count(), Instant::now());
        while last < count {
            std::thread::sleep(TICK);
            if self.count() > last {
                (last, moved) = (self.count(), Instant::now());
            } else if moved.elapsed() > PATIENCE || self.thread.is_finished() {
                bail!("{last} of {count} verdicts came and then no more");
            }
        }
        Ok(())
    }

    /// When each verdict came, so far.
    pub(super) fn seen(&self) -> Times {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        Ok(self.thread.join().map_err(|_| anyhow::anyhow!("reading verdicts ended by a panic"))??)
    }
}
