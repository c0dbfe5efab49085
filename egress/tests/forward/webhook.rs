//! Over HTTP: signatures that the receiver can check, answers of every kind.

use crate::bench::{Bench, NOW, alert, tokio};
use crate::syslog::{acceptor, testdata};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::serve::Listener;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A receiver: answers as it is told, 200 after that, and keeps what came.
#[derive(Clone, Default)]
struct Hook {
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    requests: Arc<Mutex<Vec<(StatusCode, HeaderMap, String)>>>,
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let asked = hook.answers.lock().unwrap().pop_front();
    let status = asked.unwrap_or(if body.contains("/poison") { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK });
    hook.requests.lock().unwrap().push((status, headers, body));
    status
}

/// Accepts connections that speak TLS; others are passed over.
struct Secure(TcpListener, TlsAcceptor);

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Hook {
    fn serve(&self) -> u16 {
        self.serve_on(|listener| listener)
    }

    fn serve_on<L: Listener<Addr = SocketAddr>>(&self, listener_of: impl FnOnce(TcpListener) -> L) -> u16 {
        let listener = tokio().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = Router::new().route("/in", post(take)).with_state(self.clone());
        let listener = listener_of(listener);
        tokio().spawn(async move { axum::serve(listener, app).await });
        port
    }

    /// Paths of the alerts that were taken, in order.
    fn taken(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let bodies = requests.iter().filter(|(status, ..)| status.is_success()).flat_map(|(.., body)| body.lines());
        let path = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["evidences"][0]["data"]["path"].as_str().unwrap().to_owned()
        };
        bodies.map(path).collect()
    }
}

#[test]
fn requests_are_signed_and_what_the_receiver_cannot_take_now_is_sent_again_under_the_same_id() {
    let hook = Hook::default();
    let unavailable = [503, 429, 401, 500].map(|status| StatusCode::from_u16(status).unwrap());
    hook.answers.lock().unwrap().extend(unavailable);
    let port = hook.serve();
    let folder = tempfile::tempdir().unwrap();
    let (secret, authorization) = (folder.path().join("secret"), folder.path().join("authorization"));
    std::fs::write(&secret, format!("whsec_{}\n", STANDARD.encode("hunter2"))).unwrap();
    std::fs::write(&authorization, "Splunk hunter3\n").unwrap();
    let to = format!(
        "{{ to = \"http://127.0.0.1:{port}/in\", secret_file = \"{}\", authorization_file = \"{}\" }}",
        secret.display(),
        authorization.display()
    );
    let mut bench = Bench::new(&[("outputs.hook", to)]);
    bench.append(&bench.settings.topics.alerts.clone(), vec![alert("/0\r\nwebhook-id: forged"), alert("/1")]);
    bench.start();
    bench.wait_until("the last position", || bench.committed("hook") == 2);
    bench.stop();
    let requests = hook.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), unavailable.len() + 2);
    for (n, (_, headers, body)) in requests.iter().enumerate() {
        let header = |name: &str| headers[name].to_str().unwrap();
        let id = header("webhook-id");
        assert_eq!(id, if n <= unavailable.len() { "weir.alerts-0-0" } else { "weir.alerts-0-1" });
        assert_eq!(header("webhook-timestamp"), (NOW / 1_000).to_string());
        let mut mac = Hmac::<Sha256>::new_from_slice(b"hunter2").unwrap();
        mac.update(format!("{id}.{}.{body}", NOW / 1_000).as_bytes());
        assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
        assert_eq!((header("authorization"), header("content-type")), ("Splunk hunter3", "application/json"));
    }
    assert_eq!(hook.taken(), ["/0\r\nwebhook-id: forged", "/1"]);
}

#[test]
fn what_a_receiver_refuses_for_good_becomes_a_dead_letter_and_its_neighbours_are_taken() {
    let hook = Hook::default();
    let to = format!("{{ to = \"http://127.0.0.1:{}/in\", batch = 10 }}", hook.serve());
    let mut bench = Bench::new(&[("outputs.hook", to)]);
    bench.alerts(0, 13);
    bench.append(&bench.settings.topics.alerts.clone(), vec![alert("/poison")]);
    bench.alerts(13, 12);
    bench.start();
    bench.wait_until("the last position", || bench.committed("hook") == 26);
    bench.stop();
    assert_eq!(hook.taken(), (0..25).map(|n| format!("/{n}")).collect::<Vec<_>>());
    let letters = bench.all(&bench.settings.topics.deadletter);
    assert_eq!(letters.len(), 1);
    let header = |name: &str| std::str::from_utf8(letters[0].header(name).unwrap()).unwrap();
    assert_eq!((header("reason"), header("topic"), header("offset")), ("refused", "weir.alerts", "13"));
    assert_eq!(header("detail"), "output hook: it answered 422 Unprocessable Entity");
    let status = bench.statuses().pop().unwrap();
    assert_eq!((status.delivered, status.refused), (25, 1));
}

#[test]
fn a_record_that_is_no_alert_holds_nothing_up() {
    let hook = Hook::default();
    let to = format!("{{ to = \"http://127.0.0.1:{}/in\", format = \"ecs\" }}", hook.serve());
    let mut bench = Bench::new(&[("outputs.hook", to)]);
    bench.append(&bench.settings.topics.alerts.clone(), vec![serde_json::json!([1]), alert("/1")]);
    bench.start();
    bench.wait_until("the last position", || bench.committed("hook") == 2);
    bench.stop();
    assert_eq!(hook.requests.lock().unwrap().len(), 1);
    let letters = bench.all(&bench.settings.topics.deadletter);
    assert_eq!(letters.iter().map(|l| l.header("reason").unwrap()).collect::<Vec<_>>(), [b"unreadable"]);
}

#[test]
fn https_and_ecs_reach_whom_the_authority_vouches_for_and_nobody_else() {
    let hook = Hook::default();
    let port = hook.serve_on(|listener| Secure(listener, acceptor()));
    let output =
        |ca: &str| format!("{{ to = \"https://localhost:{port}/in\", format = \"ecs\", ca_file = \"{}\" }}", testdata(ca).display());
    let mut bench = Bench::new(&[("outputs.right", output("ca.pem")), ("outputs.wrong", output("other-ca.pem"))]);
    bench.append(&bench.settings.topics.alerts.clone(), vec![alert("/0")]);
    bench.start();
    bench.wait_until("the last position", || bench.committed("right") == 1);
    let told = |s: &runtime::status::OutputStatus| s.output == "wrong" && s.failing.as_ref().is_some_and(|why| why.contains("certificate"));
    bench.wait_until("people are told", || bench.statuses().iter().any(told));
    bench.stop();
    assert_eq!(bench.committed("wrong"), 0);
    let requests = hook.requests.lock().unwrap();
    let [(_, _, body)] = requests.as_slice() else { panic!("one request is expected: {requests:?}") };
    let event: serde_json::Value = serde_json::from_str(body).unwrap();
    let of = |pointer: &str| event.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    assert_eq!(["/source/ip", "/url/path", "/event/kind"].map(of), ["203.0.113.7", "/0", "alert"]);
}
