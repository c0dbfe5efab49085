//! How fast records become exchanges: canonical records of about 3 KB (1 KB request, 2 KB response), alone, from a file, and prepared.

#![allow(clippy::expect_used, missing_docs, reason = "a bench that cannot go on is to fail; its entry point is made by a macro")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::Preparer;
use ingest::decode::{GatewayFields, Options, Source};
use ingest::session::Identities;
use runtime::config::{Config, Sources};
use std::hint::black_box;
use std::io::Cursor;

/// Records in one input.
const RECORDS: usize = 2_000;

/// A JSON web token.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJpYXQiOjE3NzAxMDI5MDB9.c2lnbmF0dXJlLXRoYXQtaXMtbm9uZQ";

/// A canonical record of about 3 KB, with what an API's records have: headers, a token, bodies of nested JSON.
fn record(number: usize) -> String {
    let items: Vec<String> = (0..16)
        .map(|i| format!("{{\\\"id\\\":{},\\\"title\\\":\\\"Item number {i}\\\",\\\"price\\\":{}.99,\\\"tags\\\":[\\\"a\\\",\\\"b\\\"],\\\"stock\\\":true}}", number * 16 + i, i * 3))
        .collect();
    let items = items.join(",");
    format!(
        "{{\"id\":\"r{number}\",\"time\":\"2026-02-03T07:15:00.250Z\",\"method\":\"POST\",\"scheme\":\"https\",\"host\":\"shop.example\",\
         \"path\":\"/v2/carts/{number}/items\",\"query\":\"expand=items&page=2\",\"client\":{{\"ip\":\"203.0.113.9\",\"user_agent\":\"ShopApp/5.1 (Android 15)\"}},\
         \"request\":{{\"headers\":{{\"content-type\":\"application/json\",\"accept\":\"application/json\",\"authorization\":\"Bearer {token}\",\
         \"accept-language\":\"de-DE,de;q=0.9\",\"x-request-id\":\"6f1c{number}\"}},\"body\":\"{{\\\"cart\\\":{number},\\\"items\\\":[{request}]}}\"}},\
         \"response\":{{\"status\":201,\"headers\":{{\"content-type\":\"application/json\",\"cache-control\":\"no-store\"}},\
         \"body\":\"{{\\\"items\\\":[{items}]}}\",\"bytes\":2048}},\"duration_ms\":38.5}}",
        token = TOKEN,
        request = &items[..items.len() / 3].rsplit_once(",{").map_or("", |(whole, _)| whole),
    )
}

fn decode(c: &mut Criterion) {
    let records: Vec<String> = (0..RECORDS).map(record).collect();
    let bytes = records.iter().map(String::len).sum::<usize>();
    let file: Vec<u8> = records.join("\n").into_bytes();
    let config = Config::resolve(&Sources { host_name: "test".to_owned(), ..Sources::default() }).expect("defaults");
    let preparer = Preparer::new(Identities::configured(&config), &[], &[1; 32]).expect("constants");
    let local = Preparer::local(&config, None).expect("constants");

    let mut group = c.benchmark_group(format!("{RECORDS} records of {} bytes", bytes / RECORDS));
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.sample_size(20);
    group.bench_function("Exchange::from_json", |b| {
        b.iter(|| records.iter().for_each(|record| drop(black_box(engine::Exchange::from_json(black_box(record.as_bytes()))))));
    });
    group.bench_function("Source, owned exchanges", |b| {
        b.iter(|| {
            let source = Source::from_reader("bench", Cursor::new(file.clone()), &Options::default()).expect("readable");
            assert_eq!(source.filter(Result::is_ok).count(), RECORDS);
        });
    });
    for (name, preparer) in [("from_json, sessions", &local), ("from_json, sessions, masking", &preparer)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                for record in &records {
                    let mut exchange = engine::Exchange::from_json(record.as_bytes()).expect("canonical");
                    preparer.prepare(&mut exchange, &GatewayFields::default());
                    black_box(exchange);
                }
            });
        });
    }
    group.bench_function("from_json, sessions, masking, to JSON", |b| {
        b.iter(|| {
            for record in &records {
                let mut exchange = engine::Exchange::from_json(record.as_bytes()).expect("canonical");
                preparer.prepare(&mut exchange, &GatewayFields::default());
                black_box(serde_json::to_vec(&exchange).expect("representable"));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
