//! Steps of sessions: as odd as they are rare where they came from.

use super::{Call, Judge, learned};
use engine::record::Label;

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
