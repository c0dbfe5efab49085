//! A scorer on a log of its own, embedded or on Kafka, with simulated traffic.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use engine::{Features, History, HistoryLimits, LearnConfig, Offset, TopicPartition, learn};
use runtime::config::{Config, FlagValue, Sources};
use runtime::keys::{Pointer, SigningKey, TrustedKeys};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::kafka::KafkaLog;
use runtime::log::{Log, Output, Reader, Record, Start};
use runtime::model_file::{About, ModelFile};
use runtime::model_topic::{POINTER, version_records};
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use scorer::{ScorerError, Settings};
use simulator::Simulation;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) const PARTITIONS: u32 = 4;
const LEARNED: usize = 2_000;

/// Simulated exchanges.
pub(crate) struct Traffic {
    learned: Vec<Vec<u8>>,
    /// Session and record.
    pub(crate) judged: Vec<(String, Vec<u8>)>,
}

/// The traffic that models are learned from, and that which is judged.
pub(crate) fn traffic() -> &'static Traffic {
    static TRAFFIC: OnceLock<Traffic> = OnceLock::new();
    TRAFFIC.get_or_init(|| {
        let mut config = simulator::Config::new(11, 0.2, 20_000);
        config.learning = 0.5;
        config.launches = 1;
        let mut judged = Vec::new();
        let mut learned = Vec::new();
        for (exchange, _) in Simulation::new(config) {
            let bytes = serde_json::to_vec(&exchange).unwrap();
            if learned.len() < LEARNED {
                learned.push(bytes);
            } else {
                judged.push((exchange.session.as_deref().unwrap_or_default().to_owned(), bytes));
            }
        }
        Traffic { learned, judged }
    })
}

/// Two models of the same API, learned from different stretches of it.
fn model(label: &str) -> ModelFile {
    static FILES: OnceLock<[ModelFile; 2]> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        ["v1", "v2"].map(|label| {
            let mut history = History::new(HistoryLimits::default());
            let skip = if label == "v1" { 0 } else { LEARNED / 4 };
            for bytes in traffic().learned.iter().skip(skip) {
                history.add(Features::of(&engine::Exchange::from_json(bytes).unwrap()));
            }
            let config = LearnConfig { label: label.to_owned(), ..LearnConfig::default() };
            ModelFile::of(&learn(&history, &config, &mut |_| {}).unwrap(), About::default()).unwrap()
        })
    });
    files[usize::from(label == "v2")].clone()
}

pub(crate) struct Bench {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) settings: Settings,
    key: SigningKey,
    directory: tempfile::TempDir,
    running: Option<Running>,
    outcomes: Box<dyn Reader>,
}

/// A scorer that runs on a thread.
pub(crate) struct Running {
    shutdown: Shutdown,
    thread: JoinHandle<Result<(), ScorerError>>,
}

impl Running {
    pub(crate) fn stop(self) -> Result<(), ScorerError> {
        self.shutdown.cancel();
        self.thread.join().unwrap()
    }

    /// Waits for it to end by itself.
    pub(crate) fn end(self) -> Result<(), ScorerError> {
        self.thread.join().unwrap()
    }
}

/// How a bench runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) abort_every: u64,
    /// Milliseconds of the bench's clock, which goes on by one with each look at it.
    pub(crate) checkpoint: u64,
}

/// What every scorer of a bench is told.
pub(crate) fn settings(flags: &[(&str, &str)], trusted: TrustedKeys, plan: Plan) -> Settings {
    let partitions = PARTITIONS.to_string();
    let own =
        [("embedded.partitions", partitions.as_str()), ("topics.partitions", &partitions), ("traffic.keep", "36500d"), ("data", "unused")];
    let flags = own.iter().chain(flags).map(|(key, value)| FlagValue { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
    let config = Config::resolve(&Sources { flags, host_name: "bench".to_owned(), ..Sources::default() }).unwrap();
    let mut settings = Settings::new(&config, trusted);
    settings.workers = plan.workers;
    settings.checkpoint = Duration::from_millis(plan.checkpoint);
    let clock = AtomicI64::new(0);
    settings.clock = Arc::new(move || clock.fetch_add(1, Ordering::Relaxed));
    settings
}

impl Bench {
    /// On an embedded log in a fresh directory.
    pub(crate) fn new(plan: Plan) -> Self {
        Self::on(&[], plan, |topics, directory| {
            let options = EmbeddedLog::options().abort_every(plan.abort_every).topic_record_limit(Arc::clone(&topics.traffic), 6 << 20);
            Arc::new(options.open(directory.join("log")).unwrap())
        })
    }

    /// On a broker, with topics of its own by their prefix.
    pub(crate) fn on_kafka(plan: Plan, brokers: &str, prefix: &str) -> Self {
        let log = KafkaLog::options(brokers).abort_every(plan.abort_every).record_limit(6 << 20).open().unwrap();
        Self::on(&[("kafka.brokers", brokers), ("topics.prefix", prefix)], plan, |_, _| Arc::new(log))
    }

    fn on(flags: &[(&str, &str)], plan: Plan, log: impl FnOnce(&Topics, &Path) -> Arc<dyn Log>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = SigningKey::create(&key_file(directory.path())).unwrap();
        let settings = settings(flags, TrustedKeys::new(vec![key.public()]), plan);
        let log = log(&settings.topics, directory.path());
        log.create_topics(settings.topics.specs()).unwrap();
        let whole = |topic: &Arc<str>, n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest);
        let mut from: Vec<_> = (0..PARTITIONS).map(|n| whole(&settings.topics.verdicts, n)).collect();
        from.push(whole(&settings.topics.deadletter, 0));
        let outcomes = log.reader(&from).unwrap();
        Self { log, settings, key, directory, running: None, outcomes }
    }

    pub(crate) fn key_file(&self) -> std::path::PathBuf {
        key_file(self.directory.path())
    }

    pub(crate) fn start(&mut self) {
        self.running = Some(self.run(&self.settings.instance));
    }

    /// Starts a scorer of another name.
    pub(crate) fn run(&self, instance: &str) -> Running {
        let shutdown = Shutdown::new();
        let (settings, log, asked) =
            (Settings { instance: instance.to_owned(), ..self.settings.clone() }, Arc::clone(&self.log), shutdown.clone());
        Running { shutdown, thread: std::thread::spawn(move || scorer::run(&settings, &log, &asked)) }
    }

    pub(crate) fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }

    pub(crate) fn publish(&self, label: &str, counter: u64) {
        self.publish_signed(label, counter, &self.key, |_| {});
    }

    /// Publishes with any key, and with records that may be damaged: parts, manifest, pointer.
    pub(crate) fn publish_signed(&self, label: &str, counter: u64, key: &SigningKey, damage: impl FnOnce(&mut Vec<Output>)) {
        let file = model(label);
        let topic = &self.settings.topics.models;
        let other = model(if label == "v1" { "v2" } else { "v1" });
        let previous = (counter > 1).then(|| other.manifest().id.clone());
        let pointer = Pointer { active: file.manifest().id.clone(), previous, pinned: Vec::new(), counter };
        let mut records = version_records(topic, &file).unwrap();
        records.push(Output {
            topic: Arc::clone(topic),
            partition: Some(0),
            key: Some(POINTER.into()),
            value: Some(key.sign_pointer(pointer).unwrap().into()),
            headers: Vec::new(),
        });
        damage(&mut records);
        self.log.producer(None).unwrap().append(records).unwrap();
    }

    /// Appends records in small pieces, each once the one before has its outcomes: many transactions.
    pub(crate) fn send(&mut self, records: &[(String, Vec<u8>)]) -> Vec<Record> {
        let producer = self.log.producer(None).unwrap();
        let mut outcomes = Vec::new();
        for piece in records.chunks(40) {
            producer.append(self.outputs(piece)).unwrap();
            outcomes.extend(self.outcomes(piece.len()));
        }
        outcomes
    }

    pub(crate) fn outputs(&self, records: &[(String, Vec<u8>)]) -> Vec<Output> {
        let output = |(session, bytes): &(String, Vec<u8>)| Output {
            topic: Arc::clone(&self.settings.topics.traffic),
            partition: None,
            key: Some(session.clone().into()),
            value: Some(bytes.clone().into()),
            headers: Vec::new(),
        };
        records.iter().map(output).collect()
    }

    /// Waits for this many verdicts and dead letters.
    pub(crate) fn outcomes(&mut self, count: usize) -> Vec<Record> {
        let mut outcomes = Vec::new();
        while outcomes.len() < count {
            let read = self.outcomes.read(count - outcomes.len(), Duration::from_secs(60)).unwrap();
            if read.is_empty() {
                panic!("{} of {count} outcomes came, the scorer ended with {:?}", outcomes.len(), self.running.take().map(Running::stop));
            }
            outcomes.extend(read);
        }
        outcomes
    }

    /// Everything that stands on a topic, by partition.
    pub(crate) fn all(&self, topic: &Arc<str>) -> BTreeMap<u32, Vec<Record>> {
        let mut all: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        let from: Vec<_> =
            (0..self.log.partitions(topic).unwrap()).map(|n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest)).collect();
        runtime::log::read_to_end(&*self.log, &from, |record| all.entry(record.at.partition).or_default().push(record)).unwrap();
        all
    }

    /// Verdict bytes by partition, with topics named as if they had the usual prefix.
    pub(crate) fn verdicts(&self) -> BTreeMap<u32, Vec<String>> {
        let prefix = self.settings.topics.traffic.strip_suffix("traffic").unwrap();
        let usual = |text: String| text.replacen(&format!("\"{prefix}traffic-"), "\"weir.traffic-", 1);
        let text = |record: Record| usual(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        let verdicts = self.all(&self.settings.topics.verdicts);
        verdicts.into_iter().map(|(n, records)| (n, records.into_iter().map(text).collect())).collect()
    }

    /// Waits until the fact stage has gathered every fact that stands on the topic.
    pub(crate) fn facts_are_gathered(&self) {
        let topics = &self.settings.topics;
        for partition in 0..self.log.partitions(&topics.facts).unwrap() {
            let at = TopicPartition::new(Arc::clone(&topics.facts), partition);
            let end = self.log.bounds(&at).unwrap().1;
            let until = std::time::Instant::now() + Duration::from_secs(20);
            while self.log.committed(&topics.groups.facts, &at).unwrap().unwrap_or(Offset(0)) < end {
                assert!(std::time::Instant::now() < until, "facts of {at} are not gathered");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Notes that a partition has taken and no checkpoint contains.
    pub(crate) fn notes_taken(&self, partition: u32) -> usize {
        /// A note is the fourth of the effects that the state tells apart.
        const NOTE: u8 = 3;
        let state = self.all(&self.settings.topics.state);
        let is_effect = |record: &&Record| record.key.as_deref().is_some_and(|key| key.starts_with(b"x"));
        let is_note = |record: &&Record| record.value.as_deref().is_some_and(|value| value.first() == Some(&NOTE));
        state.get(&partition).map_or(0, |records| records.iter().filter(is_effect).filter(is_note).count())
    }

    /// Notes for a partition.
    pub(crate) fn notes(&self, partition: u32) -> usize {
        self.all(&self.settings.topics.notes).get(&partition).map_or(0, Vec::len)
    }

    pub(crate) fn committed(&self, partition: u32) -> Option<Offset> {
        let at = TopicPartition::new(Arc::clone(&self.settings.topics.traffic), partition);
        self.log.committed(&self.settings.topics.groups.scorer, &at).unwrap()
    }
}

fn key_file(directory: &Path) -> std::path::PathBuf {
    directory.join("key.pem")
}
