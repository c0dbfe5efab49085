//! Steps of sessions: as odd as they are rare where they came from.

use super::{Call, Judge, learned};
use engine::record::Label;
use engine::{ApiName, Effect, Stage};

const PAGES: [&str; 8] = ["/start", "/news", "/offers", "/shops", "/pictures", "/prices", "/sizes", "/colours"];

/// A visit of eight steps to anywhere, hardly ever to the next page of the list; it begins with one of the first four.
fn visit(n: usize) -> Vec<Call> {
    let at = n as i64 * 60_000;
    let mut number = n as u64;
    let mut any = |below: usize| {
        number = (number ^ (number >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x632b_e59b);
        (number >> 33) as usize % below
    };
    let mut page = any(4);
    let call = |step: usize, page: usize| {
        let at = at + step as i64 * 2_000;
        Call::new(at, &format!("v{n}"), "GET", PAGES[page]).from(&format!("203.0.{}.{}", n % 150, n % 7), "browser")
    };
    let mut calls = vec![call(0, page)];
    for step in 1..8 {
        let by = if any(200) == 0 { 1 } else { 2 + any(6) };
        page = (page + by) % PAGES.len();
        calls.push(call(step, page));
    }
    calls
}

#[test]
fn a_first_step_that_never_came_first_in_some_hundred_sessions_is_told_and_no_alert_by_itself() {
    let calls: Vec<Call> = (0..700).flat_map(visit).collect();
    let model = learned(&calls);
    let pictures = Call::new(90_000_000, "goes on after a night", "GET", PAGES[4]).from("203.0.7.3", "browser");
    let verdict = Judge::new(&model).judge(&pictures);
    assert!(verdict.reasons.iter().any(|r| r.observed == "this step as the first step of a session"), "{verdict:#?}");
    assert_eq!(verdict.label, Label::Benign, "{verdict:#?}");
}

/// A program of one of `partners` partners: it asks for stock all day, and for prices at night.
fn program(partner: usize, at: i64, path: &str) -> Call {
    Call::new(at, &format!("partner{partner}"), "GET", path).from(&format!("198.51.{partner}.7"), "sync/2.1")
}

#[test]
fn a_step_that_none_of_few_callers_ever_took_is_less_odd_than_one_that_none_of_many_did() {
    let p = |partners: usize| {
        let rounds = (0..2_400usize).map(|n| (n % partners, n as i64 * 20_000));
        let calls: Vec<Call> = rounds
            .flat_map(|(partner, at)| {
                let path = if at < 10_000_000 { "/prices" } else { "/stock" };
                [program(partner, at, path), program(partner, at + 4_000, "/orders")]
            })
            .collect();
        let mut judge = Judge::new(&learned(&calls));
        let now = 60_000_000;
        let verdicts = [(0, "/stock"), (3_000, "/prices")].map(|(wait, path)| judge.judge(&program(1, now + wait, path)));
        verdicts[1].reasons.iter().filter(|r| r.observed.starts_with("this step")).map(|r| r.p).fold(1.0, f64::min)
    };
    let (few, many) = (p(3), p(60));
    assert!(few > 0.01 && many < 1e-3, "{few} {many}");
}

/// A visit that puts something into the cart before it pays.
fn purchase(n: usize, at: i64) -> [Call; 3] {
    let call = |step: i64, method, path| {
        Call::new(at + step * 4_000, &format!("b{n}"), method, path).from(&format!("203.0.{}.{}", n % 150, n % 7), "browser")
    };
    [call(0, "GET", "/goods"), call(1, "POST", "/cart"), call(2, "POST", "/payment")]
}

#[test]
fn a_session_that_began_before_there_was_a_model_is_not_said_to_have_skipped_a_step_and_a_later_one_is() {
    let model = learned(&(0..1_000).flat_map(|n| purchase(n, n as i64 * 60_000)).collect::<Vec<_>>());
    let says = |verdict: &engine::Verdict, what: &str| verdict.reasons.iter().any(|r| r.observed.starts_with(what));
    let now = 90_000_000;
    let mut judge = Judge::untaught(0);
    let api = ApiName::new("api.example");
    judge
        .partition
        .apply(Effect::Stages { hosts: [("api.example".to_owned(), api.clone())].into(), stages: [(api, Stage::Training)].into() });
    let [look, put, pay] = purchase(1_001, now);
    for call in [&look, &put] {
        assert_eq!(judge.judge(call).label, Label::Insufficient);
    }
    judge.learn(&model);
    let paid = judge.judge(&pay);
    assert!(!says(&paid, "reached without") && !says(&paid, "this step as the first"), "{paid:#?}");
    let [.., skipped] = purchase(1_002, now + 1_700_000);
    assert!(!says(&judge.judge(&skipped), "reached without"));
    let [.., skipped] = purchase(1_003, now + 3_700_000);
    let skipped = judge.judge(&skipped);
    assert!(says(&skipped, "reached without POST api.example/cart"), "{skipped:#?}");
}
