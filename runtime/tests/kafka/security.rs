//! TLS and passwords, from the text of a configuration to a transaction.

use crate::setup::{PATIENCE, TICK, member, output, read_all, spec};
use runtime::config::{Config, Sources};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Batch, Event, Log, LogError};
use runtime::testkit::Broker;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

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
    let directory = tempfile::tempdir().unwrap();
    let password_file = directory.path().join("password");
    std::fs::write(&password_file, format!("{password}\n")).unwrap();
    let text = format!(
        "[kafka]\nbrokers = \"{}\"\n[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\nssl.ca.location = \"{}\"\n\
         sasl.mechanism = \"{mechanism}\"\nsasl.username = \"weir\"\nsasl.password_file = \"{}\"\n",
        broker().secured().0,
        authority.display(),
        password_file.display()
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
