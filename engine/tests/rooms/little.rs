//! Fields of which few values were seen: judged by what fields like them hold.

use super::{Call, Judge, assert_blamed, assert_not_blamed, learned};
use engine::record::Label;
use engine::{Family, Model, Verdict};
use std::sync::Arc;

const WORDS: [&str; 8] = ["good", "shoes", "would", "buy", "again", "rather", "small", "colour"];

fn from(call: Call, customer: usize) -> Call {
    call.from(&format!("203.0.{}.9", customer % 200), "shop-app (Android)").header("authorization", "Bearer abc")
}

/// A call of one of 150 customers: numbers in many fields, text in one.
fn customer(at: i64, n: usize) -> Call {
    let session = format!("customer{}", n % 150);
    let text: Vec<&str> = (0..n % 5 + 2).map(|k| WORDS[(n * 7 + k * 3 + n / 11) % 8]).collect();
    let call = match n % 4 {
        0 => Call::new(at, &session, "GET", &format!("/v2/products/{}", n * 7 % 900)),
        1 => Call::new(at, &session, "POST", "/v2/orders").sends(&format!(r#"{{"product":{},"pieces":{}}}"#, n * 7 % 900, n % 5 + 1)),
        2 => Call::new(at, &session, "POST", "/v2/points").sends(&format!(r#"{{"points":{}}}"#, n * 13 % 5_000)),
        _ => Call::new(at, &session, "POST", "/v2/reviews").sends(&format!(r#"{{"stars":{},"text":"{}"}}"#, n % 5 + 1, text.join(" "))),
    };
    from(call, n % 150)
}

/// A refund, which hardly anybody asks for.
fn refund(at: i64, n: usize, amount: &str) -> Call {
    from(Call::new(at, &format!("customer{}", n % 150), "POST", "/v2/refunds").sends(&format!(r#"{{"amount":{amount}}}"#)), n % 150)
}

fn model() -> Arc<Model> {
    let mut calls: Vec<Call> = (0..6_000).map(|n| customer(n * 5_000, n as usize)).collect();
    calls.extend((0..16).map(|n| refund(n * 1_700_000 + 5, n as usize * 7, &(n * 331 % 9_000).to_string())));
    calls.sort_by_key(|call| call.at);
    learned(&calls)
}

/// The verdict on a refund that a customer asks for after another call.
fn verdict_on(model: &Arc<Model>, n: usize, amount: &str) -> Verdict {
    let mut judge = Judge::new(model);
    judge.judge(&customer(40_000_000, n));
    judge.judge(&refund(40_006_000, n, amount))
}

#[test]
fn code_in_a_number_that_was_seen_sixteen_times_is_found_and_another_number_is_not() {
    let model = model();
    for (n, amount) in ["77", "12500", "19.90"].into_iter().enumerate() {
        let verdict = verdict_on(&model, n * 3 + 1, amount);
        assert_not_blamed(&verdict, Family::Injection);
        assert_eq!(verdict.label, Label::Benign, "{verdict:#?}");
    }
    for (n, amount) in [r#""77' or '1'='1""#, r#""77<script>alert(1)</script>""#, r#""77; cat /etc/passwd""#].into_iter().enumerate() {
        let verdict = verdict_on(&model, n * 3 + 1, amount);
        assert_blamed(&verdict, Family::Injection, "request.body.amount");
        assert_eq!(verdict.label, Label::Anomalous, "{verdict:#?}");
    }
}
