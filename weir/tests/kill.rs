//! `weir up` under load and kill -9: every acknowledged exchange gets one verdict, and the bytes are those of a run that nothing disturbed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic like tests")]

use engine::TopicPartition;
use runtime::config::{Config, FlagValue, Sources};
use runtime::format;
use runtime::log::embedded::EmbeddedLog;
use runtime::log::{Log, Output, Record, Start, read_to_end};
use runtime::topics::Topics;
use serde_json::Value;
use simulator::Simulation;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Exchanges before the model, and after it.
const LEARNED: usize = 1_500;
const JUDGED: usize = 2_000;
/// Exchanges of one request, and the requests during which the process is killed.
const PIECE: usize = 50;
const KILLED_DURING: [usize; 3] = [6, 17, 31];
/// Longest wait for anything, and the time between two looks.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(50);

/// Settings of every run: one training, and no other while it lasts; one partition, so that no note comes sooner in one run than in another.
const SETTINGS: [(&str, &str); 6] = [
    ("learning.requests", "1500"),
    ("learning.min_requests", "1500"),
    ("training.every", "365d"),
    ("training.full_every", "365d"),
    ("traffic.keep", "36500d"),
    ("embedded.partitions", "1"),
];

/// A running `weir up`.
struct Weir {
    child: Child,
    address: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

impl Weir {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
            command.env_remove(name);
        }
        command.arg("up").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]).current_dir(data.parent().unwrap());
        for (key, value) in SETTINGS {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        stdout.read_line(&mut greeting).unwrap();
        let address = greeting.split("http://").nth(1).and_then(|rest| rest.split('/').next()).and_then(|address| address.parse().ok());
        Self { child, address: address.unwrap_or_else(|| panic!("no address in {greeting:?}")), _stdout: stdout }
    }

    /// One request; `None` where the process went away before it had answered.
    fn ask(&self, request: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let head = format!("{request} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
        let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
        Some((status, answer.split_off(end + 4)))
    }

    /// Whether this piece was acknowledged.
    fn post(&self, piece: &[Value]) -> bool {
        match self.ask("POST /v1/exchanges", &serde_json::to_vec(piece).unwrap()) {
            Some((202, _)) => true,
            Some((status, body)) => panic!("{status}: {}", String::from_utf8_lossy(&body)),
            None => false,
        }
    }

    /// Waits until `/v1/status` is as wanted.
    fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let (_, status) = self.ask("GET /v1/status", b"").unwrap();
            let status: Value = serde_json::from_slice(&status).unwrap();
            if wanted(&status) {
                return;
            }
            assert!(Instant::now() < until, "{what} did not come: {status:#}");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until so many records are judged and none waits.
    fn judged(&self, at_least: usize) {
        self.wait_for("the verdicts", |status| {
            let partitions: Vec<&Value> =
                status["scorers"].as_array().into_iter().flatten().flat_map(|s| s["partitions"].as_object().unwrap().values()).collect();
            let sum = |field: &str| partitions.iter().map(|p| p[field].as_u64().unwrap()).sum::<u64>();
            sum("position") >= at_least as u64 && sum("lag") == 0
        });
    }

    /// Ends as Ctrl-C does.
    fn stop(mut self) {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    /// kill -9, at some moment from now.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The log of a data directory that no process uses.
struct Stopped {
    log: EmbeddedLog,
    topics: Topics,
}

impl Stopped {
    fn open(data: &Path) -> Self {
        let flags = SETTINGS.iter().map(|(key, value)| FlagValue { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
        let config = Config::resolve(&Sources { flags, host_name: "test".to_owned(), ..Sources::default() }).unwrap();
        Self { log: EmbeddedLog::options().open(data.join("log")).unwrap(), topics: Topics::new(&config) }
    }

    fn records(&self, topic: &Arc<str>) -> Vec<Record> {
        let mut records = Vec::new();
        let from: Vec<_> = (0..self.log.partitions(topic).unwrap())
            .map(|partition| (TopicPartition::new(Arc::clone(topic), partition), Start::Oldest))
            .collect();
        read_to_end(&self.log, &from, |record| records.push(record)).unwrap();
        records
    }

    /// Values by partition and offset.
    fn values(&self, topic: &Arc<str>) -> BTreeMap<(u32, u64), String> {
        let text = |record: &Record| String::from_utf8(record.value.as_deref().unwrap().to_vec()).unwrap();
        self.records(topic).iter().map(|record| ((record.at.partition, record.offset.0), text(record))).collect()
    }
}

/// Simulated exchanges of one API, each with an id of its own.
fn exchanges() -> Vec<Value> {
    let mut config = simulator::Config::new(5, 0.5, 8_000);
    config.learning = 0.4;
    config.launches = 1;
    let mut exchanges: Vec<Value> = Simulation::new(config)
        .map(|(exchange, _)| serde_json::to_value(&exchange).unwrap())
        .filter(|exchange| exchange["host"] == "api.shop.example")
        .take(LEARNED + JUDGED)
        .collect();
    for (n, exchange) in exchanges.iter_mut().enumerate() {
        exchange["id"] = format!("exchange-{n}").into();
    }
    assert_eq!(exchanges.len(), LEARNED + JUDGED);
    exchanges
}

/// Sends everything to a process that is killed again and again, each time to be started anew; what was not acknowledged is sent again.
fn send_and_kill(data: &Path, exchanges: &[Value]) {
    let mut weir = Weir::start(data);
    let mut kills = 0;
    for (n, piece) in exchanges.chunks(PIECE).enumerate() {
        if KILLED_DURING.contains(&n) {
            let acknowledged = std::thread::scope(|scope| {
                let posted = scope.spawn(|| weir.post(piece));
                Command::new("kill").args(["-KILL", &weir.child.id().to_string()]).status().unwrap();
                posted.join().unwrap()
            });
            weir.kill();
            kills += 1;
            weir = Weir::start(data);
            if acknowledged {
                continue;
            }
        }
        assert!(weir.post(piece), "the process went away by itself");
    }
    assert_eq!(kills, KILLED_DURING.len());
    weir.judged(LEARNED + exchanges.len());
    weir.stop();
}

/// Appends what came to one log after so many records to another, record for record.
fn append_what_came(from: &Stopped, learned: &BTreeSet<(u32, u64)>, to: &Stopped) -> usize {
    let outputs: Vec<Output> = from
        .records(&from.topics.traffic)
        .into_iter()
        .filter(|record| !learned.contains(&(record.at.partition, record.offset.0)))
        .map(|record| Output {
            topic: Arc::clone(&to.topics.traffic),
            partition: Some(record.at.partition),
            key: record.key,
            value: record.value,
            headers: vec![format::header()],
        })
        .collect();
    let count = outputs.len();
    to.log.producer(None).unwrap().append(outputs).unwrap();
    count
}

#[test]
fn kill_9_under_load_loses_nothing_doubles_nothing_and_changes_no_byte() {
    let directory = tempfile::tempdir().unwrap();
    let (killed, calm) = (directory.path().join("killed"), directory.path().join("calm"));
    let exchanges = exchanges();

    // One model, from which both runs go on.
    let weir = Weir::start(&killed);
    exchanges[..LEARNED].chunks(PIECE).for_each(|piece| assert!(weir.post(piece)));
    weir.wait_for("the model", |status| status["apis"].as_array().is_some_and(|apis| apis.iter().any(|api| api["stage"] == "evaluating")));
    weir.judged(LEARNED);
    assert!(weir.ask("GET /v1/model", b"").is_some_and(|(status, file)| status == 200 && file.starts_with(b"PK")));
    let listed = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["models", "list", "--listen", &weir.address.to_string()])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with("v1 ") && listed.contains("active"), "{listed}");
    weir.stop();
    let copied = Command::new("cp").arg("-a").args([&killed, &calm]).status().unwrap();
    assert!(copied.success());
    let learned: BTreeSet<(u32, u64)> = {
        let stopped = Stopped::open(&calm);
        stopped.values(&stopped.topics.traffic).into_keys().collect()
    };
    assert_eq!(learned.len(), LEARNED);

    send_and_kill(&killed, &exchanges[LEARNED..]);
    let disturbed = Stopped::open(&killed);
    let appended = append_what_came(&disturbed, &learned, &Stopped::open(&calm));
    let weir = Weir::start(&calm);
    weir.judged(LEARNED + appended);
    weir.stop();
    let undisturbed = Stopped::open(&calm);

    let traffic = disturbed.values(&disturbed.topics.traffic);
    let came: BTreeSet<String> =
        traffic.values().map(|value| serde_json::from_str::<Value>(value).unwrap()["id"].as_str().unwrap().to_owned()).collect();
    let acknowledged: BTreeSet<String> = exchanges.iter().map(|exchange| exchange["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(came, acknowledged, "all that was acknowledged stands in the log");

    let verdicts = disturbed.values(&disturbed.topics.verdicts);
    let judged: Vec<String> =
        verdicts.values().map(|value| serde_json::from_str::<Value>(value).unwrap()["id"].as_str().unwrap().to_owned()).collect();
    let expected: BTreeSet<String> = traffic.keys().map(|(partition, offset)| format!("weir.traffic-{partition}-{offset}")).collect();
    assert_eq!(judged.len(), expected.len());
    assert_eq!(judged.into_iter().collect::<BTreeSet<_>>(), expected, "one verdict for each record");
    let by_model = verdicts.values().filter(|value| serde_json::from_str::<Value>(value).unwrap()["model"].is_string()).count();
    assert!(by_model >= JUDGED, "only {by_model} of {} verdicts come of the model", verdicts.len());

    assert_eq!(verdicts, undisturbed.values(&undisturbed.topics.verdicts));
    // Alerts of several partitions stand in one, in the order in which they came.
    let alerts = |log: &Stopped| {
        let mut alerts: Vec<String> = log.values(&log.topics.alerts).into_values().collect();
        alerts.sort_unstable();
        alerts
    };
    assert!(!alerts(&disturbed).is_empty());
    assert_eq!(alerts(&disturbed), alerts(&undisturbed));
}
