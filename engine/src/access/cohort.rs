//! Who calls which function: by kind of client, and by what else a session does.
//!
//! A function is odd for a caller when its kind of client should have called it by now, were it open to it, and never did; or when
//! sessions that do what this one did never call it.

use crate::detect::{Explanation, Seen};
use crate::features::Features;
use crate::features::hash::mix;
use crate::learn::Row;
use crate::links::short;
use crate::partition::Live;
use crate::paths::Paths;
use crate::record::Family;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

/// Callers that a kind of client, and an endpoint, must have had, at least.
const CALLERS: u32 = 10;
/// Share of callers from which on an endpoint is everybody's.
const COMMON: f32 = 0.2;
/// Least evidence that counts, nats.
const LEAST: f32 = 2.0;
/// Kinds of client, pairs and endpoints of a session kept, at most; the rarest go.
const MAX_KINDS: usize = 256;
const MAX_PAIRS: usize = 200_000;
const MAX_VISITED: usize = 32;

/// Which callers call what.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Cohorts {
    /// All callers; callers by kind of client, sorted.
    callers: u32,
    kinds: Vec<(u64, u32)>,
    /// Callers by endpoint (low bits of its id), sorted; and by endpoint and kind of client.
    endpoints: Vec<(u32, u32)>,
    of_kind: Vec<(u64, u32)>,
    /// Sessions that called two endpoints of which one is not everybody's, by both, sorted.
    together: Vec<(u64, u32)>,
}

/// How odd it is that this caller calls this.
pub(super) struct Oddity {
    pub(super) nats: f32,
    what: What,
    expected: f32,
    seen: u32,
    callers: u32,
}

#[derive(Clone, Copy)]
enum What {
    Kind,
    Company(u32),
}

/// Family of the client, kind of credential, and whether a subject is known.
fn kind_of(features: &Features) -> u64 {
    mix(features.agent, features.credential as u64 * 2 + u64::from(features.subject.is_some()))
}

fn pair(a: u32, b: u32) -> u64 {
    u64::from(a.min(b)) << 32 | u64::from(a.max(b))
}

/// Evidence that something expected so often was seen so seldom by more than chance (Chernoff's bound of a Poisson count), at most
/// how rare it is among that many callers.
fn evidence(expected: f32, seen: u32, callers: u32) -> f32 {
    let k = seen as f32;
    if k >= expected {
        return 0.0;
    }
    let nats = expected - k + if seen > 0 { k * (k / expected).ln() } else { 0.0 };
    let nats = nats.min(-((k + 0.5) / (callers as f32 + 1.0)).ln());
    if nats < LEAST { 0.0 } else { nats }
}

impl Cohorts {
    /// Learns from rows of one API.
    pub(super) fn learn(rows: &[&Row<'_>]) -> Self {
        let mut called: FxHashSet<(u64, u32, u64)> = FxHashSet::default();
        let mut sessions: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
        for row in rows.iter().filter(|r| r.endpoint.is_some() && r.features.succeeded() != Some(false)) {
            let endpoint = short(row.id.0);
            called.insert((row.session.unwrap_or(row.unit), endpoint, kind_of(row.features)));
            if let Some(session) = row.session {
                let visited = sessions.entry(session).or_default();
                if visited.len() < MAX_VISITED && !visited.contains(&endpoint) {
                    visited.push(endpoint);
                }
            }
        }
        let callers = called.iter().map(|(unit, ..)| unit).collect::<FxHashSet<_>>().len() as u32;
        let kinds = counts(called.iter().map(|(unit, _, kind)| (*unit, *kind)).collect::<FxHashSet<_>>().iter().map(|(_, kind)| *kind));
        let endpoints = counts(called.iter().map(|(unit, e, _)| (*unit, *e)).collect::<FxHashSet<_>>().iter().map(|(_, e)| *e));
        let is_narrow = |e: u32| find(&endpoints, e).is_some_and(|n| n >= CALLERS && (n as f32) < COMMON * callers as f32);
        let pairs = sessions.values().flat_map(|visited| {
            visited
                .iter()
                .enumerate()
                .flat_map(|(at, a)| visited[at + 1..].iter().map(|b| (*a, *b)))
                .filter(|(a, b)| is_narrow(*a) || is_narrow(*b))
        });
        let together = bounded(counts(pairs.map(|(a, b)| pair(a, b))), MAX_PAIRS);
        let kinds = bounded(kinds.into_iter().filter(|(_, n)| *n >= CALLERS).collect(), MAX_KINDS);
        let of_kind = counts(
            called.iter().filter(|(_, _, kind)| find(&kinds, *kind).is_some()).map(|(_, endpoint, kind)| mix(u64::from(*endpoint), *kind)),
        );
        Self { callers, kinds, endpoints, of_kind, together }
    }

    /// How odd a successful call is; `None` when nothing is known of either the endpoint or the caller.
    pub(super) fn oddity(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Oddity> {
        let features = seen.features;
        if seen.endpoint.is_none() || features.succeeded() == Some(false) || self.callers == 0 {
            return None;
        }
        let endpoint = short(seen.id.0);
        let callers = find(&self.endpoints, endpoint).filter(|n| *n >= CALLERS)?;
        let kind = kind_of(features);
        let mut worst = find(&self.kinds, kind).map(|of| {
            let expected = callers as f32 * of as f32 / self.callers as f32;
            let times = find(&self.of_kind, mix(u64::from(endpoint), kind)).unwrap_or(0);
            Oddity { nats: evidence(expected, times, callers), what: What::Kind, expected, seen: times, callers }
        });
        if (callers as f32) < COMMON * self.callers as f32 {
            for other in live.session.sequence.visited().iter().filter(|v| **v != endpoint) {
                let Some(of) = find(&self.endpoints, *other) else { continue };
                let expected = callers as f32 * of as f32 / self.callers as f32;
                let times = find(&self.together, pair(endpoint, *other)).unwrap_or(0);
                let nats = evidence(expected, times, callers);
                if worst.as_ref().is_none_or(|w| w.nats < nats) {
                    worst = Some(Oddity { nats, what: What::Company(*other), expected, seen: times, callers });
                }
            }
        }
        worst
    }

    /// Explains [`crate::detect::Aspect::Function`].
    pub(super) fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, paths: &Paths) -> Option<Explanation> {
        let odd = self.oddity(seen, live).filter(|o| o.nats > 0.0)?;
        let observed = match odd.what {
            What::Kind => "called by a kind of client that does not call it".to_owned(),
            What::Company(other) => {
                let name = paths.endpoints().iter().find(|e| short(e.id.0) == other).map_or_else(String::new, crate::paths::Endpoint::name);
                format!("called by a session that also called {name}")
            }
        };
        Some(Explanation {
            family: Family::FunctionAccess,
            place: "session".to_owned(),
            observed,
            expected: format!("{} of its {} callers did; {:.0} would by chance", odd.seen, odd.callers, odd.expected),
            support: u64::from(odd.callers),
        })
    }
}

fn counts<K: Ord + std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> Vec<(K, u32)> {
    let mut counts: FxHashMap<K, u32> = FxHashMap::default();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    let mut counts: Vec<(K, u32)> = counts.into_iter().collect();
    counts.sort_unstable();
    counts
}

/// The most frequent entries, sorted by key.
fn bounded(mut counts: Vec<(u64, u32)>, cap: usize) -> Vec<(u64, u32)> {
    if counts.len() > cap {
        counts.sort_unstable_by_key(|(key, n)| (std::cmp::Reverse(*n), *key));
        counts.truncate(cap);
        counts.sort_unstable();
    }
    counts
}

fn find<K: Ord + Copy>(sorted: &[(K, u32)], key: K) -> Option<u32> {
    sorted.binary_search_by(|(k, _)| k.cmp(&key)).ok().map(|at| sorted[at].1)
}
