//! Learning of fields: counts per fold, profiles without each fold to score that fold with, then the final profiles with tails
//! fitted on those held-out scores.

use super::basis::{Basis, Judge, kind_key, name_key, own_key};
use super::counts::{FieldCounts, main_kind};
use super::field::{FieldProfile, Scratch};
use super::tails::{SCORES, Scores};
use super::{Content, EndpointFields, FieldFacts, HELD_OUT, OF_VALUES, RARE, SUPPORT, Worst, valued};
use crate::detect::{Level, Signal};
use crate::features::hash::mix;
use crate::features::{Field, Place, ValueKind};
use crate::learn::{FOLDS, Row, UNIT_SHARE, is_password};
use crate::record::NetworkId;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// Fields merged into one pooled profile, at most.
const POOLED: usize = 200;
/// Values of one field that count for its kind, at most: fields of a kind differ, and one that is used a lot is but one of them.
const EVEN: f32 = 100.0;
/// Values from which on a field has a kind.
const TYPED: f32 = 5.0;
/// Distinct fields counted for one API, at most: names are written by attackers.
const MAX_FIELDS: usize = 40_000;

/// What learning gives: the room's profile, and its held-out answers for each row.
pub(crate) struct Learned {
    pub(crate) content: Content,
    /// One list a row, in the rows' order.
    pub(crate) held_out: Vec<Vec<Signal>>,
}

/// One value, scored by a profile that had not seen it.
#[derive(Clone)]
struct Scored {
    key: u64,
    scores: Scores,
    basis: Basis,
    other_kind: Option<ValueKind>,
    bet: u64,
    /// Slot in [`OF_VALUES`].
    question: usize,
    /// How surprising it can be at most, since it was seen before.
    at_most: f32,
    /// The same value among all of its kind.
    of_kind: Option<(u64, Scores)>,
}

/// Everything counted, by fold.
struct Counted {
    /// Per fold: key of the field to its counts.
    fields: Vec<FxHashMap<u64, FieldCounts>>,
    /// Endpoint-specific key to the keys that pool it.
    pools: BTreeMap<u64, (u64, Place)>,
    endpoints: Vec<FxHashMap<u32, EndpointCounts>>,
    of_api: Vec<EndpointCounts>,
    response_keys: FxHashSet<u64>,
}

#[derive(Default, Clone)]
struct EndpointCounts {
    n: f32,
    fields: FxHashMap<u64, FieldCount>,
}

#[derive(Clone)]
struct FieldCount {
    place: Place,
    name: Box<str>,
    n: f32,
    units: FxHashSet<u64>,
    networks: FxHashSet<NetworkId>,
    most: u16,
    kinds: [f32; ValueKind::COUNT],
}

/// Learns the fields of one API. `networks_known`: whether breadth over networks can be asked for.
pub(crate) fn learn(rows: &[Row<'_>], endpoints: usize, networks_known: bool) -> Learned {
    let counted = count(rows);
    let shared = counted.shared_names();
    let mut held_out: Vec<Vec<Signal>> = vec![Vec::new(); rows.len()];
    let mut samples: FxHashMap<u64, Vec<[f32; SCORES]>> = FxHashMap::default();
    let mut scored: Vec<Vec<Scored>> = vec![Vec::new(); rows.len()];
    let mut scratch = Scratch::default();
    for fold in 0..FOLDS {
        let without = compile(&counted, Some(fold), endpoints, networks_known);
        for (at, row) in rows.iter().enumerate().filter(|(_, r)| r.fold == fold) {
            let seen = row.seen();
            for v in valued(row.features, &row.route) {
                let Some(judge) = without.judge(row.endpoint, &v.field) else { continue };
                let Judge { key, profile, basis } = judge;
                let mut score = |key, profile: &FieldProfile| {
                    let scores = profile.scores(&v.value, v.field.kind, without.pool(), &mut scratch);
                    samples.entry(key).or_default().push(scores.whole);
                    scores
                };
                let scores = score(key, profile);
                let of_kind = without.second_opinion(&judge, &v.field).map(|(kind, profile)| (kind, score(kind, profile)));
                // Fields that are judged by their own values show how odd those of their name and kind get, for others that are not.
                let is_shown = basis == Basis::Own
                    && v.field.place.is_of_endpoint()
                    && (mix(v.field.id, at as u64) % 10_000) as f32 * profile.n < EVEN * 10_000.0;
                let (name, kind) = (name_key(&v.field), kind_key(profile.main_kind, v.field.place));
                for other in [shared.contains(&name).then_some(name), Some(kind)].into_iter().flatten().filter(|_| is_shown) {
                    if let Some(profile) = without.profile(other) {
                        score(other, profile);
                    }
                }
                let bet = mix(v.field.id, v.field.kind as u64);
                scored[at].push(Scored {
                    key,
                    scores,
                    basis,
                    other_kind: judge.other_kind(&v.field),
                    bet,
                    question: v.question(false),
                    at_most: profile.most_surprising(v.field.value_hash),
                    of_kind,
                });
            }
            without.score(&seen, None, &mut scratch, &mut held_out[at]);
            held_out[at].retain(|s| !OF_VALUES.contains(&s.aspect));
        }
    }
    let little_known = scored.iter().flatten().filter(|s| s.basis.level() == Level::Parent);
    let (all, others) = little_known.fold((0u32, 0u32), |(all, others), s| (all + 1, others + u32::from(s.other_kind.is_some())));
    let other_kind = -((others as f32 + 0.5) / (all as f32 + 1.0)).ln();
    let mut content = Content { other_kind, ..compile(&counted, None, endpoints, networks_known) };
    for (key, at) in content.by_key.sorted() {
        if let Some(sample) = samples.get(&key) {
            content.profiles[at as usize].calibrate(sample, HELD_OUT);
        }
    }
    // A profile without tails of its own cannot judge: leave it to its parent.
    let calibrated: Vec<bool> = content.profiles.iter().map(FieldProfile::is_calibrated).collect();
    content.by_key.0.retain(|_, at| calibrated[*at as usize]);
    for (at, list) in scored.iter().enumerate() {
        let mut worst = [Worst::default(); OF_VALUES.len()];
        for s in list {
            if let Some((profile, tails)) = content.profile(s.key).and_then(|p| Some((p, p.tails()?))) {
                let own = s.basis.tempered(tails.nats_of(&s.scores));
                let of_kind = s.of_kind.as_ref().and_then(|(kind, scores)| Some(content.profile(*kind)?.tails()?.nats_of(scores)));
                let nats = content.agree(profile, s.other_kind, own, of_kind);
                worst[s.question].take_bet(nats.min(s.at_most), s.basis.level(), s.bet);
            }
        }
        held_out[at].extend(worst.iter().zip(OF_VALUES).filter_map(|(worst, aspect)| worst.signal(aspect)));
    }
    remember(&mut content, &counted, rows, &mut scratch);
    Learned { content, held_out }
}

fn count(rows: &[Row<'_>]) -> Counted {
    let mut counted = Counted {
        fields: vec![FxHashMap::default(); usize::from(FOLDS)],
        pools: BTreeMap::new(),
        endpoints: vec![FxHashMap::default(); usize::from(FOLDS)],
        of_api: vec![EndpointCounts::default(); usize::from(FOLDS)],
        response_keys: FxHashSet::default(),
    };
    let mut astray: FxHashMap<u64, f32> = FxHashMap::default();
    for row in rows.iter().filter(|r| r.endpoint.is_none()) {
        *astray.entry(row.unit).or_default() += 1.0;
    }
    for row in rows {
        if row.features.status() >= 400 {
            continue;
        }
        // Headers are the API's, whatever is called: who calls what nobody else does is a small part of it.
        let weight = match row.endpoint {
            Some(_) => row.weight,
            None => (UNIT_SHARE * rows.len() as f32 / astray[&row.unit]).min(1.0),
        };
        let fold = usize::from(row.fold);
        if let Some(endpoint) = row.endpoint {
            counted.endpoints[fold].entry(endpoint.0).or_default().n += row.weight;
            counted.learn_response_keys(row);
        }
        counted.of_api[fold].n += weight;
        for v in valued(row.features, &row.route) {
            let (key, facts) = match row.endpoint {
                _ if !v.field.place.is_of_endpoint() => (name_key(&v.field), &mut counted.of_api[fold]),
                Some(endpoint) => (own_key(endpoint, &v.field), counted.endpoints[fold].entry(endpoint.0).or_default()),
                None => continue,
            };
            let known = counted.fields[fold].contains_key(&key);
            if !known && counted.fields[fold].len() >= MAX_FIELDS {
                continue;
            }
            facts.add(&v.field, &v.name, row);
            let counts = counted.fields[fold].entry(key).or_default();
            counts.add(&v.field, &v.value, weight);
            counts.is_password |= is_password(&v.name);
            counted.pools.entry(key).or_insert((name_key(&v.field), v.field.place));
        }
    }
    counted
}

impl Counted {
    /// Names that several fields of endpoints have.
    fn shared_names(&self) -> FxHashSet<u64> {
        let mut seen = FxHashSet::default();
        let names = self.pools.values().filter(|(_, place)| *place != Place::Path && place.is_of_endpoint()).map(|(name, _)| *name);
        names.filter(|name| !seen.insert(*name)).collect()
    }

    fn learn_response_keys(&mut self, row: &Row<'_>) {
        for member in &row.features.response.members {
            if self.response_keys.len() < 20_000 {
                self.response_keys.insert(member.key);
            }
        }
    }
}

impl EndpointCounts {
    fn add(&mut self, field: &Field, name: &str, row: &Row<'_>) {
        let count = self.fields.entry(field.id).or_insert_with(|| FieldCount {
            place: field.place,
            name: name.into(),
            n: 0.0,
            units: FxHashSet::default(),
            networks: FxHashSet::default(),
            most: 0,
            kinds: [0.0; ValueKind::COUNT],
        });
        count.kinds[field.kind as usize] += 1.0;
        if field.repeat == 0 {
            count.n += row.weight;
            if count.units.len() < 4 {
                count.units.insert(row.unit);
            }
            if let Some(network) = row.network.filter(|_| count.networks.len() < 4) {
                count.networks.insert(network);
            }
        }
        count.most = count.most.max(field.repeat + 1);
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        for (id, theirs) in &other.fields {
            match self.fields.get_mut(id) {
                Some(mine) => {
                    mine.n += theirs.n;
                    mine.most = mine.most.max(theirs.most);
                    for (mine, theirs) in mine.kinds.iter_mut().zip(&theirs.kinds) {
                        *mine += theirs;
                    }
                    mine.units.extend(theirs.units.iter().copied());
                    mine.networks.extend(theirs.networks.iter().copied());
                }
                None => {
                    self.fields.insert(*id, theirs.clone());
                }
            }
        }
    }

    /// Whether more than one caller is known; else breadth says nothing.
    fn has_others(&self) -> bool {
        self.fields.values().any(|c| c.units.len() > 1)
    }

    fn compile(&self, api_rate: f32, networks_known: bool) -> EndpointFields {
        let has_others = self.has_others();
        let mut fields: Vec<FieldFacts> = self
            .fields
            .iter()
            .map(|(id, c)| FieldFacts {
                id: *id,
                place: c.place,
                name: c.name.clone(),
                n: c.n,
                most: c.most,
                kind: (c.kinds.iter().sum::<f32>() >= TYPED).then(|| main_kind(&c.kinds)),
                is_rare: has_others && c.n < RARE * self.n && (!networks_known || c.networks.len() < 3),
            })
            .collect();
        fields.sort_unstable_by_key(|f| f.id);
        // Good–Turing over breadth units, drawn to the API's rate where there is little to go by.
        let once = self.once();
        let own = self.n / (self.n + 30.0);
        let p = (once + 0.5 * own + 30.0 * api_rate) / (self.n + 31.0);
        EndpointFields { n: self.n, fields, new_field: -p.clamp(1e-9, 1.0).ln() }
    }

    /// Fields that one caller sent, or, where there is but one, that were sent once.
    fn once(&self) -> f32 {
        let has_others = self.has_others();
        self.fields.values().filter(|c| if has_others { c.units.len() <= 1 } else { c.n <= 1.0 }).count() as f32
    }
}

fn merged<T: Default>(folds: &[T], without: Option<u8>, merge: impl Fn(&mut T, &T)) -> T {
    let mut out = T::default();
    for (k, fold) in folds.iter().enumerate() {
        if without != Some(k as u8) {
            merge(&mut out, fold);
        }
    }
    out
}

/// Compiles everything but one fold.
fn compile(counted: &Counted, without: Option<u8>, endpoints: usize, networks_known: bool) -> Content {
    let of_api = merged(&counted.of_api, without, EndpointCounts::merge);
    let per_endpoint: Vec<EndpointCounts> = (0..endpoints as u32)
        .map(|e| {
            let mut all = EndpointCounts::default();
            for (k, fold) in counted.endpoints.iter().enumerate() {
                if without != Some(k as u8)
                    && let Some(mine) = fold.get(&e)
                {
                    all.merge(mine);
                }
            }
            all
        })
        .collect();
    let total: f32 = per_endpoint.iter().map(|e| e.n).sum();
    let api_rate = (per_endpoint.iter().map(EndpointCounts::once).sum::<f32>() + 0.5) / (total + 1.0);
    let mut content = Content {
        endpoints: per_endpoint.iter().map(|e| e.compile(api_rate, networks_known)).collect(),
        of_api: of_api.compile(api_rate, networks_known),
        ..Content::default()
    };
    content.response_keys = counted.response_keys.iter().copied().collect();
    content.response_keys.sort_unstable();
    let mut by_name: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut by_kind: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut pool = FieldCounts::default();
    let mut pooled = 0;
    let mut kept: Vec<(u64, FieldCounts)> = Vec::new();
    for (key, (name, place)) in &counted.pools {
        let counts = counts_of(counted, without, *key);
        if counts.rows == 0 {
            continue;
        }
        if *place != Place::Path && place.is_of_endpoint() {
            by_name.entry(*name).or_default().push(*key);
        }
        by_kind.entry(kind_key(counts.main_kind(), *place)).or_default().push(*key);
        if counts.is_free_text() && pooled < POOLED {
            pool.merge(&counts, 1.0);
            pooled += 1;
        }
        if counts.rows >= SUPPORT {
            kept.push((*key, counts));
        }
    }
    if pooled > 0 {
        pool.bound();
        content.pool = Some(content.profiles.len() as u32);
        content.profiles.push(FieldProfile::compile(&pool, None));
    }
    for (key, counts) in kept {
        content.keep(key, &counts);
    }
    let of_names = by_name.into_iter().map(|of_name| (of_name, f32::INFINITY));
    for ((key, members), most) in of_names.chain(by_kind.into_iter().map(|of_kind| (of_kind, EVEN))) {
        let mut counts = FieldCounts::default();
        for member in members.iter().take(POOLED) {
            let of_field = counts_of(counted, without, *member);
            counts.merge(&of_field, (most / of_field.n).min(1.0));
        }
        counts.bound();
        if counts.rows >= SUPPORT {
            content.keep(key, &counts);
        }
    }
    content
}

fn counts_of(counted: &Counted, without: Option<u8>, key: u64) -> FieldCounts {
    let mut all = FieldCounts::default();
    for (k, fold) in counted.fields.iter().enumerate() {
        if without != Some(k as u8)
            && let Some(counts) = fold.get(&key)
        {
            all.merge(counts, 1.0);
        }
    }
    all
}

impl Content {
    fn keep(&mut self, key: u64, counts: &FieldCounts) {
        let profile = FieldProfile::compile(counts, self.pool.map(|at| &self.profiles[at as usize]));
        self.by_key.0.insert(key, self.profiles.len() as u32);
        self.profiles.push(profile);
    }
}

/// Lets each profile answer for its frequent values from memory.
fn remember(content: &mut Content, counted: &Counted, rows: &[Row<'_>], scratch: &mut Scratch) {
    let mut nats: FxHashMap<u64, FxHashMap<u64, f32>> = FxHashMap::default();
    for row in rows.iter().filter(|r| r.features.status() < 400) {
        for v in valued(row.features, &row.route) {
            let Some(Judge { key, profile, .. }) = content.judge(row.endpoint, &v.field) else { continue };
            let known = nats.entry(key).or_default();
            if known.len() >= 1_000 || known.contains_key(&v.field.value_hash) {
                continue;
            }
            if let Some(tails) = profile.tails() {
                let nats = tails.nats_of(&profile.scores(&v.value, v.field.kind, content.pool(), scratch));
                known.insert(v.field.value_hash, nats.min(profile.most_surprising(v.field.value_hash)));
            }
        }
    }
    for (key, at) in content.by_key.sorted() {
        let Some(known) = nats.get(&key) else { continue };
        if counted.pools.contains_key(&key) {
            content.profiles[at as usize].remember(&counts_of(counted, None, key), |value| known.get(&value).copied());
        }
    }
}
