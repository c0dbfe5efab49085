//! What one caller did while a model was learned is not learned; what several from several networks did is.

use crate::traffic::{judging, learned, position};
use engine::record::{Client, Exchange, Headers, Request, Response, Text, Verdict};
use engine::{Family, Model};
use std::sync::Arc;

const HOST: &str = "api.orders.example";

/// A request of the n-th caller, at a time.
fn order(caller: usize, at: usize, body: String) -> Exchange<'static> {
    let mut headers = Headers::new();
    headers.push("content-type", "application/json");
    let request = Request { headers: Some(headers), body: Some(Text::from(body)), ..Request::default() };
    Exchange {
        time: Some(1_767_700_000_000 + at as i64 * 2_000),
        method: "POST".into(),
        path: Text::from("/v1/orders"),
        host: Some(HOST.into()),
        client: Client { ip: Some(Text::from(format!("203.0.{}.9", caller % 200))), user_agent: Some("okhttp/4.12.0".into()) },
        session: Some(Text::from(format!("caller-{caller}"))),
        request,
        response: Response { status: Some(201), ..Response::default() },
        ..Exchange::default()
    }
}

fn plain(n: usize) -> String {
    format!(r#"{{"sku":"s-{}","qty":{}}}"#, n * 7 % 900, n % 5 + 1)
}

fn with_role(n: usize) -> String {
    format!(r#"{{"sku":"s-{}","qty":{},"is_admin":true}}"#, n * 7 % 900, n % 5 + 1)
}

/// Orders of 120 callers, and of some more that try to be administrators.
fn model(attackers: usize) -> Arc<Model> {
    let orders = (0..3_000).map(|n| order(n % 120, n, plain(n)));
    let attempts = (0..attackers * 3).map(|n| order(150 + n % attackers, 200 + n * 150, with_role(n)));
    Arc::new(learned(&orders.chain(attempts).collect::<Vec<_>>(), "v1"))
}

fn judged(model: &Arc<Model>) -> Verdict {
    judging(model).judge(position(0), &order(7, 3_100, with_role(1))).verdict
}

#[test]
fn what_one_caller_did_is_not_learned() {
    let (clean, poisoned) = (model(0), model(1));
    assert_eq!((set_aside(&clean), set_aside(&poisoned)), (0, 3));
    let (before, after) = (judged(&clean), judged(&poisoned));
    assert!(after.families.contains(&Family::MassAssignment), "{after:#?}");
    assert_eq!(after.p, before.p);
}

/// An order that is answered with so many records.
fn answered(records: usize, order: Exchange<'static>) -> Exchange<'static> {
    let mut headers = Headers::new();
    headers.push("content-type", "application/json");
    let all: Vec<String> = (0..records).map(|n| format!(r#"{{"id":{n},"state":"open"}}"#)).collect();
    let body = Some(Text::from(format!("[{}]", all.join(","))));
    Exchange { response: Response { headers: Some(headers), body, ..order.response }, ..order }
}

/// Orders of 120 callers, answered with one to eight records, and exports of one caller more.
fn exported(times: usize, attempts: usize) -> Arc<Model> {
    let orders = (0..3_000).map(|n| answered(n * 5 % 8 + 1, order(n % 120, n, plain(n))));
    let exports = (0..times).map(|n| answered(3_000 + n, order(150, 400 + n * 9, plain(n))));
    let attempts = (0..attempts).map(|n| order(151, 200 + n * 9, with_role(n)));
    Arc::new(learned(&orders.chain(exports).chain(attempts).collect::<Vec<_>>(), "v1"))
}

fn set_aside(model: &Arc<Model>) -> u64 {
    model.summary()[HOST]["set_aside"].as_u64().expect("a number")
}

#[test]
fn an_export_by_one_caller_is_not_what_answers_are_like() {
    let p = |model: &Arc<Model>| judging(model).judge(position(0), &answered(2_500, order(7, 3_100, plain(1)))).verdict.p;
    let (clean, poisoned) = (exported(0, 0), exported(1, 0));
    assert_eq!((set_aside(&clean), set_aside(&poisoned)), (0, 1));
    assert!(p(&clean) < 1e-3 && p(&clean) == p(&poisoned), "{} {}", p(&clean), p(&poisoned));
}

#[test]
fn little_is_set_aside_however_often_it_is_looked_for() {
    assert_eq!((set_aside(&exported(40, 0)), set_aside(&exported(0, 40)), set_aside(&exported(40, 40))), (40, 40, 40));
}

#[test]
fn what_several_from_several_networks_did_is_learned() {
    let several = judged(&model(8));
    assert!(several.reasons.iter().all(|reason| reason.family != Family::MassAssignment), "{several:#?}");
}
