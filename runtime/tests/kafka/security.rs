//! TLS, passwords and bearer tokens, from the text of a configuration to a transaction.

use crate::setup::{PATIENCE, TICK, member, output, read_all, spec};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use runtime::config::{Config, Sources};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Batch, Event, Log, LogError};
use runtime::testkit::Broker;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| {
        let broker = Broker::start_secured();
        broker.admit();
        broker
    })
}

/// A log as a user configures it: what is trusted by path, the password in a file.
fn log(mechanism: &str, authority: &Path, password: &str) -> KafkaLog {
    opened(authority, password, |file| {
        format!("sasl.mechanism = \"{mechanism}\"\nsasl.username = \"weir\"\nsasl.password_file = \"{file}\"\n")
    })
}

/// A log whose client gets its tokens from a server of the machine, by an id and a secret.
fn log_by_tokens(tokens: SocketAddr, secret: &str) -> KafkaLog {
    opened(&broker().secured().1, secret, |file| {
        format!(
            "sasl.mechanism = \"OAUTHBEARER\"\nsasl.oauthbearer.method = \"oidc\"\nsasl.oauthbearer.client.id = \"weir\"\n\
             sasl.oauthbearer.client.secret_file = \"{file}\"\nsasl.oauthbearer.token.endpoint.url = \"http://{tokens}/token\"\n"
        )
    })
}

fn opened(authority: &Path, secret: &str, sasl: impl Fn(&str) -> String) -> KafkaLog {
    let directory = tempfile::tempdir().unwrap();
    let secret_file = directory.path().join("secret");
    std::fs::write(&secret_file, format!("{secret}\n")).unwrap();
    let text = format!(
        "[kafka]\nbrokers = \"{}\"\n[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\nssl.ca.location = \"{}\"\n{}",
        broker().secured().0,
        authority.display(),
        sasl(&secret_file.display().to_string())
    );
    let sources = Sources { file: Some(("weir.toml".into(), text)), host_name: "bench".to_owned(), ..Sources::default() };
    let config = Config::resolve(&sources).unwrap();
    assert!(!format!("{config:?}").contains("hush"), "a secret is shown");
    let properties = config.kafka.properties.expose().map(|(name, value)| (name.to_owned(), value.to_owned()));
    KafkaLog::options(config.kafka.brokers.as_deref().unwrap()).properties(properties).open().unwrap()
}

/// Topics are made, a record is written, read by a member of a group, and answered in a transaction.
fn works(log: &KafkaLog, name: &str) {
    log.create_topics(&[spec(name, 1), spec(&format!("{name}.out"), 1)]).unwrap();
    let (topic, out): (Arc<str>, Arc<str>) = (name.into(), format!("{name}.out").into());
    log.producer(None).unwrap().append(vec![output(&topic, Some(0), "k", "question")]).unwrap();
    let mut worker = log.worker(&member(name, &topic, "a")).unwrap();
    let began = Instant::now();
    let record = loop {
        assert!(began.elapsed() < PATIENCE);
        if let Some(Event::Records(mut records)) = worker.poll(1, TICK).unwrap().pop() {
            break records.remove(0);
        }
    };
    let positions = vec![(record.at.clone(), record.offset.next())];
    worker.commit(Batch { outputs: vec![output(&out, Some(0), "k", "answer")], positions }).unwrap();
    assert_eq!(read_all(log, &out).len(), 1);
    assert_eq!(log.committed(name, &record.at).unwrap(), Some(record.offset.next()));
}

#[test]
fn passwords_by_plain_over_tls() {
    works(&log("PLAIN", &broker().secured().1, "hush-weir"), "security.plain");
}

#[test]
fn passwords_by_scram_over_tls() {
    works(&log("SCRAM-SHA-512", &broker().secured().1, "hush-weir"), "security.scram");
}

/// A server of tokens for `weir` who knows the secret: unsigned ones, good for an hour.
fn token_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let request = heads(&mut connection);
            let who = format!("authorization: basic {}", STANDARD.encode("weir:hush-weir")).to_ascii_lowercase();
            let (status, body) = if request.to_ascii_lowercase().contains(&who) {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                let part = |json: String| URL_SAFE_NO_PAD.encode(json);
                let claims = format!(r#"{{"sub":"weir","iat":{now},"exp":{}}}"#, now + 3_600);
                let token = format!("{}.{}.", part(r#"{"alg":"none"}"#.to_owned()), part(claims));
                ("200 OK", format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":3600}}"#))
            } else {
                ("401 Unauthorized", r#"{"error":"invalid_client"}"#.to_owned())
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
            connection.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).unwrap();
        }
    });
    address
}

/// The lines of a request before its body.
fn heads(connection: &mut TcpStream) -> String {
    let lines = BufReader::new(connection).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).fold(String::new(), |all, line| all + &line + "\n")
}

#[test]
fn tokens_over_tls() {
    works(&log_by_tokens(token_server(), "hush-weir"), "security.token");
}

#[test]
fn a_secret_that_gets_no_token_is_called_that() {
    let log = log_by_tokens(token_server(), "hush-wrong");
    let error = log.partitions("security.none").unwrap_err();
    assert!(matches!(error, LogError::Fatal { .. }), "{error:?}");
    assert!(error.to_string().contains("OAUTHBEARER"), "{error}");
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[test]
fn a_wrong_password_is_called_that() {
    let log = log("SCRAM-SHA-512", &broker().secured().1, "hush-wrong");
    let error = log.partitions("security.none").unwrap_err();
    assert!(matches!(error, LogError::Fatal { .. }), "{error:?}");
    assert!(error.to_string().contains("Authentication failed"), "{error}");
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[test]
fn a_certificate_of_an_unknown_authority_is_called_that() {
    let stranger = Broker::start_secured();
    let log = log("PLAIN", &stranger.secured().1, "hush-weir");
    let error = log.partitions("security.none").unwrap_err();
    assert!(error.to_string().contains("certificate verify failed"), "{error}");
}
