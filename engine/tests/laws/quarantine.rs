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
    let set_aside = |model: &Arc<Model>| model.summary()[HOST]["set_aside"].clone();
    assert_eq!((set_aside(&clean), set_aside(&poisoned)), (0.into(), 3.into()));
    let (before, after) = (judged(&clean), judged(&poisoned));
    assert!(after.families.contains(&Family::MassAssignment), "{after:#?}");
    assert_eq!(after.p, before.p);
}

#[test]
fn what_several_from_several_networks_did_is_learned() {
    let several = judged(&model(8));
    assert!(several.reasons.iter().all(|reason| reason.family != Family::MassAssignment), "{several:#?}");
}
