//! Endpoints that one caller calls: judged by its habits, and new to everybody else.

use super::{Call, Judge, assert_blamed, learned};
use engine::record::Label;
use engine::{Family, Model};
use std::sync::Arc;

const PROVIDER: &str = "198.51.100.40";

/// A webhook call of the payment provider.
fn hook(at: i64, n: u64) -> Call {
    let signature = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c54_2d69_1b35);
    Call::new(at, "provider", "POST", "/hooks/payments")
        .from(PROVIDER, "Provider-Hooks/1.2")
        .header("x-signature", &format!("{signature:032x}"))
        .sends(&format!(r#"{{"type":"{}","amount":{}}}"#, ["payment.paid", "payment.failed"][n as usize % 2], 100 + n * 37 % 9_000))
}

/// A customer's call.
fn call(at: i64, customer: usize, method: &'static str, path: &str) -> Call {
    Call::new(at, &format!("customer{customer}"), method, path)
        .from(&format!("203.0.{}.9", customer % 200), "shop-app (Android)")
        .header("authorization", "Bearer abc")
}

fn customer(at: i64, n: usize) -> Call {
    let paths = ["/v2/products", "/v2/cart", "/v2/me", "/v2/orders", "/v2/messages", "/v2/wishes", "/v2/categories"];
    match n % 8 {
        7 => call(at, n % 150, "POST", "/v2/orders").sends(&format!(r#"{{"sku":"s-{}","qty":{}}}"#, n * 7 % 90, n % 5 + 1)),
        which => call(at, n % 150, "GET", paths[which]),
    }
}

/// Calls of 150 customers, and the one provider's.
fn model() -> Arc<Model> {
    let mut calls: Vec<Call> = (0..6_000).map(|n| customer(n * 5_000, n as usize)).collect();
    calls.extend((0..2).map(|n| call(n * 1_000_000 + 7, 11, "POST", "/v2/password-reset").sends(r#"{"email":"a@mail.example"}"#)));
    calls.extend((0..300).map(|n| hook(n * 100_000 + 5, n as u64)));
    calls.sort_by_key(|call| call.at);
    learned(&calls)
}

#[test]
fn a_webhook_is_judged_by_what_its_one_caller_does() {
    let model = model();
    let mut judge = Judge::new(&model);
    let at = 40_000_000;
    for n in 0..60 {
        let verdict = judge.judge(&hook(at + n * 100_000, 5_000 + n as u64));
        assert_eq!(verdict.label, Label::Benign, "{verdict:#?}");
    }
    let replayed = Call { session: "thief".to_owned(), ..hook(at + 7_000_000, 5_003).from("192.0.2.77", "Provider-Hooks/1.2") };
    assert_blamed(&judge.judge(&replayed), Family::Replay, "request.headers.x-signature");
    let odd = hook(at + 7_100_000, 6_000).sends(r#"{"type":"payment.paid' OR 1=1 -- ","amount":5}"#);
    assert_blamed(&judge.judge(&odd), Family::Injection, "request.body.type");
}

#[test]
fn a_second_caller_of_a_webhook_is_told() {
    let model = model();
    let mut judge = Judge::new(&model);
    let other = Call { session: "other".to_owned(), ..hook(40_000_000, 7_000).from("192.0.2.77", "Provider-Hooks/1.2") };
    let verdict = judge.judge(&other);
    let told = verdict.reasons.iter().any(|r| r.observed == "called by another than the only caller that it ever had");
    assert!(told, "{verdict:#?}");
}

#[test]
fn a_flood_at_an_endpoint_that_is_little_known_is_seen() {
    let model = model();
    let mut judge = Judge::new(&model);
    let mut reset =
        |n: i64| judge.judge(&call(40_000_000 + n * 500, 12, "POST", "/v2/password-reset").sends(r#"{"email":"a@mail.example"}"#));
    assert_eq!(reset(0).label, Label::Benign);
    let last = (1..80).map(&mut reset).last().expect("a verdict");
    assert_eq!(last.label, Label::Anomalous, "{last:#?}");
    assert_blamed(&last, Family::AccountTakeover, "session");
}

#[test]
fn what_stands_where_nothing_stood_is_odder_than_a_new_endpoint() {
    let model = model();
    let mut judge = Judge::new(&model);
    let mut p = |path| judge.judge(&call(40_000_000, 3, "GET", path)).p;
    let (new, elsewhere, old) = (p("/v2/loyalty"), p("/internal/metrics"), p("/v1/orders"));
    assert!(old < new / 2.0 && elsewhere < new / 2.0, "{old} {elsewhere} {new}");
}
