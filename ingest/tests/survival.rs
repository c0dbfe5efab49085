//! Whatever stands in an input: no panic, bounded memory, and every line accounted for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use flate2::Compression;
use flate2::write::GzEncoder;
use ingest::Preparer;
use ingest::decode::{BadLine, Decoded, Options, Reason, Source};
use ingest::session::Identities;
use proptest::prelude::*;
use runtime::config::{Config, RecordFormat, Sources};
use std::io::{Cursor, Read, Write};

const FORMATS: [RecordFormat; 7] = [
    RecordFormat::Auto,
    RecordFormat::Exchange,
    RecordFormat::Har,
    RecordFormat::Combined,
    RecordFormat::Json,
    RecordFormat::Otlp,
    RecordFormat::Tap,
];

fn identities() -> Identities {
    Identities::configured(&Config::resolve(&Sources { host_name: "test".to_owned(), ..Sources::default() }).unwrap())
}

fn read(bytes: Vec<u8>, format: RecordFormat) -> Vec<Result<Decoded, BadLine>> {
    let options = Options { format, ..Options::default() };
    Source::from_reader("t", Cursor::new(bytes), &options).map(Iterator::collect).unwrap_or_default()
}

fn reasons(records: &[Result<Decoded, BadLine>]) -> Vec<Option<Reason>> {
    records.iter().map(|record| record.as_ref().err().map(|bad| bad.fault.reason)).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const GOOD: &[u8] = b"{\"method\":\"GET\",\"path\":\"/ok\"}\n";

#[test]
fn compressed_in_several_members_and_frames() {
    let twice = [GOOD, GOOD].concat();
    for bytes in [
        gzip(&twice),
        [gzip(GOOD), gzip(GOOD)].concat(),
        zstd::encode_all(&twice[..], 1).unwrap(),
        [zstd::encode_all(GOOD, 1).unwrap(), zstd::encode_all(GOOD, 19).unwrap()].concat(),
        [b"\xef\xbb\xbf", &twice[..]].concat(),
    ] {
        assert_eq!(reasons(&read(bytes, RecordFormat::Auto)), [None, None]);
    }
}

#[test]
fn a_damaged_end_keeps_what_came_before_and_says_so() {
    let many = GOOD.repeat(20_000);
    let whole = gzip(&many);
    let records = read(whole[..whole.len() - 5].to_vec(), RecordFormat::Auto);
    assert_eq!(records.last().unwrap().as_ref().unwrap_err().fault.reason, Reason::ReadError);
    assert!(records.len() > 1 && records[..records.len() - 1].iter().all(Result::is_ok));
    let mut garbled = zstd::encode_all(&many[..], 1).unwrap();
    garbled.truncate(garbled.len() / 2);
    assert_eq!(read(garbled, RecordFormat::Auto).last().unwrap().as_ref().unwrap_err().fault.reason, Reason::ReadError);
}

#[test]
fn a_bomb_is_one_long_line() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let mut zeros = std::io::repeat(b'0').take(256 << 20);
    std::io::copy(&mut zeros, &mut encoder).unwrap();
    encoder.write_all(b"\n").unwrap();
    encoder.write_all(GOOD).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let records = read(bomb, RecordFormat::Exchange);
    assert_eq!(reasons(&records), [Some(Reason::TooLong), None]);
}

#[test]
fn depth_is_counted_before_any_parse() {
    let deep = "[".repeat(100_000);
    let closed = format!("{deep}{}", "]".repeat(100_000));
    for tail in [deep.as_str(), closed.as_str()] {
        let line = format!("{{\"method\":\"GET\",\"path\":\"/\",\"x\":{tail}}}\n");
        for format in [RecordFormat::Exchange, RecordFormat::Json] {
            assert_eq!(reasons(&read(line.clone().into(), format)), [Some(Reason::TooDeep)]);
        }
        let har = format!("{{\"log\":{{\"entries\":[{{\"request\":{{}},\"x\":{closed}}},{{\"request\":{tail}}}]}}}}");
        assert!(reasons(&read(har.into(), RecordFormat::Auto)).iter().all(Option::is_some));
    }
}

#[test]
fn ten_thousand_headers_are_kept_to_the_cap() {
    let headers: Vec<String> = (0..10_000).map(|i| format!("\"h{i}\":\"v\"")).collect();
    let line = format!("{{\"method\":\"GET\",\"path\":\"/\",\"request\":{{\"headers\":{{{}}}}}}}\n", headers.join(","));
    let records = read(line.into(), RecordFormat::Exchange);
    let headers = records[0].as_ref().unwrap().exchange.request.headers.as_ref().unwrap();
    assert_eq!((headers.len(), headers.dropped as usize), (engine::MAX_HEADERS, 10_000 - engine::MAX_HEADERS));
}

/// Bytes that are nearly something.
fn nearly_something() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40),
        2 => "[ -~]{0,40}".prop_map(String::into_bytes),
        1 => Just(GOOD.to_vec()),
        1 => Just(b"{\"log\":{\"entries\":[".to_vec()),
        1 => Just(b"{\"request\":{\"method\":\"GET\",\"url\":\"http://h/\",\"headers\":[".to_vec()),
        1 => Just(b"203.0.113.9 - - [03/Feb/2026:08:15:00 +0100] \"GET / HTTP/1.1\" 200 1 \"".to_vec()),
        1 => Just(b"{\"request_method\":\"GET\",\"request_uri\":\"/\xff\",\"status\":".to_vec()),
        1 => Just(b"{\"http_streamed_trace_segment\":{\"trace_id\":7,\"request_headers\":{\"headers\":[".to_vec()),
        1 => Just(b"{\n \"http_buffered_trace\": {\"request\":{\"headers\":[{\"key\":\":path\",\"raw_value\":\"Lw==\"}".to_vec()),
        1 => Just(b"]}}\n".to_vec()),
        1 => Just(b"\"\\\\\\u00".to_vec()),
        1 => Just(vec![0x1f, 0x8b, 8, 0]),
        1 => Just(vec![0x28, 0xb5, 0x2f, 0xfd]),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_survived_in_every_format(bytes in nearly_something(), pack in 0u8..3) {
        let bytes = match pack {
            0 => bytes,
            1 => gzip(&bytes),
            _ => zstd::encode_all(&bytes[..], 1).unwrap(),
        };
        let preparer = Preparer::new(identities(), &[], &[9; 32]).unwrap();
        for format in FORMATS {
            for record in read(bytes.clone(), format).into_iter().flatten() {
                let prepared = preparer.prepared(record);
                let written = serde_json::to_vec(&prepared).unwrap();
                prop_assert!(engine::Exchange::from_json(&written).is_ok(), "{}", written.escape_ascii());
            }
        }
    }

    #[test]
    fn every_line_is_a_record_or_a_bad_line(lines in proptest::collection::vec(prop_oneof![Just("{\"method\":\"GET\",\"path\":\"/ok\"}".to_owned()), "[!-~]{1,30}"], 0..20)) {
        // A file that begins so is one array of records, over however many lines.
        prop_assume!(!lines.first().is_some_and(|first| first == "[" || first.starts_with("[]") || first.starts_with("[{")));
        let records = read(lines.join("\n").into_bytes(), RecordFormat::Exchange);
        prop_assert_eq!(records.len(), lines.iter().filter(|line| !line.trim().is_empty()).count());
        for (i, record) in records.iter().enumerate() {
            let at = record.as_ref().map_or_else(|bad| &bad.at, |decoded| &decoded.at);
            prop_assert_eq!(at.line, i as u64 + 1);
        }
    }
}
