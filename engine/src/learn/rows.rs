//! The training view of a history: rows with endpoint, breadth unit, fold and weight.

use super::breadth::remember;
use crate::detect::{Class, Seen};
use crate::features::hash::{hash, mix};
use crate::features::{Features, Place};
use crate::paths::{EndpointIndex, Paths, Route};
use crate::record::{EndpointId, NetworkId, SourceId};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::net::IpAddr;

/// Folds for held-out scores.
pub(crate) const FOLDS: u8 = 5;
/// Successes after which an endpoint is known that only one caller calls: a webhook, a nightly job.
pub(crate) const FAMILIAR: usize = 100;
/// Sessions and networks that one caller is known by.
const MARKS: usize = 3;
/// Records that stand for one unit where nothing tells callers apart.
const BLOCK: usize = 64;
/// Records from which on one caller may be told to be a crowd.
const CROWD: usize = 1_000;
/// An endpoint with fewer distinct contents is divided into folds row by row.
const FEW_CONTENTS: usize = 50;
/// Most of a profile that one unit, and one network, may be.
pub(crate) const UNIT_SHARE: f32 = 0.01;
const NETWORK_SHARE: f32 = 0.05;

/// An endpoint that is not known is a novelty in itself, however often its few callers call it: so many requests of each count.
pub(crate) const NOVELTIES: u32 = 2;

/// One exchange as learners see it.
#[derive(Debug, Clone)]
pub(crate) struct Row<'h> {
    pub(crate) features: &'h Features,
    pub(crate) route: Route,
    /// The endpoint, where it is known.
    pub(crate) endpoint: Option<EndpointIndex>,
    pub(crate) id: EndpointId,
    pub(crate) class: Class,
    pub(crate) session: Option<u64>,
    pub(crate) unit: u64,
    pub(crate) network: Option<NetworkId>,
    pub(crate) fold: u8,
    /// What it counts for, in (0, 1]: no unit and no network can be more than its share.
    pub(crate) weight: f32,
    /// Whether it is one of the sample that rates are measured on: of a unit that weighs less than it sends, an even part.
    pub(crate) counts: bool,
    /// Whether the endpoint has one caller, whose habits are the endpoint's and nobody else's.
    pub(crate) is_sole: bool,
}

impl Row<'_> {
    pub(crate) fn seen(&self) -> Seen<'_> {
        Seen {
            features: self.features,
            route: &self.route,
            endpoint: self.endpoint,
            id: self.id,
            class: self.class,
            now: self.features.time.unwrap_or(0),
            is_timely: self.features.time.is_some(),
        }
    }
}

/// What is known of an endpoint beside its template.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct EndpointFacts {
    /// At least 3 successes from at least 2 units, or at least 100 from one.
    pub is_known: bool,
    /// A password-like field in.
    pub is_authentication: bool,
    /// Requests and successes in the history.
    pub requests: u64,
    /// See `requests`.
    pub successes: u64,
    /// Requests per status.
    pub statuses: Vec<(u16, u64)>,
}

/// The one caller of an endpoint, by what it is known again.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sole {
    sessions: SmallVec<[u64; MARKS]>,
    networks: SmallVec<[NetworkId; MARKS]>,
}

impl Sole {
    fn note(&mut self, features: &Features) {
        session_of(features).into_iter().for_each(|session| remember(&mut self.sessions, session));
        network_of(features).into_iter().for_each(|network| remember(&mut self.networks, network));
    }

    /// Whether a request is surely of another caller: its network is another, and its session, if it has one.
    pub(crate) fn is_other(&self, features: &Features) -> bool {
        let session = session_of(features);
        let Some(network) = network_of(features) else { return false };
        !self.networks.is_empty() && !self.networks.contains(&network) && !session.is_some_and(|s| self.sessions.contains(&s))
    }
}

/// Who succeeded at an endpoint: as many as matter.
#[derive(Debug, Default)]
struct Callers {
    units: SmallVec<[u64; 2]>,
    sole: Sole,
}

impl Callers {
    fn note(&mut self, unit: u64, features: &Features) {
        remember(&mut self.units, unit);
        if self.units.len() == 1 {
            self.sole.note(features);
        }
    }
}

/// Identity shared by everything that is no endpoint.
pub(crate) const UNSEEN: EndpointId = EndpointId(0);

/// Session as live state and learners know it.
pub(crate) fn session_of(features: &Features) -> Option<u64> {
    let key = features.session?.0;
    Some((key >> 64) as u64 ^ key as u64)
}

/// Network that a request came from.
fn network_of(features: &Features) -> Option<NetworkId> {
    features.source.map(SourceId::network)
}

/// Class of a request.
pub(crate) fn class_of(method: &str, facts: Option<&EndpointFacts>) -> Class {
    match method {
        _ if facts.is_some_and(|f| f.is_authentication) => Class::Authentication,
        "GET" | "HEAD" | "OPTIONS" => Class::Read,
        _ => Class::Write,
    }
}

/// Whether a request brings a password.
pub(crate) fn has_password(features: &Features) -> bool {
    features.fields.iter().any(|f| f.place != Place::Header && is_password(features.name(f)))
}

/// Whether a field's name says that its value proves who somebody is.
pub(crate) fn is_password(name: &str) -> bool {
    ["password", "passwd", "pwd", "pin", "otp"]
        .iter()
        .any(|w| name.eq_ignore_ascii_case(w) || (name.len() > w.len() && name.to_ascii_lowercase().ends_with(w) && w.len() > 3))
}

/// Network source as live state knows it: the address; of IPv6 the /64, of which a client may use any part.
pub(crate) fn source_of(features: &Features) -> Option<u64> {
    let bits = match features.source?.0 {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => u64::from(u32::from(v4)),
            None => (u128::from(v6) >> 64) as u64,
        },
    };
    Some(mix(bits, 0x50_1ace).max(1))
}

/// A history, arranged.
pub(crate) struct Arranged<'h> {
    /// In time order.
    pub(crate) rows: Vec<Row<'h>>,
    /// By endpoint.
    pub(crate) facts: Vec<EndpointFacts>,
    /// By endpoint: who alone calls it, and often.
    pub(crate) soles: Vec<Option<Sole>>,
    /// A session that more than half of everything has: a load balancer's address, say. Its rows are of no session.
    pub(crate) crowd: Option<u64>,
}

/// Arranges a history in time order.
pub(crate) fn rows<'h>(history: &[&'h Features], paths: &Paths) -> Arranged<'h> {
    let units = Units::of(history);
    let crowd = units.crowd_session;
    let mut facts = vec![EndpointFacts::default(); paths.endpoints().len()];
    let mut callers: Vec<Callers> = facts.iter().map(|_| Callers::default()).collect();
    let mut passwords = vec![0u64; facts.len()];
    let mut statuses: Vec<FxHashMap<u16, u64>> = vec![FxHashMap::default(); facts.len()];
    let mut rows: Vec<Row<'h>> = Vec::with_capacity(history.len());
    for (at, features) in history.iter().enumerate() {
        let route = paths.route(features);
        let unit = units.unit(at);
        if let Some(EndpointIndex(e)) = route.endpoint {
            let e = e as usize;
            facts[e].requests += 1;
            *statuses[e].entry(features.status()).or_default() += 1;
            passwords[e] += u64::from(has_password(features));
            if features.status() < 400 {
                facts[e].successes += 1;
                callers[e].note(unit, features);
            }
        }
        let id = route.endpoint.map_or(UNSEEN, |e| paths.endpoint(e).id);
        let network = network_of(features).filter(|_| !units.is_crowd(at));
        rows.push(Row {
            features,
            route,
            endpoint: None,
            id,
            class: Class::Read,
            session: session_of(features).filter(|session| crowd != Some(*session)),
            unit,
            network,
            fold: 0,
            weight: 1.0,
            counts: true,
            is_sole: false,
        });
    }
    for (e, (fact, callers)) in facts.iter_mut().zip(&callers).enumerate() {
        fact.is_known = fact.successes >= 3 && callers.units.len() >= 2 || fact.successes >= FAMILIAR as u64;
        fact.is_authentication = passwords[e] * 2 > fact.requests;
        fact.statuses = statuses[e].drain().collect();
        fact.statuses.sort_unstable();
    }
    // What one caller did a few times, another may well do for the first time.
    let alone = |(facts, callers): (&EndpointFacts, Callers)| {
        Some(callers.sole).filter(|_| callers.units.len() == 1 && facts.successes >= FAMILIAR as u64)
    };
    let soles: Vec<Option<Sole>> = facts.iter().zip(callers).map(alone).collect();
    for row in &mut rows {
        let facts = row.route.endpoint.map(|e| &facts[e.0 as usize]);
        row.class = class_of(&row.features.method, facts);
        row.endpoint = row.route.endpoint.filter(|_| facts.is_some_and(|f| f.is_known));
        row.is_sole = row.endpoint.is_some_and(|e| soles[e.0 as usize].is_some());
    }
    weigh(&mut rows);
    units.divide(&mut rows);
    Arranged { rows, facts, soles, crowd }
}

/// Whose a record is, as well as it tells.
fn caller(features: &Features, by_session: bool, at: usize) -> u64 {
    if let Some(subject) = features.subject {
        return subject.0 as u64;
    }
    if let (true, Some(session)) = (by_session, session_of(features)) {
        return session;
    }
    match features.source {
        Some(source) => mix(hash(source.0.to_string().as_bytes()), features.agent),
        None => (at / BLOCK) as u64,
    }
}

fn counted(keys: impl Iterator<Item = u64>) -> FxHashMap<u64, usize> {
    let mut counts = FxHashMap::default();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// What more than half of many rows have, if any.
fn most_of(counts: &FxHashMap<u64, usize>, rows: usize) -> Option<u64> {
    counts.iter().find(|(_, count)| rows >= CROWD && *count * 2 > rows).map(|(key, _)| *key)
}

/// Caps what one unit and one network count for in each endpoint.
fn weigh(rows: &mut [Row<'_>]) {
    let mut totals: FxHashMap<EndpointId, (f32, u32, u32)> = FxHashMap::default();
    let mut by_unit: FxHashMap<(EndpointId, u64), f32> = FxHashMap::default();
    let mut by_network: FxHashMap<(EndpointId, NetworkId), f32> = FxHashMap::default();
    for row in rows.iter() {
        let total = totals.entry(row.id).or_default();
        total.0 += 1.0;
        let unit = by_unit.entry((row.id, row.unit)).or_default();
        total.1 += u32::from(*unit == 0.0);
        *unit += 1.0;
        if let Some(network) = row.network {
            let count = by_network.entry((row.id, network)).or_default();
            total.2 += u32::from(*count == 0.0);
            *count += 1.0;
        }
    }
    let mut due: FxHashMap<(EndpointId, u64), (f32, u32)> = FxHashMap::default();
    for row in rows.iter_mut() {
        let (n, units, networks) = totals[&row.id];
        let share = |own: f32, cap: f32, distinct: u32| cap.max(2.0 / distinct as f32) * n / own;
        let mut weight = share(by_unit[&(row.id, row.unit)], UNIT_SHARE, units).min(1.0);
        if let Some(count) = row.network.and_then(|network| by_network.get(&(row.id, network))) {
            weight = weight.min(share(*count, NETWORK_SHARE, networks));
        }
        row.weight = weight;
        let (due, sent) = due.entry((row.id, row.unit)).or_insert((0.5, 0u32));
        (*due, *sent) = (*due + weight, *sent + 1);
        row.counts = if row.endpoint.is_some() && !row.is_sole { *due >= 1.0 } else { *sent <= NOVELTIES };
        if row.counts {
            *due -= 1.0;
        }
    }
}

/// What counts as one caller in this history.
struct Units {
    by_session: bool,
    /// A session that more than half of everything has.
    crowd_session: Option<u64>,
    /// By record.
    callers: Vec<u64>,
    /// Who sends most of everything: a load balancer that hides all callers, or the only one there is. Its requests stand for many.
    crowd: Option<u64>,
}

impl Units {
    /// Sessions tell callers apart where at least a fifth of them have two requests.
    fn of(history: &[&Features]) -> Self {
        let sessions = counted(history.iter().filter_map(|f| session_of(f)));
        let repeated = sessions.values().filter(|c| **c >= 2).count();
        let by_session = !sessions.is_empty() && repeated * 5 >= sessions.len();
        let callers: Vec<u64> = history.iter().enumerate().map(|(at, features)| caller(features, by_session, at)).collect();
        let crowd = most_of(&counted(callers.iter().copied()), history.len());
        Self { by_session, crowd_session: most_of(&sessions, history.len()), callers, crowd }
    }

    fn is_crowd(&self, at: usize) -> bool {
        self.crowd == Some(self.callers[at])
    }

    fn unit(&self, at: usize) -> u64 {
        if self.is_crowd(at) { (at / BLOCK) as u64 } else { self.callers[at] }
    }

    /// Puts rows into folds: rows of one session share one. Where there are no sessions, and at known endpoints of one caller, rows of
    /// one content do, so that nothing is judged by its own copy; endpoints with few contents are divided row by row, or a fold would hold
    /// all there is.
    fn divide(&self, rows: &mut [Row<'_>]) {
        let content = |f: &Features| {
            f.fields.iter().filter(|f| f.place.is_of_endpoint()).fold(hash(f.path.as_bytes()), |key, f| mix(key, f.value_hash))
        };
        let mut contents: FxHashMap<EndpointId, FxHashSet<u64>> = FxHashMap::default();
        let by_content = |at: usize, r: &Row<'_>| !self.by_session || r.session.is_none() || r.is_sole || self.is_crowd(at);
        for row in rows.iter().enumerate().filter(|(at, row)| by_content(*at, row)).map(|(_, row)| row) {
            let known = contents.entry(row.id).or_default();
            if known.len() < FEW_CONTENTS {
                known.insert(content(row.features));
            }
        }
        for (at, row) in rows.iter_mut().enumerate() {
            let key = match row.session {
                Some(session) if !by_content(at, row) => session,
                _ if contents.get(&row.id).is_some_and(|c| c.len() >= FEW_CONTENTS) => content(row.features),
                _ => at as u64,
            };
            row.fold = (mix(key, 0xf01d) % u64::from(FOLDS)) as u8;
        }
    }
}
