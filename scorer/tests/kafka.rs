//! Scorers on a real Kafka broker: whatever happens to them, every exchange gets one verdict, and its bytes are those of an undisturbed run
//! on the embedded log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are not in #[test] functions"
)]

mod common;

use common::{Bench, PARTITIONS, Plan, settings, traffic};
use engine::{Offset, TopicPartition};
use runtime::keys::{SigningKey, TrustedKeys};
use runtime::log::kafka::KafkaLog;
use runtime::log::{Log, Output, Record};
use runtime::shutdown::Shutdown;
use runtime::testkit::Broker;
use scorer::ScorerError;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

type Verdicts = BTreeMap<u32, Vec<String>>;

const CALM: Plan = Plan { workers: 1, abort_every: 0, checkpoint: 1_000_000_000 };
/// Checkpoints often, by a clock that goes on by one with each look at it.
const BUSY: Plan = Plan { checkpoint: 300, ..CALM };
const COUNT: usize = 1_200;

fn records() -> &'static [(String, Vec<u8>)] {
    &traffic().judged[..COUNT]
}

/// An undisturbed run with one model, on the embedded log.
fn calm() -> &'static Verdicts {
    static CALMLY: OnceLock<Verdicts> = OnceLock::new();
    CALMLY.get_or_init(|| {
        let mut bench = Bench::new(CALM);
        bench.publish("v1", 1);
        bench.start();
        bench.send(records());
        bench.stop();
        bench.verdicts()
    })
}

/// A bench on the shared broker with a model on it.
fn bench(plan: Plan, prefix: &str) -> Bench {
    let bench = Bench::on_kafka(plan, &Broker::shared().brokers(), prefix);
    bench.publish("v1", 1);
    bench
}

fn labels(bench: &Bench) -> BTreeSet<Option<String>> {
    bench.verdicts().values().flatten().map(|v| serde_json::from_str::<engine::Verdict>(v).unwrap().model).collect()
}

#[test]
fn an_abort_at_every_seventh_transaction_changes_no_byte() {
    let mut bench = bench(Plan { abort_every: 7, ..BUSY }, "seventh.");
    bench.start();
    bench.send(records());
    bench.stop();
    assert_eq!(&bench.verdicts(), calm());
}

#[test]
fn scorers_that_join_and_leave_under_load_change_no_byte() {
    let mut bench = bench(Plan { workers: 2, ..BUSY }, "join.");
    let first = bench.run("first");
    let mut pieces = records().chunks(COUNT / 6);
    let mut others = Vec::new();
    for instance in ["second", "third"] {
        bench.send(pieces.next().unwrap());
        others.push(bench.run(instance));
    }
    bench.send(pieces.next().unwrap());
    first.stop().unwrap();
    bench.send(pieces.next().unwrap());
    others.remove(0).stop().unwrap();
    bench.send(pieces.next().unwrap());
    let again = bench.run("first");
    bench.send(pieces.next().unwrap());
    others.remove(0).stop().unwrap();
    again.stop().unwrap();
    assert_eq!(&bench.verdicts(), calm());
}

#[test]
fn a_second_scorer_of_the_same_name_fences_the_first() {
    let mut bench = bench(BUSY, "fenced.");
    let first = bench.run("one");
    bench.send(&records()[..COUNT / 2]);
    let second = bench.run("one");
    // The first finds out when it commits its next batch; the second takes over.
    bench.send(&records()[COUNT / 2..]);
    second.stop().unwrap();
    let ended = first.end();
    assert!(matches!(&ended, Err(ScorerError::Worker { why: scorer::WorkerError::Fenced(_), .. })), "{ended:?}");
    assert_eq!(&bench.verdicts(), calm());
}

const CHILD: &str = "WEIR_TEST_SCORER";

/// Not a test of its own: the process that is killed.
#[test]
fn child_that_is_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let [brokers, prefix, key] = told.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let trusted = TrustedKeys::new(vec![SigningKey::load(key.as_ref()).unwrap().public()]);
    let settings = settings(&[("kafka.brokers", brokers), ("topics.prefix", prefix)], trusted, BUSY);
    let log: Arc<dyn Log> = Arc::new(KafkaLog::options(brokers).record_limit(6 << 20).open().unwrap());
    scorer::run(&settings, &log, &Shutdown::new()).unwrap();
}

fn child(bench: &Bench, prefix: &str) -> Child {
    let told = format!("{} {prefix} {}", Broker::shared().brokers(), bench.key_file().display());
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(CHILD, told)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn kill_9_in_the_middle_changes_no_byte_and_verdicts_flow_again() {
    let mut bench = bench(BUSY, "killed.");
    let producer = bench.log.producer(None).unwrap();
    let mut running = child(&bench, "killed.");
    for (n, piece) in records().chunks(COUNT / 6).enumerate() {
        producer.append(bench.outputs(piece)).unwrap();
        if n % 2 == 1 {
            // As soon as a first verdict of the piece is there, the rest of it is in the making.
            bench.outcomes(1);
            running.kill().unwrap();
            running.wait().unwrap();
            let killed = Instant::now();
            running = child(&bench, "killed.");
            bench.outcomes(piece.len() - 1);
            eprintln!("verdicts flow again {:?} after kill -9", killed.elapsed());
        } else {
            bench.outcomes(piece.len());
        }
    }
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(&bench.verdicts(), calm());
}

#[test]
fn a_broker_that_is_killed_and_comes_back_changes_no_byte() {
    let broker = Broker::start();
    let mut bench = Bench::on_kafka(BUSY, &broker.brokers(), "weir.");
    bench.publish("v1", 1);
    bench.start();
    bench.send(&records()[..COUNT / 2]);
    let producer = bench.log.producer(None).unwrap();
    let rest = &records()[COUNT / 2..];
    std::thread::scope(|scope| {
        let outputs = bench.outputs(rest);
        scope.spawn(move || producer.append(outputs).unwrap());
        broker.kill();
        broker.restart();
    });
    bench.outcomes(rest.len());
    // While there is nothing to do either: an operator stops the broker in good order.
    broker.stop();
    broker.restart();
    bench.stop();
    assert_eq!(&bench.verdicts(), calm());
}

#[test]
fn models_are_swapped_rolled_back_and_never_turned_back_by_an_old_or_forged_pointer() {
    let mut bench = bench(CALM, "models.");
    let mut pieces = records().chunks(100);
    let mut next = |bench: &mut Bench| {
        bench.start();
        bench.send(pieces.next().unwrap());
        bench.stop();
        let newest = |verdicts: Vec<String>| verdicts.last().map(|v| serde_json::from_str::<engine::Verdict>(v).unwrap().model.unwrap());
        bench.verdicts().into_values().filter_map(newest).collect::<BTreeSet<_>>()
    };
    let only = |label: &str| BTreeSet::from([label.to_owned()]);
    assert_eq!(next(&mut bench), only("v1"));
    bench.publish("v2", 5);
    assert_eq!(next(&mut bench), only("v2"));
    // An old pointer that somebody writes again.
    bench.publish("v1", 1);
    assert_eq!(next(&mut bench), only("v2"));
    // A pointer that another key has signed.
    let foreign = tempfile::tempdir().unwrap();
    let key = SigningKey::create(&foreign.path().join("key.pem")).unwrap();
    bench.publish_signed("v1", 9, &key, |_| {});
    assert_eq!(next(&mut bench), only("v2"));
    // Rolled back.
    bench.publish("v1", 6);
    assert_eq!(next(&mut bench), only("v1"));
}

#[test]
fn a_truncated_model_leaves_the_good_one_in_place() {
    let mut bench = bench(CALM, "truncated.");
    bench.start();
    bench.send(&records()[..100]);
    let halve = |records: &mut Vec<Output>| {
        let part = records[0].value.as_mut().unwrap();
        part.truncate(part.len() / 2);
    };
    bench.publish_signed("v2", 2, &SigningKey::load(&bench.key_file()).unwrap(), halve);
    bench.send(&records()[100..200]);
    bench.stop();
    // A scorer that has never seen it does the same.
    bench.start();
    bench.send(&records()[200..300]);
    bench.stop();
    assert_eq!(labels(&bench), BTreeSet::from([Some("v1".to_owned())]));
}

#[test]
fn records_of_the_format_before_stand_beside_those_of_this_one() {
    let mut bench = bench(BUSY, "formats.");
    let producer = bench.log.producer(None).unwrap();
    let marked = |outputs: Vec<Output>, format: Option<&'static str>| -> Vec<Output> {
        let headers: Vec<_> = format.map(|format| ("weir-format", format.into())).into_iter().collect();
        outputs.into_iter().map(|output| Output { headers: headers.clone(), ..output }).collect()
    };
    bench.start();
    for (piece, format) in records().chunks(50).zip([None, Some("0"), Some("1")].into_iter().cycle()) {
        producer.append(marked(bench.outputs(piece), format)).unwrap();
        bench.outcomes(piece.len());
    }
    producer.append(marked(bench.outputs(&records()[..1]), Some("2"))).unwrap();
    let later = bench.outcomes(1);
    bench.stop();
    assert_eq!(later[0].header("reason"), Some(&b"unknown_format"[..]));
    assert_eq!(&bench.verdicts(), calm());
}

#[test]
fn poison_and_oversized_records_become_dead_letters_and_nothing_else_suffers() {
    let mut bench = bench(CALM, "poison.");
    let poison = |bytes: Vec<u8>| ("s".to_owned(), bytes);
    let mut sent = records()[..40].to_vec();
    sent.push(poison(b"not json".to_vec()));
    sent.push(poison(["[".repeat(100_000), "]".repeat(100_000)].concat().into_bytes()));
    sent.push(poison(format!("{{\"method\":\"GET\",\"path\":\"/{}\"}}", "a".repeat(5 << 20)).into_bytes()));
    sent.push(poison(b"\xff".to_vec()));
    bench.start();
    bench.send(&sent);
    bench.stop();
    let letters = &bench.all(&bench.settings.topics.deadletter)[&0];
    let mut reasons: Vec<_> = letters.iter().map(|l| String::from_utf8(l.header("reason").unwrap().to_vec()).unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["not_an_exchange", "not_an_exchange", "too_deep", "too_large"]);
    assert_eq!(bench.verdicts().values().map(Vec::len).sum::<usize>(), 40);
}

#[test]
fn a_scorer_that_was_away_for_longer_than_traffic_is_kept_goes_on_with_what_is_left() {
    let mut bench = bench(CALM, "away.");
    bench.start();
    bench.send(&records()[..40]);
    bench.stop();
    let traffic = Arc::clone(&bench.settings.topics.traffic);
    bench.log.producer(None).unwrap().append(bench.outputs(&records()[40..80])).unwrap();
    let mut left = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let end = bench.log.bounds(&TopicPartition::new(Arc::clone(&traffic), partition)).unwrap().1;
        Broker::shared().delete_before(&traffic, partition, end.0);
        left.insert(partition, end);
    }
    bench.start();
    let outcomes = bench.send(&records()[80..120]);
    bench.stop();
    let verdict = |record: &Record| serde_json::from_slice::<engine::Verdict>(record.value.as_deref().unwrap()).unwrap();
    for record in &outcomes {
        let offset: u64 = verdict(record).id.rsplit('-').next().unwrap().parse().unwrap();
        assert!(Offset(offset) >= left[&record.at.partition], "{}", verdict(record).id);
    }
    assert_eq!(bench.verdicts().values().map(Vec::len).sum::<usize>(), 80);
}
