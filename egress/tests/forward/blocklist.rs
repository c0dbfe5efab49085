//! The block list topic: who is on it, and for how long.

use crate::bench::{Bench, NOW};
use std::collections::BTreeMap;

/// What a gateway that reads the topic from its beginning knows.
fn holding(bench: &Bench) -> BTreeMap<String, Option<serde_json::Value>> {
    let records = bench.all(&bench.settings.topics.blocklist);
    let key = |key: &[u8]| std::str::from_utf8(key).unwrap().to_owned();
    records.iter().map(|r| (key(r.key.as_deref().unwrap()), r.value.as_deref().map(|v| serde_json::from_slice(v).unwrap()))).collect()
}

#[test]
fn entries_come_with_alerts_and_go_when_their_time_is_over_even_after_a_restart() {
    let flag = |key, value: &str| (key, value.to_owned());
    let mut bench = Bench::new(&[flag("blocklist.addresses", "true"), flag("blocklist.tokens", "true"), flag("blocklist.ttl", "10m")]);
    bench.start();
    bench.alerts(0, 2);
    bench.wait_until("two entries", || holding(&bench).len() == 2);
    bench.stop();
    let entries = holding(&bench);
    let address = entries["address/203.0.113.7"].as_ref().unwrap();
    assert_eq!((address["until_ms"].as_i64(), address["confidence"].as_f64()), (Some(NOW + 600_000), Some(1.0 - 1e-5)));
    assert_eq!(entries["token/ab48"].as_ref().unwrap()["family"], "injection");

    bench.set_clock(NOW + 599_999);
    bench.start();
    bench.alerts(2, 1);
    let renewed = |bench: &Bench| holding(bench)["token/ab48"].as_ref().is_some_and(|entry| entry["until_ms"] == NOW + 1_199_999);
    bench.wait_until("the entry is renewed", || renewed(&bench));
    bench.stop();
    bench.set_clock(NOW + 1_200_000);
    bench.start();
    bench.wait_until("tombstones", || holding(&bench).values().all(Option::is_none));
    bench.stop();
}
