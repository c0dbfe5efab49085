//! What every simulation holds to, whatever its seed.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure is a failed test")]

use engine::record::{Exchange, Family};
use simulator::{Config, Label, Simulation, Split, TrueLabel};
use std::collections::{BTreeMap, BTreeSet};

type Row = (Exchange<'static>, TrueLabel);

fn run(config: Config) -> Vec<Row> {
    Simulation::new(config).collect()
}

fn small(seed: u64) -> Config {
    Config::new(seed, 0.3, 20_000)
}

fn bytes(config: Config) -> Vec<u8> {
    let mut out = Vec::new();
    for (exchange, truth) in Simulation::new(config) {
        serde_json::to_writer(&mut out, &exchange).unwrap();
        out.extend(truth.row(exchange.id.as_deref().unwrap()).bytes());
    }
    out
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = bytes(small(7));
    assert!(first.len() > 1_000_000);
    assert!(first == bytes(small(7)));
    assert!(first != bytes(small(8)));
}

#[test]
fn exchanges_come_in_time_order_within_the_days() {
    let config = small(1);
    let rows = run(config.clone());
    let times: Vec<i64> = rows.iter().map(|(e, _)| e.time.unwrap()).collect();
    assert!(times.is_sorted());
    assert!(times.first().is_some_and(|t| *t >= config.start) && times.last().is_some_and(|t| *t < config.end()));
    let ids: BTreeSet<&str> = rows.iter().map(|(e, _)| e.id.as_deref().unwrap()).collect();
    assert_eq!(ids.len(), rows.len());
    for (exchange, truth) in &rows {
        let expected = if exchange.time.unwrap() < config.learning_ends() { Split::Train } else { Split::Test };
        assert_eq!(truth.split, expected);
    }
}

#[test]
fn every_family_is_there_and_each_succeeds_somewhere() {
    let rows = run(Config::new(2, 1.0, 20_000));
    let mut reached: BTreeMap<&str, bool> = BTreeMap::new();
    for (exchange, truth) in rows.iter().filter(|(_, t)| t.label == Label::Attack) {
        assert_eq!(truth.split, Split::Test);
        *reached.entry(truth.family).or_default() |= exchange.response.status.is_some_and(|s| s < 400);
    }
    let expected: BTreeSet<&str> = Family::ALL.iter().filter(|f| **f != Family::Unknown).map(|f| f.name()).collect();
    assert_eq!(reached.keys().copied().collect::<BTreeSet<_>>(), expected);
    assert!(reached.values().all(|succeeded| *succeeded), "{reached:?}");
}

#[test]
fn every_look_alike_is_there() {
    let rows = run(Config::new(3, 1.0, 20_000));
    let names: BTreeSet<&str> =
        rows.iter().filter(|(_, t)| t.label == Label::Benign && !t.family.is_empty()).map(|(_, t)| t.family).collect();
    let expected = [
        "batch_client",
        "clock_skew",
        "health_check",
        "latency_spike",
        "new_app_version",
        "new_partner",
        "office_nat",
        "outage",
        "pagination",
        "partner_rotating_agents",
        "relogin",
        "retries",
        "sale_peak",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn learning_is_clean_unless_poisoned_and_attacks_can_be_left_out() {
    let attacks = |config: Config| {
        let rows = run(config);
        let count = |split| rows.iter().filter(|(_, t)| t.label == Label::Attack && t.split == split).count();
        (count(Split::Train), count(Split::Test))
    };
    let (train, test) = attacks(small(4));
    assert!(train == 0 && test > 500, "{train} {test}");
    assert_eq!(attacks(Config { attacks: false, ..small(4) }), (0, 0));
    let (train, test) = attacks(Config { attacks: false, poison: 0.05, ..small(4) });
    assert!(train > 20 && test < train, "{train} {test}");
}

fn fits(template: &str, exchange: &Exchange<'_>) -> bool {
    let (method, path) = template.split_once(' ').unwrap();
    let path = path.split('#').next().unwrap();
    let (expected, found): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), exchange.path.split('/').collect());
    *method == *exchange.method
        && expected.len() == found.len()
        && expected.iter().zip(&found).all(|(e, f)| e.starts_with('{') && !f.is_empty() || e == f)
}

#[test]
fn labels_agree_with_templates_and_almost_all_endpoints_are_used() {
    let known: BTreeSet<&str> = simulator::templates().collect();
    let mut used = BTreeSet::new();
    for (exchange, truth) in run(Config::new(5, 1.0, 20_000)) {
        if truth.template.is_empty() {
            assert!(truth.label == Label::Attack, "{} {}", exchange.method, exchange.path);
            continue;
        }
        assert!(known.contains(truth.template), "{}", truth.template);
        assert!(fits(truth.template, &exchange), "{} is not {}", exchange.path, truth.template);
        used.insert(truth.template);
    }
    assert!(known.len() >= 60);
    assert!(used.len() * 10 >= known.len() * 9, "never used: {:?}", known.difference(&used).collect::<Vec<_>>());
}

#[test]
fn json_is_json() {
    for (exchange, truth) in run(small(6)) {
        let headers = exchange.response.headers.as_ref().unwrap();
        if let Some(body) = &exchange.response.body {
            assert_eq!(exchange.response.bytes, Some(body.len() as u64));
            if headers.get("content-type").is_some_and(|t| t.contains("json")) {
                assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
            }
        }
        if let Some(body) = exchange.request.body.as_ref().filter(|_| truth.label == Label::Benign) {
            assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
        }
        let line = serde_json::to_vec(&exchange).unwrap();
        assert_eq!(Exchange::from_json(&line).unwrap(), exchange);
    }
}

#[test]
fn a_session_belongs_to_one_subject() {
    let mut subjects: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut sessions = BTreeSet::new();
    for (exchange, _) in run(small(9)) {
        let session = exchange.session.unwrap().to_string();
        let subject = exchange.subject.map(|s| s.to_string());
        sessions.insert(session.clone());
        if let Some(known) = subjects.insert(session, subject.clone()) {
            assert_eq!(known, subject);
        }
    }
    assert!(sessions.len() > 300, "{}", sessions.len());
}

#[test]
fn customers_use_ids_that_they_were_given() {
    let mut given: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut checked = 0;
    for (exchange, truth) in run(Config { attacks: false, look_alikes: false, ..Config::new(10, 0.6, 20_000) }) {
        let seen = given.entry(truth.group).or_default();
        if matches!(
            truth.template,
            "GET /v2/orders/{id}" | "GET /v2/messages/{id}" | "PUT /v2/checkout/{id}/address" | "GET /v2/users/{id}"
        ) {
            let id = exchange.path.split('/').nth(3).unwrap();
            assert!(seen.contains(id), "{} was never given", exchange.path);
            checked += 1;
        }
        let body: serde_json::Value = serde_json::from_str(exchange.response.body.as_deref().unwrap_or("null")).unwrap_or_default();
        collect_ids(&body, seen);
    }
    assert!(checked > 50, "{checked}");
}

fn collect_ids(value: &serde_json::Value, ids: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value {
                    serde_json::Value::String(text) if key == "id" => drop(ids.insert(text.clone())),
                    serde_json::Value::Number(number) if key == "id" => drop(ids.insert(number.to_string())),
                    other => collect_ids(other, ids),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_ids(item, ids)),
        _ => {}
    }
}

#[test]
fn visits_under_way_do_not_pile_up() {
    let mut simulation = Simulation::new(Config { attacks: false, look_alikes: false, ..Config::new(11, 4.0, 10_000) });
    let mut most = BTreeMap::<i64, usize>::new();
    while let Some((exchange, _)) = simulation.next() {
        let day = (exchange.time.unwrap() - simulation.config().start) / 86_400_000;
        let most = most.entry(day).or_default();
        *most = (*most).max(simulation.active());
    }
    assert_eq!(most.len(), 4);
    assert!(most[&3] < most[&0] * 2, "{most:?}");
}

#[test]
fn bodies_can_be_left_out() {
    let rows = run(Config { bodies: false, ..small(12) });
    assert!(rows.iter().all(|(e, _)| e.request.body.is_none() && e.response.body.is_none()));
    assert!(rows.iter().any(|(e, _)| e.response.bytes.is_some_and(|b| b > 1_000)));
}

#[test]
fn odd_configurations_come_to_an_end() {
    let base = || Config { launches: 1, ..Config::new(13, 0.05, 3_000) };
    let odd = [
        Config { days: 0.0, ..base() },
        Config { days: -1.0, ..base() },
        Config { days: f64::NAN, ..base() },
        Config { requests_per_day: 0, ..base() },
        Config { users: 0, ..base() },
        Config { users: 0, requests_per_day: 0, poison: 2.0, ..base() },
        Config { learning: 0.0, ..base() },
        Config { learning: 7.0, poison: 9.0, ..base() },
        Config { launches: 0, ..base() },
        Config { start: -86_400_000_000, ..base() },
        Config { days: 0.000_001, ..base() },
    ];
    for config in odd {
        let (start, end) = (config.start, config.end());
        let rows = run(config.clone());
        assert!(rows.iter().all(|(e, _)| (start..end).contains(&e.time.unwrap())), "{config:?}");
        assert!(rows.len() < 100_000, "{config:?}");
    }
}

#[test]
fn kiosks_differ_at_both_ends_alone() {
    let rows = run(Config { kiosks: 0.2, ..Config::new(3, 1.0, 20_000) });
    let mut ways: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|(_, truth)| truth.group.starts_with('k')) {
        ways.entry(&row.1.group).or_default().push(row);
    }
    let whole: Vec<&Vec<&Row>> = ways.values().filter(|way| way.len() == 6).collect();
    assert!(whole.len() > 100, "{}", whole.len());
    let template = |row: &Row| row.1.template;
    let mut ends: BTreeSet<(&str, &str, bool)> = BTreeSet::new();
    for way in whole {
        let middle: Vec<&str> = way[1..5].iter().map(|row| template(row)).collect();
        assert_eq!(
            middle,
            ["GET /v2/products", "GET /v2/products/{id}", "GET /v2/products/{id}/reviews", "GET /v2/products/{id}/recommendations"]
        );
        assert!(way.iter().all(|(exchange, _)| exchange.session.is_some() && exchange.session == way[0].0.session));
        assert!(way[..5].iter().all(|(_, truth)| truth.label == Label::Benign));
        ends.insert((template(way[0]), template(way[5]), way[5].1.label == Label::Attack));
    }
    let (presents, others) = ("GET /v2/categories", "GET /v2/categories/{slug}");
    let (by_name, front) = ("GET /v2/products/by-slug/{slug}", "POST /v2/graphql#HomeFeed");
    assert_eq!(ends, [(presents, by_name, false), (others, front, false), (presents, front, true), (others, by_name, true)].into());
}
