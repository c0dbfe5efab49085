//! Who a caller is beyond its session: credentials that one exchange issues and another session presents.
//!
//! Log-in is rarely in the session it opens. Where the answer to a log-in hands out a string that later requests present, the
//! session that presents it inherits who logged in (by hashes of what the log-in named: user name, mail address, number) and from
//! which client. No detector of its own: `access` asks it whose objects are whose, `replay` from where a session was opened.

use crate::detect::{Class, Seen};
use crate::facts::{Entity, Saw};
use crate::features::hash::mix;
use crate::features::{Features, Place, Scalar};
use crate::learn::{Row, is_password};
use crate::partition::Live;
use crate::record::{EndpointId, SourceId};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

/// Names of one caller, at most.
const MAX_NAMES: usize = 8;
/// Credentials that an endpoint must have issued and that were presented later, at least.
const ISSUED: u32 = 3;
/// Distinct values of a member that names callers, at least, and the largest share that one of them may have.
const DISTINCT: usize = 10;
const LARGEST_SHARE: f32 = 0.05;
/// Clients remembered that one credential was issued to.
const MAX_ORIGINS: usize = 4;
/// Cookies looked at in one request.
const MAX_COOKIES: usize = 4;
/// Shortest cookie that may be a credential.
const COOKIE_LENGTH: u32 = 16;
/// A credential is forgotten this long after it was issued, milliseconds.
const EXPIRES: i64 = 24 * 3_600_000;

/// Hashes by which a caller is known.
pub type Names = SmallVec<[u32; 4]>;

/// The client that an exchange came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Family of its user agent, shortened; 0 when unknown.
    pub agent: u32,
    /// Its network, shortened; 0 when unknown.
    pub network: u32,
}

impl Origin {
    /// Whether both parts are known.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.agent != 0 && self.network != 0
    }

    /// Whether two known clients have nothing in common: neither agent nor network.
    #[must_use]
    pub fn is_elsewhere(self, other: Self) -> bool {
        self.is_renamed(other) && differ(self.network, other.network)
    }

    /// Whether both agents are known, and differ.
    #[must_use]
    pub fn is_renamed(self, other: Self) -> bool {
        differ(self.agent, other.agent)
    }

    /// Origin of an exchange.
    #[must_use]
    pub fn of(features: &Features) -> Self {
        let network = features.source.map_or(0, |s: SourceId| mix(s.network().0, 0x6e) as u32 | 1);
        Self { agent: if features.agent == 0 { 0 } else { features.agent as u32 | 1 }, network }
    }
}

fn differ(a: u32, b: u32) -> bool {
    a != 0 && b != 0 && a != b
}

/// How a credential came to be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    /// When, epoch milliseconds of the partition clock.
    pub at: i64,
    /// To which clients, at most 4: some servers give one token to all log-ins of a second.
    pub origins: SmallVec<[Origin; 1]>,
    /// To whom.
    pub names: Names,
}

impl Issue {
    /// Takes over what others know of it.
    pub(crate) fn learn(&mut self, others: Self) {
        if others.at >= self.at {
            self.at = others.at;
            self.names = others.names;
        }
        for origin in others.origins {
            self.issued_to(origin);
        }
    }

    fn issued_to(&mut self, origin: Origin) {
        if self.origins.len() < MAX_ORIGINS && !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
    }

    /// Whether a client has nothing in common with any that the credential was issued to.
    #[must_use]
    pub fn is_elsewhere(&self, origin: Origin) -> bool {
        self.origins.iter().all(|o| o.is_elsewhere(origin))
    }
}

/// What a session has of this.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Linked {
    /// What it presented last, by hash.
    presented: u64,
    /// How that was issued, where that was seen.
    issue: Option<Issue>,
    /// Who logged in within the session itself.
    own: Names,
}

impl Linked {
    /// Names of the caller.
    pub fn names(&self) -> impl Iterator<Item = u32> + '_ {
        self.own.iter().chain(self.issue.iter().flat_map(|i| i.names.iter())).copied()
    }

    /// How the credential that the session presents was issued.
    #[must_use]
    pub fn issue(&self) -> Option<&Issue> {
        self.issue.as_ref()
    }
}

/// Which endpoints of one API issue credentials, and what names the caller there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Links {
    /// Endpoints that issue credentials, sorted.
    issuers: Vec<EndpointId>,
    /// Hashes of (endpoint, member) whose value names the caller, sorted.
    naming: Vec<u64>,
}

impl Links {
    /// Learns from rows of one API.
    pub(crate) fn learn<'r>(rows: impl Iterator<Item = &'r Row<'r>> + Clone) -> Self {
        let presented: FxHashSet<u64> = rows.clone().flat_map(|r| presented(r.features)).collect();
        let mut counts: FxHashMap<EndpointId, u32> = FxHashMap::default();
        for row in rows.clone().filter(|r| r.endpoint.is_some() && r.features.succeeded() != Some(false)) {
            if row.features.response.issued.iter().any(|i| presented.contains(i)) {
                *counts.entry(row.id).or_default() += 1;
            }
        }
        let mut issuers: Vec<EndpointId> = counts.into_iter().filter(|(_, n)| *n >= ISSUED).map(|(e, _)| e).collect();
        issuers.sort_unstable();
        // A password proves who somebody is and names nobody: popular ones are many people's.
        let passwords: FxHashSet<u64> = rows
            .clone()
            .filter(|r| r.class == Class::Authentication)
            .flat_map(|r| r.features.fields.iter().filter(|f| is_password(r.features.name(f))).map(|f| f.key))
            .collect();
        let mut values: FxHashMap<u64, FxHashMap<u64, u32>> = FxHashMap::default();
        for row in rows.filter(|r| issuers.binary_search(&r.id).is_ok() && !r.features.response.issued.is_empty()) {
            for scalar in scalars(row.features).filter(|s| !passwords.contains(&s.key)) {
                *values.entry(naming_key(row.id, scalar)).or_default().entry(scalar.value).or_default() += 1;
            }
        }
        let names = |counts: &FxHashMap<u64, u32>| {
            let (all, most) = counts.values().fold((0, 0), |(all, most), n| (all + n, most.max(*n)));
            counts.len() >= DISTINCT && most as f32 <= (LARGEST_SHARE * all as f32).max(2.0)
        };
        let mut naming: Vec<u64> = values.iter().filter(|(_, counts)| names(counts)).map(|(key, _)| *key).collect();
        naming.sort_unstable();
        Self { issuers, naming }
    }

    /// Whether an endpoint issues credentials.
    pub(crate) fn is_issuer(&self, id: EndpointId) -> bool {
        self.issuers.binary_search(&id).is_ok()
    }

    /// Takes note of what a request presents, before anybody looks at it.
    pub fn arrive(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        let Some(first) = presented(seen.features).next() else { return };
        let linked = &live.session.linked;
        // Issued once more, perhaps, to where the caller is now.
        let is_stale = linked.issue.as_ref().is_some_and(|i| i.is_elsewhere(Origin::of(seen.features)));
        let is_new = first != linked.presented;
        if linked.issue.is_some() && !is_new && !is_stale {
            return;
        }
        let issue = presented(seen.features).find_map(|p| live.shared.credentials.read(&p, Issue::clone));
        if issue.is_none() && is_new {
            for credential in presented(seen.features) {
                live.shared.report(Entity::Credential(credential), seen.now, Saw::Presented);
            }
        }
        live.session.linked.presented = first;
        live.session.linked.issue = issue.filter(|i| i.at >= seen.now - EXPIRES);
    }

    /// Takes note of what an answer issues.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        let features = seen.features;
        if features.response.issued.is_empty() || !self.is_issuer(seen.id) || features.succeeded() == Some(false) {
            return;
        }
        let mut names = Names::new();
        for scalar in scalars(features).filter(|s| self.naming.binary_search(&naming_key(seen.id, s)).is_ok()) {
            let name = short(scalar.value);
            if names.len() < MAX_NAMES && !names.contains(&name) {
                names.push(name);
            }
        }
        live.session.linked.own.clone_from(&names);
        let origin = Origin::of(features);
        for credential in &features.response.issued {
            live.shared.credentials.update(*credential, seen.now, |issue| {
                issue.at = seen.now;
                issue.names.clone_from(&names);
                issue.issued_to(origin);
            });
            let issue = Issue { at: seen.now, origins: smallvec![origin], names: names.clone() };
            live.shared.report(Entity::Credential(*credential), seen.now, Saw::Issued(issue));
        }
    }
}

/// A value as names and owners have it.
pub(crate) fn short(value: u64) -> u32 {
    (value ^ value >> 32) as u32
}

/// What a request presents as its credential: `Authorization` or a key, then long cookies.
pub(crate) fn presented(features: &Features) -> impl Iterator<Item = u64> + '_ {
    let cookies = features.fields.iter().filter(|f| f.place == Place::Cookie && f.length >= COOKIE_LENGTH).take(MAX_COOKIES);
    std::iter::once(features.credential_hash).filter(|c| *c != 0).chain(cookies.map(|f| f.value_hash))
}

fn scalars(features: &Features) -> impl Iterator<Item = &Scalar> {
    features.request_scalars.iter().chain(&features.response.scalars).take(64)
}

fn naming_key(endpoint: EndpointId, scalar: &Scalar) -> u64 {
    mix(endpoint.0, scalar.key)
}
