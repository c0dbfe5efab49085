//! Answers: what they hold that none held before.

use super::{Call, Judge, assert_blamed, learned, p_of};
use engine::{Family, Label, Model};
use std::sync::{Arc, LazyLock};

const DAY: i64 = 86_400_000;

fn card(at: i64, customer: usize) -> Call {
    Call::new(at, &format!("c{customer}"), "POST", "/graphql")
        .sends(r#"{"operationName":"Card","query":"query Card { card { id points } }"}"#)
        .answered(200, &format!(r#"{{"data":{{"card":{{"id":{customer},"points":{}}}}}}}"#, customer % 500))
}

static SHOP: LazyLock<Arc<Model>> =
    LazyLock::new(|| learned(&(0..1_500usize).map(|n| card(n as i64 * 50_000, n % 300)).collect::<Vec<_>>()));

#[test]
fn an_error_as_graphql_defines_it_is_no_news_and_what_a_server_tells_with_it_is() {
    let mut judge = Judge::new(&SHOP);
    let error = r#"{"data":null,"errors":[{"message":"no card","locations":[{"line":1,"column":9}],"path":["card",0],"extensions":{"code":"GONE"}}]}"#;
    let failed = judge.judge(&card(DAY, 7).answered(200, error));
    assert!(failed.label == Label::Benign && !failed.reasons.iter().any(|r| r.place.starts_with("response.body.")), "{failed:#?}");
    let stack = r#"{"data":null,"errors":[{"message":"no card","extensions":{"exception":{"stacktrace":["at Card.find (card.js:7)"]}}}]}"#;
    assert_blamed(
        &judge.judge(&card(DAY + 60_000, 8).answered(200, stack)),
        Family::ExcessiveData,
        "response.body.errors[].extensions.exception",
    );
    let more = r#"{"data":{"card":{"id":9,"points":3,"iban":"DE89370400440532013000"}}}"#;
    assert_blamed(&judge.judge(&card(DAY + 120_000, 9).answered(200, more)), Family::ExcessiveData, "response.body.data.card.iban");
}

#[test]
fn what_two_callers_of_a_little_known_endpoint_were_given_is_no_excess_and_more_is() {
    let list = |at: i64, clerk: usize, customers: usize| {
        let mails: Vec<String> = (0..customers).map(|n| format!(r#"{{"mail":"customer{}@mail.example"}}"#, n * 7 + clerk)).collect();
        Call::new(at, &format!("clerk{clerk}-{}", at / 3_600_000), "GET", "/admin/customers")
            .from(&format!("198.51.100.{clerk}"), "browser")
            .answered(200, &format!(r#"{{"customers":[{}]}}"#, mails.join(",")))
    };
    let read = |n: usize| Call { method: "GET", path: "/points".to_owned(), body: String::new(), ..card(n as i64 * 50_000 + 9, n % 300) };
    let mut calls: Vec<Call> = (0..1_500usize).map(|n| card(n as i64 * 50_000, n % 300)).chain((0..1_500).map(read)).collect();
    calls.extend((0..30usize).map(|n| list(n as i64 * 2_000_000, n % 3, 25)));
    calls.sort_by_key(|call| call.at);
    let model = learned(&calls);
    let excess = |customers| p_of(&Judge::new(&model).judge(&list(DAY, 1, customers)), Family::ExcessiveData);
    let (usual, more) = (excess(25), excess(400));
    assert!(usual > 0.1 && more < 1e-3, "{usual} {more}");
}
