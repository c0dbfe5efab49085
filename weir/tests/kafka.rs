//! The services as processes on a real Kafka broker, from the first request to alerts: topics and keys are made, exchanges posted, a model
//! comes, a scorer is killed under load, a gateway writes to a topic of its own, alerts are forwarded and muted, and every exchange has one
//! verdict.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests may panic like tests, and pass on what services say"
)]

use engine::TopicPartition;
use runtime::log::kafka::KafkaLog;
use runtime::log::{Cleanup, Log, Output, Record, Start, TopicSpec, read_to_end};
use runtime::testkit::Broker;
use serde_json::Value;
use simulator::Simulation;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{self, Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Exchanges before the first model, and after it.
const LEARNED: usize = 1_500;
const JUDGED: usize = 1_500;
/// Exchanges of one request.
const PIECE: usize = 100;
/// Exchanges of the gateway, of which the last are scans, and on which topic they come.
const GATEWAY: usize = 60;
const SCANS: usize = 20;
const KONG_LOG: &str = "kong-log";
/// Longest wait for anything, and the time between two looks.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(100);

/// An installation on the broker.
struct Installation {
    directory: tempfile::TempDir,
    log: KafkaLog,
}

impl Installation {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), log: KafkaLog::options(Broker::shared().brokers()).open().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
            command.env_remove(name);
        }
        let settings = [
            ("WEIR_KAFKA__BROKERS", Broker::shared().brokers()),
            ("WEIR_TOPICS__PARTITIONS", "4".to_owned()),
            ("WEIR_LEARNING__REQUESTS", LEARNED.to_string()),
            ("WEIR_LEARNING__MIN_REQUESTS", LEARNED.to_string()),
            ("WEIR_TRAINING__EVERY", "365d".to_owned()),
        ];
        command.args(arguments).envs(settings).current_dir(self.directory.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> process::Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must end well; returns what it printed.
    fn done(&self, arguments: &[&str]) -> String {
        let process::Output { status, stdout, stderr } = self.run(arguments);
        assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn service(&self, arguments: &[&str], instance: &str) -> Service {
        Service(self.command(arguments).env("WEIR_INSTANCE", instance).stderr(Stdio::inherit()).spawn().unwrap())
    }

    fn read(&self, topic: &str) -> Vec<Record> {
        let topic: Arc<str> = topic.into();
        let from: Vec<_> =
            (0..self.log.partitions(&topic).unwrap()).map(|n| (TopicPartition::new(Arc::clone(&topic), n), Start::Oldest)).collect();
        let mut records = Vec::new();
        read_to_end(&self.log, &from, |record| records.push(record)).unwrap();
        records
    }

    /// Waits until a topic is as wanted.
    fn wait_for(&self, topic: &str, wanted: impl Fn(&[Record]) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !wanted(&self.read(topic)) {
            assert!(Instant::now() < until, "what was waited for on {topic} did not come");
            std::thread::sleep(LOOK);
        }
    }
}

/// A process; killed when dropped.
struct Service(Child);

impl Service {
    /// Ends as a supervisor ends it.
    fn stop(mut self) {
        Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Ingest, and where it listens.
fn ingest(installation: &Installation) -> (Service, SocketAddr) {
    let mut child = installation.command(&["ingest", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = said.by_ref().find_map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        line["address"].as_str().map(|address| address.parse().unwrap())
    });
    std::thread::spawn(move || said.for_each(|line| eprintln!("{}", line.unwrap_or_default())));
    (Service(child), address.unwrap())
}

fn post(address: SocketAddr, exchanges: &[Value]) {
    for piece in exchanges.chunks(PIECE) {
        let body = serde_json::to_vec(piece).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "POST /v1/exchanges HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(&body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
}

fn exchanges() -> Vec<Value> {
    let mut config = simulator::Config::new(5, 0.5, 8_000);
    config.learning = 0.4;
    config.launches = 1;
    Simulation::new(config)
        .map(|(exchange, _)| serde_json::to_value(&exchange).unwrap())
        .filter(|exchange| exchange["host"] == "api.shop.example")
        .take(LEARNED + JUDGED)
        .collect()
}

/// What Kong's kafka-log writes of a caller's requests: the last are a scanner's.
fn kong_log() -> Vec<Output> {
    let record = |n: usize| {
        let path =
            if n < GATEWAY - SCANS { format!("/v2/products?page={}", n % 3 + 1) } else { format!("/.{n}/backup.sql?a=%3Cscript%3E{n}") };
        let (status, ip) = if n < GATEWAY - SCANS { (200, "10.20.0.7") } else { (404, "198.51.100.66") };
        let record = serde_json::json!({
            "started_at": 1_767_700_000_000_u64 + 1_000 * n as u64, "client_ip": ip,
            "request": {"method": "GET", "uri": path, "url": format!("https://api.shop.example{path}"), "querystring": {"page": "1"}, "size": "120",
                "headers": {"host": "api.shop.example", "user-agent": "shop-app/4.2", "authorization": "REDACTED"}},
            "response": {"status": status, "size": "512", "headers": {"content-type": "application/json"}},
            "latencies": {"request": 9, "kong": 1, "proxy": 8}, "consumer": {"id": "c-17"},
        });
        Output { topic: KONG_LOG.into(), partition: None, key: None, value: Some(record.to_string().into()), headers: Vec::new() }
    };
    (0..GATEWAY).map(record).collect()
}

fn json(record: &Record) -> Value {
    serde_json::from_slice(record.value.as_deref().unwrap()).unwrap()
}

fn says(output: &process::Output, code: i32, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(what), "{said}");
}

/// What `weir doctor` says: its exit code, and each check that is not well with what to do.
fn doctor(weir: &Installation, arguments: &[&str]) -> (Option<i32>, String) {
    let process::Output { status, stdout, .. } = weir.run(&[&["doctor", "--json"], arguments].concat());
    let findings: Vec<Value> = serde_json::from_slice(&stdout).unwrap();
    let text =
        |finding: &Value| ["check", "health", "said", "do"].map(|key| finding[key].as_str().unwrap_or_default().to_owned()).join(" ");
    let said: Vec<String> = findings.iter().filter(|finding| finding["health"] != "well").map(text).collect();
    assert!(findings.iter().all(|finding| (finding["health"] == "well") == finding["do"].is_null()), "{findings:?}");
    (status.code(), said.join("\n"))
}

/// As [`says`], of [`doctor`].
fn doctor_says(weir: &Installation, arguments: &[&str], code: i32, what: &[&str]) {
    let (ended, said) = doctor(weir, arguments);
    assert_eq!(ended, Some(code), "{said}");
    what.iter().for_each(|what| assert!(said.contains(what), "`{what}` is not said:\n{said}"));
}

fn exists(directory: &Path, name: &str) -> bool {
    directory.join(name).exists()
}

#[test]
fn the_services_do_on_a_broker_what_they_are_for_though_a_scorer_is_killed() {
    let weir = Installation::new();
    says(&weir.run(&["score"]), 1, "weir.traffic: does not exist");
    says(&weir.run(&["topics", "check"]), 1, "12 to be put right");
    doctor_says(&weir, &[], 1, &["topics wrong weir.traffic: does not exist `weir topics create`", "keys warning none in"]);
    weir.done(&["keys", "create"]);
    weir.done(&["topics", "create"]);
    doctor_says(&weir, &[], 1, &["model warning none: no traffic", "scorer wrong none has ever said anything start one"]);
    weir.done(&["topics", "check"]);
    says(&weir.run(&["topics", "check", "--set", "topics.partitions=5"]), 1, "to be put right");

    let alerts = weir.directory.path().join("alerts.ndjson");
    let toml =
        format!("[[ingest.topics]]\nname = \"{KONG_LOG}\"\nformat = \"json\"\n\n[outputs.siem]\nto = \"file://{}\"\n", alerts.display());
    std::fs::write(weir.directory.path().join("weir.toml"), toml).unwrap();
    says(&weir.run(&["ingest", "--listen", "127.0.0.1:0"]), 1, KONG_LOG);
    weir.log
        .create_topics(&[TopicSpec {
            name: KONG_LOG.into(),
            partitions: 2,
            cleanup: Cleanup::Delete { keep: Duration::from_secs(86_400), max_bytes: None },
        }])
        .unwrap();
    let forward = weir.service(&["forward"], "forward-1");
    let (ingest, address) = ingest(&weir);
    let mut first = weir.service(&["score"], "scorer-1");
    let second = weir.service(&["score"], "scorer-2");
    let trainer = weir.service(&["train"], "trainer");
    let exchanges = exchanges();
    let (learned, judged) = exchanges.split_at(LEARNED);
    post(address, learned);
    weir.wait_for("weir.status", |records| records.iter().any(|record| json(record)["stage"] == "evaluating"));
    weir.wait_for("weir.verdicts", |verdicts| verdicts.len() >= LEARNED);

    for (n, piece) in judged.chunks(JUDGED / 3).enumerate() {
        post(address, piece);
        if n < 2 {
            // As soon as a first verdict of the piece is there, the rest of it is in the making.
            weir.wait_for("weir.verdicts", |verdicts| verdicts.len() > LEARNED + n * JUDGED / 3);
            first = {
                drop(first);
                weir.service(&["score"], "scorer-1")
            };
        }
    }
    weir.wait_for("weir.verdicts", |verdicts| verdicts.len() >= LEARNED + JUDGED);

    weir.log.producer(None).unwrap().append(kong_log()).unwrap();
    weir.wait_for("weir.verdicts", |verdicts| verdicts.len() >= LEARNED + JUDGED + GATEWAY);
    let verdicts: Vec<Value> = weir.read("weir.verdicts").iter().map(json).collect();
    let scans = verdicts.iter().filter(|verdict| verdict["client"] == "198.51.100.66" && verdict["label"] == "anomalous").count();
    assert!(scans > SCANS / 2, "{scans} of {SCANS} scans are called anomalous");
    let worst = verdicts.iter().find(|verdict| verdict["label"] == "anomalous").unwrap()["id"].as_str().unwrap();
    weir.done(&["feedback", worst, "benign", "--until", "7d"]);
    weir.done(&["feedback", worst, "undo"]);
    let said: Vec<Value> = weir.read("weir.feedback").iter().map(json).collect();
    assert_eq!(said.iter().map(|said| said["say"].as_str().unwrap()).collect::<Vec<_>>(), ["benign", "undo"]);

    let models = weir.done(&["models", "list"]);
    assert!(models.starts_with("v1        active"), "{models}");
    says(&weir.run(&["models", "rollback"]), 1, "there is no version before");
    weir.done(&["models", "export", "v1"]);
    assert!(exists(weir.directory.path(), "v1.weir"));
    weir.done(&["models", "import", "v1.weir"]);
    assert!(weir.done(&["status"]).contains("evaluating"));
    let (code, said) = doctor(&weir, &[]);
    assert_eq!((code, said.contains(" wrong ")), (Some(0), false), "{said}");
    weir.done(&["keys", "create", "--data", "others"]);
    doctor_says(&weir, &["--data", "others"], 1, &["keys wrong the model pointer is signed with the key", "`model.public_keys`"]);
    doctor_says(&weir, &["--brokers", "127.0.0.1:1"], 1, &["broker wrong", "`kafka.brokers`"]);
    for service in [ingest, first, second, trainer] {
        service.stop();
    }
    let lines = || std::fs::read_to_string(&alerts).unwrap_or_default().lines().count();
    let (until, written) = (Instant::now() + PATIENCE, weir.read("weir.alerts").len());
    while lines() < written {
        assert!(Instant::now() < until, "{} of {written} alerts were forwarded", lines());
        std::thread::sleep(LOOK);
    }
    forward.stop();
    assert_eq!(lines(), written);

    let traffic: BTreeSet<String> =
        weir.read("weir.traffic").iter().map(|r| format!("weir.traffic-{}-{}", r.at.partition, r.offset.0)).collect();
    let verdicts: Vec<Value> = weir.read("weir.verdicts").iter().map(json).collect();
    let ids: BTreeSet<String> = verdicts.iter().map(|verdict| verdict["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((traffic.len(), verdicts.len()), (LEARNED + JUDGED + GATEWAY, LEARNED + JUDGED + GATEWAY));
    assert_eq!(ids, traffic, "one verdict for each record");
    assert!(verdicts.iter().any(|verdict| verdict["label"] == "anomalous"));
    assert!(weir.read("weir.alerts").iter().all(|alert| json(alert)["class_uid"] == 2004));
    assert!(!weir.read("weir.alerts").is_empty());
}
