//! Over UDP, TCP and TLS; receivers that are away, die in the middle, or are not who they should be.

use crate::bench::{Bench, alert, tokio};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Read as _;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsAcceptor;

const WAIT: Duration = Duration::from_secs(20);

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata").join(name)
}

/// The messages of octet-counted frames; what is behind the last whole frame is nothing.
fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        let Some(message) = bytes.get(space + 1..space + 1 + length) else { break };
        messages.push(String::from_utf8(message.to_vec()).unwrap());
        bytes = &bytes[space + 1 + length..];
    }
    messages
}

/// The `request=` of each CEF message.
pub(crate) fn paths(messages: &[String]) -> Vec<String> {
    let path = |message: &String| message.split("request=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    messages.iter().map(path).collect()
}

pub(crate) fn expected(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("/{n}")).collect()
}

/// Reads connections to their end, and hands on what came.
pub(crate) fn serve(listener: TcpListener) -> Receiver<Vec<String>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut bytes = Vec::new();
            if stream.unwrap().read_to_end(&mut bytes).is_ok() && send.send(frames(&bytes)).is_err() {
                return;
            }
        }
    });
    receive
}

pub(crate) fn collect(receive: &Receiver<Vec<String>>, count: usize) -> Vec<String> {
    let mut messages = Vec::new();
    while messages.len() < count {
        messages.extend(receive.recv_timeout(WAIT).unwrap());
    }
    messages
}

pub(crate) fn tcp(port: u16) -> (&'static str, String) {
    ("outputs.siem", format!("{{ to = \"syslog+tcp://127.0.0.1:{port}\", format = \"cef\" }}"))
}

#[test]
fn alerts_arrive_in_order_and_are_committed_once_they_were_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bench = Bench::new(&[tcp(listener.local_addr().unwrap().port())]);
    let receive = serve(listener);
    bench.start();
    bench.alerts(0, 1_300);
    assert_eq!(paths(&collect(&receive, 1_300)), expected(1_300));
    bench.wait_until("the last position", || bench.committed("siem") == 1_300);
    bench.stop();
    let status = bench.statuses().pop().unwrap();
    assert_eq!((status.delivered, status.refused, status.lag, status.failing), (1_300, 0, 0, None));
}

#[test]
fn a_receiver_that_is_away_holds_up_nobody_and_gets_all_when_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut bench = Bench::new(&[tcp(address.port()), ("outputs.archive", "{ to = \"file:///unused\" }".to_owned())]);
    let archive = bench.directory.path().join("alerts.ndjson");
    if let Some(output) = bench.settings.outputs.get_mut("archive") {
        output.to = runtime::config::Target::File { path: archive.clone(), max_bytes: 1 << 30, keep_files: 1 };
    }
    bench.start();
    bench.alerts(0, 700);
    bench.wait_until("the other receiver has all", || bench.committed("archive") == 700);
    assert_eq!(std::fs::read_to_string(&archive).unwrap().lines().count(), 700);
    bench.wait_until("people are told", || bench.statuses().iter().any(|s| s.output == "siem" && s.failing.is_some()));
    assert_eq!(bench.committed("siem"), 0);
    bench.stop();

    let receive = serve(TcpListener::bind(address).unwrap());
    bench.start();
    assert_eq!(paths(&collect(&receive, 700)), expected(700));
    bench.wait_until("the last position", || bench.committed("siem") == 700);
    bench.stop();
}

#[test]
fn a_receiver_that_dies_with_a_delivery_in_its_hands_gets_it_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bench = Bench::new(&[tcp(listener.local_addr().unwrap().port())]);
    bench.alerts(0, 400);
    bench.start();
    for taken in [0, 1, 1_000] {
        // Closing with unread bytes resets the connection, as the death of a process does.
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut vec![0; taken]).unwrap();
        assert_eq!(bench.committed("siem"), 0);
    }
    let receive = serve(listener);
    assert_eq!(paths(&collect(&receive, 400)), expected(400));
    bench.wait_until("the last position", || bench.committed("siem") == 400);
    bench.stop();
}

#[test]
fn text_of_an_attacker_makes_no_message_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bench = Bench::new(&[tcp(listener.local_addr().unwrap().port())]);
    let receive = serve(listener);
    let hostile = "/x\n<0>1 2026-01-01T00:00:00Z h weir - alert - CEF:0|Weir|Weir|1|calm|calm|0|\r\n\u{0}|= src=10.0.0.1";
    bench.append(&bench.settings.topics.alerts.clone(), vec![alert(hostile)]);
    bench.start();
    let messages = collect(&receive, 1);
    bench.stop();
    assert_eq!(messages.len(), 1);
    assert!(!messages[0].contains(char::is_control), "{messages:?}");
    assert!(
        messages[0].starts_with("<130>1 ") && messages[0].contains(r"|\= src\=10.0.0.1 ") && messages[0].contains(" src=203.0.113.7 "),
        "{messages:?}"
    );
}

#[test]
fn datagrams_are_sent_one_a_message_and_what_fits_into_none_becomes_a_dead_letter() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    let to = format!("{{ to = \"syslog+udp://127.0.0.1:{}\" }}", socket.local_addr().unwrap().port());
    let mut bench = Bench::new(&[("outputs.siem", to)]);
    let (long, short) = (alert(&"x".repeat(70_000)), alert("/short"));
    bench.append(&bench.settings.topics.alerts.clone(), vec![long.clone(), short.clone()]);
    bench.start();
    let mut buffer = vec![0; 70_000];
    let length = socket.recv(&mut buffer).unwrap();
    let message = std::str::from_utf8(&buffer[..length]).unwrap();
    let (header, body) = message.split_once(" - alert - ").unwrap();
    assert!(header.ends_with("Z bench weir"), "{header}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), short);
    bench.wait_until("the last position", || bench.committed("siem") == 2);
    bench.stop();
    let letters = bench.all(&bench.settings.topics.deadletter);
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].header("reason"), letters[0].header("offset")), (Some(&b"refused"[..]), Some(&b"0"[..])));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(letters[0].value.as_deref().unwrap()).unwrap(), long);
}

/// Speaks TLS as `localhost`, for whom the authority of the test data vouches.
pub(crate) fn acceptor() -> TlsAcceptor {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(testdata("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(testdata("server.key")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Serves in TLS; a connection that is no TLS, or breaks, is passed over.
fn serve_tls(listener: TcpListener, send: Sender<Vec<String>>) {
    let acceptor = acceptor();
    listener.set_nonblocking(true).unwrap();
    tokio().spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = Vec::new();
            if stream.read_to_end(&mut bytes).await.is_ok() {
                let _ = send.send(frames(&bytes));
            }
        }
    });
}

#[test]
fn tls_is_spoken_with_whom_the_authority_vouches_for_and_with_nobody_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, receive) = channel();
    serve_tls(listener, send);
    let output =
        |ca: &str| format!("{{ to = \"syslog+tls://localhost:{port}\", format = \"cef\", ca_file = \"{}\" }}", testdata(ca).display());
    let mut bench = Bench::new(&[("outputs.right", output("ca.pem")), ("outputs.wrong", output("other-ca.pem"))]);
    bench.alerts(0, 600);
    bench.start();
    assert_eq!(paths(&collect(&receive, 600)), expected(600));
    bench.wait_until("the last position", || bench.committed("right") == 600);
    let told = |s: &runtime::status::OutputStatus| s.output == "wrong" && s.failing.as_ref().is_some_and(|why| why.contains("certificate"));
    bench.wait_until("people are told", || bench.statuses().iter().any(told));
    assert_eq!(bench.committed("wrong"), 0);
    bench.stop();
}
