//! What traffic can grow has a cap, and attackers cannot grow anything past it.

use crate::tape::State;
use crate::traffic::{SMALL_SHOP, judging, partition, position};
use engine::api::Directory;
use engine::record::{Client, Exchange, Request, Response, Text};
use engine::{Effect, Features, History, HistoryLimits, LearnConfig, Limits, Model, learn};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Small enough for a flood to overrun every table many times.
const TIGHT: Limits = Limits { sessions: 40, sources: 30, objects: 50, tokens: 60, incidents: 10, endpoints: 20 };

/// A number without pattern, the same every time.
fn scattered(n: usize) -> u64 {
    (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// What an attacker can make up at will: everything.
fn made_up(n: usize, status: u16) -> Exchange<'static> {
    let r = scattered(n);
    let text = |kind: &str| Some(Text::from(format!("{kind}{r:x}")));
    let body = format!(r#"{{"f{r:x}":"{r}","id":{r},"token":"{r:032x}"}}"#);
    Exchange {
        time: Some(1_767_700_000_000 + n as i64 * 7),
        method: ["GET", "POST", "PUT", "DELETE"][n % 4].into(),
        path: Text::from(format!("/{:x}/{:x}", r >> 40, r & 0xff_ffff)),
        query: text("q="),
        host: SMALL_SHOP.learned_day[0].host.clone(),
        client: Client { ip: Some(Text::from(format!("2001:db8:{:x}:{:x}::1", r >> 48, r >> 32 & 0xffff))), user_agent: text("ua") },
        session: text("s"),
        subject: text("u"),
        request: Request { body: Some(Text::from(body.clone())), ..Request::default() },
        response: Response { status: Some(status), body: Some(Text::from(body)), ..Response::default() },
        ..Exchange::default()
    }
}

#[test]
fn a_flood_of_everything_fills_no_table_past_its_cap() {
    let mut partition = partition(0, TIGHT);
    partition.apply(Effect::Model(Arc::clone(&SMALL_SHOP.model)));
    let mut state = State::default();
    let mut sizes = Vec::new();
    for n in 0..6_000 {
        // Now and then a real request with a made-up caller, so that rooms behind known endpoints have something to note.
        let mut exchange = made_up(n, if n % 3 == 0 { 404 } else { 200 });
        if n % 2 == 0 {
            let real = &SMALL_SHOP.next_day[n % SMALL_SHOP.next_day.len()];
            exchange = Exchange {
                client: exchange.client,
                session: exchange.session,
                subject: exchange.subject,
                time: exchange.time,
                // An attack at times: incidents fill up, too.
                query: if n % 10 == 0 { Some(Text::from(format!("q=' OR '1'='1' UNION SELECT {n}"))) } else { real.query.clone() },
                ..real.clone()
            };
        }
        partition.judge(position(n), &exchange);
        let view = partition.view();
        assert!(view.sessions <= TIGHT.sessions as u64 && view.incidents <= TIGHT.incidents as u64, "{view:?}");
        if n % 1_000 == 999 {
            state.take(partition.checkpoint(), n + 1);
            let entries = state.live();
            let mut tables: BTreeMap<u8, usize> = BTreeMap::new();
            for (key, _) in &entries {
                *tables.entry(key[0]).or_default() += 1;
            }
            let largest = [TIGHT.sessions, TIGHT.sources, TIGHT.objects, TIGHT.tokens, TIGHT.incidents, TIGHT.endpoints].into_iter().max();
            assert!(tables.values().max() <= largest.as_ref(), "{tables:?}");
            assert!(tables[&b's'] <= TIGHT.sessions && tables[&b'i'] <= TIGHT.incidents, "{tables:?}");
            sizes.push(entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>());
        }
    }
    assert!(partition.view().evicted > 5_000);
    // All tables are full by the third thousand.
    assert!(sizes[5] < sizes[2] * 11 / 10, "the state grows: {sizes:?}");
}

#[test]
fn failed_requests_to_random_paths_make_no_endpoint() {
    let mut history = History::new(HistoryLimits { max_exchanges: 10_000, ..HistoryLimits::default() });
    for exchange in &SMALL_SHOP.learned_day {
        history.add(Features::of(exchange));
    }
    for n in 0..100_000 {
        history.add(Features::of(&made_up(n, 404)));
    }
    let flooded = learn(&history, &LearnConfig::default(), &mut |_| {}).expect("a history");
    let clean = &SMALL_SHOP.model;
    let names = |model: &Model| -> BTreeSet<String> {
        model.endpoints().into_iter().map(|e| format!("{} {}{}", e.method, e.host, e.template)).collect()
    };
    let made: Vec<String> = names(&flooded).difference(&names(clean)).cloned().collect();
    assert!(made.is_empty(), "{made:?}");
    assert!(flooded.endpoints().len() > 10);
    let size = |model: &Model| model.to_parts().expect("parts").iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    assert!(size(&flooded) < size(clean) * 3 / 2, "{} bytes were {}", size(&flooded), size(clean));
}

#[test]
fn a_host_header_makes_no_apis_at_will() {
    let mut directory = Directory::new(Vec::new());
    for n in 0..40_000 {
        let mut exchange = made_up(n, 200);
        exchange.host = Some(Text::from(format!("h{}.example", n / 100)));
        directory.add(&Features::of(&exchange));
    }
    assert!(directory.counts().len() <= 257 && directory.hosts().len() <= 256, "{}", directory.hosts().len());
    let before = directory.counts().len();
    for n in 0..20_000 {
        let mut exchange = made_up(n, 404);
        exchange.host = Some(Text::from(format!("{:x}.example", scattered(n))));
        directory.add(&Features::of(&exchange));
    }
    assert_eq!(directory.counts().len(), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_history_keeps_its_bounds(max_exchanges in 1usize..400, max_bytes in 1usize..400_000, keep_ms in 0i64..20_000) {
        let mut history = History::new(HistoryLimits { max_exchanges, max_bytes, keep_ms });
        for n in 0..1_500 {
            history.add(Features::of(&made_up(n, 200)));
            prop_assert!(history.len() <= max_exchanges, "{} of {}", history.len(), max_exchanges);
            prop_assert!(history.bytes() <= max_bytes, "{} bytes of {}", history.bytes(), max_bytes);
        }
        prop_assert_eq!(history.seen(), 1_500);
    }
}

#[test]
fn a_session_is_small() {
    let mut partition = judging(&SMALL_SHOP.model);
    let mut sizes: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (at, exchange) in SMALL_SHOP.next_day.iter().enumerate() {
        partition.judge(position(at), exchange);
        if at % 50 == 0 {
            for entry in partition.checkpoint().into_iter().filter(|e| e.key[0] == b's') {
                let size = sizes.entry(entry.key).or_default();
                *size = (*size).max(entry.value.map_or(0, |v| v.len()));
            }
        }
    }
    let mut sizes: Vec<usize> = sizes.into_values().collect();
    sizes.sort_unstable();
    assert!(sizes.len() > 100);
    assert!(sizes[sizes.len() / 2] <= 512 && sizes[sizes.len() - 1] <= 1_024, "{sizes:?}");
}
