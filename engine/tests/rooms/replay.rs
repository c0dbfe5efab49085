//! What never repeats, repeated; sessions continued from elsewhere.

use super::{Call, Judge, assert_blamed, assert_not_blamed, learned};
use engine::{Family, Model};
use std::sync::Arc;

fn update(at: i64, partner: usize, nonce: u64) -> Call {
    Call::new(at, &format!("partner{partner}"), "POST", "/stock/updates")
        .from(&format!("198.51.{partner}.7"), "Go-http-client/2.0")
        .header("x-nonce", &format!("{:032x}", u128::from(nonce).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c54_2d69_1b35)))
        .sends(&format!(r#"{{"sku":"HX-{}","quantity":{}}}"#, 1000 + nonce % 50, nonce % 9))
}

fn partners() -> Arc<Model> {
    let calls: Vec<Call> = (0..2_000).map(|i| update(i * 20_000, i as usize % 12, i as u64)).collect();
    learned(&calls)
}

#[test]
fn a_repeated_nonce_is_a_replay_and_a_retry_is_none() {
    let model = partners();
    let mut judge = Judge::new(&model);
    let at = 50_000_000;
    assert_not_blamed(&judge.judge(&update(at, 3, 9_001)), Family::Replay);
    assert_not_blamed(&judge.judge(&update(at + 9_000, 3, 9_001)), Family::Replay);
    let replayed = judge.judge(&update(at + 600_000, 5, 9_001));
    assert_blamed(&replayed, Family::Replay, "request.headers.x-nonce");
    assert!(replayed.reasons[0].observed.contains("2026-01-05T13:53:20.000Z"), "{replayed:#?}");

    let failed = update(at, 4, 9_002).answered(503, "");
    judge.judge(&failed);
    assert_not_blamed(&judge.judge(&update(at + 300_000, 4, 9_002)), Family::Replay);
}

/// Fails unless an update that another partner sent before is a replay to a model, or is none.
fn assert_replay(model: &Arc<Model>, is_replay: bool) {
    let mut judge = Judge::new(model);
    judge.judge(&update(50_000_000, 3, 9_001));
    let replayed = judge.judge(&update(50_600_000, 5, 9_001));
    if is_replay {
        assert_blamed(&replayed, Family::Replay, "request.headers.x-nonce");
    } else {
        assert_not_blamed(&replayed, Family::Replay);
    }
}

#[test]
fn who_sends_next_to_nothing_but_one_caught_value_again_and_again_makes_no_habit_of_it() {
    // Of so many thieves each sends one update, caught elsewhere, twenty times; partners that send theirs twice now and then are no thieves.
    for (thieves, is_replay) in [(2, true), (5, false)] {
        let own = (0..2_000).map(|i| update(i * 20_000, i as usize % 12, i as u64));
        let again = (0..20 * thieves).map(|i| {
            let thief = i % thieves;
            let caught = update(10_000_000 + i as i64 * 100_000, 3, 50_000 + thief as u64);
            Call { session: format!("thief{thief}"), ..caught }.from(&format!("192.0.{thief}.9"), "Go-http-client/2.0")
        });
        let mut calls: Vec<Call> = own.chain(again).collect();
        calls.sort_by_key(|call| call.at);
        let model = learned(&calls);
        assert_replay(&model, is_replay);
    }
}

/// What was learned from while somebody sent 40 updates again that others had sent, from each of some other networks in turn.
fn partners_and_replays(networks: usize) -> Arc<Model> {
    let own = (0..2_000).map(|i| update(i * 20_000, i as usize % 12, i as u64));
    let again = (0..40).map(|i| {
        let of = 500 + 30 * i as usize;
        let replayed = update(of as i64 * 20_000 + 5_000_000, of % 12, of as u64);
        let network = i as usize % networks;
        Call { session: format!("thief{network}"), ..replayed }.from(&format!("192.0.{network}.9"), "Go-http-client/2.0")
    });
    let mut calls: Vec<Call> = own.chain(again).collect();
    calls.sort_by_key(|call| call.at);
    learned(&calls)
}

#[test]
fn what_one_or_two_repeat_is_a_replay_even_if_it_was_learned_from_and_what_many_do_is_none() {
    for (networks, is_replay) in [(1, true), (2, true), (8, false)] {
        let model = partners_and_replays(networks);
        assert_replay(&model, is_replay);
    }
}

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0";

/// Everybody logs in, then goes on with the token that the answer gave.
pub(crate) fn visit(at: i64, user: usize) -> [Call; 3] {
    let (ip, agent) = (format!("203.0.{}.{}", user % 200, 1 + user % 90), ["Mozilla/5.0 (Windows)", "shop-app (Android)"][user % 2]);
    let token = format!("{TOKEN}.{:020}", user * 7_919);
    let name = format!("user{user}");
    let log_in = Call::new(at, &format!("c{user}"), "POST", "/login")
        .from(&ip, agent)
        .sends(&format!(r#"{{"username":"{name}","password":"x{user}y"}}"#))
        .answered(200, &format!(r#"{{"token":"{token}"}}"#));
    let with_token = |later, path| {
        Call::new(at + later, &format!("t{user}"), "GET", path).from(&ip, agent).header("authorization", &format!("Bearer {token}"))
    };
    [log_in, with_token(2_000, "/me"), with_token(4_000, "/orders")]
}

#[test]
fn a_session_from_another_client_and_network_is_taken_over() {
    let calls: Vec<Call> = (0..700).flat_map(|user| visit(user as i64 * 60_000, user)).collect();
    let model = learned(&calls);
    let mut judge = Judge::new(&model);
    let [log_in, me, orders] = visit(60_000_000, 801);
    judge.judge(&log_in);
    assert_not_blamed(&judge.judge(&me), Family::Replay);
    // A phone that changes networks.
    let mut moved = orders.clone();
    moved.ip = "198.51.100.9".to_owned();
    assert_not_blamed(&judge.judge(&moved), Family::Replay);
    let stolen = orders.clone().from("198.51.100.9", "Mozilla/5.0 (Macintosh)");
    assert_blamed(&judge.judge(&stolen), Family::Replay, "client");

    // The same where the session was never used before by its owner.
    let [log_in, _, orders] = visit(70_000_000, 803);
    judge.judge(&log_in);
    assert_blamed(&judge.judge(&orders.from("198.51.100.9", "shop-app (iPhone)")), Family::Replay, "client");
}
