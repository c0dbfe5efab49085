//! Steps of sessions: as odd as they are rare where they came from, never odder.

use super::{Call, Judge, learned};
use engine::record::Label;

/// A visit: it begins with one of four pages, and looks at pictures after that.
fn visit(n: usize) -> Vec<Call> {
    let at = n as i64 * 60_000;
    let call = |step: i64, path: &str| {
        Call::new(at + step * 2_000, &format!("v{n}"), "GET", path).from(&format!("203.0.{}.{}", n % 150, n % 7), "browser")
    };
    let first = ["/start", "/news", "/offers", "/shops"][n % 4];
    vec![call(0, first), call(1, "/pictures"), call(2, &format!("/items/{}", n * 7 % 300)), call(3, "/pictures")]
}

#[test]
fn a_first_step_that_never_came_first_in_some_hundred_sessions_is_no_alert_by_itself() {
    let calls: Vec<Call> = (0..700).flat_map(visit).collect();
    let model = learned(&calls);
    let [_, mut picture, ..] = <[Call; 4]>::try_from(visit(10_000)).expect("four steps");
    picture.session = "browses on after a night".to_owned();
    let verdict = Judge::new(&model).judge(&picture);
    assert!(verdict.reasons.iter().any(|r| r.observed == "this step as the first step of a session"), "{verdict:#?}");
    assert_eq!(verdict.label, Label::Benign, "{verdict:#?}");
}
