//! What no partition sees alone: facts go to the stage, notes come back.

use super::replay::visit;
use super::source::{DAY, SHOP, hour, log_in};
use super::{Call, Judge, assert_blamed, assert_not_blamed, learned};
use engine::{Effect, Fact, FactStage, Family, Limits, Model, Note, To, Verdict};
use std::sync::Arc;

/// Several partitions, and perhaps a stage that hears of them all.
pub(crate) struct Several {
    judges: Vec<Judge>,
    stage: Option<FactStage>,
    notes: usize,
}

impl Several {
    pub(crate) fn new(model: &Arc<Model>, partitions: u32, has_stage: bool) -> Self {
        let judges = (0..partitions).map(|number| Judge::of_partition(number, model)).collect();
        Self { judges, stage: has_stage.then(|| FactStage::new(Limits::default())), notes: 0 }
    }

    /// Judges a call in a partition; facts and notes go the way of the log, as bytes.
    pub(crate) fn judge(&mut self, partition: usize, call: &Call) -> Verdict {
        let judged = self.judges[partition].judged(call);
        for fact in &judged.facts {
            assert_eq!(fact.partition as usize, partition);
            let fact = Fact::from_bytes(&fact.to_bytes().expect("bytes")).expect("a fact");
            for (to, note) in self.stage.as_mut().map(|stage| stage.add(&fact)).unwrap_or_default() {
                let note = Note::from_bytes(&note.to_bytes().expect("bytes")).expect("a note");
                let meant = match to {
                    To::One(partition) => partition as usize..partition as usize + 1,
                    To::All => 0..self.judges.len(),
                };
                for judge in &mut self.judges[meant] {
                    judge.partition.apply(Effect::Note(note.clone()));
                    self.notes += 1;
                }
            }
        }
        judged.verdict
    }
}

#[test]
fn an_account_that_is_tried_from_many_addresses_is_seen_over_partitions() {
    let attempt = |n: i64| log_in(DAY + n * 60_000, &format!("198.51.{n}.7"), 8_000, &format!("p{n:05}b"), false);
    for has_stage in [false, true] {
        let mut several = Several::new(&SHOP, 6, has_stage);
        let verdicts: Vec<Verdict> = (0..12).map(|n| several.judge(n as usize % 6, &attempt(n))).collect();
        if has_stage {
            assert_blamed(&verdicts[11], Family::AccountTakeover, "account");
        } else {
            verdicts.iter().for_each(|verdict| assert_not_blamed(verdict, Family::AccountTakeover));
        }
    }
}

#[test]
fn an_address_whose_sessions_are_spread_is_seen_over_partitions() {
    let attempt = |n: usize| log_in(DAY + n as i64 * 900, "198.51.100.7", 4_000 + n, "p00000x", n == 17);
    for has_stage in [false, true] {
        let mut several = Several::new(&SHOP, 12, has_stage);
        let verdicts: Vec<Verdict> = (0..36).map(|n| several.judge(n % 12, &attempt(n))).collect();
        if has_stage {
            assert_blamed(&verdicts[35], Family::AccountTakeover, "client.ip");
        } else {
            verdicts.iter().for_each(|verdict| assert_not_blamed(verdict, Family::AccountTakeover));
        }
    }
}

#[test]
fn a_list_of_accounts_tried_from_many_addresses_is_seen_over_partitions() {
    // So few of them come to each of so many partitions that none alone can tell.
    for has_stage in [false, true] {
        let mut several = Several::new(&SHOP, 48, has_stage);
        let partition = |call: &Call| call.ip.bytes().fold(0, |hash, byte| (hash * 31 + usize::from(byte)) % 48);
        let tries = hour(3, &mut |_, call| several.judge(partition(call), call));
        let blamed = tries[60..].iter().filter(|v| v.families.contains(&Family::AccountTakeover)).count();
        assert!(if has_stage { blamed >= 36 } else { blamed == 0 }, "{blamed} of 60");
    }
}

#[test]
fn that_a_list_of_accounts_is_tried_no_more_is_heard_in_all_partitions() {
    let mut several = Several::new(&SHOP, 24, true);
    let partition = |call: &Call| call.ip.bytes().fold(0, |hash, byte| (hash * 31 + usize::from(byte)) % 24);
    hour(3, &mut |_, call| several.judge(partition(call), call));
    // Two colleagues err while it goes on, and two others when as many got in as it takes.
    let err = |several: &mut Several, at: i64, ip: &str| {
        let of = |n: i64| log_in(at + n * 20_000, ip, 7_000 + n as usize, "q0", false);
        let calls = [of(0), of(1)];
        let at = partition(&calls[0]);
        calls.map(|call| several.judge(at, &call))
    };
    assert_blamed(&err(&mut several, DAY + 3_700_000, "198.51.100.20")[1], Family::AccountTakeover, "client.ip");
    for n in 0..400usize {
        let call = log_in(DAY + 3_800_000 + n as i64 * 4_000, &format!("203.0.{}.9", n % 200), 10_000 + n, "p0", true);
        several.judge(partition(&call), &call);
    }
    for ip in ["198.51.100.21", "198.51.100.20"] {
        assert_not_blamed(&err(&mut several, DAY + 5_500_000, ip)[0], Family::AccountTakeover);
    }
    assert_not_blamed(&err(&mut several, DAY + 5_600_000, "198.51.100.22")[1], Family::AccountTakeover);
}

#[test]
fn an_office_behind_one_address_stays_quiet_over_partitions() {
    let mut several = Several::new(&SHOP, 4, true);
    for n in 0..300usize {
        let call = log_in(DAY + n as i64 * 1_000, "198.51.100.8", 3_000 + n, &format!("p{n:05}x"), n % 10 != 0);
        assert_not_blamed(&several.judge(n % 4, &call), Family::AccountTakeover);
    }
}

#[test]
fn a_credential_that_was_issued_in_another_partition_is_known_where_it_is_presented() {
    let calls: Vec<Call> = (0..700).flat_map(|user| visit(user as i64 * 60_000, user)).collect();
    let model = learned(&calls);
    for has_stage in [false, true] {
        let mut several = Several::new(&model, 2, has_stage);
        let [log_in, me, orders] = visit(60_000_000, 801);
        several.judge(0, &log_in);
        let elsewhere = |call: Call| call.from("198.51.100.9", "Mozilla/5.0 (Macintosh)");
        assert_not_blamed(&several.judge(1, &elsewhere(me)), Family::Replay);
        let stolen = several.judge(1, &elsewhere(orders));
        if has_stage {
            assert_blamed(&stolen, Family::Replay, "client");
        } else {
            assert_not_blamed(&stolen, Family::Replay);
        }
    }
}

#[test]
fn one_partition_needs_no_notes() {
    let mut several = Several::new(&SHOP, 1, true);
    for n in 0..40 {
        several.judge(0, &log_in(DAY + n * 60_000, &format!("198.51.{n}.7"), 8_000, &format!("p{n:05}b"), false));
    }
    assert_eq!(several.notes, 0);
}

#[test]
fn what_is_no_fact_or_note_is_refused() {
    assert!(Fact::from_bytes(b"\xff\xff\xff").is_err());
    assert!(Note::from_bytes(b"").is_err());
}
