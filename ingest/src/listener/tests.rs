mod wire;

use super::*;
use crate::report::Counts;
use crate::session::Identities;
use axum::http::Request;
use engine::Offset;
use runtime::log::{LogError, Output};
use serde_json::Value;
use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use tower::ServiceExt;

/// What a log does with an append.
enum Does {
    Takes,
    /// Waits until it is told to go on.
    Waits(Mutex<Receiver<()>>),
    Fails(fn() -> LogError),
}

/// A log that keeps what it is given.
struct Kept {
    does: Does,
    outputs: Arc<Mutex<Vec<Output>>>,
    /// Hears of each append as it starts.
    started: Sender<()>,
}

impl Producer for Kept {
    fn append(&self, outputs: Vec<Output>) -> Result<Vec<(u32, Offset)>, LogError> {
        self.started.send(()).unwrap();
        match &self.does {
            Does::Takes => {}
            Does::Waits(go_on) => go_on.lock().unwrap().recv().unwrap(),
            Does::Fails(error) => return Err(error()),
        }
        let positions = outputs.iter().map(|_| (0, Offset(0))).collect();
        self.outputs.lock().unwrap().extend(outputs);
        Ok(positions)
    }
}

struct Bench {
    router: Router,
    outputs: Arc<Mutex<Vec<Output>>>,
    started: Receiver<()>,
}

fn bench(does: Does, token: Option<&str>) -> Bench {
    let outputs = Arc::default();
    let (started, hears) = channel();
    let edge = FieldMap { method: Some("verb".to_owned()), uri: Some("target".to_owned()), ..FieldMap::default() };
    let options = ListenerOptions {
        topic: "weir.traffic".into(),
        token: token.map(Token::new),
        max_body: 64 << 10,
        max_pending: 64 << 10,
        decoding: Options::default(),
        field_maps: BTreeMap::from([("edge".to_owned(), edge)]),
    };
    let preparer = Preparer::new(Identities::defaults(), &[], &[5; 32]).unwrap();
    let router = router(options, preparer, Box::new(Kept { does, outputs: Arc::clone(&outputs), started }), Counts::default());
    Bench { router, outputs, started: hears }
}

async fn send(router: &Router, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, HeaderMap, Value) {
    let mut request = Request::post("/v1/exchanges");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
}

const A: &str = r#"{"method":"GET","path":"/a","session":"s1"}"#;
const B: &str =
    r#"{"method":"GET","path":"/b","client":{"ip":"192.0.2.1"},"request":{"headers":{"authorization":"Bearer hunter2hunter2"}}}"#;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_form_of_body_is_taken() {
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(B).unwrap()).unwrap();
    let forms: [(Vec<u8>, &str, usize); 8] = [
        (A.into(), "identity", 1),
        (format!("{A}\n{B}").into(), "", 2),
        (format!("\r\n{A}\r\n\r\n{B}\r\n").into(), "", 2),
        (format!(" [ {A} ,\n{B} ] ").into(), "", 2),
        (pretty.into(), "", 1),
        (gzip(&format!("{A}\n{B}\n")), "gzip", 2),
        ([gzip(&format!("{A}\n")), gzip(B)].concat(), "GZIP", 2),
        (zstd::encode_all(format!("[{A}]").as_bytes(), 1).unwrap(), "zstd", 1),
    ];
    for (body, encoding, records) in forms {
        let bench = bench(Does::Takes, None);
        let (status, _, answer) = send(&bench.router, &[("content-encoding", encoding)], body.clone()).await;
        assert_eq!((status, &answer["accepted"]), (202, &Value::from(records)), "{} {answer}", body.escape_ascii());
        assert_eq!(bench.outputs.lock().unwrap().len(), records);
    }
}

#[tokio::test]
async fn records_are_prepared_keyed_and_of_the_current_format() {
    let bench = bench(Does::Takes, None);
    send(&bench.router, &[], format!("{A}\n{B}")).await;
    let outputs = bench.outputs.lock().unwrap();
    assert_eq!(outputs[0].key.as_deref(), Some(&b"s1"[..]));
    for output in outputs.iter() {
        assert_eq!((&*output.topic, output.partition, output.headers.len()), ("weir.traffic", None, 1));
        assert_eq!((output.headers[0].0, &output.headers[0].1[..]), ("weir-format", &b"1"[..]));
        let value = output.value.as_deref().unwrap();
        let exchange = engine::Exchange::from_json(value).unwrap();
        assert_eq!(exchange.session.as_deref().map(str::as_bytes), output.key.as_deref());
        assert!(memchr::memmem::find(value, b"hunter2").is_none());
    }
}

#[tokio::test]
async fn one_bad_record_and_nothing_is_written() {
    let bench = bench(Does::Takes, None);
    let (status, headers, answer) = send(&bench.router, &[], format!("{A}\n{{\"method\":\"GET\"}}\n\nnonsense\n{B}")).await;
    assert_eq!((status, &headers["content-type"]), (400, &"application/problem+json".parse().unwrap()));
    assert_eq!(
        (&answer["errors"][0]["index"], &answer["errors"][0]["line"], &answer["errors"][0]["reason"]),
        (&1.into(), &2.into(), &"not-a-request".into())
    );
    assert_eq!(
        (&answer["errors"][1]["index"], &answer["errors"][1]["line"], &answer["errors"][1]["reason"]),
        (&2.into(), &4.into(), &"not-json".into())
    );
    assert!(bench.outputs.lock().unwrap().is_empty() && bench.started.try_recv().is_err());
    for body in ["", "\n\n", "[]", "[{", "\u{feff}{", "[1]"] {
        assert_eq!(send(&bench.router, &[], body).await.0, 400, "{body:?}");
    }
    let many = "x\n".repeat(500);
    assert_eq!(send(&bench.router, &[], many).await.2["errors"].as_array().unwrap().len(), problem::NAMED);
}

#[tokio::test]
async fn limits_hold_before_and_after_decompression() {
    let bench = bench(Does::Takes, None);
    let large = format!("{{\"method\":\"GET\",\"path\":\"/{}\"}}", "x".repeat(100 << 10));
    assert_eq!(send(&bench.router, &[("content-length", "70000")], "x").await.0, 413);
    assert_eq!(send(&bench.router, &[], large.clone()).await.0, 413, "a length that is not announced");
    assert_eq!(send(&bench.router, &[("content-encoding", "gzip")], gzip(&large)).await.0, 413);
    assert_eq!(send(&bench.router, &[("content-encoding", "zstd")], zstd::encode_all(large.as_bytes(), 1).unwrap()).await.0, 413);
    assert_eq!(send(&bench.router, &[("content-encoding", "gzip")], "no gzip").await.0, 400);
    assert_eq!(send(&bench.router, &[("content-encoding", "br")], A).await.0, 415);
    assert_eq!(send(&bench.router, &[], A).await.0, 202, "refused bodies must have given their room back");
}

#[tokio::test]
async fn the_token_is_asked_for_when_there_is_one() {
    let bench = bench(Does::Takes, Some("s3cret"));
    for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("authorization", "s3cret")], &[("authorization", "Basic s3cret")]] {
        let (status, answer, _) = send(&bench.router, headers, A).await;
        assert_eq!((status, answer.contains_key("www-authenticate")), (401, true), "{headers:?}");
    }
    assert_eq!(send(&bench.router, &[("authorization", "bearer s3cret")], A).await.0, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_said_at_once_and_empties_again() {
    let (go_on, waits) = channel();
    let bench = bench(Does::Waits(Mutex::new(waits)), None);
    let body = format!("{A}{}", " ".repeat(60 << 10));
    let first = tokio::spawn({
        let (router, body) = (bench.router.clone(), body.clone());
        async move { send(&router, &[("content-length", &body.len().to_string())], body).await.0 }
    });
    let started = tokio::task::spawn_blocking(move || bench.started.recv().map(|()| bench.started)).await.unwrap().unwrap();
    let (status, headers, _) = send(&bench.router, &[("content-length", &body.len().to_string())], body.clone()).await;
    assert_eq!((status, &headers["retry-after"]), (429, &"1".parse().unwrap()));
    go_on.send(()).unwrap();
    assert_eq!(first.await.unwrap(), 202);
    go_on.send(()).unwrap();
    assert_eq!(send(&bench.router, &[("content-length", &body.len().to_string())], body).await.0, 202);
    drop(started);
}

#[tokio::test]
async fn a_failing_log_is_never_a_202() {
    let cases: [(fn() -> LogError, u16); 3] = [
        (|| LogError::Retriable { doing: "append".into(), why: "down".into() }, 503),
        (|| LogError::Fatal { doing: "append".into(), why: "disk".into() }, 500),
        (|| LogError::TooLarge { topic: "t".into(), size: 9, limit: 1 }, 413),
    ];
    for (error, expected) in cases {
        let (status, _, answer) = send(&bench(Does::Fails(error), None).router, &[], A).await;
        assert_eq!(status, expected);
        assert!(!answer.to_string().contains("disk"), "{answer}");
    }
}

const SPANS: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
  {"kind":2,"attributes":[{"key":"http.request.method","value":{"stringValue":"GET"}},{"key":"url.path","value":{"stringValue":"/v1/a"}}]},
  {"kind":2,"attributes":[{"key":"http.request.method","value":{"stringValue":"GET"}}]},
  {"kind":3,"attributes":[{"key":"http.request.method","value":{"stringValue":"GET"}},{"key":"url.path","value":{"stringValue":"/v1/b"}}]}
]}]}]}"#;

async fn send_spans(router: &Router, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, Bytes) {
    let mut request = Request::post(otlp::ROUTE);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    (response.status().as_u16(), axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap())
}

#[tokio::test]
async fn a_span_that_cannot_be_read_does_not_keep_the_others_out() {
    let bench = bench(Does::Takes, None);
    let (status, said) = send_spans(&bench.router, &[("content-type", "application/json")], SPANS).await;
    assert_eq!(status, 200);
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["partialSuccess"], serde_json::json!({ "rejectedSpans": "1", "errorMessage": "not-a-request: no url.path" }));
    let outputs = bench.outputs.lock().unwrap();
    let written: Value = serde_json::from_slice(outputs[0].value.as_ref().unwrap()).unwrap();
    assert_eq!((outputs.len(), &written["path"]), (1, &Value::from("/v1/a")));
}

#[tokio::test]
async fn spans_come_as_protocol_buffers_too_and_only_from_those_who_may() {
    let bench = bench(Does::Takes, Some("letmein"));
    let token = ("authorization", "Bearer letmein");
    assert_eq!(send_spans(&bench.router, &[], Bytes::new()).await.0, 401);
    assert_eq!(send_spans(&bench.router, &[token], Bytes::new()).await, (200, Bytes::new()));
    assert_eq!(send_spans(&bench.router, &[token], "no message").await.0, 400);
    assert!(bench.outputs.lock().unwrap().is_empty());
}

async fn send_to(router: &Router, address: &str, body: &'static str) -> (u16, Value) {
    let response = router.clone().oneshot(Request::post(address).body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_gateways_own_format_is_taken_without_what_cannot_be_read_of_it() {
    const KONG: &str = r#"[{"request":{"method":"GET","uri":"/v1/a"},"latencies":{"request":3},"started_at":1767607200123,"response":{"status":200}},
        {"request":{"method":"no method"},"latencies":{},"started_at":1}]"#;
    let bench = bench(Does::Takes, None);
    let (status, said) = send_to(&bench.router, "/v1/exchanges?format=json", KONG).await;
    assert_eq!((status, &said["accepted"], &said["rejected"]), (202, &Value::from(1), &Value::from(1)), "{said}");
    let (status, said) = send_to(&bench.router, "/v1/exchanges?field_map=edge", r#"{"verb":"PUT","target":"/b"}"#).await;
    assert_eq!((status, said), (202, serde_json::json!({ "accepted": 1 })));
    assert_eq!(bench.outputs.lock().unwrap().len(), 2);
    for address in ["/v1/exchanges?format=xml", "/v1/exchanges?field_map=none", "/v1/exchanges?fromat=json"] {
        assert_eq!(send_to(&bench.router, address, KONG).await.0, 400, "{address}");
    }
}
