//! What fields hold, counted by fold, and the profiles that all folds but one make.

use super::basis::{kind_key, name_key, own_key};
use super::counts::{FieldCounts, main_kind};
use super::field::FieldProfile;
use super::{Content, EndpointFields, FieldFacts, RARE, SUPPORT, valued};
use crate::features::{Field, Place, ValueKind};
use crate::learn::{FOLDS, Row, UNIT_SHARE, is_password};
use crate::record::NetworkId;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// Fields merged into one pooled profile, at most.
const POOLED: usize = 200;
/// Values of one field that count for its kind, at most: fields of a kind differ, and one that is used a lot is but one of them.
pub(super) const EVEN: f32 = 100.0;
/// Values from which on a field has a kind.
const TYPED: f32 = 5.0;
/// Distinct fields counted for one API, at most: names are written by attackers.
const MAX_FIELDS: usize = 40_000;

/// Everything counted, by fold.
pub(super) struct Counted {
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

impl Counted {
    /// Counts the fields of one API.
    pub(super) fn of(rows: &[Row<'_>]) -> Self {
        let mut counted = Self {
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
            let caller = row.network.map_or(row.unit, |network| network.0);
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
                counts.add(&v.field, &v.value, weight, caller);
                counts.is_password |= is_password(&v.name);
                counted.pools.entry(key).or_insert((name_key(&v.field), v.field.place));
            }
        }
        counted
    }

    /// Compiles everything but one fold.
    pub(super) fn compile(&self, without: Option<u8>, endpoints: usize, networks_known: bool) -> Content {
        let of_api = merged(&self.of_api, without, EndpointCounts::merge);
        let per_endpoint: Vec<EndpointCounts> = (0..endpoints as u32)
            .map(|e| {
                let mut all = EndpointCounts::default();
                for (k, fold) in self.endpoints.iter().enumerate() {
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
        content.response_keys = self.response_keys.iter().copied().collect();
        content.response_keys.sort_unstable();
        let mut by_name: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut by_kind: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut pool = FieldCounts::default();
        let mut pooled = 0;
        let mut kept: Vec<(u64, FieldCounts)> = Vec::new();
        for (key, (name, place)) in &self.pools {
            let counts = self.of_field(without, *key);
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
                let of_field = self.of_field(without, *member);
                counts.merge(&of_field, (most / of_field.n).min(1.0));
            }
            counts.bound();
            if counts.rows >= SUPPORT {
                content.keep(key, &counts);
            }
        }
        content
    }

    /// What one field held in all folds but one.
    pub(super) fn of_field(&self, without: Option<u8>, key: u64) -> FieldCounts {
        let mut all = FieldCounts::default();
        for (k, fold) in self.fields.iter().enumerate() {
            if without != Some(k as u8)
                && let Some(counts) = fold.get(&key)
            {
                all.merge(counts, 1.0);
            }
        }
        all
    }

    /// Whether a key is a field's, not a name's or a kind's.
    pub(super) fn is_field(&self, key: u64) -> bool {
        self.pools.contains_key(&key)
    }

    /// Names that several fields of endpoints have.
    pub(super) fn shared_names(&self) -> FxHashSet<u64> {
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

impl Content {
    fn keep(&mut self, key: u64, counts: &FieldCounts) {
        let profile = FieldProfile::compile(counts, self.pool.map(|at| &self.profiles[at as usize]));
        self.by_key.0.insert(key, self.profiles.len() as u32);
        self.profiles.push(profile);
    }
}
