//! What the trainer remembers: a bounded sample of whole sessions, as [`Features`].

use crate::features::Features;
use crate::features::hash::{hash, mix};
use crate::learn::session_of;
use crate::record::SessionKey;
use rustc_hash::FxHashMap;
use std::collections::HashSet;

/// Exchanges of a rough endpoint that are kept whatever their session.
const FLOOR: u32 = 500;
/// Rough endpoints counted, at most.
const MAX_ROUGH: usize = 20_000;

/// After so many halvings hardly any session is chosen.
const MOST_HALVINGS: u32 = 40;

/// Bounds of a [`History`].
#[derive(Debug, Clone, Copy)]
pub struct HistoryLimits {
    /// Most exchanges kept.
    pub max_exchanges: usize,
    /// Most bytes kept (estimate of heap use).
    pub max_bytes: usize,
    /// Exchanges older than this, measured from the newest, are dropped. Milliseconds.
    pub keep_ms: i64,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { max_exchanges: 2_000_000, max_bytes: 512 << 20, keep_ms: 30 * 24 * 3_600_000 }
    }
}

/// A bounded sample of whole sessions chosen by hash, at least 500 exchanges a rough endpoint.
///
/// Over its bounds it halves the share of sessions that it keeps: each session is in or out as a whole.
#[derive(Debug, Default)]
pub struct History {
    limits: HistoryLimits,
    kept: Vec<Kept>,
    bytes: usize,
    seen: u64,
    newest: i64,
    /// Sessions whose hash has one of its lowest bits set are left out: as many bits as the sample was halved.
    halvings: u32,
    rough: FxHashMap<u64, u32>,
}

#[derive(Debug)]
struct Kept {
    features: Features,
    key: u64,
    rough: u64,
}

impl History {
    /// Empty.
    #[must_use]
    pub fn new(limits: HistoryLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes one exchange; returns whether it is kept (so far).
    pub fn add(&mut self, mut features: Features) -> bool {
        self.seen += 1;
        let key = mix(session_of(&features).unwrap_or(self.seen), 0x5a3b);
        let rough = rough_endpoint(&features);
        if !self.is_chosen(key) && self.rough.get(&rough).copied().unwrap_or(if self.rough.len() < MAX_ROUGH { 0 } else { FLOOR }) >= FLOOR
        {
            return false;
        }
        if self.rough.len() < MAX_ROUGH || self.rough.contains_key(&rough) {
            *self.rough.entry(rough).or_default() += 1;
        }
        features.shrink();
        self.newest = self.newest.max(features.time.unwrap_or(i64::MIN));
        self.bytes += features.size();
        self.kept.push(Kept { features, key, rough });
        while self.is_over() && self.halve() {}
        true
    }

    fn is_chosen(&self, key: u64) -> bool {
        key & ((1 << self.halvings) - 1) == 0
    }

    fn is_over(&self) -> bool {
        self.kept.len() > self.limits.max_exchanges || self.bytes > self.limits.max_bytes
    }

    /// Drops what is too old, else half of the sessions; returns whether there is more to drop.
    fn halve(&mut self) -> bool {
        let before = self.kept.len();
        let oldest = self.newest.saturating_sub(self.limits.keep_ms);
        self.kept.retain(|k| k.features.time.is_none_or(|t| t >= oldest));
        if self.kept.len() == before {
            self.halvings = (self.halvings + 1).min(MOST_HALVINGS);
            let chosen = (1u64 << self.halvings) - 1;
            let mut left: FxHashMap<u64, u32> = FxHashMap::default();
            // The newest of a rough endpoint stay, up to the floor, in an eighth of the room at most.
            let (mut spare, mut spare_bytes) = (self.limits.max_exchanges / 8, self.limits.max_bytes / 8);
            let mut stays: Vec<bool> = vec![false; self.kept.len()];
            for (at, kept) in self.kept.iter().enumerate().rev() {
                let count = left.entry(kept.rough).or_default();
                let is_chosen = kept.key & chosen == 0;
                let size = kept.features.size();
                stays[at] = is_chosen || (*count < FLOOR && spare > 0 && size <= spare_bytes);
                if stays[at] && !is_chosen {
                    spare -= 1;
                    spare_bytes -= size;
                }
                *count += u32::from(stays[at]);
            }
            let mut at = 0;
            self.kept.retain(|_| {
                at += 1;
                stays[at - 1]
            });
        }
        self.rough.clear();
        for kept in &self.kept {
            *self.rough.entry(kept.rough).or_default() += 1;
        }
        self.kept.shrink_to_fit();
        self.bytes = self.kept.iter().map(|k| k.features.size()).sum();
        self.kept.len() < before || self.halvings < MOST_HALVINGS
    }

    /// Drops all exchanges of these sessions.
    pub fn forget(&mut self, sessions: &HashSet<SessionKey>) {
        self.kept.retain(|kept| kept.features.session.is_none_or(|session| !sessions.contains(&session)));
        self.bytes = self.kept.iter().map(|kept| kept.features.size()).sum();
    }

    /// What is kept, in the order in which it came.
    pub fn iter(&self) -> impl Iterator<Item = &Features> {
        self.kept.iter().map(|k| &k.features)
    }

    /// Exchanges seen, kept or not.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Exchanges kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Bytes kept, estimated.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Method, host and the path with everything that looks like a value left out: what endpoints are before they are known.
fn rough_endpoint(features: &Features) -> u64 {
    let start = mix(hash(features.method.as_bytes()), hash(features.host.as_bytes()));
    let success = u64::from(features.status() < 400);
    features.segments().take(6).fold(mix(start, success), |key, segment| {
        let is_value = segment.len() > 24 || segment.bytes().any(|b| b.is_ascii_digit() || b == b'%');
        mix(key, if is_value { 1 } else { hash(segment.as_bytes()) })
    })
}

#[cfg(test)]
mod tests {
    use super::{History, HistoryLimits};
    use crate::record::{Exchange, Text};
    use crate::{Features, SessionKey};
    use std::collections::{BTreeMap, HashSet};

    fn exchange(session: u32, path: &str, at: i64) -> Features {
        let mut e = Exchange {
            method: "GET".into(),
            path: Text::from(path.to_owned()),
            session: Some(Text::from(format!("s{session}"))),
            ..Exchange::default()
        };
        e.time = Some(at);
        e.response.status = Some(200);
        Features::of(&e)
    }

    #[test]
    fn sessions_are_kept_whole_and_bounds_hold() {
        let limits = HistoryLimits { max_exchanges: 4_000, ..HistoryLimits::default() };
        let mut history = History::new(limits);
        for i in 0..60_000u32 {
            history.add(exchange(i / 10, "/a", i64::from(i)));
            assert!(history.len() <= limits.max_exchanges);
        }
        let mut by_session: BTreeMap<SessionKey, u32> = BTreeMap::new();
        for f in history.iter() {
            *by_session.entry(f.session.expect("has one")).or_default() += 1;
        }
        let whole = by_session.values().filter(|n| **n == 10).count();
        assert!(whole * 10 >= by_session.len() * 6, "{whole} of {}", by_session.len());
    }

    #[test]
    fn sessions_that_are_to_be_forgotten_are_gone_and_no_other() {
        let mut history = History::new(HistoryLimits::default());
        for i in 0..40 {
            history.add(exchange(i % 4, "/x", i64::from(i)));
        }
        let attacker = history.iter().next().and_then(|f| f.session).expect("has one");
        history.forget(&HashSet::from([attacker]));
        assert_eq!(history.len(), 30);
        assert!(history.iter().all(|f| f.session != Some(attacker)));
    }

    #[test]
    fn rare_endpoints_survive_a_busy_one() {
        let mut history = History::new(HistoryLimits { max_exchanges: 5_000, ..HistoryLimits::default() });
        for i in 0..50_000u32 {
            let path = if i % 200 == 0 { "/rare" } else { "/busy" };
            history.add(exchange(i, path, i64::from(i)));
        }
        assert!(history.iter().filter(|f| &*f.path == "/rare").count() >= 200);
    }
}
