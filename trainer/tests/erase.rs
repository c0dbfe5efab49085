//! Forgetting a session: it is found in what a trainer wrote, once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are not in #[test] functions")]

mod common;

use common::{Bench, exchanges};
use runtime::erase::Traces;

#[test]
fn a_session_is_found_in_the_history_and_forgotten_once() {
    let mut bench = Bench::new(0);
    let all = exchanges(400);
    bench.start();
    bench.send(&all);
    bench.wait_for_history(all.len());
    bench.stop();
    let erase = |who: &str| trainer::erase(&*bench.log, &bench.settings.topics, &Traces::of(who).unwrap()).unwrap();
    let who = all[100].session.as_deref().unwrap();
    assert_eq!(erase(who), 1);
    assert_eq!(erase(who), 0);
    assert_eq!(erase("nobody of this name"), 0);
    assert_eq!(bench.remembered(), all.len() + 1, "one tombstone");
}
