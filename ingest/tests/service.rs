//! Ingest on a real log: what is posted, and what gateways wrote into topics of their own, stands on the traffic topic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use bytes::Bytes;
use engine::{Exchange, TopicPartition};
use ingest::Ingest;
use runtime::config::{Config, Sources};
use runtime::keys::SessionKey;
use runtime::log::embedded::EmbeddedLog;
use runtime::log::{Cleanup, Log, Output, Record, Start, TopicSpec};
use runtime::shutdown::Shutdown;
use runtime::status::IngestStatus;
use runtime::topics::Topics;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONFIG: &str = r#"
listen = "127.0.0.1:0"
embedded.partitions = 2
deadletter.keep = true
[session]
extractors = ["field:who.sid", "header:authorization", "client"]
[[ingest.topics]]
name = "gw.nginx"
[[ingest.topics]]
name = "gw.own"
format = "json"
field_map = "own"
[ingest.field_maps.own]
method = "what.verb"
uri = "what.url"
"#;

struct Installation {
    config: Config,
    key: SessionKey,
    log: Arc<dyn Log>,
    topics: Topics,
    _directory: tempfile::TempDir,
}

fn installation() -> Installation {
    let directory = tempfile::tempdir().unwrap();
    let file = Some((Path::new("weir.toml").to_owned(), CONFIG.to_owned()));
    let config = Config::resolve(&Sources { file, host_name: "test".to_owned(), ..Sources::default() }).unwrap();
    let key = SessionKey::create(&directory.path().join("session.key")).unwrap();
    let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(directory.path().join("log")).unwrap());
    let topics = Topics::new(&config);
    log.create_topics(topics.specs()).unwrap();
    let raw = |name: &str| TopicSpec {
        name: name.into(),
        partitions: 2,
        cleanup: Cleanup::Delete { keep: Duration::from_secs(86_400), max_bytes: None },
    };
    log.create_topics(&[raw("gw.nginx"), raw("gw.own")]).unwrap();
    Installation { config, key, log, topics, _directory: directory }
}

impl Installation {
    /// The first `count` records of a topic, in order within a partition. Ends only when they are there: the test's own time-out is the guard.
    async fn records(&self, topic: &Arc<str>, count: usize) -> Vec<Record> {
        let partitions = self.log.partitions(topic).unwrap();
        let from: Vec<_> = (0..partitions).map(|partition| (TopicPartition::new(Arc::clone(topic), partition), Start::Oldest)).collect();
        let mut reader = self.log.reader(&from).unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let mut records = Vec::new();
            while records.len() < count {
                records.extend(reader.read(1_000, Duration::from_millis(100)).unwrap());
            }
            records
        });
        reading.await.unwrap()
    }

    fn write(&self, topic: &str, values: &[&str]) {
        let output = |value: &&str| Output {
            topic: topic.into(),
            partition: None,
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Vec::new(),
        };
        self.log.producer(None).unwrap().append(values.iter().map(output).collect()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_posted_is_in_the_log_before_the_answer() {
    let weir = installation();
    let shutdown = Shutdown::new();
    let socket = ingest::listen(&weir.config).await.unwrap();
    let address = socket.local_addr().unwrap();
    let routes = Ingest::new(&weir.config, &weir.key, Arc::clone(&weir.log)).routes().unwrap();
    let service = tokio::spawn(ingest::serve(socket, routes, shutdown.clone()));

    let body = r#"{"method":"GET","path":"/a","client":{"ip":"192.0.2.1"}}
{"method":"GET","path":"/b","session":"own"}"#;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /v1/exchanges HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202") && answer.ends_with("{\"accepted\":2}"), "{answer}");

    let ends: u64 = (0..2).map(|p| weir.log.bounds(&TopicPartition::new(Arc::clone(&weir.topics.traffic), p)).unwrap().1.0).sum();
    assert_eq!(ends, 2);
    let records = weir.records(&weir.topics.traffic, 2).await;
    for record in &records {
        let exchange = Exchange::from_json(record.value.as_deref().unwrap()).unwrap();
        assert_eq!(exchange.session.as_deref().map(str::as_bytes), record.key.as_deref());
        assert_eq!(record.header("weir-format"), Some(&b"1"[..]));
    }
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_topics_are_rekeyed_and_every_record_ends_in_exchanges_or_a_dead_letter() {
    let weir = installation();
    weir.write(
        "gw.nginx",
        &[
            r#"{"request_method":"GET","request_uri":"/one","remote_addr":"192.0.2.1","status":200}"#,
            r#"198.51.100.23 - - [03/Feb/2026:08:15:00 +0100] "GET /two HTTP/1.1" 200 5120"#,
            r#"{"log":{"entries":[{"request":{"method":"GET","url":"http://h/three"}},{"request":{"method":"GET","url":"data:x"}}]}}"#,
            "nonsense",
            "",
        ],
    );
    weir.write(
        "gw.own",
        &[
            r#"{"what":{"verb":"PUT","url":"/four?x=1"},"who":{"sid":"s4"}}"#,
            r#"{"what":{"verb":"PUT","url":"/five"},"who":{"sid":"s4"},"service":"orders"}"#,
        ],
    );
    let shutdown = Shutdown::new();
    let service = tokio::spawn({
        let ingest = Ingest::new(&weir.config, &weir.key, Arc::clone(&weir.log));
        ingest.run(shutdown.clone())
    });

    let records = weir.records(&weir.topics.traffic, 5).await;
    let letters = weir.records(&weir.topics.deadletter, 3).await;
    shutdown.cancel();
    service.await.unwrap().unwrap();

    let told = |record: &Record| {
        let exchange = Exchange::from_json(record.value.as_deref().unwrap()).unwrap();
        (exchange.path.to_string(), exchange.source.unwrap().to_string())
    };
    let mut told: Vec<(String, String)> = records.iter().map(told).collect();
    told.sort();
    let wanted = [("/five", "orders"), ("/four", "gw.own"), ("/one", "gw.nginx"), ("/three", "gw.nginx"), ("/two", "gw.nginx")];
    assert_eq!(told, wanted.map(|(path, source)| (path.to_owned(), source.to_owned())));
    let own: Vec<_> = records.iter().filter(|r| memchr::memmem::find(r.value.as_deref().unwrap(), b"\"PUT\"").is_some()).collect();
    assert!(own[0].key.is_some() && own[0].key == own[1].key && own[0].at == own[1].at);

    let mut reasons: Vec<_> = letters.iter().map(|letter| String::from_utf8_lossy(letter.header("reason").unwrap()).into_owned()).collect();
    reasons.sort();
    assert_eq!(reasons, ["not-a-log-line", "not-a-request", "not-a-request"]);
    for letter in &letters {
        assert_eq!(letter.header("topic"), Some(&b"gw.nginx"[..]));
        assert!(letter.header("partition").is_some() && letter.header("offset").is_some() && letter.value.is_some());
    }
    let committed: u64 = ["gw.nginx", "gw.own"]
        .iter()
        .flat_map(|topic| (0..2).map(|partition| TopicPartition::new(*topic, partition)))
        .filter_map(|at| weir.log.committed(&weir.topics.groups.ingest, &at).unwrap())
        .map(|offset| offset.0)
        .sum();
    assert_eq!(committed, 7);

    let told = weir.log.bounds(&TopicPartition::new(Arc::clone(&weir.topics.status), 0)).unwrap().1.0;
    let told = weir.records(&weir.topics.status, usize::try_from(told).unwrap()).await;
    let last = told.iter().rfind(|record| record.key.as_deref() == Some(b"ingest/test")).unwrap();
    let status: IngestStatus = serde_json::from_slice(last.value.as_deref().unwrap()).unwrap();
    assert_eq!((status.accepted, status.dead_letters, status.life.ended), (5, 3, true));
    assert_eq!(status.inputs, ["listener 127.0.0.1:0", "topic gw.nginx", "topic gw.own"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_topic_that_is_missing_is_named() {
    let mut weir = installation();
    weir.config.ingest.topics[1].name = "gw.missing".to_owned();
    let error = Ingest::new(&weir.config, &weir.key, Arc::clone(&weir.log)).run(Shutdown::new()).await.unwrap_err();
    assert!(error.to_string().contains("`gw.missing`, which `ingest.topics` names"), "{error}");
}
