//! Counts: a few people turn many pages, nobody hundreds.

use super::{Call, Judge, learned, p_of};
use engine::{Family, Model};
use std::sync::{Arc, LazyLock};

/// So many pages of a catalogue, one every ten seconds, or as fast as `every` milliseconds.
fn pages(session: &str, at: i64, pages: usize, every: i64) -> Vec<Call> {
    let ip = format!("203.0.{}.9", session.len() * 31 % 200);
    (0..pages as i64).map(|n| Call::new(at + n * every, session, "GET", "/catalogue").from(&ip, "browser")).collect()
}

/// 600 sessions, most of one to four pages. Four of them turn 30.
static CATALOGUE: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let many = |n: usize| if n % 150 == 7 { 30 } else { [1, 1, 2, 1, 2, 1, 3, 2, 1, 4][n % 10] };
    let mut calls: Vec<Call> = (0..600).flat_map(|n| pages(&format!("s{n}"), n as i64 * 400_000, many(n), 10_000)).collect();
    calls.sort_by_key(|call| call.at);
    learned(&calls)
});

#[test]
fn who_turns_a_few_pages_more_than_anybody_is_odd_and_who_reads_them_all_is_an_attack() {
    let least = |count: usize, every: i64| {
        let mut judge = Judge::new(&CATALOGUE);
        pages("reader", 300_000_000, count, every).iter().map(|call| p_of(&judge.judge(call), Family::Volume)).fold(1.0, f64::min)
    };
    let (reader, scraper) = (least(38, 10_000), least(400, 500));
    assert!(reader > 1e-4 && reader < 1e-2, "{reader}");
    assert!(scraper < 1e-6, "{scraper}");
}
