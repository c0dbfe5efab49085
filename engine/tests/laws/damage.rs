//! Whatever comes in — records, bodies, model files, checkpoints — is read or refused: nothing panics, nothing grows without bound.

use crate::arbitrary;
use crate::traffic::{SMALL_SHOP, attacked, judging, learned, partition, position};
use engine::features::json::{Leaf, Visitor, Walked, Walker, deeper_than};
use engine::features::{MAX_FIELDS, MAX_SEGMENTS, MAX_VALUE};
use engine::record::{Exchange, Text};
use engine::{Effect, Features, Limits, Model, StateEntry};
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::{Arc, LazyLock};

/// Bytes that one exchange may be for those who keep it, whatever was sent.
const MOST_BYTES: usize = 256 << 10;

fn check(exchange: &Exchange<'_>) -> Result<(), TestCaseError> {
    let mut features = Features::of(exchange);
    features.shrink();
    prop_assert!(features.fields.len() <= MAX_FIELDS);
    prop_assert!(features.fields.iter().all(|f| features.value(f).len() <= MAX_VALUE));
    prop_assert!(features.segments().count() <= MAX_SEGMENTS);
    prop_assert!(features.size() <= MOST_BYTES, "{} bytes", features.size());
    Ok(())
}

/// Leaves of a body, and nothing else.
#[derive(Default)]
struct Count {
    leaves: usize,
    texts: Vec<String>,
}

impl Visitor for Count {
    fn leaf(&mut self, _path: u64, _key: u64, _name: &str, leaf: Leaf<'_>) {
        self.leaves += 1;
        if let Leaf::Text(text) = leaf {
            self.texts.push(text.to_owned());
        }
    }
    fn array(&mut self, _path: u64, _length: u32) {}
    fn member(&mut self, _path: u64, _depth: usize, _name: &str) {}
}

fn count(value: &serde_json::Value, into: &mut Count) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| count(item, into)),
        serde_json::Value::Object(members) => members.values().for_each(|member| count(member, into)),
        leaf => {
            into.leaves += 1;
            into.texts.extend(leaf.as_str().map(str::to_owned));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_exchange_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Exchange::from_json(&bytes);
    }

    #[test]
    fn any_json_is_an_exchange_or_refused(value in arbitrary::value(), text in arbitrary::json()) {
        let _ = Exchange::from_json(text.as_bytes());
        for key in ["time", "method", "client", "request", "response", "session", "duration_ms"] {
            let mut record = serde_json::json!({ "method": "GET", "path": "/a" });
            record[key] = value.clone();
            if let Ok(exchange) = Exchange::from_json(record.to_string().as_bytes()) {
                check(&exchange)?;
            }
        }
    }

    #[test]
    fn an_exchange_is_read_back_as_it_was_written(exchange in arbitrary::exchange()) {
        prop_assume!(exchange.check().is_ok());
        let record = serde_json::to_vec(&exchange).expect("JSON");
        let again = Exchange::from_json(&record).expect("its own record");
        prop_assert_eq!(&again.path, &exchange.path);
        prop_assert_eq!(again.request.body(), exchange.request.body());
        prop_assert_eq!(&again.client, &exchange.client);
    }

    #[test]
    fn features_of_anything_are_bounded(exchange in arbitrary::exchange()) {
        check(&exchange)?;
    }

    #[test]
    fn a_walk_meets_what_a_parser_finds(text in arbitrary::json()) {
        let mut walked = Count::default();
        let how = Walker::default().walk(&text, Exchange::MAX_DEPTH, &mut walked);
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
            let mut parsed = Count::default();
            count(&value, &mut parsed);
            prop_assert_eq!(how, Walked::Whole);
            walked.texts.sort();
            parsed.texts.sort();
            prop_assert_eq!((walked.leaves, walked.texts), (parsed.leaves, parsed.texts));
        }
    }

    #[test]
    fn a_walk_ends_on_any_bytes(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"[]{}\",:\\u0dEe+-.tn ".to_vec())], 0..200)) {
        let _ = Walker::default().walk(&String::from_utf8_lossy(&bytes), Exchange::MAX_DEPTH, &mut Count::default());
        let _ = deeper_than(&bytes, Exchange::MAX_DEPTH);
    }
}

#[test]
fn deep_and_huge_records_are_refused_or_bounded() {
    let deep = format!(r#"{{"method":"GET","path":"/","x":{}"#, "[".repeat(1_000_000));
    assert!(Exchange::from_json(deep.as_bytes()).is_err());
    assert!(Exchange::from_json(&vec![b' '; Exchange::MAX_BYTES + 1]).is_err());
    let wide: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":\"{n}\"")).collect();
    let bodies = [
        "[".repeat(1_000_000),
        "{\"a\":".repeat(300_000),
        format!("{{{}}}", wide.join(",")),
        format!("[{}]", "1,".repeat(500_000) + "1"),
        format!("{{\"a\":\"{}\"}}", "\\u0041".repeat(300_000)),
        "a=1&".repeat(300_000),
        "%25".repeat(500_000),
        "&amp;".repeat(300_000),
    ];
    for body in &bodies {
        for kind in ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "text/plain"] {
            let mut exchange =
                Exchange { method: "POST".into(), path: "/a".into(), query: Some(Text::from(body.as_str())), ..Exchange::default() };
            let mut headers = engine::record::Headers::new();
            headers.push("content-type", kind);
            (0..10_000).for_each(|n| headers.push(format!("x-{n}"), "1"));
            headers.push("cookie", body.as_str());
            exchange.request.headers = Some(headers);
            exchange.request.body = Some(Text::from(body.as_str()));
            exchange.response.body = Some(Text::from(body.as_str()));
            check(&exchange).expect("bounded");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn judging_never_panics(odd in prop::collection::vec((arbitrary::exchange(), any::<Index>(), 0u8..16), 1..12)) {
        let mut partition = judging(&SMALL_SHOP.model);
        for (at, (exchange, template, parts)) in odd.into_iter().enumerate() {
            let verdict = partition.judge(position(at), &spliced(exchange, &template, parts)).verdict;
            prop_assert!((0.0..=1.0).contains(&verdict.p) && verdict.score.is_finite(), "{verdict:?}");
            prop_assert!(verdict.reasons.len() <= 5);
            prop_assert!(verdict.to_json().is_ok());
        }
        partition.checkpoint();
    }

    #[test]
    fn learning_from_anything_never_panics(odd in prop::collection::vec((arbitrary::exchange(), any::<Index>(), 0u8..16), 1..60)) {
        let traffic: Vec<Exchange<'static>> = odd.into_iter().map(|(exchange, template, parts)| spliced(exchange, &template, parts)).collect();
        let model = Arc::new(learned(traffic.iter(), "odd"));
        let mut partition = judging(&model);
        for (at, exchange) in traffic.iter().enumerate() {
            partition.judge(position(at), exchange);
        }
        prop_assert_eq!(model.summary().as_object().map(serde_json::Map::len), Some(model.apis().len()));
        prop_assert!(model.endpoints().len() <= traffic.len());
    }
}

/// An exchange of the shop with some of its parts from elsewhere, so that odd parts reach the rooms behind known endpoints.
fn spliced(odd: Exchange<'static>, template: &Index, parts: u8) -> Exchange<'static> {
    let mut exchange = template.get(&SMALL_SHOP.next_day).clone();
    if parts == 0 {
        return odd;
    }
    if parts & 1 != 0 {
        exchange.request = odd.request;
        exchange.query = odd.query;
    }
    if parts & 2 != 0 {
        exchange.response = odd.response;
    }
    if parts & 4 != 0 {
        (exchange.time, exchange.duration_ms) = (odd.time, odd.duration_ms);
    }
    if parts & 8 != 0 {
        (exchange.session, exchange.subject, exchange.client) = (odd.session, odd.subject, odd.client);
    }
    exchange
}

static PARTS: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| SMALL_SHOP.model.to_parts().expect("parts"));

/// Entries of a partition that lived through an attack.
static ENTRIES: LazyLock<Vec<StateEntry>> = LazyLock::new(|| {
    let mut partition = judging(&SMALL_SHOP.model);
    for (at, exchange) in attacked(13, 0.02, 12_000).iter().enumerate() {
        partition.judge(position(at), exchange);
    }
    partition.checkpoint()
});

/// Bytes with one thing wrong.
fn damaged(mut bytes: Vec<u8>, at: &Index, how: u8) -> Vec<u8> {
    let place = at.index(bytes.len().max(1));
    match how % 4 {
        0 => bytes.truncate(place),
        1 => bytes.insert(place, how),
        2 => bytes.extend([how; 9]),
        _ => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= how | 1;
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn a_damaged_part_is_refused(which: Index, at: Index, how: u8) {
        let mut parts = PARTS.clone();
        // The head is text for people; what it says is checked by what carries it.
        let which = 1 + which.index(parts.len() - 1);
        parts[which].1 = damaged(std::mem::take(&mut parts[which].1), &at, how);
        prop_assert!(Model::from_parts(&parts).is_err());
    }

    #[test]
    fn a_damaged_head_never_panics(at: Index, how: u8) {
        let mut parts = PARTS.clone();
        parts[0].1 = damaged(std::mem::take(&mut parts[0].1), &at, how);
        let _ = Model::from_parts(&parts);
    }

    #[test]
    fn arbitrary_parts_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut parts = PARTS.clone();
        parts[1].1 = bytes;
        prop_assert!(Model::from_parts(&parts).is_err());
    }
}

#[test]
fn a_missing_part_is_refused() {
    for missing in 0..PARTS.len() {
        let mut parts = PARTS.clone();
        parts.remove(missing);
        assert!(Model::from_parts(&parts).is_err(), "{}", PARTS[missing].0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn damaged_state_is_refused_or_survived(wrong in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>(), any::<bool>()), 1..40)) {
        let mut partition = partition(0, Limits::default());
        partition.apply(Effect::Model(Arc::clone(&SMALL_SHOP.model)));
        let mut entries = ENTRIES.clone();
        for (which, at, how, is_key) in &wrong {
            let entry = &mut entries[which.index(ENTRIES.len())];
            if *is_key {
                entry.key = damaged(std::mem::take(&mut entry.key), at, *how);
            } else {
                entry.value = entry.value.take().map(|value| damaged(value, at, *how));
            }
        }
        for entry in &entries {
            let _ = partition.restore(entry);
        }
        for (at, exchange) in SMALL_SHOP.next_day.iter().take(40).enumerate() {
            partition.judge(position(at), exchange);
        }
    }
}
