//! What succeeds for the first time: forgotten endpoints, and what people do seldom.

use super::facts::Several;
use super::{Call, Judge, learned, p_of};
use engine::{Family, Model};
use std::sync::{Arc, LazyLock};

const LATER: i64 = 50_000_000;
const PATHS: [&str; 6] = ["/shop/products", "/shop/cart", "/shop/me", "/shop/orders", "/shop/messages", "/shop/wishes"];
const OFFICE: &str = "198.51.100.20";

fn call(at: i64, who: usize, method: &'static str, path: &str) -> Call {
    Call::new(at, &format!("s{who}-{}", at / 3_600_000), method, path)
        .from(&format!("203.0.{}.9", who % 200), "shop-app (Android)")
        .header("authorization", "Bearer abc")
        .of(&format!("customer{who}"))
}

/// Somebody of the staff, all behind one address.
fn staff(at: i64, who: usize, method: &'static str, path: &str) -> Call {
    let call = call(at, who, method, path).from(OFFICE, "Mozilla/5.0 (Windows NT 10.0)").of(&format!("clerk{who}"));
    Call { session: format!("clerk{who}-{}", at / 3_600_000), ..call }
}

static SHOP: LazyLock<Arc<Model>> = LazyLock::new(|| shop(4));

/// A day of 150 customers and some clerks. Ten customers could not cancel an order, one asked for an archive in vain.
fn shop(clerks: usize) -> Arc<Model> {
    let mut calls: Vec<Call> =
        (0..6_000).map(|n| call(n * 5_000, n as usize % 150, "GET", PATHS[n as usize / 150 % PATHS.len()])).collect();
    calls.extend(
        (0..600).map(|n| staff(n * 50_000 + 3, n as usize % clerks, "GET", ["/admin/users", "/admin/reviews"][n as usize / clerks % 2])),
    );
    let refused = |n: i64, who, path: &str| call(n * 2_000_000 + 7, who, "POST", path).answered(409, r#"{"error":"too late"}"#);
    calls.extend((0..10).map(|n| refused(n, n as usize * 7, "/shop/cancellation")));
    calls.extend((0..10).map(|n| refused(n, 11, "/shop/archive")));
    calls.sort_by_key(|call| call.at);
    learned(&calls)
}

#[test]
fn what_two_of_the_staff_do_all_day_is_learned() {
    for clerks in 1..=3 {
        let model = shop(clerks);
        assert_eq!(model.set_aside(), 0, "of {clerks}");
        let verdict = Judge::new(&model).judge(&staff(LATER, 0, "GET", "/admin/users"));
        assert!(verdict.p > 1e-3, "{verdict:#?}");
    }
}

fn p(call: &Call) -> f64 {
    p_of(&Judge::new(&SHOP).judge(call), Family::ImproperAsset)
}

#[test]
fn what_several_were_refused_for_what_they_asked_is_there_and_what_one_was_refused_is_not_known() {
    assert!(p(&call(LATER, 20, "POST", "/shop/cancellation")) > 0.5);
    assert!(p(&call(LATER, 20, "POST", "/shop/archive")) < 1e-3);
}

/// A day of an API of which version 2 is in use, and of callers who tried something else.
fn versioned(tried: impl Iterator<Item = Call>) -> Arc<Model> {
    let own = (0..6_000).map(|n| {
        let path = format!("/v2{}", PATHS[n as usize / 150 % PATHS.len()]);
        call(n * 5_000, n as usize % 150, "GET", &path)
    });
    let mut calls: Vec<Call> = own.chain(tried).collect();
    calls.sort_by_key(|call| call.at);
    learned(&calls)
}

#[test]
fn an_endpoint_of_an_older_version_that_one_tried_is_no_more_known_than_before_and_one_of_the_version_in_use_is() {
    let p = |version: &str, callers: usize, from: i64| {
        let tried = (0..4 * callers).map(|n| call(from + n as i64 * 1_000_000, 500 + n % callers, "GET", &format!("/{version}/archive")));
        p_of(&Judge::new(&versioned(tried)).judge(&call(LATER, 20, "GET", &format!("/{version}/archive"))), Family::ImproperAsset)
    };
    let (early, late) = (11, 26_000_011);
    assert!(p("v1", 1, early) < 1e-3 && p("v1", 2, early) > 0.01 && p("v2", 1, early) > 0.01);
    // Not even where it is counted how often new endpoints come.
    assert!(p("v1", 1, late) < 1e-3 && p("v1", 1, late) < 1.5 * p("v1", 1, early), "{} {}", p("v1", 1, late), p("v1", 1, early));
}

#[test]
fn what_is_of_an_older_version_is_no_release_however_many_find_it() {
    let model = versioned(std::iter::empty());
    let told = |version: &str| {
        let mut judge = Judge::new(&model);
        let verdicts = (0..12).map(|n| judge.judge(&call(LATER + n as i64 * 1_000, n + 3, "GET", &format!("/{version}/archive"))));
        verdicts.filter(|verdict| p_of(verdict, Family::ImproperAsset) < 1e-2).count()
    };
    assert_eq!((told("v1"), told("v2")), (12, 2));
}

#[test]
fn a_new_function_is_less_odd_for_those_who_are_at_home_there() {
    let [clerk, customer] = [staff(LATER, 2, "DELETE", "/admin/reviews"), call(LATER, 20, "DELETE", "/admin/reviews")].map(|c| p(&c));
    assert!(customer < 1e-4 && clerk > 3.0 * customer, "{clerk} {customer}");
    // A customer is no more at home at what all call than anybody.
    let [known, unknown] = [20, 999].map(|who| p(&call(LATER, who, "GET", "/shop/archive/all")));
    assert!((known / unknown - 1.0).abs() < 0.01, "{known} {unknown}");
}

#[test]
fn what_a_release_brings_is_told_twice_in_all_partitions_together() {
    let told = |has_stage: bool| {
        let mut several = Several::new(&SHOP, 6, has_stage);
        let verdicts = (0..36).map(|n| several.judge(n % 6, &call(LATER + n as i64 * 1_000, n + 3, "GET", "/shop/loyalty")));
        verdicts.filter(|verdict| p_of(verdict, Family::ImproperAsset) < 1e-3).count()
    };
    assert_eq!((told(false), told(true)), (12, 2));
}

#[test]
fn who_invents_fields_without_end_makes_few_facts() {
    let mut judge = Judge::new(&SHOP);
    let facts = |judge: &mut Judge, n: i64| {
        let fields: Vec<String> = (0..40).map(|k| format!("\"f{n}x{k}\":1")).collect();
        let call = Call { session: "inventor".to_owned(), ..call(LATER + n * 100, 20, "POST", "/shop/cancellation") };
        judge.judged(&call.sends(&format!("{{{}}}", fields.join(",")))).facts.len()
    };
    let made: Vec<usize> = (0..50).map(|n| facts(&mut judge, n)).collect();
    assert!(made.iter().all(|n| *n <= 8) && made.iter().sum::<usize>() <= 32, "{made:?}");
}

/// Somebody who is not logged in.
fn guest(at: i64, who: usize, path: &str) -> Call {
    let ip = format!("203.0.{}.9", who % 200);
    Call::new(at, &format!("g{who}-{}", at / 3_600_000), "GET", path).from(&ip, "shop-app (Android)")
}

#[test]
fn without_a_credential_an_open_place_is_as_odd_as_its_callers_are_many_and_a_closed_one_as_its_calls_are() {
    // Customers look at sizes, so many of 150 and always as often; fifty guests read news.
    let p = |callers: usize, sizes: &str| {
        let mut calls: Vec<Call> = (0..4_000).map(|n| call(n * 7_000, n as usize % 150, "GET", PATHS[n as usize / 150 % 6])).collect();
        calls.extend((0..2_000).map(|n| call(n * 14_000 + 1, n as usize % callers, "GET", sizes)));
        calls.extend((0..2_000).map(|n| guest(n * 14_000 + 2, n as usize % 50 + 150, "/help/news")));
        calls.sort_by_key(|call| call.at);
        let verdict = Judge::new(&learned(&calls)).judge(&guest(LATER, 999, sizes));
        verdict.reasons.iter().find(|r| r.observed.ends_with("without a credential")).map_or(1.0, |r| r.p)
    };
    let (few, many) = (p(30, "/help/sizes"), p(150, "/help/sizes"));
    assert!(many < 1e-3 && few > 3.0 * many, "{few} {many}");
    assert!(p(6, "/staff/sizes") < many, "{many}");
}
