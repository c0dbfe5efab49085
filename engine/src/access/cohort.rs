//! Who calls which function: by kind of client, and by what else a session does.
//!
//! A function is odd for a caller when its kind of client should have called it by now, were it open to it, and never did; or when
//! sessions that do what this one did never call it.

use crate::detect::{Explanation, Seen};
use crate::features::Features;
use crate::features::hash::{hash, mix};
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
    /// Sessions that called two endpoints of which one is not everybody's, by both, sorted.
    together: Vec<(u64, u32)>,
    /// Area of each endpoint (both by low bits), sorted: endpoints under one path share their callers where each has few.
    areas: Vec<(u32, u32)>,
    /// The same counts of areas.
    of_area: Vec<(u32, u32)>,
    areas_together: Vec<(u64, u32)>,
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
    /// An endpoint of another area.
    Area(u32),
}

/// Family of the client, kind of credential, and whether a subject is known.
fn kind_of(features: &Features) -> u64 {
    mix(features.agent, features.credential as u64 * 2 + u64::from(features.subject.is_some()))
}

/// Where an endpoint belongs: its first words, two at most.
fn area_of(row: &Row<'_>) -> u32 {
    let words = row.route.variables.first().map_or(AREA_WORDS, |first| usize::from(*first).min(AREA_WORDS));
    short(row.features.segments().take(words).fold(0xa4ea, |key, s| mix(key, hash(s.as_bytes()))))
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
            let endpoint = short(row.id.0);
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
        let together = together(sessions.values(), &endpoints, callers);
        let by_area: Vec<Vec<u32>> = sessions.values().map(|visited| distinct(visited.iter().map(|e| areas[e]))).collect();
        let of_area = counts(by_area.iter().flatten().copied());
        let areas_together = self::together(by_area.iter(), &of_area, callers);
        let mut areas: Vec<(u32, u32)> = areas.into_iter().collect();
        areas.sort_unstable();
        let kinds = bounded(kinds.into_iter().filter(|(_, n)| *n >= CALLERS).collect(), MAX_KINDS);
        let of_kind = counts(
            called.iter().filter(|(_, _, kind)| find(&kinds, *kind).is_some()).map(|(_, endpoint, kind)| mix(u64::from(*endpoint), *kind)),
        );
        Self { callers, kinds, endpoints, of_kind, together, areas, of_area, areas_together }
    }

    /// How odd a successful call is; `None` when nothing is known of either the endpoint or the caller.
    pub(super) fn oddity(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Oddity> {
        let features = seen.features;
        if seen.endpoint.is_none() || features.succeeded() == Some(false) || self.callers == 0 {
            return None;
        }
        let endpoint = short(seen.id.0);
        let own = find(&self.endpoints, endpoint).filter(|n| *n >= CALLERS);
        let of_kind = own.and_then(|callers| {
            let kind = kind_of(features);
            let of = find(&self.kinds, kind)?;
            let times = find(&self.of_kind, mix(u64::from(endpoint), kind)).unwrap_or(0);
            Some(self.odd(What::Kind, (callers, of), times))
        });
        let visited = live.session.sequence.visited().iter().copied().filter(|v| *v != endpoint);
        let company = self.company((endpoint, own), visited.clone().map(|v| (v, v)), &self.endpoints, &self.together, What::Company);
        let area = find(&self.areas, endpoint).unwrap_or(0);
        let of_area = find(&self.of_area, area).filter(|n| *n >= CALLERS);
        let elsewhere = visited.filter_map(|v| find(&self.areas, v).map(|area| (v, area))).filter(|(_, a)| *a != area);
        let abroad = self.company((area, of_area), elsewhere, &self.of_area, &self.areas_together, What::Area);
        [of_kind, company, abroad].into_iter().flatten().reduce(|worst, other| if other.nats > worst.nats { other } else { worst })
    }

    fn odd(&self, what: What, (callers, of): (u32, u32), seen: u32) -> Oddity {
        let expected = callers as f32 * of as f32 / self.callers as f32;
        Oddity { nats: evidence(expected, seen, callers), what, expected, seen, callers }
    }

    /// The strangest company that something with callers of its own is in: of what this session called before (endpoint, and what it
    /// counts as), that which its callers call least.
    fn company(
        &self,
        (it, callers): (u32, Option<u32>),
        visited: impl Iterator<Item = (u32, u32)>,
        of_each: &[(u32, u32)],
        together: &[(u64, u32)],
        what: fn(u32) -> What,
    ) -> Option<Oddity> {
        let callers = callers.filter(|n| (*n as f32) < COMMON * self.callers as f32)?;
        let odd = visited.filter_map(|(endpoint, other)| {
            Some(self.odd(what(endpoint), (callers, find(of_each, other)?), find(together, pair(it, other)).unwrap_or(0)))
        });
        odd.reduce(|worst, other| if other.nats > worst.nats { other } else { worst })
    }

    /// Explains [`crate::detect::Aspect::Function`].
    pub(super) fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, paths: &Paths) -> Option<Explanation> {
        let odd = self.oddity(seen, live).filter(|o| o.nats > 0.0)?;
        let observed = match odd.what {
            What::Kind => "called by a kind of client that does not call it".to_owned(),
            What::Company(other) | What::Area(other) => {
                let name = paths.endpoints().iter().find(|e| short(e.id.0) == other).map_or_else(String::new, crate::paths::Endpoint::name);
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

/// Sessions that called two things of which one has its own callers, by both.
fn together<'v>(sessions: impl Iterator<Item = &'v Vec<u32>>, of_each: &[(u32, u32)], callers: u32) -> Vec<(u64, u32)> {
    let is_narrow = |e: u32| find(of_each, e).is_some_and(|n| n >= CALLERS && (n as f32) < COMMON * callers as f32);
    let pairs = sessions.flat_map(|visited| {
        let others = |at: usize| visited[at + 1..].iter().copied();
        visited.iter().enumerate().flat_map(move |(at, a)| others(at).map(|b| (*a, b))).filter(|(a, b)| is_narrow(*a) || is_narrow(*b))
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
