//! Exchanges a second on one core: the whole engine with and without bodies, its parts, and path lookup alone.
//!
//! `cargo bench -p engine`. The traffic is made here: a shop API with 40 endpoints, 1 KB requests and 2 KB responses, 25 a second. It is gone
//! through again and again, each time later and in new sessions ([`Traffic`]): the same records once more would be a flood, and a flood costs
//! reasons and incidents.

#![allow(clippy::expect_used, missing_docs, reason = "a benchmark that cannot prepare its data has nothing to say")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::content::Scratch;
use engine::detect::{Class, Seen, Signal};
use engine::partition::{Live, Session, Shared, Source};
use engine::paths::Route;
use engine::{
    Effect, Exchange, Features, History, HistoryLimits, Label, LearnConfig, Limits, Model, Offset, Partition, RecordPosition,
    TopicPartition, features, learn,
};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

/// A repeatable stream of numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

const WORDS: [&str; 16] = [
    "river", "quiet", "orange", "delivery", "please", "thanks", "great", "broken", "colour", "small", "winter", "coffee", "garden",
    "paper", "north", "lamp",
];

fn text(numbers: &mut Numbers, words: u64) -> String {
    (0..words).fold(String::new(), |mut out, _| {
        let _ = write!(out, "{} ", WORDS[numbers.below(16) as usize]);
        out
    })
}

fn record(numbers: &mut Numbers, at: u64, with_bodies: bool) -> String {
    let collection = ["orders", "users", "reviews", "carts", "items", "invoices", "messages", "payments"][numbers.below(8) as usize];
    let id = numbers.below(50_000);
    let (method, path) = match numbers.below(5) {
        0 => ("GET", format!("/v1/{collection}")),
        1 => ("POST", format!("/v1/{collection}")),
        2 => ("PATCH", format!("/v1/{collection}/{id}")),
        3 => ("GET", format!("/v1/{collection}/{id}/history")),
        _ => ("GET", format!("/v1/{collection}/{id}")),
    };
    let session = numbers.below(3_000);
    let mut bodies = (String::new(), String::new());
    if with_bodies {
        let request = format!(
            r#"{{"id":{id},"name":"{}","note":"{}","quantity":{},"price":{}.{:02},"tags":["{}","{}"],"address":{{"street":"{}","zip":"{:05}"}}}}"#,
            text(numbers, 2),
            text(numbers, 100),
            numbers.below(20),
            numbers.below(500),
            numbers.below(100),
            WORDS[numbers.below(16) as usize],
            WORDS[numbers.below(16) as usize],
            text(numbers, 4),
            numbers.below(99_999),
        );
        let mut items = String::new();
        for i in 0..14 {
            let _ = write!(
                items,
                r#"{}{{"id":{},"{collection}_state":"open","title":"{}","total":{}}}"#,
                if i > 0 { "," } else { "" },
                numbers.below(50_000),
                text(numbers, 13),
                numbers.below(900)
            );
        }
        let response = format!(r#"{{"data":[{items}],"next":{},"count":14}}"#, numbers.below(100));
        bodies = (
            format!(r#","body":{}"#, serde_json::to_string(&request).unwrap_or_default()),
            format!(r#","body":{}"#, serde_json::to_string(&response).unwrap_or_default()),
        );
    }
    format!(
        r#"{{"id":"e{at}","time":{},"method":"{method}","host":"api.shop.example","path":"{path}","query":"page={}&sort=name","client":{{"ip":"10.{}.{}.7","user_agent":"shop-app/{} (Android 14)"}},"session":"{session:032x}","request":{{"headers":{{"accept":"application/json","content-type":"application/json","accept-language":"en"}}{}}},"response":{{"status":200,"headers":{{"content-type":"application/json"}}{}}},"duration_ms":12.5}}"#,
        START_MS + at * STEP_MS,
        numbers.below(30),
        numbers.below(200),
        numbers.below(200),
        numbers.below(4),
        bodies.0,
        bodies.1,
    )
}

/// When the first record was made, in milliseconds since 1970, and what lies between two.
const START_MS: u64 = 1_770_000_000_000;
const STEP_MS: u64 = 40;

/// Records without end: one round after the other, each as much later as a round lasts, and in sessions of its own.
struct Traffic {
    records: Vec<String>,
    at: usize,
}

impl Traffic {
    /// The next record, with its offset. Two fields of fixed width are written over: 13 digits of time, and the first 8 of a session's 32.
    fn next(&mut self) -> (u64, &str) {
        let (round, turn) = (self.at / self.records.len(), self.at % self.records.len());
        let record = &mut self.records[turn];
        if round > 0 {
            for (key, value) in
                [(r#""time":"#, format!("{:013}", START_MS + self.at as u64 * STEP_MS)), (r#""session":""#, format!("{round:08x}"))]
            {
                let from = record.find(key).expect("every record has it") + key.len();
                record.replace_range(from..from + value.len(), &value);
            }
        }
        self.at += 1;
        (self.at as u64 - 1, &self.records[turn])
    }
}

fn records(n: u64, with_bodies: bool) -> Vec<String> {
    let mut numbers = Numbers(7);
    (0..n).map(|at| record(&mut numbers, at, with_bodies)).collect()
}

fn model_of(records: &[String]) -> Arc<Model> {
    let mut history = History::new(HistoryLimits::default());
    for record in records {
        history.add(Features::of(&Exchange::from_json(record.as_bytes()).expect("an exchange")));
    }
    Arc::new(learn(&history, &LearnConfig::default(), &mut |_| {}).expect("a model"))
}

fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange to verdict");
    for (name, with_bodies) in [("1 KB + 2 KB", true), ("without bodies", false)] {
        let records = records(8_000, with_bodies);
        let model = model_of(&records);
        let mut partition = Partition::new(TopicPartition::new("weir.traffic", 0), Limits::default());
        partition.apply(Effect::Model(model));
        let mut traffic = Traffic { records, at: 0 };
        let mut alerts = 0u64;
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |b| {
            b.iter(|| {
                let (offset, record) = traffic.next();
                let exchange = Exchange::from_json(record.as_bytes()).expect("an exchange");
                let judged = partition.judge(RecordPosition { offset: Offset(offset), appended_ms: None }, &exchange);
                alerts += u64::from(judged.verdict.label == Label::Anomalous);
                judged.verdict.to_json()
            });
        });
        assert!(alerts * 1_000 <= traffic.at as u64, "{alerts} of {} called anomalous: that is no ordinary traffic", traffic.at);
    }
    group.finish();
}

fn parts(c: &mut Criterion) {
    let records = records(8_000, true);
    let model = model_of(&records);
    let exchanges: Vec<Exchange<'_>> = records.iter().map(|r| Exchange::from_json(r.as_bytes()).expect("an exchange")).collect();
    let digested: Vec<Features> = exchanges.iter().map(Features::of).collect();
    let mut group = c.benchmark_group("parts");
    group.throughput(Throughput::Elements(1));
    let mut next = 0usize;
    let mut turn = || {
        next += 1;
        next % 8_000
    };
    group.bench_function("parse", |b| b.iter(|| Exchange::from_json(records[turn()].as_bytes()).is_ok()));
    let mut extractor = features::Extractor::default();
    group.bench_function("features", |b| b.iter(|| extractor.extract(&exchanges[turn()])));
    let api = model.api("api.shop.example").expect("learned");
    group.bench_function("path lookup", |b| b.iter(|| black_box(api.paths.route(&digested[turn()]))));
    let routes: Vec<Route> = digested.iter().map(|f| api.paths.route(f)).collect();
    let (mut session, mut shared, mut scratch) = (Session::default(), Shared::new(Limits::default()), Scratch::default());
    let mut source = Source::default();
    let live = Live {
        key: 1,
        has_session: true,
        session: &mut session,
        source_key: Some(1),
        source: &mut source,
        shared: &mut shared,
        foreseen: None,
        appraised: &[],
    };
    let mut signals = Vec::new();
    type Ask<'a> = &'a dyn Fn(&Seen<'_>, &mut Scratch, &mut Vec<Signal>);
    let detectors: [(&str, Ask<'_>); 7] = [
        ("assets", &|seen, _, out| api.rooms.assets.score(seen, &live, out)),
        ("sequence", &|seen, _, out| api.rooms.sequence.score(seen, &live, out)),
        ("volume", &|seen, _, out| api.rooms.volume.score(seen, &live, out)),
        ("replay", &|seen, _, out| api.rooms.replay.score(seen, &live, out)),
        ("probe", &|seen, _, out| api.rooms.probe.score(seen, &live, out)),
        ("source", &|seen, _, out| api.rooms.accounts.score(seen, &live, out)),
        ("content", &|seen, scratch, out| api.rooms.content.score(seen, Some(&live), scratch, out)),
    ];
    for (name, ask) in detectors {
        group.bench_function(format!("detector {name}"), |b| {
            b.iter(|| {
                let at = turn();
                let endpoint = routes[at].endpoint;
                let id = endpoint.map_or(engine::EndpointId(0), |e| api.paths.endpoint(e).id);
                let now = digested[at].time.unwrap_or(0);
                let seen = Seen { features: &digested[at], route: &routes[at], endpoint, id, class: Class::Read, now, is_timely: true };
                signals.clear();
                ask(&seen, &mut scratch, &mut signals);
                signals.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, whole, parts);
criterion_main!(benches);
