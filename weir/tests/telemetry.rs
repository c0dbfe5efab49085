//! What a service tells over OTLP, as a receiver sees it that knows the protocol from its published messages; and that what is documented, shown on the
//! dashboard and watched by alert rules is what is told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic like tests")]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Exchanges that are sent.
const SENT: usize = 40;
/// Longest wait for verdicts, and the time between two looks.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What came: path and body of each request.
type Received = Arc<Mutex<Vec<(String, Bytes)>>>;

/// A receiver; it goes with the runtime.
async fn receiver() -> (SocketAddr, Received) {
    let received = Received::default();
    let take = |State(received): State<Received>, uri: Uri, body: Bytes| async move {
        received.lock().unwrap().push((uri.path().to_owned(), body));
    };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let routes = Router::new().route("/v1/{signal}", post(take)).with_state(Arc::clone(&received));
    tokio::spawn(async move { axum::serve(socket, routes).await.unwrap() });
    (address, received)
}

/// Messages of a kind that came.
fn messages<M: Message + Default>(received: &Received, signal: &str) -> Vec<M> {
    let path = format!("/v1/{signal}");
    received.lock().unwrap().iter().filter(|(at, _)| *at == path).map(|(_, body)| M::decode(body.clone()).unwrap()).collect()
}

struct Weir {
    child: Child,
    address: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

impl Weir {
    fn start(data: &Path, receiver: SocketAddr) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| ["WEIR_", "OTEL_"].iter().any(|p| name.to_string_lossy().starts_with(p))) {
            command.env_remove(name);
        }
        command.arg("up").arg("--data").arg(data).args(["--listen", "127.0.0.1:0", "--set", "instance=test"]);
        let verdicts =
            format!("outputs.archive={{ to = \"file://{}\", of = \"verdicts\" }}", data.with_file_name("verdicts.ndjson").display());
        command.args(["--set", &verdicts, "--set", &format!("telemetry.endpoint=http://{receiver}"), "--set", "telemetry.traces=1"]);
        let mut child = command.current_dir(data.parent().unwrap()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        stdout.read_line(&mut greeting).unwrap();
        let address = greeting.split("http://").nth(1).and_then(|rest| rest.split('/').next()).and_then(|address| address.parse().ok());
        Self { child, address: address.unwrap_or_else(|| panic!("no address in {greeting:?}")), _stdout: stdout }
    }

    fn ask(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        write!(stream, "{request} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Sends exchanges and waits until each has its verdict; then ends as Ctrl-C does, which sends what is still to be told.
    fn judge_and_stop(mut self) {
        let exchanges: String =
            (0..SENT).map(|n| format!("{{\"method\":\"GET\",\"path\":\"/v1/{n}\",\"host\":\"a.example\"}}\n")).collect();
        assert_eq!(self.ask("POST /v1/exchanges", &exchanges), format!("{{\"accepted\":{SENT}}}"));
        let until = Instant::now() + PATIENCE;
        loop {
            let status: serde_json::Value = serde_json::from_str(&self.ask("GET /v1/status", "")).unwrap();
            let partitions = status["scorers"][0]["partitions"].as_object().cloned().unwrap_or_default();
            let is_judged = partitions.values().filter_map(|partition| partition["position"].as_u64()).sum::<u64>() == SENT as u64;
            if is_judged && status["outputs"][0]["delivered"] == SENT {
                break;
            }
            assert!(Instant::now() < until, "no verdicts: {status:#}");
            std::thread::sleep(LOOK);
        }
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> &'a str {
    match attributes.iter().find(|a| a.key == name).and_then(|a| a.value.as_ref()?.value.as_ref()) {
        Some(Any::StringValue(text)) => text,
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_metrics_logs_and_one_trace_from_ingest_to_receiver() {
    let (address, received) = receiver().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    tokio::task::spawn_blocking(move || Weir::start(&data, address).judge_and_stop()).await.unwrap();

    let mut traces: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for resource in messages::<ExportTraceServiceRequest>(&received, "traces").into_iter().flat_map(|m| m.resource_spans) {
        let about = resource.resource.unwrap().attributes;
        assert_eq!((text(&about, "service.name"), text(&about, "service.instance.id")), ("weir", "test"));
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            if span.name == "process weir.traffic" {
                assert!(text(&span.attributes, "weir.verdict.id").starts_with("weir.traffic-"));
            }
            if span.name == "process weir.verdicts" {
                assert_eq!(text(&span.attributes, "weir.output"), "archive");
            }
            traces.entry(span.trace_id).or_default().push(span.name);
        }
    }
    assert_eq!(traces.len(), SENT);
    for mut names in traces.into_values() {
        names.sort();
        assert_eq!(names, ["process weir.traffic", "process weir.verdicts", "send weir.traffic"]);
    }

    let told: BTreeSet<String> = messages::<ExportMetricsServiceRequest>(&received, "metrics")
        .into_iter()
        .flat_map(|m| m.resource_metrics)
        .flat_map(|resource| resource.scope_metrics)
        .flat_map(|scope| scope.metrics)
        .map(|metric| metric.name)
        .collect();
    for name in
        ["weir.exchanges.accepted", "weir.verdicts", "weir.verdict.latency", "weir.batch.size", "weir.partition.lag", "weir.detector.blind"]
    {
        assert!(told.contains(name), "{name} is not among {told:?}");
    }
    let documented = documented();
    assert_eq!(told.iter().filter(|name| !documented.contains(*name)).collect::<Vec<_>>(), Vec::<&String>::new());

    let logs = messages::<ExportLogsServiceRequest>(&received, "logs").into_iter().flat_map(|m| m.resource_logs);
    let lines = logs.flat_map(|resource| resource.scope_logs).flat_map(|scope| scope.log_records).count();
    assert!(lines > 0, "no log line came");
}

/// Names in the table of docs/telemetry.md.
fn documented() -> BTreeSet<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/telemetry.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split(',')).map(|name| name.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn dashboard_and_alert_rules_ask_for_what_is_documented() {
    let known: Vec<String> = documented().iter().map(|name| name.replace('.', "_")).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/telemetry");
    let mut asked = 0;
    for file in ["alerts.yml", "grafana/dashboards/weir.json"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let endings = ["_total", "_seconds", "_bucket", "_count", "_sum"];
        let attributes = [
            "weir_label",
            "weir_family",
            "weir_api",
            "weir_detector",
            "weir_input",
            "weir_stage",
            "weir_model",
            "weir_outcome",
            "weir_output",
        ];
        for word in words.filter(|word| word.starts_with("weir_") && !attributes.contains(word)) {
            let mut name = word;
            while let Some(shorter) = endings.iter().find_map(|ending| name.strip_suffix(ending)) {
                name = shorter;
            }
            assert!(known.iter().any(|known| known == name), "{file} asks for {word}");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
}
