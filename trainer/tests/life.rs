//! From the first request to the model on the topic, on an embedded log; nothing is lost or counted twice on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

use engine::{ApiName, Stage, TopicPartition};
use runtime::config::{Config, FlagValue, Sources};
use runtime::keys::{SigningKey, TrustedKeys};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::{Log, Output, Record, Start, read_to_end};
use runtime::model_topic::{Catalogue, fetch};
use runtime::shutdown::Shutdown;
use runtime::status::ApiStatus;
use simulator::Simulation;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use trainer::{Settings, TrainerError};

const NEEDED: usize = 1_500;

struct Bench {
    log: Arc<dyn Log>,
    settings: Settings,
    running: Option<(Shutdown, std::thread::JoinHandle<Result<(), TrainerError>>)>,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(abort_every: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flags =
            [("embedded.partitions", "3"), ("learning.requests", "1500"), ("learning.min_requests", "500"), ("training.every", "365d")];
        let flags = flags.iter().map(|(key, value)| FlagValue { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
        let config = Config::resolve(&Sources { flags, host_name: "bench".to_owned(), ..Sources::default() }).unwrap();
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::options().abort_every(abort_every).open(directory.path().join("log")).unwrap());
        let settings = Settings::new(&config, SigningKey::create(&key_file(directory.path())).unwrap());
        log.create_topics(settings.topics.specs()).unwrap();
        Self { log, settings, running: None, _directory: directory }
    }

    fn start(&mut self) {
        let (settings, log, shutdown) = (self.settings.clone(), Arc::clone(&self.log), Shutdown::new());
        let asked = shutdown.clone();
        self.running = Some((shutdown, std::thread::spawn(move || trainer::run(&settings, &log, &asked))));
    }

    fn stop(&mut self) {
        let (shutdown, thread) = self.running.take().unwrap();
        shutdown.cancel();
        thread.join().unwrap().unwrap();
    }

    fn send(&self, exchanges: &[engine::Exchange<'static>]) {
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

    /// Reads a topic until `enough` says so.
    fn wait_for(&self, topic: &Arc<str>, mut enough: impl FnMut(&Record) -> bool) {
        let from: Vec<_> =
            (0..self.log.partitions(topic).unwrap()).map(|n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest)).collect();
        let mut reader = self.log.reader(&from).unwrap();
        loop {
            let records = reader.read(100, Duration::from_secs(60)).unwrap();
            assert!(!records.is_empty(), "what was waited for on {topic} did not come");
            if records.iter().any(&mut enough) {
                return;
            }
        }
    }

    fn wait_for_history(&self, count: usize) {
        let mut seen = 0;
        self.wait_for(&self.settings.topics.history, |_| {
            seen += 1;
            seen == count
        });
    }

    fn statuses(&self) -> BTreeMap<ApiName, ApiStatus> {
        let mut statuses = BTreeMap::new();
        let from = [(TopicPartition::new(Arc::clone(&self.settings.topics.status), 0), Start::Oldest)];
        read_to_end(&*self.log, &from, |record| {
            let status: ApiStatus = serde_json::from_slice(&record.value.unwrap()).unwrap();
            statuses.insert(status.api.clone(), status);
        })
        .unwrap();
        statuses
    }
}

fn key_file(directory: &Path) -> std::path::PathBuf {
    directory.join("sign.pem")
}

fn is_evaluating(record: &Record) -> bool {
    let status: ApiStatus = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    status.stage == Stage::Evaluating
}

fn exchanges(count: usize) -> Vec<engine::Exchange<'static>> {
    Simulation::new(simulator::Config::new(5, 1.0, 20_000)).take(count).map(|(exchange, _)| exchange).collect()
}

#[test]
fn enough_requests_become_a_signed_model() {
    let mut bench = Bench::new(0);
    bench.start();
    bench.send(&exchanges(NEEDED + 600));
    bench.wait_for(&bench.settings.topics.status, is_evaluating);
    bench.stop();

    let topic = &bench.settings.topics.models;
    let catalogue = Catalogue::read(&*bench.log, topic).unwrap();
    let trusted = TrustedKeys::new(vec![bench.settings.sign_key.public()]);
    let pointer = trusted.verify_pointer(catalogue.pointers.last().unwrap(), None).unwrap();
    let model = fetch(&*bench.log, topic, &pointer.active).unwrap().model().unwrap();
    assert_eq!((model.label.as_str(), pointer.counter, catalogue.versions.len()), ("v1", 1, 1));
    assert!(!model.endpoints().is_empty());
    let statuses = bench.statuses();
    assert!(
        statuses.values().any(|s| s.stage == Stage::Evaluating && s.model.as_deref() == Some("v1") && s.alpha.is_some()),
        "{statuses:?}"
    );
}

#[test]
fn too_few_requests_are_listened_to() {
    let mut bench = Bench::new(0);
    bench.start();
    bench.send(&exchanges(600));
    bench.wait_for_history(600);
    bench.stop();
    let statuses = bench.statuses();
    assert!(statuses.values().all(|s| s.stage == Stage::Listening && s.model.is_none()), "{statuses:?}");
    assert!(Catalogue::read(&*bench.log, &bench.settings.topics.models).unwrap().versions.is_empty());
}

#[test]
fn aborts_and_a_restart_lose_nothing_and_count_nothing_twice() {
    let mut bench = Bench::new(3);
    let all = exchanges(1_400);
    bench.start();
    bench.send(&all[..700]);
    bench.wait_for_history(700);
    bench.stop();
    bench.start();
    bench.send(&all[700..]);
    bench.wait_for_history(1_400);
    bench.stop();
    let mut remembered = 0;
    let from: Vec<_> = (0..3).map(|n| (TopicPartition::new(Arc::clone(&bench.settings.topics.history), n), Start::Oldest)).collect();
    read_to_end(&*bench.log, &from, |_| remembered += 1).unwrap();
    assert_eq!(remembered, 1_400);
    // One more start tells what it knows from the history alone.
    bench.start();
    bench.send(&exchanges(1_401)[1_400..]);
    bench.wait_for_history(1_401);
    bench.stop();
    let seen: u64 = bench.statuses().values().map(|s| s.seen).sum();
    assert!((1_400..=1_401).contains(&seen), "{seen}");
}
