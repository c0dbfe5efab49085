//! Processes and brokers that are killed.

use crate::setup::{PATIENCE, TICK, committed, copy_turn, fill, log, member, numbers, topic};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Batch, Event, Log, LogError, Output};
use runtime::testkit::Broker;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CHILD: &str = "WEIR_TEST_CHILD_BROKER";

/// Not a test of its own: the process that is killed. Copies records in transactions that are large enough to be caught in the middle.
#[test]
fn child_that_is_killed() {
    let Ok(brokers) = std::env::var(CHILD) else { return };
    let log = KafkaLog::options(brokers).open().unwrap();
    let (input, out): (Arc<str>, Arc<str>) = ("crash.in".into(), "crash.out".into());
    let mut worker = log.worker(&member("crash", &input, "killed")).unwrap();
    loop {
        let mut batch = Batch::default();
        for event in worker.poll(2_000, TICK).unwrap() {
            let Event::Records(records) = event else { continue };
            for record in records {
                let value = record.value.clone();
                batch.outputs.push(Output { topic: Arc::clone(&out), partition: Some(0), key: None, value, headers: Vec::new() });
                // Ballast keeps the transaction open for a while.
                let ballast = Some(vec![0; 100_000].into());
                batch.outputs.push(Output {
                    topic: "crash.ballast".into(),
                    partition: Some(0),
                    key: None,
                    value: ballast,
                    headers: vec![],
                });
                batch.positions = vec![(record.at, record.offset.next())];
            }
        }
        worker.commit(batch).unwrap();
    }
}

/// Sees whether a transaction is open in partition 0 of a topic. Connections are kept: a transaction is open for a moment only.
struct Watch {
    committed: BaseConsumer,
    written: BaseConsumer,
}

impl Watch {
    fn new() -> Self {
        let client = |isolation: &str| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", Broker::shared().brokers()).set("isolation.level", isolation);
            config.create().unwrap()
        };
        Self { committed: client("read_committed"), written: client("read_uncommitted") }
    }

    /// What is committed ends before what is written.
    fn is_open(&self, topic: &str) -> bool {
        let end = |client: &BaseConsumer| client.fetch_watermarks(topic, 0, PATIENCE).unwrap().1;
        // In this order: a commit in between makes the first smaller, never the second.
        let (committed, written) = (end(&self.committed), end(&self.written));
        committed < written && end(&self.committed) == committed
    }
}

#[test]
fn a_successor_of_the_same_name_goes_on_after_kill_9_in_a_transaction() {
    let log = log();
    let (input, out) = (topic(&log, "crash.in", 1), topic(&log, "crash.out", 1));
    topic(&log, "crash.ballast", 1);
    fill(&log, &input, 20_000);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_is_killed", "--nocapture"])
        .env(CHILD, Broker::shared().brokers())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (watch, began) = (Watch::new(), Instant::now());
    while !watch.is_open("crash.out") {
        assert!(began.elapsed() < PATIENCE, "the child opens no transaction");
        assert!(child.try_wait().unwrap().is_none(), "the child has ended by itself");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let spec = member("crash", &input, "killed");
    let mut worker = log.worker(&spec).unwrap();
    assert!(!watch.is_open("crash.out"), "the open transaction was not aborted when its name was taken over");
    let began = Instant::now();
    while committed(&log, "crash", &input) < 20_000 {
        assert!(began.elapsed() < PATIENCE, "the successor does not get through");
        copy_turn(&mut *worker, &out, 2_000).unwrap();
    }
    assert_eq!(numbers(&log, &out), (0..20_000).collect::<Vec<_>>());
}

#[test]
fn members_and_producers_outlive_a_broker_that_is_killed_and_comes_back() {
    let broker = Broker::start();
    let log = KafkaLog::options(broker.brokers()).open().unwrap();
    let (input, out) = (topic(&log, "restart.in", 2), topic(&log, "restart.out", 2));
    fill(&log, &input, 2_000);
    let spec = member("restart", &input, "a");
    let mut worker = log.worker(&spec).unwrap();
    let producer = log.producer(None).unwrap();
    let began = Instant::now();
    while committed(&log, "restart", &input) < 500 {
        copy_turn(&mut *worker, &out, 50).unwrap();
        assert!(began.elapsed() < PATIENCE);
    }
    std::thread::scope(|scope| {
        let appended = scope.spawn(|| {
            let outputs = (2_000..2_500).map(|n| crate::setup::output(&input, Some(n % 2), "", &n.to_string())).collect();
            producer.append(outputs).unwrap();
        });
        scope.spawn(|| {
            broker.kill();
            broker.restart();
        });
        let began = Instant::now();
        while !appended.is_finished() || committed(&log, "restart", &input) < 2_500 {
            copy_turn(&mut *worker, &out, 50).unwrap();
            assert!(began.elapsed() < PATIENCE + Duration::from_secs(60), "the worker does not come back");
        }
    });
    assert_eq!(numbers(&log, &out), (0..2_500).collect::<Vec<_>>());
}

#[test]
fn an_idle_member_outlives_a_broker_that_is_stopped_in_good_order_and_comes_back() {
    let broker = Broker::start();
    let log = KafkaLog::options(broker.brokers()).open().unwrap();
    let (input, out) = (topic(&log, "stop.in", 2), topic(&log, "stop.out", 2));
    fill(&log, &input, 100);
    let mut worker = log.worker(&member("stop", &input, "a")).unwrap();
    let began = Instant::now();
    while committed(&log, "stop", &input) < 100 {
        copy_turn(&mut *worker, &out, 50).unwrap();
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(worker.ends().unwrap().len(), 2);
    broker.stop();
    let mut is_away = false;
    while !is_away {
        copy_turn(&mut *worker, &out, 50).unwrap();
        match worker.ends() {
            Ok(_) => assert!(began.elapsed() < PATIENCE, "the broker is not away"),
            Err(LogError::Retriable { .. }) => is_away = true,
            Err(error) => panic!("{error}"),
        }
    }
    let mut others = Vec::new();
    std::thread::scope(|scope| {
        let back = scope.spawn(|| broker.restart());
        while !back.is_finished() {
            copy_turn(&mut *worker, &out, 50).unwrap();
            others.extend(worker.ends().err().filter(|error| !matches!(error, LogError::Retriable { .. })));
        }
    });
    assert!(others.is_empty(), "{others:?}");
    fill(&log, &input, 100);
    let began = Instant::now();
    while committed(&log, "stop", &input) < 200 {
        copy_turn(&mut *worker, &out, 50).unwrap();
        assert!(began.elapsed() < PATIENCE + Duration::from_secs(60), "the member does not come back");
    }
}

#[test]
fn a_broker_that_hangs_for_longer_than_a_transaction_may_stand_is_not_taken_for_a_namesake() {
    let broker = Broker::start();
    let log = KafkaLog::options(broker.brokers()).open().unwrap();
    let (input, out) = (topic(&log, "hang.in", 2), topic(&log, "hang.out", 2));
    fill(&log, &input, 2_000);
    let mut worker = log.worker(&member("hang", &input, "a")).unwrap();
    let began = Instant::now();
    while committed(&log, "hang", &input) < 500 {
        copy_turn(&mut *worker, &out, 50).unwrap();
        assert!(began.elapsed() < PATIENCE);
    }
    broker.pause();
    std::thread::scope(|scope| {
        // Longer than the ten seconds after which brokers end a transaction.
        let resumed = scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(13));
            broker.resume();
        });
        while !resumed.is_finished() {
            copy_turn(&mut *worker, &out, 200).unwrap();
        }
    });
    while committed(&log, "hang", &input) < 2_000 {
        copy_turn(&mut *worker, &out, 200).unwrap();
        assert!(began.elapsed() < 3 * PATIENCE, "the worker does not come back");
    }
    assert_eq!(numbers(&log, &out), (0..2_000).collect::<Vec<_>>());
}
