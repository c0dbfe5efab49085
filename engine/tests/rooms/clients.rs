//! What clients say of themselves.

use super::{Call, Judge, assert_blamed, learned, p_of};
use engine::{Family, Label};

fn look(n: usize, at: i64, accept: &str) -> Call {
    Call::new(at, &format!("c{n}"), "GET", "/goods").from(&format!("203.0.{}.9", n % 200), "shop-app/1.0").header("accept", accept)
}

#[test]
fn a_client_that_takes_anything_is_a_new_one_and_code_where_it_says_what_it_takes_is_an_injection() {
    let model = learned(&(0..3_000).map(|n| look(n, n as i64 * 20_000, "application/json")).collect::<Vec<_>>());
    let mut judge = Judge::new(&model);
    for (n, accept) in ["*/*", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"].into_iter().enumerate() {
        let verdict = judge.judge(&look(5_000 + n, 90_000_000, accept));
        assert!(verdict.label == Label::Benign && p_of(&verdict, Family::Injection) > 1e-3, "{verdict:#?}");
    }
    let code = judge.judge(&look(5_010, 90_000_000, "application/json' OR '1'='1"));
    assert_blamed(&code, Family::Injection, "request.headers.accept");
    assert_eq!(code.label, Label::Anomalous);
}
