//! Refused log-ins: guessing, stuffing, and people who forget their passwords.

use super::{Call, Judge, assert_blamed, assert_not_blamed, learned};
use engine::{Family, Model, Verdict};
use std::sync::{Arc, LazyLock};

pub(crate) const DAY: i64 = 86_400_000;
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0";

/// A log-in that is let in or refused — as some servers do it, with 200 either way.
pub(crate) fn log_in(at: i64, ip: &str, account: usize, password: &str, is_let_in: bool) -> Call {
    let call = Call::new(at, &format!("l{at}"), "POST", "/login")
        .from(ip, "shop-app (Android)")
        .sends(&format!(r#"{{"username":"user{account:05}","password":"{password}"}}"#));
    if is_let_in {
        call.answered(200, &format!(r#"{{"token":"{TOKEN}.{:020}"}}"#, account * 7_919))
    } else {
        call.answered(200, r#"{"status":"fail","message":"wrong password"}"#)
    }
}

/// One log-in in 20 is refused first.
pub(crate) static SHOP: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let mut calls = Vec::new();
    for n in 0..2_000usize {
        let (at, ip) = (n as i64 * 40_000, format!("203.0.{}.{}", n % 80, n % 90));
        if n % 20 == 0 {
            calls.push(log_in(at, &ip, n, &format!("q{n:05}e"), false));
        }
        calls.push(log_in(at + 9_000, &ip, n, &format!("p{n:05}x"), true));
        let me = Call::new(at + 12_000, &format!("m{n}"), "GET", "/me").from(&ip, "shop-app (Android)");
        calls.push(me.header("authorization", &format!("Bearer {TOKEN}.{:020}", n * 7_919)));
    }
    learned(&calls)
});

#[test]
fn guessing_one_password_after_the_other_is_seen() {
    let mut judge = Judge::new(&SHOP);
    let mut last = None;
    for n in 0..20 {
        last = Some(judge.judge(&log_in(DAY + n * 400, "198.51.100.7", 77, &format!("p{n:05}y"), false)));
    }
    let last = last.expect("judged");
    assert_blamed(&last, Family::AccountTakeover, "client.ip");
    assert!(last.reasons.iter().any(|r| r.observed == "20 refused log-ins on 1 account"), "{last:#?}");
}

#[test]
fn who_forgot_a_password_is_not_blamed_and_who_tries_as_often_on_other_accounts_is() {
    let tries = |ip: &str, account: fn(i64) -> usize| {
        let mut judge = Judge::new(&SHOP);
        (0..8).map(|n| judge.judge(&log_in(DAY + n * 7_000, ip, account(n), &format!("p{n:05}y"), false))).collect::<Vec<_>>()
    };
    for verdict in tries("198.51.100.7", |_| 77) {
        assert_not_blamed(&verdict, Family::AccountTakeover);
    }
    assert_blamed(tries("198.51.100.7", |n| 77 + n as usize).last().expect("judged"), Family::AccountTakeover, "client.ip");
}

#[test]
fn stuffing_is_seen_and_an_office_is_not() {
    let mut judge = Judge::new(&SHOP);
    for n in 0..300usize {
        // Nine of ten get it right; some try again.
        let call = log_in(DAY + n as i64 * 1_000, "198.51.100.8", 3_000 + n, &format!("p{n:05}x"), n % 10 != 0);
        assert_not_blamed(&judge.judge(&call), Family::AccountTakeover);
    }
    let mut last = None;
    for n in 0..30usize {
        last = Some(judge.judge(&log_in(DAY + 400_000 + n as i64 * 900, "198.51.100.7", 4_000 + n, "p00000x", n == 17)));
    }
    assert_blamed(&last.expect("judged"), Family::AccountTakeover, "client.ip");
}

#[test]
fn colleagues_who_forget_their_passwords_at_once_are_not_blamed_and_who_tries_a_few_on_each_of_many_is() {
    let mut judge = Judge::new(&SHOP);
    let mut at = DAY;
    let mut forgetful = |judge: &mut Judge, ip: &str, accounts: std::ops::Range<usize>, is_let_in: bool| {
        let mut last = Vec::new();
        for n in 0..5usize {
            for account in accounts.clone() {
                at += 3_000;
                last.push(judge.judge(&log_in(at, ip, account, &format!("p{n:05}y{account}"), false)));
            }
        }
        for account in accounts.filter(|_| is_let_in) {
            at += 20_000;
            last.push(judge.judge(&log_in(at, ip, account, &format!("p{account:05}x"), true)));
        }
        last
    };
    // Three by three, again and again: who gets in at last is forgiven.
    for three in 0..6 {
        for verdict in forgetful(&mut judge, "198.51.100.8", 3_000 + three * 3..3_003 + three * 3, true) {
            assert_not_blamed(&verdict, Family::AccountTakeover);
        }
    }
    let last = forgetful(&mut judge, "198.51.100.7", 4_000..4_012, false).pop().expect("judged");
    assert_blamed(&last, Family::AccountTakeover, "client.ip");
    assert!(last.reasons.iter().any(|r| r.observed == "60 refused log-ins on 12 accounts"), "{last:#?}");
}

#[test]
fn one_account_that_is_guessed_among_an_offices_log_ins_is_seen() {
    let mut judge = Judge::new(&SHOP);
    let mut last = None;
    for n in 0..30usize {
        let at = DAY + n as i64 * 2_000;
        last = Some(judge.judge(&log_in(at, "198.51.100.7", 77, &format!("p{n:05}y"), false)));
        judge.judge(&log_in(at + 1_000, "198.51.100.7", 3_000 + n, &format!("p{n:05}x"), true));
    }
    assert_blamed(&last.expect("judged"), Family::AccountTakeover, "client.ip");
}

#[test]
fn an_owner_at_home_who_errs_while_others_try_the_account_is_not_blamed() {
    let mut judge = Judge::new(&SHOP);
    let (home, account) = ("203.0.9.9", 8_100);
    judge.judge(&log_in(DAY, "198.51.100.250", account, "p99999a", false));
    judge.judge(&log_in(DAY + 5_000, home, account, "p08100x", true));
    for n in 0..12 {
        judge.judge(&log_in(DAY + 60_000 + n * 60_000, &format!("198.51.{n}.7"), account, &format!("p{n:05}b"), false));
    }
    for n in 0..3 {
        let slip = log_in(DAY + 900_000 + n * 9_000, home, account, &format!("p0810{n}y"), false);
        assert_not_blamed(&judge.judge(&slip), Family::AccountTakeover);
    }
}

#[test]
fn somebody_who_forgot_a_password_and_a_client_with_an_old_one_stay_quiet() {
    let mut judge = Judge::new(&SHOP);
    for n in 0..3 {
        assert_not_blamed(&judge.judge(&log_in(DAY + n * 8_000, "198.51.100.7", 5, &format!("p{n:05}z"), false)), Family::AccountTakeover);
    }
    assert_not_blamed(&judge.judge(&log_in(DAY + 40_000, "198.51.100.7", 5, "p00005x", true)), Family::AccountTakeover);
    for n in 0..100 {
        let stale = log_in(DAY + 60_000 + n * 30_000, "198.51.100.9", 6, "p00006o", false);
        assert_not_blamed(&judge.judge(&stale), Family::AccountTakeover);
    }
}

#[test]
fn one_account_tried_from_many_addresses_is_under_attack_and_its_owner_at_home_is_not_blamed() {
    let mut judge = Judge::new(&SHOP);
    let (home, account) = ("203.0.9.9", 8_000);
    judge.judge(&log_in(DAY, "198.51.100.250", account, "p99999a", false));
    judge.judge(&log_in(DAY + 5_000, home, account, "p08000x", true));
    let mut last = None;
    for n in 0..12 {
        last = Some(judge.judge(&log_in(DAY + 60_000 + n * 60_000, &format!("198.51.{n}.7"), account, &format!("p{n:05}b"), false)));
    }
    assert_blamed(&last.expect("judged"), Family::AccountTakeover, "account");
    assert_not_blamed(&judge.judge(&log_in(DAY + 900_000, home, account, "p08000x", true)), Family::AccountTakeover);
    // From an address that never was let in, it is what the attack was for.
    let taken = log_in(DAY + 960_000, "198.51.44.7", account, "p08000x", true);
    assert_blamed(&judge.judge(&taken), Family::AccountTakeover, "account");
}

#[test]
fn a_log_in_service_that_refuses_everybody_is_out_of_order() {
    let mut judge = Judge::new(&SHOP);
    let mut blamed = 0;
    for n in 0..400usize {
        let call = log_in(DAY + n as i64 * 300, &format!("203.0.{}.1", n % 60), n % 60, &format!("p{n:05}x"), false);
        blamed += usize::from(judge.judge(&call).families.contains(&Family::AccountTakeover));
    }
    assert_eq!(blamed, 0);
}

/// An hour in which one log-in comes a minute, and every ninety seconds an address that nobody knows tries some accounts, twenty seconds apart.
pub(crate) fn hour(tried: usize, judge: &mut impl FnMut(usize, &Call) -> Verdict) -> Vec<Verdict> {
    let mut calls: Vec<(bool, Call)> =
        (0..60).map(|n| (false, log_in(DAY + n as i64 * 60_000, &format!("203.0.113.{n}"), 9_000 + n, "p0", true))).collect();
    for n in 0..40usize {
        let at = DAY + n as i64 * 90_000 + 1_000;
        calls.extend(
            (0..tried)
                .map(|i| (true, log_in(at + i as i64 * 20_000, &format!("198.51.{n}.7"), 5_000 + 3 * n + i, &format!("q{n}{i}x"), false))),
        );
        // Who errs lets go, or gets in.
        if tried == 1 {
            calls.push((true, log_in(at + 20_000, &format!("198.51.{n}.7"), 5_000 + 3 * n, &format!("q{n}y"), n % 2 == 0)));
        }
    }
    calls.sort_by_key(|(_, call)| call.at);
    calls.iter().enumerate().map(|(n, (is_try, call))| (is_try, judge(n, call))).filter(|(is_try, _)| **is_try).map(|(_, v)| v).collect()
}

#[test]
fn a_list_of_accounts_tried_from_many_addresses_a_few_from_each_is_seen_and_as_many_who_err_on_their_own_are_not() {
    let mut judge = Judge::new(&SHOP);
    let tries = hour(3, &mut |_, call| judge.judge(call));
    // Of the later addresses each is blamed from its second account on.
    for of_one in tries[60..].chunks(3) {
        assert_not_blamed(&of_one[0], Family::AccountTakeover);
        for verdict in &of_one[1..] {
            assert_blamed(verdict, Family::AccountTakeover, "client.ip");
        }
    }
    let told = &tries[119].reasons[0];
    assert!(told.observed.starts_with("3 refused log-ins on 3 accounts; lately ") && told.observed.contains("sources"), "{told:?}");
    let mut judge = Judge::new(&SHOP);
    for verdict in hour(1, &mut |_, call| judge.judge(call)) {
        assert_not_blamed(&verdict, Family::AccountTakeover);
    }
}
