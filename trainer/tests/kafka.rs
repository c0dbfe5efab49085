//! The trainer on a real Kafka broker: whatever happens to it, what it remembers stands there once, and a model comes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

mod common;

use common::{Bench, NEEDED, exchanges, settings};
use engine::{Stage, TopicPartition};
use runtime::keys::SigningKey;
use runtime::log::Log;
use runtime::log::kafka::KafkaLog;
use runtime::shutdown::Shutdown;
use runtime::testkit::Broker;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const CHILD: &str = "WEIR_TEST_TRAINER";

/// Not a test of its own: the process that is killed.
#[test]
fn child_that_is_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let [brokers, prefix, key] = told.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let settings = settings(&[("kafka.brokers", brokers), ("topics.prefix", prefix)], SigningKey::load(key.as_ref()).unwrap());
    let log: Arc<dyn Log> = Arc::new(KafkaLog::options(brokers).open().unwrap());
    trainer::run(&settings, &log, &Shutdown::new()).unwrap();
}

fn child(bench: &Bench, prefix: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(CHILD, format!("{} {prefix} {}", Broker::shared().brokers(), bench.key_file().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn kill_9_while_it_remembers_and_while_it_learns_loses_nothing_and_doubles_nothing() {
    let bench = Bench::on_kafka(0, &Broker::shared().brokers(), "crash.");
    let all = exchanges(NEEDED + 600);
    let remembering = child(&bench, "crash.");
    bench.send(&all[..NEEDED / 2]);
    bench.wait_for_history(1);
    kill(remembering);
    let learning = child(&bench, "crash.");
    bench.send(&all[NEEDED / 2..]);
    bench.wait_for_stage(Stage::Training);
    kill(learning);
    let finishing = child(&bench, "crash.");
    bench.wait_for_stage(Stage::Evaluating);
    bench.wait_for_history(all.len());
    kill(finishing);
    assert_eq!(bench.remembered(), all.len());
    let (catalogue, pointer) = bench.published();
    assert_eq!((catalogue.versions.len(), pointer.unwrap().counter), (1, 1));
}

#[test]
fn an_abort_at_every_third_transaction_loses_nothing_and_doubles_nothing() {
    let mut bench = Bench::on_kafka(3, &Broker::shared().brokers(), "third.");
    bench.start();
    for piece in exchanges(600).chunks(100) {
        bench.send(piece);
    }
    bench.wait_for_history(600);
    bench.stop();
    assert_eq!(bench.remembered(), 600);
}

#[test]
fn a_trainer_that_runs_follows_who_goes_back() {
    let mut bench = Bench::on_kafka(0, &Broker::shared().brokers(), "back.");
    bench.start();
    bench.send(&exchanges(NEEDED + 600));
    bench.go_back();
    bench.stop();
}

/// Retention takes all traffic.
fn expire(bench: &Bench) {
    let traffic = &bench.settings.topics.traffic;
    for partition in 0..bench.log.partitions(traffic).unwrap() {
        let end = bench.log.bounds(&TopicPartition::new(Arc::clone(traffic), partition)).unwrap().1;
        Broker::shared().delete_before(traffic, partition, end.0);
    }
}

#[test]
fn a_trainer_that_was_away_for_longer_than_traffic_is_kept_goes_on_with_what_is_left() {
    let mut bench = Bench::on_kafka(0, &Broker::shared().brokers(), "away.");
    let all = exchanges(300);
    bench.start();
    bench.send(&all[..100]);
    bench.wait_for_history(100);
    bench.stop();
    bench.send(&all[100..200]);
    expire(&bench);
    bench.send(&all[200..]);
    bench.start();
    bench.wait_for_history(200);
    bench.stop();
    assert_eq!(bench.remembered(), 200);
}

#[test]
fn a_second_trainer_of_the_same_name_takes_over_and_the_first_ends() {
    let bench = Bench::on_kafka(0, &Broker::shared().brokers(), "two.");
    let all = exchanges(NEEDED + 600);
    let first = bench.run();
    bench.send(&all[..500]);
    bench.wait_for_history(500);
    let second = bench.run();
    bench.send(&all[500..]);
    first.end().unwrap_err();
    bench.wait_for_stage(Stage::Evaluating);
    bench.wait_for_history(all.len());
    second.stop().unwrap();
    assert_eq!(bench.remembered(), all.len());
    assert_eq!(bench.published().0.versions.len(), 1);
}
