//! With the receiver of every output down, scoring goes on to its end; when they are back, every alert arrives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic like tests")]

use engine::TopicPartition;
use runtime::config::{Config, Sources};
use runtime::log::embedded::EmbeddedLog;
use runtime::log::{Log, Start, read_to_end};
use runtime::topics::Topics;
use serde_json::Value;
use simulator::Simulation;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Exchanges, of which the model is learned from a part.
const SENT: usize = 3_000;
/// Exchanges of one request.
const PIECE: usize = 250;
/// Looks at the status before a test gives up, and the time between two.
const LOOKS: usize = 1_800;
const LOOK: Duration = Duration::from_millis(100);
/// Longest wait for a delivery that was told of.
const WAIT: Duration = Duration::from_secs(20);

/// A running `weir up`.
struct Weir {
    child: Child,
    address: String,
}

impl Weir {
    fn start(directory: &Path, outputs: &[String]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
            command.env_remove(name);
        }
        let learning = ["learning.requests=1000", "learning.min_requests=1000"].map(str::to_owned);
        let child = command
            .args(["up", "--data", "data", "--listen", "127.0.0.1:0"])
            .args(learning.iter().chain(outputs).flat_map(|setting| ["--set", setting.as_str()]))
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut weir = Self { child, address: String::new() };
        let mut greeting = String::new();
        BufReader::new(weir.child.stdout.as_mut().unwrap()).read_line(&mut greeting).unwrap();
        weir.address = greeting.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        weir
    }

    fn ask(&self, request: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{request} HTTP/1.0\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let mut status = Value::Null;
        for _ in 0..LOOKS {
            status = serde_json::from_str(self.ask("GET /v1/status", b"").split("\r\n\r\n").nth(1).unwrap()).unwrap();
            if is_so(&status) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        panic!("{what} does not come to be: {status}");
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Hands on what `read` finds in each connection.
fn serve<T: Send + 'static>(address: SocketAddr, read: impl Fn(TcpStream) -> T + Send + 'static) -> Receiver<T> {
    let (listener, (send, receive)) = (TcpListener::bind(address).unwrap(), channel());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if send.send(read(stream.unwrap())).is_err() {
                return;
            }
        }
    });
    receive
}

/// The messages of a connection of octet-counted syslog.
fn syslog(stream: TcpStream) -> Vec<String> {
    let mut input = BufReader::new(stream);
    let mut messages = Vec::new();
    loop {
        let mut length = Vec::new();
        if input.read_until(b' ', &mut length).unwrap() == 0 {
            return messages;
        }
        let mut message = vec![0; std::str::from_utf8(&length).unwrap().trim().parse().unwrap()];
        input.read_exact(&mut message).unwrap();
        messages.push(String::from_utf8(message).unwrap());
    }
}

/// The bodies of a connection of HTTP, each answered 200.
fn webhook(stream: TcpStream) -> Vec<String> {
    let mut input = BufReader::new(stream);
    let mut bodies = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line).unwrap() == 0 {
                return bodies;
            }
            if let Some(announced) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = announced.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body).unwrap();
        bodies.push(String::from_utf8(body).unwrap());
        input.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

fn outputs(status: &Value, is_so: impl Fn(&Value) -> bool) -> bool {
    let outputs = status["outputs"].as_array().unwrap();
    outputs.len() == 2 && outputs.iter().all(is_so)
}

fn judged(status: &Value) -> u64 {
    let counts = status["scorers"].as_array().unwrap().iter().flat_map(|scorer| scorer["apis"].as_object().unwrap().values());
    counts.flat_map(|api| ["benign", "anomalous", "insufficient"].map(|label| api[label].as_u64().unwrap())).sum()
}

/// Alerts as they stand on their topic.
fn alerts(directory: &Path) -> BTreeSet<String> {
    let log = EmbeddedLog::options().open(directory.join("data/log")).unwrap();
    let topic = Topics::new(&Config::resolve(&Sources::default()).unwrap()).alerts;
    let from: Vec<_> = (0..log.partitions(&topic).unwrap()).map(|n| (TopicPartition::new(Arc::clone(&topic), n), Start::Oldest)).collect();
    let mut alerts = BTreeSet::new();
    read_to_end(&log, &from, |record| alerts.extend(record.value.map(|value| String::from_utf8(value.to_vec()).unwrap()))).unwrap();
    alerts
}

/// Alerts out of what came, each once.
fn arrived(receive: &Receiver<Vec<String>>, count: usize, alerts: impl Fn(&str) -> Vec<String>) -> BTreeSet<String> {
    let mut arrived = BTreeSet::new();
    while arrived.len() < count {
        arrived.extend(receive.recv_timeout(WAIT).unwrap().iter().flat_map(|message| alerts(message)));
    }
    arrived
}

#[test]
fn scoring_goes_on_while_every_receiver_is_down_and_all_alerts_arrive_when_they_are_back() {
    let directory = tempfile::tempdir().unwrap();
    let (siem, hook) = (nobody(), nobody());
    let settings = [
        format!("outputs.siem={{ to = \"syslog+tcp://{siem}\", format = \"ocsf\" }}"),
        format!("outputs.hook={{ to = \"http://{hook}/in\" }}"),
    ];
    let mut weir = Weir::start(directory.path(), &settings);
    let mut config = simulator::Config::new(5, 0.5, 8_000);
    config.learning = 0.4;
    let exchanges: Vec<Value> = Simulation::new(config).take(SENT).map(|(exchange, _)| serde_json::to_value(&exchange).unwrap()).collect();
    let (learned, rest) = exchanges.split_at(SENT / 2);
    for part in [learned, rest] {
        for piece in part.chunks(PIECE) {
            assert!(weir.ask("POST /v1/exchanges", &serde_json::to_vec(piece).unwrap()).contains(" 202 "));
        }
        weir.wait_until("there is a model", |status| status["apis"].as_array().unwrap().iter().any(|api| api["model"].is_string()));
    }
    weir.wait_until("all is judged", |status| judged(status) == SENT as u64);
    weir.wait_until("people are told", |status| outputs(status, |output| output["failing"].is_string() && output["lag"] != 0));
    weir.wait_until("nothing was taken", |status| outputs(status, |output| output["delivered"] == 0));

    let (siem, hook) = (serve(siem, syslog), serve(hook, webhook));
    weir.wait_until("all is taken", |status| outputs(status, |output| output["lag"] == 0 && output["delivered"] != 0));
    assert!(Command::new("kill").arg(weir.child.id().to_string()).status().unwrap().success());
    assert!(weir.child.wait().unwrap().success());

    let alerts = alerts(directory.path());
    assert!(!alerts.is_empty());
    let body = |message: &str| message.split_once(" - alert - ").unwrap().1.to_owned();
    assert_eq!(arrived(&siem, alerts.len(), |message| vec![body(message)]), alerts);
    assert_eq!(arrived(&hook, alerts.len(), |body| body.lines().map(str::to_owned).collect()), alerts);
}
