//! Learning of `access`: which parameters hold identifiers, what shows them to one caller alone, and how often ties hold.

use super::cohort::Cohorts;
use super::owner::Caller;
use super::{Access, EXCEPTIONS, Habit, MIRRORED, Mirror, Param, Slot, Watched, field_place, producer_key, shown};
use crate::calibrate::Tail;
use crate::features::hash::{hash, mix};
use crate::features::{Place, ValueKind};
use crate::learn::{Census, Play, Row, is_password};
use crate::links::{Links, short};
use crate::paths::{EndpointIndex, Paths};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// Parameters watched of one endpoint, and tried of one API.
const MAX_PARAMS: usize = 4;
const MAX_TRIED: usize = 40_000;
/// Distinct values counted of a parameter, and needed to be an identifier: so many, and this share of its values.
const MAX_DISTINCT: usize = 500;
const DISTINCT: usize = 10;
const DISTINCT_SHARE: f32 = 0.1;
/// Share of a field's values that must be of a kind identifiers have.
const SAME_KIND: f32 = 0.8;
/// Objects followed to where they were shown, and sightings of them.
const MAX_OBJECTS: usize = 300_000;
const MAX_SIGHTINGS: usize = 1_000_000;
/// Share of the objects of a producer that one caller alone must have been shown.
const EXCLUSIVE: f32 = 0.9;
/// Sessions that a baseline of distinct values rests on, at least.
const SESSIONS: usize = 50;
/// Members kept of one endpoint that name the caller.
const MAX_MIRRORS: usize = 3;

/// Counts of one parameter.
#[derive(Default)]
struct Tried {
    n: u32,
    identifiers: u32,
    distinct: FxHashSet<u64>,
    place: String,
    key: u64,
}

impl Access {
    /// Learns from rows of one API in time order.
    pub(crate) fn learn(rows: &[&Row<'_>], paths: &Paths, links: &Links) -> Self {
        let mut access = Self { endpoints: identifiers(rows, paths), producers: Vec::new(), cohorts: Cohorts::learn(rows) };
        access.producers = access.find_producers(rows, links);
        access.learn_ties(rows, paths, links);
        access
    }

    /// The same with cohorts learned from other rows: what single callers do would give itself away there, unlike in counts of habits.
    pub(crate) fn with_cohorts_of(&self, rows: &[&Row<'_>]) -> Self {
        Self { cohorts: Cohorts::learn(rows), ..self.clone() }
    }

    fn params<'a>(&'a self, row: &Row<'_>) -> &'a [Param] {
        row.endpoint.and_then(|e| self.endpoints.get(e.0 as usize)).map_or(&[], |w| &w.params)
    }

    /// Members whose values later are objects, each shown to one caller alone.
    fn find_producers(&self, rows: &[&Row<'_>], links: &Links) -> Vec<(u64, u32)> {
        let mut objects: FxHashMap<u64, u32> = FxHashMap::default();
        let succeeded = || rows.iter().filter(|r| r.features.succeeded() != Some(false));
        for row in succeeded() {
            for param in self.params(row) {
                if let Some(value) = param.value(row.features, &row.route).filter(|_| objects.len() < MAX_OBJECTS) {
                    objects.insert(value, param.namespace);
                }
            }
        }
        // To whom each producer showed each object; `None`: to several.
        let mut sightings: FxHashMap<(u64, u32, u64), Option<u32>> = FxHashMap::default();
        let mut play = Play::default();
        for row in succeeded() {
            let caller = play.step(row, |seen, live| {
                links.arrive(seen, live);
                links.observe(seen, live);
                Caller::of(seen, live)
            });
            if !caller.is_known() {
                continue;
            }
            let asked: Vec<u64> = self.params(row).iter().filter_map(|p| p.value(row.features, &row.route)).collect();
            for scalar in shown(row.features, row.class).filter(|s| !asked.contains(&s.value)) {
                let Some(namespace) = objects.get(&scalar.value) else { continue };
                let key = (producer_key(row.id, scalar), *namespace, scalar.value);
                if sightings.len() < MAX_SIGHTINGS || sightings.contains_key(&key) {
                    let to = sightings.entry(key).or_insert(Some(caller.tag()));
                    if *to != Some(caller.tag()) {
                        *to = None;
                    }
                }
            }
        }
        let mut producers: BTreeMap<(u64, u32), (u32, u32)> = BTreeMap::new();
        for ((key, namespace, _), to) in sightings {
            let (all, exclusive) = producers.entry((key, namespace)).or_default();
            *all += 1;
            *exclusive += u32::from(to.is_some());
        }
        let is_exclusive = |(all, exclusive): (u32, u32)| all as usize >= DISTINCT && exclusive as f32 >= EXCLUSIVE * all as f32;
        producers.into_iter().filter(|(_, counts)| is_exclusive(*counts)).map(|(key, _)| key).collect()
    }

    /// Plays the rows through live state and counts how often ties hold, and how many objects sessions ask for.
    fn learn_ties(&mut self, rows: &[&Row<'_>], paths: &Paths, links: &Links) {
        let mut play = Play::default();
        let mut mirrors: FxHashMap<(u32, u64), Tally> = FxHashMap::default();
        let mut distinct: FxHashMap<(u32, u64), f32> = FxHashMap::default();
        // While ties are counted every parameter counts as private, or no object would have an owner.
        let open = Habit { cases: u32::MAX / 2, exceptions: 0 };
        for param in self.endpoints.iter_mut().flat_map(|w| &mut w.params) {
            param.owned = open;
        }
        let mut habits: FxHashMap<u32, [Tally; 3]> = FxHashMap::default();
        for row in rows {
            let Some(EndpointIndex(endpoint)) = row.endpoint else { continue };
            play.step(row, |seen, live| {
                links.arrive(seen, live);
                let caller = Caller::of(seen, live);
                let is_success = row.features.succeeded() != Some(false);
                for param in &self.endpoints[endpoint as usize].params {
                    let Some(value) = param.value(row.features, &row.route) else { continue };
                    let key = param.key(row.id);
                    live.session.footprint.count(key, value);
                    if let Some(session) = row.session {
                        let most = distinct.entry((key, session)).or_default();
                        *most = most.max(live.session.footprint.distinct_with(key, value));
                    }
                    if is_success && caller.is_known() {
                        let ties = Self::ties(param, value, live, &caller);
                        let [named, issued, owned] = habits.entry(key).or_default();
                        // An owner that this history knows may be unknown later: it excuses no missing tie.
                        if ties.has_names {
                            named.note(!ties.is_linked, row);
                        }
                        if ties.was_shown {
                            issued.note(!ties.is_linked, row);
                        }
                        if ties.has_owner {
                            owned.note(!ties.is_own && !ties.is_linked, row);
                        }
                    }
                }
                if is_success && !caller.names().is_empty() {
                    let mut members: Vec<(u64, bool)> = Vec::new();
                    for scalar in row.features.response.scalars.iter().take(MIRRORED) {
                        let is_name = caller.names().contains(&short(scalar.value));
                        match members.iter_mut().find(|(key, _)| *key == scalar.key) {
                            Some((_, named)) => *named |= is_name,
                            None => members.push((scalar.key, is_name)),
                        }
                    }
                    for (key, is_name) in members {
                        mirrors.entry((endpoint, key)).or_default().note(!is_name, row);
                    }
                }
                self.observe(seen, live);
                links.observe(seen, live);
            });
        }
        let habits = habits.into_iter().map(|(key, tallies)| (key, tallies.map(Tally::habit))).collect();
        self.settle(&habits, distinct, (paths, links));
        self.keep_mirrors(mirrors.into_iter().map(|(key, tally)| (key, tally.habit())).collect(), rows);
    }

    fn settle(&mut self, habits: &FxHashMap<u32, [Habit; 3]>, distinct: FxHashMap<(u32, u64), f32>, (paths, links): (&Paths, &Links)) {
        let mut samples: FxHashMap<u32, Vec<f32>> = FxHashMap::default();
        for ((key, _), most) in distinct {
            samples.entry(key).or_default().push(most);
        }
        for (watched, endpoint) in self.endpoints.iter_mut().zip(paths.endpoints()) {
            watched.is_issuer = links.is_issuer(endpoint.id);
            for param in &mut watched.params {
                let key = param.key(endpoint.id);
                // A password is nobody's object: two may well have the same. How many one session tries does say something.
                let ties = habits.get(&key).filter(|_| !is_password(&param.name));
                let [named, issued, owned] = ties.copied().unwrap_or_default();
                (param.named, param.issued, param.owned) = (named, issued, owned);
                let mut sample = samples.remove(&key).unwrap_or_default();
                sample.sort_unstable_by(f32::total_cmp);
                let at = |q: f32| sample.get((q * sample.len().saturating_sub(1) as f32) as usize).copied().unwrap_or(0.0);
                param.levels = ([at(0.5), at(0.9), at(0.99)], sample.len() as u32);
                param.distinct = Tail::fit(sample.iter().map(|d| d.sqrt()).collect(), SESSIONS);
            }
        }
    }

    fn keep_mirrors(&mut self, counted: FxHashMap<(u32, u64), Habit>, rows: &[&Row<'_>]) {
        let mut kept: Vec<((u32, u64), Habit)> =
            counted.into_iter().filter(|(_, h)| h.holds() && h.exceptions as f32 <= EXCEPTIONS * h.cases as f32).collect();
        kept.sort_unstable_by_key(|((endpoint, key), h)| (*endpoint, h.exceptions, std::cmp::Reverse(h.cases), *key));
        let mut names: FxHashMap<(u32, u64), Box<str>> = FxHashMap::default();
        let wanted: FxHashSet<(u32, u64)> = kept.iter().map(|(k, _)| *k).collect();
        for row in rows {
            let Some(EndpointIndex(endpoint)) = row.endpoint else { continue };
            for member in row.features.response.members.iter().filter(|m| wanted.contains(&(endpoint, m.key))) {
                names.entry((endpoint, member.key)).or_insert_with(|| member.name.clone());
            }
        }
        for ((endpoint, key), habit) in kept {
            let mirrors = &mut self.endpoints[endpoint as usize].mirrors;
            if let Some(name) = names.remove(&(endpoint, key)).filter(|_| mirrors.len() < MAX_MIRRORS) {
                mirrors.push(Mirror { key, name, habit });
            }
        }
    }
}

/// A habit in the making, with who made exceptions.
#[derive(Debug, Clone, Default)]
struct Tally {
    habit: Habit,
    census: Census,
}

impl Tally {
    fn note(&mut self, is_exception: bool, row: &Row<'_>) {
        self.habit.cases += 1;
        self.habit.exceptions += u32::from(is_exception);
        self.census.note(row.unit, row.network, is_exception);
    }

    /// What only one or two of many did otherwise is no exception to it.
    fn habit(self) -> Habit {
        let Habit { cases, exceptions } = self.habit;
        if self.census.is_of_few() { Habit { cases: cases - exceptions, exceptions: 0 } } else { self.habit }
    }
}

/// Counts of everything that may be a parameter.
#[derive(Default)]
struct Candidates(FxHashMap<(u32, Slot), Tried>);

impl Candidates {
    /// Counts a value; `None` when there are too many parameters already.
    fn note(&mut self, parameter: (u32, Slot), value: u64, is_identifier: bool) -> Option<&mut Tried> {
        if self.0.len() >= MAX_TRIED && !self.0.contains_key(&parameter) {
            return None;
        }
        let tried = self.0.entry(parameter).or_default();
        tried.n += 1;
        tried.identifiers += u32::from(is_identifier);
        if tried.distinct.len() < MAX_DISTINCT {
            tried.distinct.insert(value);
        }
        Some(tried)
    }
}

/// Parameters that hold identifiers, by endpoint.
fn identifiers(rows: &[&Row<'_>], paths: &Paths) -> Vec<Watched> {
    let mut candidates = Candidates::default();
    for row in rows {
        let Some(EndpointIndex(endpoint)) = row.endpoint else { continue };
        for n in 0..row.route.variables.len() as u16 {
            let slot = Slot::Path(n);
            if let Some(value) = Param::new(slot, 0, "").value(row.features, &row.route) {
                candidates.note((endpoint, slot), value, true);
            }
        }
        for field in row.features.fields.iter().filter(|f| f.place.is_of_endpoint() && f.place != Place::Path && f.repeat == 0) {
            let tried = candidates.note((endpoint, Slot::Field(field.id)), field.value_hash, may_identify(field.kind));
            if let Some(tried) = tried.filter(|t| t.n == 1) {
                tried.place = field_place(field.place, row.features.name(field));
                tried.key = field.key;
            }
        }
    }
    let is_identifier = |t: &Tried| {
        let distinct = t.distinct.len();
        let is_many = distinct >= MAX_DISTINCT || (distinct >= DISTINCT && distinct as f32 >= DISTINCT_SHARE * t.n as f32);
        is_many && t.identifiers as f32 >= SAME_KIND * t.n as f32
    };
    let mut found: Vec<((u32, Slot), Tried)> = candidates.0.into_iter().filter(|(_, t)| is_identifier(t)).collect();
    found.sort_unstable_by_key(|((endpoint, slot), t)| {
        (*endpoint, matches!(slot, Slot::Field(_)), std::cmp::Reverse(t.distinct.len()), *slot)
    });
    let mut watched: Vec<Watched> = vec![Watched::default(); paths.endpoints().len()];
    for ((endpoint, slot), t) in found {
        let params = &mut watched[endpoint as usize].params;
        if params.len() >= MAX_PARAMS {
            continue;
        }
        let known = paths.endpoint(EndpointIndex(endpoint));
        let param = match slot {
            Slot::Path(n) => {
                let Some(variable) = known.variables.get(usize::from(n)) else { continue };
                Param::new(slot, namespace(&known.template, variable.segment), &variable.name)
            }
            Slot::Field(_) => Param::new(slot, short(mix(t.key, 0xf1e1d)), &t.place),
        };
        params.push(param);
    }
    watched
}

impl Param {
    fn new(slot: Slot, namespace: u32, name: &str) -> Self {
        let (named, issued, owned) = Default::default();
        Self { slot, namespace, name: name.into(), named, issued, owned, distinct: None, levels: ([0.0; 3], 0) }
    }
}

/// What stands before a variable of a template, other variables left out.
fn namespace(template: &str, segment: u16) -> u32 {
    let before = template.split('/').skip(1).take(usize::from(segment));
    short(before.fold(0, |key, s| mix(key, if s.starts_with('{') { 1 } else { hash(s.as_bytes()) })))
}

/// Whether identifiers are of such a kind.
fn may_identify(kind: ValueKind) -> bool {
    matches!(
        kind,
        ValueKind::Int | ValueKind::Uuid | ValueKind::Hex | ValueKind::Token | ValueKind::Ident | ValueKind::Email | ValueKind::Path
    )
}
