//! Counts: a few people turn many pages, nobody hundreds.

use super::{Call, Judge, learned, p_of};
use engine::record::Label;
use engine::{Family, Model};
use std::sync::{Arc, LazyLock};

/// So many pages of a catalogue, one every ten seconds, or as fast as `every` milliseconds.
fn pages(session: &str, at: i64, pages: usize, every: i64) -> Vec<Call> {
    let ip = format!("203.0.{}.9", session.len() * 31 % 200);
    (0..pages as i64).map(|n| Call::new(at + n * every, session, "GET", "/catalogue").from(&ip, "browser")).collect()
}

/// 600 sessions, most of one to four pages. Some turn five at once; four turn 30.
static CATALOGUE: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let visit = |n: usize| {
        let (many, every) = match n {
            _ if n % 150 == 7 => (30, 10_000),
            _ if n % 60 == 9 => (5, 2_000),
            _ => ([1, 1, 2, 1, 2, 1, 3, 2, 1, 4][n % 10], [10_000, 6_000][n % 2]),
        };
        pages(&format!("s{n}"), n as i64 * 400_000, many, every)
    };
    let mut calls: Vec<Call> = (0..600).flat_map(visit).collect();
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

#[test]
fn a_crowd_that_is_ten_times_as_large_and_twice_as_fast_is_benign_and_one_who_is_five_times_as_fast_as_anybody_is_told_in_ten_seconds() {
    let start = 300_000_000;
    let mut crowd: Vec<Call> =
        (0..240).flat_map(|n| pages(&format!("crowd{n}"), start + n as i64 * 700, [2, 2, 4, 2, 4, 2, 6, 4, 2, 8][n % 10], 4_000)).collect();
    let fast = start + 120_000;
    crowd.extend(pages("individual", fast, 40, 400));
    crowd.sort_by_key(|call| call.at);
    let mut judge = Judge::new(&CATALOGUE);
    let odd: Vec<&Call> = crowd.iter().filter(|call| judge.judge(call).label == Label::Anomalous).collect();
    assert!(odd.iter().all(|call| call.session == "individual"), "{odd:#?}");
    let first = odd.first().map(|call| call.at - fast);
    assert!(first.is_some_and(|ms| ms <= 10_000), "{first:?}");
}

#[test]
fn many_programs_at_once_are_no_crowd_that_hides_each_of_them() {
    let mut calls: Vec<Call> = (0..60).flat_map(|n| pages(&format!("bot{n}"), 300_000_000 + n as i64 * 50, 200, 250)).collect();
    calls.sort_by_key(|call| call.at);
    let mut judge = Judge::new(&CATALOGUE);
    let told = calls.iter().filter(|call| judge.judge(call).label == Label::Anomalous).count();
    assert!(told * 2 > calls.len(), "{told} of {}", calls.len());
}
