//! Whose objects are whose, where an owner and who reaches for what is his are in different partitions.

use super::facts::Several;
use super::{Call, assert_blamed, assert_not_blamed, learned};
use engine::{Family, Model, Verdict};
use std::sync::{Arc, LazyLock};

const DAY: i64 = 86_400_000;
const MINUTE: i64 = 60_000;

/// Customers order up to twelve things, one a minute, and read the invoice of each at their desk: what tells whose it is, is who owns it.
static SHOP: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let of_user = |user: usize| (0..1 + user % 12).flat_map(move |nth| own(user as i64 * MINUTE + nth as i64 * MINUTE, user, nth));
    let mut calls: Vec<Call> = (0..600).flat_map(of_user).collect();
    calls.sort_by_key(|call| call.at);
    learned(&calls)
});

fn number(user: usize, nth: usize) -> usize {
    1_000_000 + (user * 16 + nth) * 7_919 % 9_000_000
}

fn by(at: i64, user: usize, method: &'static str, path: &str) -> Call {
    Call::new(at, &format!("s{user}"), method, path)
        .of(&format!("user{user}"))
        .from(&format!("198.{}.{}.7", 18 + user / 250, user % 250), "shop-app/1.0 (Android)")
}

fn order(at: i64, user: usize, nth: usize) -> Call {
    by(at, user, "POST", "/orders").sends(r#"{"sku":"HX-1","quantity":1}"#).answered(201, &format!(r#"{{"id":{}}}"#, number(user, nth)))
}

/// A user reads the invoice of an order.
fn invoice(at: i64, user: usize, number: usize) -> Call {
    let call = by(at, user, "GET", &format!("/invoices/{number}")).answered(200, r#"{"total":12.5}"#);
    Call { session: format!("desk{user}"), ..call }
}

/// A user orders something and reads its invoice.
fn own(at: i64, user: usize, nth: usize) -> [Call; 2] {
    [order(at, user, nth), invoice(at + 20_000, user, number(user, nth))]
}

#[test]
fn orders_of_customers_of_another_partition_are_somebody_elses() {
    for has_stage in [false, true] {
        let mut several = Several::new(&SHOP, 3, has_stage);
        for user in 1_000..1_006 {
            assert_not_blamed(&several.judge(user % 2, &order(DAY, user, 0)), Family::ObjectAccess);
        }
        let mut verdicts: Vec<Verdict> = Vec::new();
        for nth in 0..6 {
            let at = DAY + (1 + nth as i64) * MINUTE;
            let [order, own] = own(at, 2_000, nth);
            several.judge(2, &order);
            verdicts.push(several.judge(2, &own));
            verdicts.push(several.judge(2, &invoice(at + 40_000, 2_000, number(1_000 + nth, 0))));
        }
        if !has_stage {
            verdicts.iter().for_each(|verdict| assert_not_blamed(verdict, Family::ObjectAccess));
            continue;
        }
        // What was reached by a call is told with the next one.
        verdicts[..2].iter().for_each(|verdict| assert_not_blamed(verdict, Family::ObjectAccess));
        for verdict in verdicts[2..].iter().step_by(2) {
            assert_blamed(verdict, Family::ObjectAccess, "session");
        }
        let told = &verdicts[2].reasons.iter().find(|r| r.family == Family::ObjectAccess).expect("a reason").observed;
        assert_eq!(told, "somebody else's object, reached by path.id of GET api.example/invoices/{id} at 2026-01-06T00:01:40.000Z");
        // By now it is known here whose that is.
        let again = several.judge(2, &invoice(DAY + 20 * MINUTE, 2_001, number(1_000, 0)));
        assert_blamed(&again, Family::ObjectAccess, "path.id");
    }
}

#[test]
fn an_owner_is_at_home_in_every_partition_and_what_many_reach_is_nobodys() {
    let mut several = Several::new(&SHOP, 6, true);
    several.judge(0, &order(DAY, 1_000, 0));
    for n in 1..6 {
        let at = DAY + MINUTE * n as i64;
        for at in [at, at + 20_000] {
            let elsewhere = Call { session: format!("later{n}"), ..invoice(at, 1_000, number(1_000, 0)) };
            assert_not_blamed(&several.judge(n, &elsewhere), Family::ObjectAccess);
        }
    }
    // Where the owner was, his is known. The third who reaches it finds it open to everybody, and so does whoever is where it was ordered.
    for (n, partition) in [1, 2, 3, 0].into_iter().enumerate() {
        let (at, user) = (DAY + (10 + n as i64) * MINUTE, 3_000 + n);
        several.judge(partition, &order(at, user, 0));
        let reached = several.judge(partition, &invoice(at + 20_000, user, number(1_000, 0)));
        let next = several.judge(partition, &invoice(at + 40_000, user, number(user, 0)));
        if n < 2 {
            assert_blamed(&reached, Family::ObjectAccess, "path.id");
        } else {
            [reached, next].iter().for_each(|verdict| assert_not_blamed(verdict, Family::ObjectAccess));
        }
    }
}
