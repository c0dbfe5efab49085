//! Facts of several partitions become notes, and notes become verdicts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

mod common;

use common::{Bench, PARTITIONS, Plan, traffic};
use runtime::log::partitioner::partition_of;
use runtime::shutdown::Shutdown;
use std::sync::Arc;

/// Refused log-ins on one account that each partition bears without blaming anybody.
const BORNE: usize = 8;
/// Accounts that are attacked, one after the other.
const ROUNDS: usize = 4;

/// A refused log-in on an account: from an address and a session of its own, which falls into a partition.
fn attempt(account: usize, n: usize, partition: u32) -> (String, Vec<u8>) {
    let mut sessions = (0..).map(|i| format!("session-{account}-{n}-{i}"));
    let session = sessions.find(|session| partition_of(session.as_bytes(), PARTITIONS) == partition).unwrap();
    let exchange = serde_json::json!({
        "time": format!("2026-03-01T{:02}:{:02}:00Z", account, n),
        "method": "POST",
        "host": "api.shop.example",
        "path": "/v2/auth/login",
        "session": session,
        "client": {"ip": format!("198.51.{n}.{account}"), "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"},
        "request": {
            "headers": {"content-type": "application/json"},
            "body": format!("{{\"email\":\"ada.lovelace{account}@example.org\",\"password\":\"guess-{n:04}\"}}"),
        },
        "response": {"status": 401, "body": "{\"error\":\"invalid_credentials\"}"},
    });
    (session, serde_json::to_vec(&exchange).unwrap())
}

/// In how many rounds the last attempt on an account is blamed for what is known of the account.
fn blamed(has_stage: bool, abort_every: u64) -> usize {
    let mut bench = Bench::new(Plan { workers: 2, abort_every, checkpoint: 1_000_000_000 });
    bench.publish("v1", 1);
    let shutdown = Shutdown::new();
    let stage = has_stage.then(|| {
        let (settings, log, shutdown) = (bench.settings.clone(), Arc::clone(&bench.log), shutdown.clone());
        std::thread::spawn(move || scorer::run_fact_stage(&settings, &log, &shutdown))
    });
    bench.start();
    bench.send(&traffic().judged[..40]);
    let mut blamed = 0;
    let last = PARTITIONS - 1;
    let others = traffic().judged.iter().filter(|(session, _)| partition_of(session.as_bytes(), PARTITIONS) == last);
    let mut others = others.cloned();
    for account in 0..ROUNDS {
        let all = BORNE * PARTITIONS as usize;
        let attempts: Vec<_> = (0..all - 1).map(|n| attempt(account, n, n as u32 % PARTITIONS)).collect();
        bench.send(&attempts);
        if has_stage {
            bench.facts_are_gathered();
            // Notes are taken with the next record after they have come.
            while bench.notes_taken(last) < bench.notes(last) {
                bench.send(&[others.next().expect("a note comes while other traffic lasts")]);
            }
        }
        let verdicts = bench.send(&[attempt(account, all - 1, last)]);
        let verdict: engine::Verdict = serde_json::from_slice(verdicts[0].value.as_deref().unwrap()).unwrap();
        blamed += usize::from(verdict.reasons.iter().any(|reason| reason.place == "account"));
    }
    bench.stop();
    shutdown.cancel();
    if let Some(stage) = stage {
        stage.join().unwrap().unwrap();
    }
    blamed
}

#[test]
fn an_account_under_attack_from_all_sides_is_seen_with_notes_alone_also_through_aborts() {
    assert_eq!(blamed(false, 0), 0);
    assert_eq!(blamed(true, 0), ROUNDS);
    assert_eq!(blamed(true, 5), ROUNDS);
}
