//! Who calls which function: by kind of client, and by what else a session does.
//!
//! A function is odd for a caller when its kind of client should have called it by now, were it open to it, and never did; or when
//! sessions that do what this one did never call it.

use crate::detect::{Aspect, Explanation, Seen};
use crate::features::Features;
use crate::features::hash::{hash, mix};
use crate::learn::Row;
use crate::partition::Live;
use crate::paths::Paths;
use crate::record::Family;
use crate::sequence::short;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

/// Callers that a kind of client, and an endpoint, must have had, at least.
const CALLERS: u32 = 10;
const AREA_CALLERS: u32 = 5;
/// Share of callers from which on an endpoint is everybody's.
const COMMON: f32 = 0.2;
/// Least evidence that counts, nats.
const LEAST: f32 = 1.5;
/// Kinds of client, pairs and endpoints of a session kept, at most; the rarest go.
const MAX_KINDS: usize = 256;
const MAX_PAIRS: usize = 200_000;
const MAX_VISITED: usize = 32;
/// Words of a path that make an area.
const AREA_WORDS: usize = 2;

/// Which callers call what.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Cohorts {
    /// All callers; callers by kind of client, sorted.
    callers: u32,
    kinds: Vec<(u64, u32)>,
    /// Callers by endpoint (low bits of its id), sorted; and by endpoint and kind of client.
    endpoints: Vec<(u32, u32)>,
    of_kind: Vec<(u64, u32)>,
    /// Area of each endpoint (both by low bits), sorted: endpoints under one path share their callers where each has few.
    areas: Vec<(u32, u32)>,
    /// Sessions by area, sorted; and by two areas of which one is not everybody's.
    of_area: Vec<(u32, u32)>,
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
    /// In company of an endpoint of another area.
    Area(u32),
}

/// Family of the client, kind of credential, and whether a subject is known.
fn kind_of(features: &Features) -> u64 {
    mix(features.agent, features.credential as u64 * 2 + u64::from(features.subject.is_some()))
}

/// Where an endpoint belongs: its first words, two at most.
fn area_of(row: &Row<'_>) -> u32 {
    let words = row.route.variables.first().map_or(AREA_WORDS, |first| usize::from(*first).min(AREA_WORDS));
    row.features.segments().take(words).fold(0xa4ea, |key, s| mix(key, hash(s.as_bytes()))) as u32
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
        let mut areas: FxHashMap<u32, u32> = FxHashMap::default();
        for row in rows.iter().filter(|r| r.endpoint.is_some() && r.features.succeeded() != Some(false)) {
            let endpoint = short(row.id);
            areas.entry(endpoint).or_insert_with(|| area_of(row));
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
        let by_area: Vec<Vec<u32>> = sessions.values().map(|visited| distinct(visited.iter().map(|e| areas[e]))).collect();
        let of_area = counts(by_area.iter().flatten().copied());
        let together = together(&by_area, &of_area, callers);
        let mut areas: Vec<(u32, u32)> = areas.into_iter().collect();
        areas.sort_unstable();
        let kinds = bounded(kinds.into_iter().filter(|(_, n)| *n >= CALLERS).collect(), MAX_KINDS);
        let of_kind = counts(
            called.iter().filter(|(_, _, kind)| find(&kinds, *kind).is_some()).map(|(_, endpoint, kind)| mix(u64::from(*endpoint), *kind)),
        );
        Self { callers, kinds, endpoints, of_kind, areas, of_area, together }
    }

    /// How odd a successful call is; `None` when nothing is known of either the endpoint or the caller.
    pub(super) fn oddity(&self, seen: &Seen<'_>, live: &Live<'_>, aspect: Aspect) -> Option<Oddity> {
        let features = seen.features;
        if seen.endpoint.is_none() || self.callers == 0 {
            return None;
        }
        let endpoint = short(seen.id);
        // Who is refused has asked all the same; 401 is for who is not known.
        if aspect == Aspect::Role && features.status() == 403 {
            return self.role(endpoint, live);
        }
        if features.succeeded() == Some(false) {
            return None;
        }
        if aspect == Aspect::Role {
            return self.role(endpoint, live);
        }
        let callers = find(&self.endpoints, endpoint).filter(|n| *n >= CALLERS)?;
        let kind = kind_of(features);
        let of = find(&self.kinds, kind)?;
        let times = find(&self.of_kind, mix(u64::from(endpoint), kind)).unwrap_or(0);
        Some(self.odd(What::Kind, (callers, of), times))
    }

    /// Whether the callers of this area keep out of others that the session called: the strangest of them.
    fn role(&self, endpoint: u32, live: &Live<'_>) -> Option<Oddity> {
        let area = find(&self.areas, endpoint)?;
        let callers = find(&self.of_area, area).filter(|n| self.is_narrow(*n))?;
        let odd = live.session.sequence.visited().iter().filter_map(|visited| {
            let other = find(&self.areas, *visited).filter(|a| *a != area)?;
            let times = find(&self.together, pair(area, other)).unwrap_or(0);
            Some(self.odd(What::Area(*visited), (callers, find(&self.of_area, other)?), times))
        });
        odd.reduce(|worst, other| if other.nats > worst.nats { other } else { worst })
    }

    /// Whether an area has callers of its own, and enough of them.
    fn is_narrow(&self, callers: u32) -> bool {
        is_narrow(callers, self.callers)
    }

    fn odd(&self, what: What, (callers, of): (u32, u32), seen: u32) -> Oddity {
        let expected = callers as f32 * of as f32 / self.callers as f32;
        Oddity { nats: evidence(expected, seen, callers), what, expected, seen, callers }
    }

    /// Explains [`crate::detect::Aspect::Function`].
    pub(super) fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, paths: &Paths, aspect: Aspect) -> Option<Explanation> {
        let odd = self.oddity(seen, live, aspect).filter(|o| o.nats > 0.0)?;
        let observed = match odd.what {
            What::Kind => "called by a kind of client that does not call it".to_owned(),
            What::Area(other) => {
                let name = paths.endpoints().iter().find(|e| short(e.id) == other).map_or_else(String::new, crate::paths::Endpoint::name);
                format!("called by a session that also called {name}")
            }
        };
        let its = if matches!(odd.what, What::Area(_)) { "callers of this part of the API" } else { "callers" };
        Some(Explanation {
            family: Family::FunctionAccess,
            place: "session".to_owned(),
            observed,
            expected: format!("{} of its {} {its} did; {:.0} would by chance", odd.seen, odd.callers, odd.expected),
            support: u64::from(odd.callers),
        })
    }
}

fn distinct(values: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut values: Vec<u32> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn is_narrow(callers: u32, all: u32) -> bool {
    callers >= AREA_CALLERS && (callers as f32) < COMMON * all as f32
}

/// Sessions that called two areas of which one has its own callers, by both.
fn together(sessions: &[Vec<u32>], of_area: &[(u32, u32)], all: u32) -> Vec<(u64, u32)> {
    let has_own = |area: u32| find(of_area, area).is_some_and(|n| is_narrow(n, all));
    let pairs = sessions.iter().flat_map(|areas| {
        areas
            .iter()
            .enumerate()
            .flat_map(move |(at, a)| areas[at + 1..].iter().map(move |b| (*a, *b)))
            .filter(|(a, b)| has_own(*a) || has_own(*b))
    });
    bounded(counts(pairs.map(|(a, b)| pair(a, b))), MAX_PAIRS)
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
