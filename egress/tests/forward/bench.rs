//! An embedded log in a fresh directory, and egress that runs on it.

use egress::{EgressError, Settings};
use engine::TopicPartition;
use runtime::config::{Config, FlagValue, Sources};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::kafka::KafkaLog;
use runtime::log::{Log, Output, Record, Start, read_to_end};
use runtime::shutdown::Shutdown;
use runtime::status::{OUTPUT, OutputStatus};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;

pub(crate) const NOW: i64 = 1_767_722_301_879;

pub(crate) struct Bench {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) settings: Settings,
    pub(crate) directory: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    running: Option<(Shutdown, JoinHandle<Result<(), EgressError>>)>,
}

/// The tokio runtime of all tests.
pub(crate) fn tokio() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

impl Bench {
    /// With these settings, written as on the command line.
    pub(crate) fn new(flags: &[(&str, String)]) -> Self {
        Self::on(flags, |directory| Arc::new(EmbeddedLog::options().open(directory.join("log")).unwrap()))
    }

    /// On Kafka.
    pub(crate) fn on_kafka(flags: &[(&str, String)], brokers: &str) -> Self {
        Self::on(flags, |_| Arc::new(KafkaLog::options(brokers).open().unwrap()))
    }

    fn on(flags: &[(&str, String)], log: impl Fn(&Path) -> Arc<dyn Log>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flag = |(key, value): &(&str, String)| FlagValue { key: (*key).to_owned(), value: value.clone() };
        let mut flags: Vec<FlagValue> = flags.iter().map(flag).collect();
        flags.push(FlagValue { key: "deadletter.keep".to_owned(), value: "true".to_owned() });
        let config = Config::resolve(&Sources { flags, host_name: "bench".to_owned(), ..Sources::default() }).unwrap();
        let log = log(directory.path());
        let mut settings = Settings::new(&config);
        log.create_topics(settings.topics.specs()).unwrap();
        settings.first_pause = Duration::from_millis(2);
        let clock = Arc::new(AtomicI64::new(NOW));
        let shown = Arc::clone(&clock);
        settings.clock = Arc::new(move || shown.load(Ordering::Relaxed));
        Self { log, settings, directory, clock, running: None }
    }

    pub(crate) fn start(&mut self) {
        let (settings, log, shutdown) = (self.settings.clone(), Arc::clone(&self.log), Shutdown::new());
        let asked = shutdown.clone();
        self.running = Some((shutdown, std::thread::spawn(move || egress::run(&settings, &log, tokio().handle(), &asked))));
    }

    pub(crate) fn stop(&mut self) {
        let (shutdown, thread) = self.running.take().unwrap();
        shutdown.cancel();
        thread.join().unwrap().unwrap();
    }

    pub(crate) fn set_clock(&self, ms: i64) {
        self.clock.store(ms, Ordering::Relaxed);
    }

    /// Appends alerts whose paths are `/0`, `/1`, … from `first` on.
    pub(crate) fn alerts(&self, first: usize, count: usize) {
        self.append(&self.settings.topics.alerts.clone(), (first..first + count).map(|n| alert(&format!("/{n}"))).collect());
    }

    pub(crate) fn append(&self, topic: &Arc<str>, values: Vec<Value>) {
        let output = |value: Value| Output {
            topic: Arc::clone(topic),
            partition: Some(0),
            key: None,
            value: Some(value.to_string().into()),
            headers: Vec::new(),
        };
        self.log.producer(None).unwrap().append(values.into_iter().map(output).collect()).unwrap();
    }

    /// Waits until a look at the log shows what is wanted.
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        for _ in 0..4_000 {
            if is_so() {
                return;
            }
            assert!(!self.running.as_ref().is_some_and(|(_, thread)| thread.is_finished()), "egress ended before {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{what} does not come to be; status: {:?}", self.statuses());
    }

    /// Next offset that a group has committed for partition 0 of the alerts.
    pub(crate) fn committed(&self, output: &str) -> u64 {
        let at = TopicPartition::new(Arc::clone(&self.settings.topics.alerts), 0);
        let group = format!("{}.{output}", self.settings.topics.groups.egress);
        self.log.committed(&group, &at).unwrap().map_or(0, |offset| offset.0)
    }

    pub(crate) fn all(&self, topic: &Arc<str>) -> Vec<Record> {
        let mut records = Vec::new();
        read_to_end(&*self.log, &[(TopicPartition::new(Arc::clone(topic), 0), Start::Oldest)], |record| records.push(record)).unwrap();
        records
    }

    /// What was told of outputs, the newest last.
    pub(crate) fn statuses(&self) -> Vec<OutputStatus> {
        let records = self.all(&self.settings.topics.status);
        let is_output = |record: &&Record| record.key.as_deref().is_some_and(|key| key.starts_with(OUTPUT.as_bytes()));
        records.iter().filter(is_output).map(|record| serde_json::from_slice(record.value.as_deref().unwrap()).unwrap()).collect()
    }
}

/// An alert on a path.
pub(crate) fn alert(path: &str) -> Value {
    json!({
        "activity_id": 1, "time": NOW, "start_time": NOW, "end_time": NOW, "count": 1,
        "finding_info": {"uid": "weir.traffic-0-1-injection", "analytic": {"version": "v1"}},
        "anomaly_analyses": [],
        "evidences": [{
            "src_endpoint": {"ip": "203.0.113.7"}, "actor": {"session": {"uid": "ab48"}},
            "api": {"operation": "GET api.example.com/x"}, "data": {"path": path},
        }],
        "unmapped": {"api": "api.example.com", "family": "injection", "p": 1e-9, "alpha": 1e-4, "score": 90.0},
    })
}
