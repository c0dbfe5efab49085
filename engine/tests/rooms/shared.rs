//! Several people behind one address and one kind of client: before they say who they are, they are one session.

use super::{Call, Judge, assert_not_blamed, learned, p_of};
use engine::{Family, Model};
use std::sync::{Arc, LazyLock};

const DAY: i64 = 86_400_000;

/// A token of a customer, unlike any other.
fn token(kind: &str, customer: usize, number: usize) -> String {
    let digest = |salt: usize| (customer * 7_919 + number * 104_729 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) as u64;
    format!("{kind}_{:016x}{:016x}", digest(1), digest(2))
}

fn answer(customer: usize, number: usize) -> String {
    let [access, refresh] = ["at", "rt"].map(|kind| token(kind, customer, number));
    format!(r#"{{"access_token":"{access}","refresh_token":"{refresh}","user":{{"mail":"c{customer}@mail.example"}}}}"#)
}

fn log_in(at: i64, anonymous: &str, customer: usize) -> Call {
    Call::new(at, anonymous, "POST", "/auth/login")
        .sends(&format!(r#"{{"mail":"c{customer}@mail.example","password":"secret {customer}"}}"#))
        .answered(200, &answer(customer, 0))
}

fn refresh(at: i64, anonymous: &str, customer: usize) -> Call {
    Call::new(at, anonymous, "POST", "/auth/refresh")
        .sends(&format!(r#"{{"refresh_token":"{}"}}"#, token("rt", customer, 0)))
        .answered(200, &answer(customer, 1))
}

fn orders(at: i64, customer: usize, number: usize) -> Call {
    Call::new(at, &format!("customer{customer}-{number}"), "GET", "/orders")
        .header("authorization", &format!("Bearer {}", token("at", customer, number)))
        .answered(200, r#"{"orders":[]}"#)
}

/// Customers, each at a place of its own, who log in, look, come back with what they were given, and look again.
static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let visits = (0..600usize).flat_map(|customer| {
        let (at, home) = (customer as i64 * 60_000, format!("home{customer}"));
        let [ip, agent] = [format!("203.{}.{}.9", customer % 200, customer / 200), "shop-app/1.0 (Android)".to_owned()];
        let calls = [
            log_in(at, &home, customer),
            orders(at + 2_000, customer, 0),
            refresh(at + 900_000, &home, customer),
            orders(at + 902_000, customer, 1),
        ];
        calls.map(|call| call.from(&ip, &agent))
    });
    let mut calls: Vec<Call> = visits.collect();
    calls.sort_by_key(|call| call.at);
    learned(&calls)
});

#[test]
fn who_comes_back_behind_an_address_where_somebody_else_logged_in_is_no_thief() {
    let mut judge = Judge::new(&MODEL);
    let customers = [log_in(DAY, "home7001", 7_001), log_in(DAY + 60_000, "office", 7_002)];
    customers.iter().for_each(|call| assert_not_blamed(&judge.judge(call), Family::ObjectAccess));
    let back = judge.judge(&refresh(DAY + 960_000, "office", 7_001));
    assert!(p_of(&back, Family::ObjectAccess) > 0.01, "{back:#?}");
}
