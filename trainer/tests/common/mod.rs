//! A trainer on a log of its own, embedded or on Kafka, with simulated traffic.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use engine::{ApiName, Stage, TopicPartition};
use runtime::config::{Config, FlagValue, Sources};
use runtime::keys::{Pointer, SigningKey, TrustedKeys};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::kafka::KafkaLog;
use runtime::log::{Log, Output, Record, Start, read_to_end};
use runtime::model_file::{About, ModelFile};
use runtime::model_topic::{Catalogue, fetch};
use runtime::shutdown::Shutdown;
use runtime::status::{API, ApiStatus};
use simulator::Simulation;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trainer::publish::{Publisher, Role};
use trainer::{Settings, TrainerError};

/// Requests before the first training.
pub(crate) const NEEDED: usize = 1_500;
const PARTITIONS: u32 = 3;

pub(crate) struct Bench {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) settings: Settings,
    running: Option<Running>,
    directory: tempfile::TempDir,
}

/// A trainer that runs on a thread.
pub(crate) struct Running {
    shutdown: Shutdown,
    thread: std::thread::JoinHandle<Result<(), TrainerError>>,
}

impl Running {
    pub(crate) fn stop(self) -> Result<(), TrainerError> {
        self.shutdown.cancel();
        self.thread.join().unwrap()
    }

    /// Waits for it to end by itself.
    pub(crate) fn end(self) -> Result<(), TrainerError> {
        self.thread.join().unwrap()
    }
}

/// What every trainer of a bench is told.
pub(crate) fn settings(flags: &[(&str, &str)], key: SigningKey) -> Settings {
    let partitions = PARTITIONS.to_string();
    let own = [
        ("embedded.partitions", partitions.as_str()),
        ("topics.partitions", &partitions),
        ("learning.requests", "1500"),
        ("learning.min_requests", "500"),
        ("training.every", "365d"),
    ];
    let flags = own.iter().chain(flags).map(|(key, value)| FlagValue { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
    Settings::new(&Config::resolve(&Sources { flags, host_name: "bench".to_owned(), ..Sources::default() }).unwrap(), key)
}

impl Bench {
    /// On an embedded log in a fresh directory.
    pub(crate) fn new(abort_every: u64) -> Self {
        Self::on(&[], |directory| Arc::new(EmbeddedLog::options().abort_every(abort_every).open(directory.join("log")).unwrap()))
    }

    /// On a broker, with topics of its own by their prefix.
    pub(crate) fn on_kafka(abort_every: u64, brokers: &str, prefix: &str) -> Self {
        let log = KafkaLog::options(brokers).abort_every(abort_every).open().unwrap();
        Self::on(&[("kafka.brokers", brokers), ("topics.prefix", prefix)], |_| Arc::new(log))
    }

    fn on(flags: &[(&str, &str)], log: impl FnOnce(&Path) -> Arc<dyn Log>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(flags, SigningKey::create(&directory.path().join("sign.pem")).unwrap());
        let log = log(directory.path());
        log.create_topics(settings.topics.specs()).unwrap();
        Self { log, settings, running: None, directory }
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.directory.path().join("sign.pem")
    }

    pub(crate) fn start(&mut self) {
        self.running = Some(self.run());
    }

    /// Starts one more.
    pub(crate) fn run(&self) -> Running {
        let (settings, log, shutdown) = (self.settings.clone(), Arc::clone(&self.log), Shutdown::new());
        let asked = shutdown.clone();
        Running { shutdown, thread: std::thread::spawn(move || trainer::run(&settings, &log, &asked)) }
    }

    pub(crate) fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }

    pub(crate) fn send(&self, exchanges: &[engine::Exchange<'static>]) {
        let producer = self.log.producer(None).unwrap();
        for piece in exchanges.chunks(50) {
            let outputs = piece.iter().map(|exchange| Output {
                topic: Arc::clone(&self.settings.topics.traffic),
                partition: None,
                key: exchange.session.as_deref().map(|s| s.to_owned().into()),
                value: Some(serde_json::to_vec(exchange).unwrap().into()),
                headers: Vec::new(),
            });
            producer.append(outputs.collect()).unwrap();
        }
    }

    fn whole(&self, topic: &Arc<str>) -> Vec<(TopicPartition, Start)> {
        (0..self.log.partitions(topic).unwrap()).map(|n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest)).collect()
    }

    /// Reads a topic until `enough` says so.
    pub(crate) fn wait_for(&self, topic: &Arc<str>, mut enough: impl FnMut(&Record) -> bool) {
        let mut reader = self.log.reader(&self.whole(topic)).unwrap();
        loop {
            let records = reader.read(100, Duration::from_secs(60)).unwrap();
            assert!(!records.is_empty(), "what was waited for on {topic} did not come");
            if records.iter().any(&mut enough) {
                return;
            }
        }
    }

    pub(crate) fn wait_for_history(&self, count: usize) {
        let mut seen = 0;
        self.wait_for(&self.settings.topics.history, |_| {
            seen += 1;
            seen == count
        });
    }

    /// Waits until an API is at a stage.
    pub(crate) fn wait_for_stage(&self, stage: Stage) {
        let is_there = |record: &Record| status_of(record).is_some_and(|status| status.stage == stage);
        self.wait_for(&self.settings.topics.status, is_there);
    }

    /// Waits until a status says that this model judges.
    pub(crate) fn wait_for_model(&self, label: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        while !self.statuses().values().any(|status| status.model.as_deref() == Some(label)) {
            assert!(Instant::now() < until, "{label} does not judge: {:?}", self.statuses());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A person makes a `v2` active beside a trainer that runs and goes back to `v1`; without a request, the trainer follows. Returns the id of `v1`.
    pub(crate) fn go_back(&self) -> String {
        self.wait_for_model("v1");
        let v1 = self.published().1.unwrap().active;
        let mut model = fetch(&*self.log, &self.settings.topics.models, &v1).unwrap().model().unwrap();
        model.label = "v2".to_owned();
        let v2 = ModelFile::of(&model, About { parent: Some(v1.clone()), ..About::default() }).unwrap();
        let mut operator = self.operator();
        operator.publish(&v2).unwrap();
        self.wait_for_model("v2");
        assert_eq!(operator.roll_back().unwrap(), v1);
        self.wait_for_model("v1");
        assert!(self.statuses().values().all(|status| status.model.as_deref() != Some("v2")));
        v1
    }

    /// Who publishes beside the trainer.
    pub(crate) fn operator(&self) -> Publisher {
        Publisher::open(&self.log, &self.settings.topics, Arc::clone(&self.settings.sign_key), Role::Operator).unwrap()
    }

    /// Records of the history.
    pub(crate) fn remembered(&self) -> usize {
        let mut remembered = 0;
        read_to_end(&*self.log, &self.whole(&self.settings.topics.history), |_| remembered += 1).unwrap();
        remembered
    }

    pub(crate) fn statuses(&self) -> BTreeMap<ApiName, ApiStatus> {
        let mut statuses = BTreeMap::new();
        read_to_end(&*self.log, &self.whole(&self.settings.topics.status), |record| {
            if let Some(status) = status_of(&record) {
                statuses.insert(status.api.clone(), status);
            }
        })
        .unwrap();
        statuses
    }

    /// What stands on the models topic, and the pointer that is to be followed.
    pub(crate) fn published(&self) -> (Catalogue, Option<Pointer>) {
        let catalogue = Catalogue::read(&*self.log, &self.settings.topics.models).unwrap();
        let trusted = TrustedKeys::new(vec![self.settings.sign_key.public()]);
        let pointer = catalogue
            .pointers
            .iter()
            .fold(None, |newest: Option<Pointer>, record| Some(trusted.verify_pointer(record, newest.map(|p| p.counter)).unwrap()));
        (catalogue, pointer)
    }
}

pub(crate) fn exchanges(count: usize) -> Vec<engine::Exchange<'static>> {
    Simulation::new(simulator::Config::new(5, 1.0, 20_000)).take(count).map(|(exchange, _)| exchange).collect()
}

/// The status of an API, if the record is one.
fn status_of(record: &Record) -> Option<ApiStatus> {
    record.key.as_deref()?.starts_with(API.as_bytes()).then(|| serde_json::from_slice(record.value.as_deref().unwrap()).unwrap())
}
