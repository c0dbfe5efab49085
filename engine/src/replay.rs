//! `replay`: values that never repeat and do, and sessions continued from another client in another network.

use crate::detect::{Aspect, Explanation, Level, Seen, Signal};
use crate::features::hash::mix;
use crate::features::{Features, Field, Place, ValueKind};
use crate::learn::{Breadth, Row};
use crate::links::Origin;
use crate::partition::Live;
use crate::record::{EndpointId, Family, NetworkId};
use crate::time::rfc3339;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Values that "never repeats" rests on, at least.
const SUPPORT: u32 = 200;
/// Largest share of values that came again.
const REPEATS: f32 = 0.001;
/// Values after which a field that repeats is given up.
const TRIAL: u32 = 200;
/// Callers who may have been attackers.
const FEW: usize = 2;
/// Fields tried, at most, and values remembered of one while learning.
const MAX_FIELDS: usize = 5_000;
const MAX_VALUES: usize = 100_000;
/// A value that comes again in its session this soon is a network retry, milliseconds.
const RETRY: i64 = 60_000;
/// A value is forgotten after this, milliseconds.
const EXPIRES: i64 = 24 * 3_600_000;
/// Credentials remembered of one session.
const MAX_CREDENTIALS: usize = 4;
/// Sessions that the rate of changes of client rests on, at least.
const SESSIONS: u32 = 50;

/// What a session has of this room: from where each of its credentials was used first. One subject's phone and desk have one each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Beginnings {
    /// (credential, client), at most [`MAX_CREDENTIALS`], oldest first.
    first: SmallVec<[(u64, Origin); 2]>,
}

impl Beginnings {
    /// The client that used a credential first in this session.
    fn of(&self, credential: u64) -> Option<Origin> {
        self.first.iter().find(|(c, _)| *c == credential).map(|(_, origin)| *origin)
    }

    /// The client that used a credential first, of the oldest that is remembered.
    pub(crate) fn first(&self) -> Option<Origin> {
        self.first.first().map(|(_, origin)| *origin)
    }

    fn note(&mut self, credential: u64, origin: Origin) {
        if origin.is_known() && self.of(credential).is_none() {
            if self.first.len() >= MAX_CREDENTIALS {
                self.first.remove(0);
            }
            self.first.push((credential, origin));
        }
    }
}

/// When a value that never repeats was first seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    at: i64,
    session: u64,
    /// Whether the server failed then, so that the caller had reason to try again.
    failed: bool,
}

/// Which fields never repeat, and how seldom sessions change client and network.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Replay {
    /// By key, sorted; see [`key_of`].
    unique: Vec<(u64, Unique)>,
    /// Credentials that changed client and network at once, by session; where nobody saw them issued.
    within: Changes,
    /// Credentials used by another client in another network than they were issued to.
    since_issue: Changes,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Unique {
    values: u32,
    repeats: u32,
}

impl Unique {
    fn nats(self) -> f32 {
        -((self.repeats as f32 + 0.5) / (self.values as f32 + 1.0)).ln()
    }
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Changes {
    changed: u32,
    of: u32,
}

impl Changes {
    fn nats(self) -> f32 {
        -((self.changed as f32 + 0.5) / (self.of as f32 + 1.0)).ln()
    }

    fn level(self) -> Level {
        if self.of >= SESSIONS { Level::Own } else { Level::Global }
    }
}

/// How one session used one credential, as learned from.
struct Use {
    first: Origin,
    was_issued: bool,
    changed: bool,
}

/// A repeat, found.
struct Repeat<'r> {
    field: &'r Field,
    unique: Unique,
    first: Sighting,
}

/// Headers are the same thing wherever they are sent; other fields belong to their endpoint.
fn key_of(endpoint: EndpointId, field: &Field) -> u64 {
    if field.place.is_of_endpoint() { mix(endpoint.0, field.id) } else { field.id }
}

/// Whether a value is random enough that no two people choose it.
fn may_be_unique(field: &Field) -> bool {
    match field.kind {
        ValueKind::Uuid | ValueKind::Hex | ValueKind::Token | ValueKind::Jwt => true,
        // Shorter ones are times, and two callers may well have one.
        ValueKind::Int => field.length >= 15,
        ValueKind::Date | ValueKind::Float => false,
        _ => field.place == Place::Header && field.length >= 16,
    }
}

impl Replay {
    /// Learns which fields never repeat, and nothing else.
    pub(crate) fn of_repeats<'r>(rows: impl Iterator<Item = &'r Row<'r>>) -> Self {
        Self { unique: unique_fields(rows), ..Self::default() }
    }

    /// Learns from rows of one API in time order.
    pub(crate) fn learn<'r>(rows: impl Iterator<Item = &'r Row<'r>> + Clone) -> Self {
        let mut replay = Self::of_repeats(rows.clone());
        let mut issued_to: FxHashMap<u64, SmallVec<[Origin; 1]>> = FxHashMap::default();
        let mut uses: FxHashMap<(u64, u64), Use> = FxHashMap::default();
        let presented: FxHashSet<u64> = rows.clone().map(|r| r.features.credential_hash).filter(|c| *c != 0).collect();
        for row in rows.filter(|r| r.features.succeeded() != Some(false)) {
            let origin = Origin::of(row.features);
            if !origin.is_known() {
                continue;
            }
            for issued in row.features.response.issued.iter().filter(|i| presented.contains(i)) {
                issued_to.entry(*issued).or_default().push(origin);
            }
            let Some(session) = row.session else { continue };
            let credential = row.features.credential_hash;
            let issued = issued_to.get(&credential);
            let used = uses.entry((session, credential)).or_insert(Use { first: origin, was_issued: issued.is_some(), changed: false });
            used.changed |= match issued {
                Some(clients) => clients.iter().all(|c| c.is_elsewhere(origin)),
                None => used.first.is_elsewhere(origin),
            };
        }
        for used in uses.values() {
            let changes = if used.was_issued { &mut replay.since_issue } else { &mut replay.within };
            changes.of += 1;
            changes.changed += u32::from(used.changed);
        }
        replay
    }

    fn unique(&self, endpoint: EndpointId, field: &Field) -> Option<Unique> {
        if self.unique.is_empty() || field.repeat > 0 || !may_be_unique(field) {
            return None;
        }
        let key = key_of(endpoint, field);
        self.unique.binary_search_by_key(&key, |(k, _)| *k).ok().map(|at| self.unique[at].1)
    }

    /// Whether what a request repeats, if anything, is what nobody repeats but one or two who took it from others.
    pub(crate) fn are_of_few(&self, row: &Row<'_>) -> bool {
        row.features.fields.iter().filter_map(|field| self.unique(row.id, field)).all(|unique| unique.repeats == 0)
    }

    /// The repeat that surprises most, and whether there was anything to repeat.
    fn repeat<'s>(&self, seen: &Seen<'s>, live: &Live<'_>) -> (bool, Option<Repeat<'s>>) {
        let mut looked = false;
        let mut worst: Option<Repeat<'s>> = None;
        for field in &seen.features.fields {
            let Some(unique) = self.unique(seen.id, field) else { continue };
            looked = true;
            let key = mix(key_of(seen.id, field), field.value_hash);
            let Some(first) = live.shared.tokens.read(&key, |s| *s) else { continue };
            let is_retry = first.failed || (first.session == live.key && seen.now.saturating_sub(first.at) <= RETRY);
            if !is_retry && seen.now.saturating_sub(first.at) <= EXPIRES && worst.as_ref().is_none_or(|w| w.unique.nats() < unique.nats()) {
                worst = Some(Repeat { field, unique, first });
            }
        }
        (looked, worst)
    }

    /// Whether the session goes on from elsewhere, the habits to judge that by, and when its credential was issued if that was seen.
    /// `None` when there is nothing to compare. An attempt that failed continues nothing.
    fn takeover(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<(bool, Changes, Option<i64>)> {
        let origin = Origin::of(seen.features);
        if !live.has_session || !origin.is_known() || seen.features.succeeded() == Some(false) {
            return None;
        }
        if let Some(issue) = live.session.linked.issue().filter(|i| !i.origins.is_empty()) {
            return Some((issue.is_elsewhere(origin), self.since_issue, Some(issue.at)));
        }
        let first = live.session.beginnings.of(seen.features.credential_hash)?;
        Some((first.is_elsewhere(origin), self.within, None))
    }

    /// Answers [`Aspect::Repeat`] and [`Aspect::Takeover`].
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        let (looked, repeat) = self.repeat(seen, live);
        if looked {
            let (score, bet) = repeat.map_or((0.0, 0), |r| (r.unique.nats(), mix(r.field.id, r.field.value_hash)));
            out.push(Signal { aspect: Aspect::Repeat, score, level: Level::Own, bet });
        }
        if let Some((is_elsewhere, changes, _)) = self.takeover(seen, live) {
            let score = if is_elsewhere { changes.nats() } else { 0.0 };
            out.push(Signal { aspect: Aspect::Takeover, score, level: changes.level(), bet: 5 });
        }
    }

    /// Takes note of values that never repeat, and of where a session begins.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if seen.features.succeeded() != Some(false) {
            live.session.beginnings.note(seen.features.credential_hash, Origin::of(seen.features));
        }
        let status = seen.features.status();
        let now = Sighting { at: seen.now, session: live.key, failed: status >= 500 || status == 429 };
        for field in &seen.features.fields {
            if self.unique(seen.id, field).is_none() {
                continue;
            }
            let key = mix(key_of(seen.id, field), field.value_hash);
            let known = live.shared.tokens.read(&key, |s| *s).filter(|s| !s.failed && s.at >= seen.now.saturating_sub(EXPIRES));
            live.shared.tokens.put(key, seen.now, known.unwrap_or(now));
        }
    }

    /// Explains one of this room's aspects.
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, aspect: Aspect) -> Option<Explanation> {
        if aspect == Aspect::Repeat {
            let repeat = self.repeat(seen, live).1?;
            return Some(Explanation {
                family: Family::Replay,
                place: format!("{}.{}", repeat.field.place.prefix(), name(seen.features, repeat.field)),
                observed: format!("a value that was sent before, first at {}", rfc3339(repeat.first.at)),
                expected: format!("a new value each time: {} of {} repeated", repeat.unique.repeats, repeat.unique.values),
                support: u64::from(repeat.unique.values),
            });
        }
        let (_, changes, since) = self.takeover(seen, live)?;
        let before = match since {
            Some(at) => format!("the client that its credential was issued to at {}", rfc3339(at)),
            None => "the client that began it".to_owned(),
        };
        Some(Explanation {
            family: Family::Replay,
            place: "client".to_owned(),
            observed: format!("the session goes on from another client and another network than {before}"),
            expected: format!("both changed in {} of {} sessions", changes.changed, changes.of),
            support: u64::from(changes.of),
        })
    }
}

/// A field's name, cut and without control characters.
fn name(features: &Features, field: &Field) -> String {
    features.name(field).chars().take(64).map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// Counts of one field.
#[derive(Debug, Default)]
struct Tried {
    counts: Unique,
    /// Session and network that sent each value first, and when.
    first: FxHashMap<u64, (u64, Option<NetworkId>, i64)>,
    /// Repeats of what was sent from another network before, and by whom.
    elsewhere: u32,
    by: Breadth,
    /// Who repeated what came from the same network, as many as matter, and how often each.
    repeaters: SmallVec<[(u64, u32); FEW + 1]>,
}

impl Tried {
    /// What only one or two took from others repeats as little as before: they may have been attackers.
    fn counted(&self) -> Unique {
        let elsewhere = if self.by.is_enough() { self.elsewhere } else { 0 };
        Unique { values: self.counts.values + elsewhere, repeats: self.counts.repeats + elsewhere }
    }

    fn repeated_by(&mut self, caller: u64) {
        if let Some((_, times)) = self.repeaters.iter_mut().find(|(who, _)| *who == caller) {
            *times += 1;
        } else if self.repeaters.len() <= FEW {
            self.repeaters.push((caller, 1));
        }
    }

    /// The same without those who hardly sent anything but repeats, if they are one or two: they sent what they had caught.
    fn of_senders(&self) -> Unique {
        let mut counted = self.counted();
        if self.repeaters.len() <= FEW {
            let sent = |caller| self.first.values().filter(|(session, ..)| *session == caller).count();
            for (_, times) in self.repeaters.iter().filter(|(caller, times)| *times as usize > sent(*caller)) {
                counted.repeats -= times;
                counted.values -= times;
            }
        }
        counted
    }
}

/// Fields whose values never repeat, network retries left out.
fn unique_fields<'r>(rows: impl Iterator<Item = &'r Row<'r>>) -> Vec<(u64, Unique)> {
    let mut tried: FxHashMap<u64, Option<Tried>> = FxHashMap::default();
    for row in rows {
        let now = row.features.time.unwrap_or(0);
        let caller = row.session.unwrap_or(0);
        for field in row.features.fields.iter().filter(|f| f.repeat == 0 && may_be_unique(f)) {
            let key = key_of(row.id, field);
            if tried.len() >= MAX_FIELDS && !tried.contains_key(&key) {
                continue;
            }
            let slot = tried.entry(key).or_insert_with(|| Some(Tried::default()));
            let Some(known) = slot else { continue };
            match known.first.get(&field.value_hash) {
                Some((session, _, at)) if *session == caller && now.saturating_sub(*at) <= RETRY => continue,
                Some((_, first, _)) if first.zip(row.network).is_some_and(|(first, now)| first != now) => {
                    known.elsewhere += 1;
                    known.by.note(row.unit, row.network);
                }
                Some(_) => {
                    known.counts.values += 1;
                    known.counts.repeats += 1;
                    known.repeated_by(caller);
                }
                None if known.first.len() < MAX_VALUES => {
                    known.first.insert(field.value_hash, (caller, row.network, now));
                    known.counts.values += 1;
                }
                None => continue,
            }
            let counted = known.counted();
            if counted.values >= TRIAL && counted.repeats * 10 > counted.values {
                *slot = None;
            }
        }
    }
    let mut unique: Vec<(u64, Unique)> = tried
        .into_iter()
        .filter_map(|(key, slot)| Some((key, slot?.of_senders())))
        .filter(|(_, u)| u.values >= SUPPORT && u.repeats as f32 <= REPEATS * u.values as f32)
        .collect();
    unique.sort_unstable_by_key(|(key, _)| *key);
    unique
}

#[cfg(test)]
mod tests {
    use super::{Replay, Unique, key_of};
    use crate::detect::{Class, Seen};
    use crate::features::Features;
    use crate::partition::{Limits, Live, Session, Shared, Source};
    use crate::paths::Paths;
    use crate::record::{EndpointId, Exchange};

    fn call(nonce: u32) -> Features {
        let mut exchange = Exchange { method: "POST".into(), path: "/a".into(), ..Exchange::default() };
        exchange.request.headers.get_or_insert_default().push("x-nonce", format!("{nonce:032x}"));
        Features::of(&exchange)
    }

    #[test]
    fn a_flood_of_values_stays_within_the_cap() {
        let id = EndpointId(1);
        let first = call(0);
        let nonce = &first.fields[0];
        let replay = Replay { unique: vec![(key_of(id, nonce), Unique { values: 900, repeats: 0 })], ..Replay::default() };
        let mut shared = Shared::new(Limits { tokens: 16, ..Limits::default() });
        for n in 0..200 {
            let features = call(n);
            let route = Paths::default().route(&features);
            let seen = Seen { features: &features, route: &route, endpoint: None, id, class: Class::Write, now: 1, is_timely: true };
            let mut session = Session::default();
            let mut source = Source::default();
            let mut live = Live {
                key: u64::from(n),
                has_session: true,
                session: &mut session,
                source_key: None,
                source: &mut source,
                shared: &mut shared,
                foreseen: None,
                appraised: &[],
            };
            replay.observe(&seen, &mut live);
            assert!(shared.tokens.len() <= 16);
        }
        assert_eq!(shared.tokens.len(), 16);
    }
}
