//! The endpoints that log-ins go through: where a log-in says whose it is, how it is refused, and how often that is usual.

use super::Accounts;
use crate::detect::Class;
use crate::features::hash::{hash, hash_folded, mix};
use crate::features::{Features, decode};
use crate::learn::{Row, is_password, source_of};
use crate::paths::Route;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An address that was refused on one account is watched for others this long while it is learned how few are, milliseconds.
const WATCHED: i64 = 3_600_000;
/// Share of log-ins that an answer must be to count as one of the usual ones.
const FORM: f32 = 0.01;
/// Distinct values counted of a field while the one that names the account is looked for.
const DISTINCT: usize = 64;

/// Where log-ins of one endpoint say whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum AccountAt {
    /// A field, by id.
    Field(u64),
    /// The first variable of the path.
    Path,
}

/// What is known of one authentication endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Door {
    pub(super) endpoint: u32,
    account: AccountAt,
    /// Answers that bring a credential, sorted; empty where none does.
    grants: Vec<u64>,
    pub(super) n: f32,
    refused: f32,
    /// Log-ins refused to a source on another account than the one before.
    others: f32,
}

#[derive(Default)]
struct Counts {
    n: f32,
    forms: BTreeMap<u64, Form>,
    fields: FxHashMap<u64, FieldCounts>,
    has_path: bool,
}

/// One form of answer.
#[derive(Default)]
struct Form {
    n: f32,
    /// Answers that bring what may be a credential, and what is presented as one later.
    issues: f32,
    presented: f32,
}

#[derive(Default)]
struct FieldCounts {
    is_named: bool,
    n: u32,
    values: FxHashSet<u64>,
}

/// Whether a name is one that accounts go by.
fn names_account(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["user", "login", "mail", "account", "phone", "mobile", "member", "customer"].iter().any(|w| name.contains(w)) || name == "name"
}

/// What kind of answer this is: its members, and whether a cookie came with it.
fn form(features: &Features) -> u64 {
    mix(features.response.keys, u64::from(sets_cookie(features)))
}

fn sets_cookie(features: &Features) -> bool {
    features.response.headers.binary_search(&hash(b"set-cookie")).is_ok()
}

impl Counts {
    fn add(&mut self, row: &Row<'_>, presented: &FxHashSet<u64>) {
        let features = row.features;
        self.n += row.weight;
        self.has_path |= !row.route.variables.is_empty();
        if features.status() < 400 {
            let form = form(features);
            if self.forms.len() < DISTINCT || self.forms.contains_key(&form) {
                let counts = self.forms.entry(form).or_default();
                let issued = &features.response.issued;
                counts.n += row.weight;
                counts.issues += if issued.is_empty() && !sets_cookie(features) { 0.0 } else { row.weight };
                counts.presented += if issued.iter().any(|i| presented.contains(i)) { row.weight } else { 0.0 };
            }
        }
        for field in features.fields.iter().filter(|f| f.place.is_of_endpoint() && f.repeat == 0) {
            let name = features.name(field);
            if is_password(name) || (self.fields.len() >= DISTINCT && !self.fields.contains_key(&field.id)) {
                continue;
            }
            let counts = self.fields.entry(field.id).or_default();
            counts.n += 1;
            counts.is_named = names_account(name);
            if counts.values.len() < DISTINCT {
                counts.values.insert(field.value_hash);
            }
        }
    }

    /// Answers that let somebody in: those whose credentials are presented later; where none is seen to be, those that bring any.
    fn grants(&self) -> Vec<u64> {
        let usual = || self.forms.iter().filter(|(_, f)| f.n >= FORM * self.n);
        let presented: Vec<u64> = usual().filter(|(_, f)| f.presented > 0.0).map(|(form, _)| *form).collect();
        if presented.is_empty() { usual().filter(|(_, f)| f.issues * 2.0 > f.n).map(|(form, _)| *form).collect() } else { presented }
    }

    /// The field that names the account: by its name, else by how much its values differ.
    fn account(&self) -> Option<AccountAt> {
        let most = self.fields.values().map(|f| f.n).max().unwrap_or(0);
        let usual = self.fields.iter().filter(|(_, f)| f.n * 2 > most);
        let best = usual.max_by_key(|(id, f)| (f.is_named, f.values.len(), **id));
        match best {
            Some((id, f)) if f.is_named || f.values.len() >= 10 => Some(AccountAt::Field(*id)),
            _ => self.has_path.then_some(AccountAt::Path),
        }
    }
}

impl Accounts {
    /// Learns from rows of one API.
    pub(crate) fn learn<'r>(rows: impl Iterator<Item = &'r Row<'r>> + Clone) -> Self {
        let at_door = |r: &&Row<'_>| r.class == Class::Authentication && r.features.status() != 0;
        let presented: FxHashSet<u64> = rows.clone().map(|r| r.features.credential_hash).filter(|c| *c != 0).collect();
        let mut counts: BTreeMap<u32, Counts> = BTreeMap::new();
        for row in rows.clone().filter(at_door) {
            let Some(endpoint) = row.endpoint else { continue };
            counts.entry(endpoint.0).or_default().add(row, &presented);
        }
        let doors = counts.iter().filter_map(|(endpoint, counts)| {
            Some(Door { endpoint: *endpoint, account: counts.account()?, grants: counts.grants(), n: 0.0, refused: 0.0, others: 0.0 })
        });
        let mut accounts = Self { doors: doors.collect() };
        // By source: the account that was refused to it last, and when.
        let mut last: FxHashMap<u64, (u64, i64)> = FxHashMap::default();
        for row in rows.filter(at_door) {
            let Some(endpoint) = row.endpoint else { continue };
            let Ok(at) = accounts.doors.binary_search_by_key(&endpoint.0, |d| d.endpoint) else { continue };
            let door = &mut accounts.doors[at];
            if let Some(is_refused) = door.refuses(row.features) {
                door.n += row.weight;
                door.refused += if is_refused { row.weight } else { 0.0 };
                let source = source_of(row.features).or(row.session).filter(|_| is_refused);
                if let Some((source, account)) = source.zip(door.account_of(row.features, &row.route)) {
                    let at = row.features.time.unwrap_or(0);
                    let before = last.insert(source, (account, at));
                    let is_another = before.is_some_and(|(other, since)| other != account && at - since < WATCHED);
                    door.others += if is_another { row.weight } else { 0.0 };
                }
            }
        }
        accounts
    }
}

impl Door {
    /// Whether a log-in was refused; `None` where the answer does not say (an error of the server, throttling, no body).
    pub(super) fn refuses(&self, features: &Features) -> Option<bool> {
        match features.status() {
            0 | 429 | 500.. => None,
            400..=499 => Some(true),
            _ if self.grants.is_empty() => Some(false),
            _ if features.response.keys == 0 && !sets_cookie(features) => None,
            _ => Some(self.grants.binary_search(&form(features)).is_err()),
        }
    }

    pub(super) fn account_of(&self, features: &Features, route: &Route) -> Option<u64> {
        match self.account {
            AccountAt::Field(id) => features.fields.iter().find(|f| f.id == id).map(|f| mix(f.value_hash, 0xacc0)),
            AccountAt::Path => {
                let segment = features.segments().nth(usize::from(*route.variables.first()?))?;
                Some(mix(hash_folded(&decode::percent(segment, false)), 0xacc0))
            }
        }
    }

    /// Share of log-ins that are refused to a source on another account than before.
    pub(super) fn usual_others(&self) -> f32 {
        ((self.others + 0.5) / (self.n + 10.0)).clamp(1e-6, 0.999)
    }

    /// Share of refused log-ins.
    pub(super) fn usual(&self) -> f32 {
        ((self.refused + 0.5) / (self.n + 10.0)).clamp(1e-6, 0.999)
    }
}
