//! Learning of `response`.

use super::{Amount, Amounts, MEASURES, Profile, Responses, class_slot, key_of, may_be_page, measure};
use crate::calibrate::Tail;
use crate::detect::Class;
use crate::features::Features;
use crate::features::sensitive::{Sensitive, SensitiveKind};
use crate::learn::Row;
use crate::record::Capability;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// Answers that an endpoint's own amounts rest on, at least; the same for one size of page, and for sessions.
const OWN: usize = 50;
const PAGES: usize = 30;
const SESSIONS: usize = 50;
/// Members kept of one endpoint: one that gives more has names that are data.
const MAX_MEMBERS: usize = 2_048;
/// A field says how many records are wanted where this share of answers keeps to it, and this share exhausts it.
const KEPT: f32 = 0.98;
const EXHAUSTED: f32 = 0.2;
/// Fields of one endpoint tried for that.
const MAX_TRIED: usize = 16;

/// Who got an answer, and how much it gave.
type Measured = (u64, [Option<f32>; MEASURES]);

/// What is collected of one endpoint and status class.
#[derive(Default)]
struct Collected<'h> {
    answers: Vec<(&'h Features, Measured)>,
    units: FxHashSet<u64>,
    /// Kinds of personal data in a member, who saw it first, and whether another unit saw it.
    members: FxHashMap<u64, (Sensitive, u64, bool)>,
    /// By kind: who saw it first, and whether another unit did.
    kinds: [Option<(u64, bool)>; SensitiveKind::ALL.len()],
    with_body: u32,
}

impl<'h> Collected<'h> {
    fn add(&mut self, row: &Row<'h>) {
        self.answers.push((row.features, (row.unit, measure(row.features))));
        if !row.features.capabilities.has(Capability::ResponseBody) {
            return;
        }
        self.with_body += 1;
        self.units.insert(row.unit);
        for member in &row.features.response.members {
            if self.members.len() >= MAX_MEMBERS && !self.members.contains_key(&member.path) {
                continue;
            }
            let (kinds, first, by_others) = self.members.entry(member.path).or_insert((Sensitive::default(), row.unit, false));
            *kinds = kinds.union(member.sensitive);
            *by_others |= *first != row.unit;
            for kind in member.sensitive.iter() {
                let (first, by_others) = self.kinds[kind as usize].get_or_insert((row.unit, false));
                *by_others |= *first != row.unit;
            }
        }
    }

    fn profile(self) -> Profile {
        let page = page_field(&self.answers);
        let mut by_page: BTreeMap<u8, Vec<Measured>> = BTreeMap::new();
        for (features, measured) in &self.answers {
            if let Some(size) = page.and_then(|field| super::page_of(features, field)) {
                by_page.entry(size).or_default().push(*measured);
            }
        }
        // Good–Turing over units: how often one brings something that no other did.
        let surprisal = |once: usize| -(((once as f32 + 0.5) / (self.units.len() as f32 + 1.0)).min(1.0)).ln();
        let is_open = self.members.len() >= MAX_MEMBERS;
        let once = self.members.values().filter(|(_, _, by_others)| !by_others).count();
        let mut members: Vec<(u64, Sensitive)> = self.members.iter().map(|(path, (kinds, ..))| (*path, *kinds)).collect();
        members.sort_unstable_by_key(|(path, _)| *path);
        Profile {
            n: self.with_body,
            amounts: amounts(&self.answers.iter().map(|(_, m)| *m).collect::<Vec<_>>(), OWN),
            shared: std::array::from_fn(|at| shared(&self.answers, at)),
            page,
            by_page: by_page.into_iter().filter_map(|(size, sample)| Some((size, amounts(&sample, PAGES)?))).collect(),
            kinds: members.iter().fold(Sensitive::default(), |all, (_, kinds)| all.union(*kinds)),
            new_member: if is_open { 0.0 } else { surprisal(once) },
            new_kind: surprisal(self.kinds.iter().flatten().filter(|(_, by_others)| !by_others).count()),
            members,
        }
    }
}

/// The largest amount that two callers came to.
fn shared(answers: &[(&Features, Measured)], measure: usize) -> f32 {
    let mut by_caller: FxHashMap<u64, f32> = FxHashMap::default();
    for (_, (unit, measured)) in answers {
        let most = by_caller.entry(*unit).or_insert(f32::NEG_INFINITY);
        *most = most.max(measured[measure].unwrap_or(f32::NEG_INFINITY));
    }
    let mut most: Vec<f32> = by_caller.into_values().collect();
    most.sort_unstable_by(|a, b| b.total_cmp(a));
    most.get(1).copied().unwrap_or(f32::NEG_INFINITY)
}

impl Responses {
    /// Learns from rows of one API.
    pub(crate) fn learn<'r>(rows: impl Iterator<Item = &'r Row<'r>>) -> Self {
        let mut collected: FxHashMap<u64, Collected<'r>> = FxHashMap::default();
        let mut classes: Vec<Vec<Measured>> = vec![Vec::new(); Class::COUNT * 2];
        let mut sums: FxHashMap<u64, (u64, f32)> = FxHashMap::default();
        for row in rows.filter(|r| r.endpoint.is_some() && r.features.status() != 0) {
            let status = row.features.status();
            collected.entry(key_of(row.id, status)).or_default().add(row);
            classes[class_slot(row.class, status)].push((row.unit, measure(row.features)));
            if let Some(session) = row.session.filter(|_| row.features.response.records > 0) {
                sums.entry(session).or_insert((row.unit, 0.0)).1 += row.features.response.records as f32;
            }
        }
        let mut profiles: Vec<(u64, Profile)> = collected.into_iter().map(|(key, c)| (key, c.profile())).collect();
        profiles.sort_unstable_by_key(|(key, _)| *key);
        Self {
            profiles,
            classes: classes.into_iter().map(|sample| amounts(&sample, OWN)).collect(),
            sums: amount(&sums.into_values().map(|(unit, sum)| (unit, sum.ln_1p())).collect::<Vec<_>>(), SESSIONS),
        }
    }
}

fn amounts(sample: &[Measured], least: usize) -> Option<Amounts> {
    let of = |at: usize| sample.iter().filter_map(|(unit, m)| Some((*unit, m[at]?))).collect::<Vec<_>>();
    let amounts: Amounts = std::array::from_fn(|at| amount(&of(at), least));
    amounts.iter().any(Option::is_some).then_some(amounts)
}

fn amount(sample: &[(u64, f32)], least: usize) -> Option<Amount> {
    let mut sorted: Vec<f32> = sample.iter().map(|(_, x)| *x).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let at = |q: f32| sorted.get((q * sorted.len().saturating_sub(1) as f32) as usize).copied().unwrap_or(0.0).exp_m1();
    let levels = [at(0.5), at(0.9), at(0.99)];
    Some(Amount { tail: Tail::fit_of_callers(sample, least)?, levels })
}

/// The field that says how many records are wanted: answers keep to it, and often exhaust it.
fn page_field(answers: &[(&Features, Measured)]) -> Option<u64> {
    let mut tried: BTreeMap<u64, (u32, u32, u32)> = BTreeMap::new();
    for (features, _) in answers.iter().filter(|(f, _)| f.response.records > 0) {
        for field in features.fields.iter().filter(|f| may_be_page(f.place, f.kind)) {
            let Ok(wanted) = features.value(field).parse::<u32>() else { continue };
            if tried.len() >= MAX_TRIED && !tried.contains_key(&field.id) {
                continue;
            }
            let (n, kept, exhausted) = tried.entry(field.id).or_default();
            *n += 1;
            *kept += u32::from(features.response.records <= wanted);
            *exhausted += u32::from(features.response.records == wanted);
        }
    }
    let is_page = |(n, kept, exhausted): (u32, u32, u32)| {
        n as usize >= PAGES && kept as f32 >= KEPT * n as f32 && exhausted as f32 >= EXHAUSTED * n as f32
    };
    tried.into_iter().filter(|(_, counts)| is_page(*counts)).max_by_key(|(_, (n, _, exhausted))| (*exhausted, *n)).map(|(field, _)| field)
}
