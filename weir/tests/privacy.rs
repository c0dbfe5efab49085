//! Secrets are planted wherever traffic has room for them, before and after a model is learned; then every topic, the model and all that the
//! process said is searched for them. What is no secret is found, so the search works.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic like tests")]

use engine::TopicPartition;
use runtime::config::{Config, Sources};
use runtime::keys::Pointer;
use runtime::log::embedded::EmbeddedLog;
use runtime::log::{Log, Start, read_to_end};
use runtime::topics::Topics;
use simulator::Simulation;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Every planted secret begins so.
const MARK: &str = "Zq7planted";
/// What is planted that is no secret.
const OPEN: &str = "Zq7open";
/// Simulated exchanges before; after the first half of them there is a model.
const TRAFFIC: usize = 2_400;

/// Exchanges with one secret in each place that has room for one.
fn planted(round: usize) -> String {
    let secret = |n: usize| format!("{MARK}-{round}-{n}-8fK2");
    let jwt = |n: usize| format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJsZWEifQ.{MARK}{round}x{n}");
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let body = |kind: &str, body: String| serde_json::json!({"headers": {"content-type": kind}, "body": body});
    let requests = [
        serde_json::json!({"headers": {"authorization": format!("Bearer {}", secret(0)), "cookie": format!("sid={}; lang=de", secret(1)), "x-api-key": secret(2)}}),
        serde_json::json!({"headers": {"x-auth-token": secret(3), "proxy-authorization": format!("Basic {}", secret(4)), "referer": format!("https://h.example/x?token={}&step=2", secret(5))}}),
        body(json, serde_json::json!({"user": OPEN, "password": secret(6), "otp": secret(7), "deep": {"credentials": {"pin": [secret(8)]}}}).to_string()),
        body(json, serde_json::json!({"inner": serde_json::json!({"client_secret": secret(9)}).to_string(), "proof": jwt(10)}).to_string()),
        body(json, serde_json::json!({"query": format!("mutation {{ login(user: \"x\", password: \"{}\") {{ ok }} }}", secret(11)), "variables": {"pin": secret(12)}}).to_string()),
        body(form, format!("user=x&password={}&api_key={}", secret(13), secret(14))),
        body("text/xml", format!("<login><user>x</user><password>{}</password></login>", secret(15))),
        body("multipart/form-data; boundary=b", format!("--b\r\nContent-Disposition: form-data; name=\"secret\"\r\n\r\n{}\r\n--b--\r\n", secret(16))),
        serde_json::json!({"headers": {"authorization": format!("Digest username=\"x\", response=\"{}\"", secret(17))}}),
    ];
    let mut lines = String::new();
    for (n, request) in requests.iter().enumerate() {
        for status in [200, 401] {
            let exchange = serde_json::json!({
                "id": format!("planted-{n}-{status}"), "method": "POST", "host": "api.shop.example", "path": format!("/v2/orders;jsessionid={}", secret(18)),
                "query": format!("page=1&token={}&api_key={}", secret(19), secret(20)), "client": {"ip": "203.0.113.9", "user_agent": OPEN}, "request": request,
                "response": {
                    "status": status,
                    "headers": {"set-cookie": [format!("sid={}; HttpOnly", secret(21))], "location": format!("/next?access_token={}", secret(22))},
                    "body": serde_json::json!({"access_token": jwt(23), "refresh_token": secret(24), "user": OPEN}).to_string(),
                },
            });
            writeln!(lines, "{exchange}").unwrap();
        }
    }
    lines
}

/// Lines that are no exchanges, but hold secrets: what is said of them must not quote them.
fn broken() -> String {
    let secret = format!("{MARK}-broken");
    [
        format!("{{\"method\":\"GET\",\"path\":\"/\",\"duration_ms\":\"{secret}\",\"request\":{{\"headers\":{{\"authorization\":\"Bearer {secret}\"}}}}}}"),
        format!("{{\"password\":\"{secret}\""),
        format!("password={secret}"),
        format!("{{\"method\":\"\",\"path\":\"/\",\"query\":\"token={secret}\"}}"),
    ]
    .map(|line| line + "\n")
    .concat()
}

/// A running `weir up`; its output goes to files.
struct Weir {
    child: Child,
    address: String,
}

impl Weir {
    fn start(directory: &Path) -> Self {
        let log = directory.join("access.ndjson");
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
            command.env_remove(name);
        }
        let files = format!("ingest.files=[{{ path = \"{}\", format = \"exchange\" }}]", log.display());
        let settings =
            [files.as_str(), "learning.requests=500", "learning.min_requests=300", "blocklist.tokens=true", "blocklist.addresses=true"];
        let child = command
            .args(["up", "--data", "data", "--listen", "127.0.0.1:0"])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .env("WEIR_LOG", "debug")
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(File::create(directory.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut weir = Self { child, address: String::new() };
        let mut greeting = String::new();
        BufReader::new(weir.child.stdout.as_mut().unwrap()).read_line(&mut greeting).unwrap();
        weir.address = greeting.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        weir
    }

    /// Status and body of the answer.
    fn ask(&self, request: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{request} HTTP/1.0\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&serde_json::Value) -> bool) {
        for _ in 0..1_200 {
            let (_, answer) = self.ask("GET /v1/status", "");
            let status: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
            if is_so(&status) {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "weir ended before {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{what} does not come to be");
    }

    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Searches all topics: which of them hold the text, and in how many records.
fn holders(log: &dyn Log, topics: &Topics, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let has = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for spec in topics.specs() {
        let from: Vec<_> = (0..spec.partitions).map(|n| (TopicPartition::new(Arc::clone(&spec.name), n), Start::Oldest)).collect();
        read_to_end(log, &from, |record| {
            let parts = record.key.iter().chain(&record.value).chain(record.headers.iter().map(|(_, value)| value));
            if parts.into_iter().any(|bytes| has(bytes)) {
                found.push(format!("{} {}", record.at, record.offset));
            }
        })
        .unwrap();
    }
    found
}

#[test]
fn no_planted_secret_reaches_a_topic_a_model_or_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut weir = Weir::start(directory.path());
    let mut traffic = String::new();
    for (exchange, _) in Simulation::new(simulator::Config::new(3, 0.4, 20_000)).take(TRAFFIC) {
        writeln!(traffic, "{}", serde_json::to_string(&exchange).unwrap()).unwrap();
    }
    let lines: Vec<&str> = traffic.lines().collect();
    let (first, second) = lines.split_at(TRAFFIC / 2);
    for body in [first.join("\n"), planted(0)] {
        assert_eq!(weir.ask("POST /v1/exchanges", &body).0, 202);
    }
    weir.wait_until("there is a model", |status| status["apis"].as_array().unwrap().iter().any(|api| api["model"].is_string()));
    for body in [second.join("\n"), planted(1), planted(2)] {
        assert_eq!(weir.ask("POST /v1/exchanges", &body).0, 202);
    }
    let mut said = Vec::new();
    for body in broken().lines() {
        let (status, answer) = weir.ask("POST /v1/exchanges", body);
        assert_eq!(status, 400);
        said.push(answer);
    }
    std::fs::write(directory.path().join("access.ndjson"), planted(3) + &broken()).unwrap();
    let sent = TRAFFIC + 4 * planted(0).lines().count();
    let judged = |status: &serde_json::Value| -> u64 {
        let counts = status["scorers"].as_array().unwrap().iter().flat_map(|scorer| scorer["apis"].as_object().unwrap().values());
        counts.flat_map(|api| ["benign", "anomalous", "insufficient"].map(|label| api[label].as_u64().unwrap())).sum()
    };
    weir.wait_until("all is judged", |status| judged(status) == sent as u64);
    weir.stop();

    let log = EmbeddedLog::options().open(directory.path().join("data/log")).unwrap();
    let topics = Topics::new(&Config::resolve(&Sources::default()).unwrap());
    assert!(!holders(&log, &topics, OPEN).is_empty(), "what is no secret is there");
    assert_eq!(holders(&log, &topics, MARK), [""; 0]);
    assert_eq!(holders(&log, &topics, "not-json").len(), 2, "dead letters are there");
    let mut models = 0;
    read_to_end(&log, &[(TopicPartition::new(Arc::clone(&topics.models), 0), Start::Oldest)], |record| {
        if record.key.as_deref() == Some(b"pointer") {
            let pointer: Pointer = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
            let file = runtime::model_topic::fetch(&log, &topics.models, &pointer.active).unwrap();
            let model = format!("{:?} {:?}", file.manifest(), file.model().unwrap());
            assert!(model.contains("api.shop.example") && !model.contains(MARK));
            models += 1;
        }
    })
    .unwrap();
    assert!(models > 0);
    let stderr = std::fs::read_to_string(directory.path().join("stderr")).unwrap();
    assert!(stderr.contains("DEBUG"), "the log is there");
    for said in said.iter().chain([&stderr]) {
        assert!(!said.contains(MARK), "{}", said.lines().find(|line| line.contains(MARK)).unwrap_or_default());
    }
}
