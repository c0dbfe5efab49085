//! Every exchange ends in exactly one verdict or dead letter, and the bytes are the same whatever happens to the scorer.
//!
//! What is compared: runs over the same records with the same effects at the same offsets. Model versions are published while the scorer
//! stands, so each is taken before the next record of every partition, in every run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

mod common;

use common::{Bench, PARTITIONS, Plan, traffic};
use runtime::log::{Output, Record};
use runtime::status::{Restored, ScorerStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALM: Plan = Plan { workers: 1, abort_every: 0, checkpoint: 1_000_000_000 };

/// The whole journey: nothing learned yet, then one model, then another; stopped and started in between.
fn journey(plan: Plan) -> BTreeMap<u32, Vec<String>> {
    let mut bench = Bench::new(plan);
    let records = &traffic().judged[..1_200];
    for (part, label) in records.chunks(400).zip([None, Some("v1"), Some("v2")]) {
        if let Some(label) = label {
            bench.publish(label, if label == "v1" { 1 } else { 2 });
        }
        bench.start();
        bench.send(part);
        bench.stop();
    }
    bench.verdicts()
}

fn calm() -> &'static BTreeMap<u32, Vec<String>> {
    static CALMLY: std::sync::OnceLock<BTreeMap<u32, Vec<String>>> = std::sync::OnceLock::new();
    CALMLY.get_or_init(|| journey(CALM))
}

#[test]
fn every_exchange_gets_one_verdict_in_its_own_partition_and_models_are_named() {
    let verdicts = calm();
    assert_eq!(verdicts.values().map(Vec::len).sum::<usize>(), 1_200);
    let mut models = BTreeSet::new();
    for (partition, verdicts) in verdicts {
        for (offset, verdict) in verdicts.iter().enumerate() {
            let verdict: engine::Verdict = serde_json::from_str(verdict).unwrap();
            assert_eq!(verdict.id, format!("weir.traffic-{partition}-{offset}"));
            models.insert(verdict.model);
        }
    }
    assert_eq!(models, BTreeSet::from([None, Some("v1".to_owned()), Some("v2".to_owned())]));
}

#[test]
fn an_abort_at_every_seventh_transaction_changes_no_byte() {
    assert_eq!(&journey(Plan { abort_every: 7, ..CALM }), calm());
}

#[test]
fn when_checkpoints_are_taken_changes_no_byte() {
    assert_eq!(&journey(Plan { checkpoint: 0, abort_every: 5, ..CALM }), calm());
    assert_eq!(&journey(Plan { checkpoint: 300, abort_every: 3, ..CALM }), calm());
}

#[test]
fn two_workers_write_what_one_writes() {
    assert_eq!(&journey(Plan { workers: 2, ..CALM }), calm());
    assert_eq!(&journey(Plan { workers: 3, abort_every: 4, ..CALM }), calm());
}

#[test]
fn what_cannot_be_read_becomes_a_dead_letter_and_nothing_else_suffers() {
    let mut bench = Bench::new(CALM);
    bench.settings.keep_dead_letters = true;
    let good = &traffic().judged[..40];
    let poison = |bytes: &[u8]| ("s".to_owned(), bytes.to_vec());
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    let huge = format!("{{\"method\":\"GET\",\"path\":\"/{}\"}}", "a".repeat(5 << 20));
    let long = format!("{{\"id\":\"{0}\",\"session\":\"{0}\",\"method\":\"GET\",\"path\":\"/{0}\"}}", "é".repeat(300_000));
    let mut records = good.to_vec();
    records.extend([
        poison(b"not json"),
        poison(deep.as_bytes()),
        poison(huge.as_bytes()),
        poison(b"{\"method\":\"\",\"path\":\"/\"}"),
        poison(b"\xff"),
    ]);
    records.push(poison(long.as_bytes()));
    bench.start();
    bench.send(&records);
    bench.stop();
    let letters = &bench.all(&bench.settings.topics.deadletter)[&0];
    let mut reasons: Vec<_> = letters.iter().map(|l| std::str::from_utf8(l.header("reason").unwrap()).unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["field_empty", "not_an_exchange", "not_an_exchange", "too_deep", "too_large"]);
    assert_eq!(letters.iter().filter(|l| l.value.is_some()).count(), 4, "five megabytes do not fit into a dead letter");
    assert!(letters.iter().all(|l| l.header("topic") == Some(b"weir.traffic") && l.header("offset").is_some()));
    assert_eq!(bench.verdicts().values().map(Vec::len).sum::<usize>(), good.len() + 1);
    assert!(bench.verdicts().values().flatten().all(|verdict| verdict.len() < 100_000));
}

/// Alerts as endpoint, family and change, of one run over the same records; `said`: what stands on the feedback topic before.
fn alerts(said: Option<&str>) -> (BTreeMap<u32, Vec<String>>, Vec<[String; 3]>, u64) {
    let mut bench = Bench::new(CALM);
    bench.publish("v1", 1);
    if let Some(said) = said {
        let (topic, value) = (bench.settings.topics.feedback.clone(), Some(said.to_owned().into()));
        let feedback = Output { topic, partition: Some(0), key: None, value, headers: Vec::new() };
        bench.log.producer(None).unwrap().append(vec![feedback]).unwrap();
    }
    bench.start();
    bench.send(&traffic().judged[..1_200]);
    bench.stop();
    let mut alerts = Vec::new();
    for record in bench.all(&bench.settings.topics.alerts).values().flatten() {
        let alert: serde_json::Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let endpoint = text(&alert["evidences"][0]["api"]["operation"]);
        alerts.push([endpoint, text(&alert["unmapped"]["family"]), format!("{} {}", alert["finding_info"]["uid"], alert["count"])]);
    }
    alerts.sort();
    let status = bench.all(&bench.settings.topics.status).remove(&0).unwrap().pop().unwrap();
    let status: ScorerStatus = serde_json::from_slice(status.value.as_deref().unwrap()).unwrap();
    (bench.verdicts(), alerts, status.muted)
}

#[test]
fn feedback_mutes_what_it_names_and_changes_no_verdict() {
    let (verdicts, loud, muted) = alerts(None);
    assert_eq!(muted, 0);
    let [endpoint, family, _] = loud.first().expect("the traffic holds attacks").clone();
    let rest: Vec<_> = loud.iter().filter(|alert| alert[0] != endpoint || alert[1] != family).cloned().collect();
    assert!(!rest.is_empty(), "something is left to tell");
    let until = |year| {
        serde_json::json!({"verdict": "v-0-0", "say": "benign", "scope": "endpoint", "endpoint": endpoint, "family": family, "until": format!("{year}-01-01T00:00:00Z")}).to_string()
    };
    let (quiet_verdicts, quiet, muted) = alerts(Some(&until(2999)));
    assert_eq!((quiet_verdicts == verdicts, &quiet, muted as usize), (true, &rest, loud.len() - rest.len()));
    // The clock of a bench shows 1970: an end before that is over.
    let (_, over, muted) = alerts(Some(&until(1969)));
    assert_eq!((over, muted), (loud, 0));
}

#[test]
fn a_stop_leaves_nothing_to_take_in_again() {
    let mut bench = Bench::new(CALM);
    bench.start();
    bench.send(&traffic().judged[..200]);
    bench.stop();
    let ends: Vec<usize> = bench.verdicts().values().map(Vec::len).collect();
    for (partition, end) in (0..PARTITIONS).zip(ends) {
        assert_eq!(bench.committed(partition).unwrap().0 as usize, end);
        let marks = bench.all(&bench.settings.topics.state)[&partition].iter().filter(|r| r.key.as_deref() == Some(b"m")).count();
        assert!(marks >= 2, "one with the first batch, one at the end");
    }
}

/// What restoring each partition took, as the last statuses that name it say.
fn restored(bench: &Bench) -> BTreeMap<u32, Restored> {
    let statuses = bench.all(&bench.settings.topics.status).into_values().flatten();
    let statuses = statuses.filter_map(|record| serde_json::from_slice::<ScorerStatus>(&record.value?).ok());
    statuses.flat_map(|status| status.partitions).filter_map(|(number, partition)| Some((number, partition.restored?))).collect()
}

#[test]
fn a_restore_reads_the_state_and_what_came_since_the_checkpoint_and_says_so() {
    let mut bench = Bench::new(CALM);
    bench.publish("v1", 1);
    bench.start();
    bench.send(&traffic().judged[..600]);
    bench.stop();
    bench.start();
    bench.send(&traffic().judged[600..650]);
    bench.stop();
    let state = bench.all(&bench.settings.topics.state);
    for (partition, restored) in restored(&bench) {
        let size = |record: &Record| [&record.key, &record.value].into_iter().flatten().map(bytes::Bytes::len).sum::<usize>();
        let at_most: usize = state[&partition].iter().map(size).sum();
        assert!(restored.records > 0 && restored.bytes > 0 && restored.bytes <= at_most as u64, "{partition}: {restored:?}, {at_most}");
    }
    assert_eq!(restored(&bench).len(), PARTITIONS as usize, "a stop leaves a checkpoint, so no exchange is read again");
}

#[test]
fn a_scorer_gives_up_the_state_of_another_version_and_judges_on() {
    let mut bench = Bench::new(CALM);
    bench.publish("v1", 1);
    bench.start();
    bench.send(&traffic().judged[..400]);
    bench.stop();
    // The same state, as another version would have left it: without the header that says its format, and in bytes that nobody can read.
    let left: Vec<Output> = bench.all(&bench.settings.topics.state).into_values().flatten().filter_map(unreadable).collect();
    bench.log.producer(None).unwrap().append(left).unwrap();
    let committed: Vec<_> = (0..PARTITIONS).map(|n| bench.committed(n)).collect();
    bench.start();
    bench.send(&traffic().judged[400..600]);
    bench.stop();
    let judged: usize = bench.verdicts().values().map(Vec::len).sum();
    assert_eq!(judged, 600);
    assert!((0..PARTITIONS).all(|n| bench.committed(n) > committed[n as usize]));
    for records in bench.all(&bench.settings.topics.state).into_values() {
        let newest: BTreeMap<_, _> = records.into_iter().map(|record| (record.key.clone(), record)).collect();
        assert!(newest.values().all(|record| record.value.is_none() || record.header("weir-state").is_some()));
    }
}

fn unreadable(record: Record) -> Option<Output> {
    let value = record.value.map(|_| bytes::Bytes::from_static(b"\xff\xff\xff"));
    Some(Output { topic: record.at.topic, partition: Some(record.at.partition), key: Some(record.key?), value, headers: Vec::new() })
}

#[test]
fn an_older_pointer_does_not_turn_the_model_back() {
    let mut bench = Bench::new(CALM);
    bench.publish("v2", 9);
    bench.start();
    bench.send(&traffic().judged[..100]);
    bench.stop();
    // The scorer that starts now sees 9 and then 3 again.
    bench.publish("v1", 3);
    bench.start();
    bench.send(&traffic().judged[100..200]);
    bench.stop();
    let models: BTreeSet<_> =
        bench.verdicts().values().flatten().map(|v| serde_json::from_str::<engine::Verdict>(v).unwrap().model).collect();
    assert_eq!(models, BTreeSet::from([Some("v2".to_owned())]));
}

#[test]
fn a_scorer_that_has_nothing_to_judge_says_which_model_it_judges_by() {
    let mut bench = Bench::new(CALM);
    bench.settings.clock = Arc::new(runtime::clock::now_ms);
    bench.start();
    let said = |bench: &Bench| {
        let statuses = bench.all(&bench.settings.topics.status);
        let status = |record: &Record| serde_json::from_slice::<ScorerStatus>(record.value.as_deref().unwrap()).ok();
        statuses.values().flatten().filter_map(status).next_back().and_then(|status| status.model)
    };
    for (label, counter) in [("v1", 1), ("v2", 2), ("v1", 3)] {
        bench.publish(label, counter);
        let until = Instant::now() + Duration::from_secs(20);
        while said(&bench).as_deref() != Some(label) {
            assert!(Instant::now() < until, "it says {:?}, not {label}", said(&bench));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    bench.stop();
}
