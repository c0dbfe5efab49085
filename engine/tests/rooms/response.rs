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

/// Staff that lists so many customers, a page at a time.
fn list(at: i64, staff: usize, customers: usize) -> Call {
    let one = |n: usize| format!(r#"{{"id":{n},"email":"customer{n}@mail.example"}}"#);
    let answer = format!(r#"{{"customers":[{}]}}"#, (0..customers).map(one).collect::<Vec<_>>().join(","));
    Call::new(at, &format!("staff{staff}"), "GET", "/customers").answered(200, &answer)
}

#[test]
fn what_a_little_known_endpoint_gave_two_callers_is_no_excess_and_ten_times_as_much_is() {
    let read = |n: usize| {
        let friends = ["", r#""a@mail.example""#, r#""a@mail.example","b@mail.example""#][n % 3];
        let call = Call::new(n as i64 * 12_500, &format!("c{}", n % 300), "GET", "/points");
        call.answered(200, &format!(r#"{{"points":7,"friends":[{friends}]}}"#))
    };
    for staff in [1, 3] {
        let lists = (0..32).map(|n| list(n as i64 * 900_000, n % staff, 25));
        let mut calls: Vec<Call> = (0..6_000).map(read).chain(lists).collect();
        calls.sort_by_key(|call| call.at);
        let model = learned(&calls);
        let given = |customers| Judge::new(&model).judge(&list(DAY, 7, customers));
        if staff > 1 {
            assert!(p_of(&given(25), Family::ExcessiveData) > 1e-3, "{:#?}", given(25));
        }
        assert_blamed(&given(250), Family::ExcessiveData, "response.body");
    }
}
