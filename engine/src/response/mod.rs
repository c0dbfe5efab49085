//! `response`: how much an endpoint gives, and what its answers hold.
//!
//! Amounts are judged against the endpoint's own history and, so that a collection may grow, against what others get from it now;
//! the smaller surprise counts. Members and kinds of personal data are judged by how often an answer brought a new one (Good–Turing).

mod learn;
mod recent;

pub use recent::{Recent, Taken};

use crate::calibrate::Tail;
use crate::detect::{Aspect, Class, Explanation, Level, Seen, Signal};
use crate::features::hash::{hash, mix};
use crate::features::sensitive::{Sensitive, SensitiveKind};
use crate::features::{Features, Member, Place, ValueKind};
use crate::newcomer::{Newcomer, word_key};
use crate::partition::Live;
use crate::record::{Capability, EndpointId, Family};
use serde::{Deserialize, Serialize};

/// Ways to measure an answer.
const MEASURES: usize = 3;
/// What they count.
const UNITS: [&str; MEASURES] = ["records", "bytes", "values with personal data"];
/// History counts as surprising from here on, and the present is asked: nats.
const ASK_PEERS: f32 = 2.3;
/// What an amount that two callers of a little known endpoint came to may claim beyond its few answers, nats.
const OF_FEW: f32 = 1.0;
/// Answers that an endpoint's members rest on, at least.
const SUPPORT: u32 = 30;

/// Members that the protocols behind operations define.
const OF_PROTOCOL: [&str; 16] = [
    "data",
    "errors",
    "errors[].message",
    "errors[].locations",
    "errors[].locations[].line",
    "errors[].locations[].column",
    "errors[].path",
    "errors[].extensions",
    "errors[].extensions.code",
    "extensions",
    "jsonrpc",
    "id",
    "result",
    "error",
    "error.code",
    "error.message",
];

/// What answers of one API are like.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Responses {
    /// By endpoint and status class, sorted; see [`key_of`].
    profiles: Vec<(u64, Profile)>,
    /// By class and whether the request succeeded: what endpoints that are little known are judged by.
    classes: Vec<Option<Amounts>>,
    /// Records that one session gets in all.
    sums: Option<Amount>,
}

/// Answers of one endpoint in one status class.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Profile {
    n: u32,
    amounts: Option<Amounts>,
    /// How much two callers came to, where there are too few answers for amounts: −∞ where none did.
    shared: [f32; MEASURES],
    /// The request field that says how many records are wanted, and amounts by its size (power of two), sorted.
    page: Option<u64>,
    by_page: Vec<(u8, Amounts)>,
    /// Ways to members with the kinds of personal data in them, sorted.
    members: Vec<(u64, Sensitive)>,
    /// All kinds of personal data in any of them.
    kinds: Sensitive,
    /// Surprisal of a member, and of a kind of personal data, that never came.
    new_member: f32,
    new_kind: f32,
}

/// How much one group of answers gives: one baseline a measure.
type Amounts = [Option<Amount>; MEASURES];

/// One measure, as ln(1 + n).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Amount {
    tail: Tail,
    /// As counts: p50, p90, p99.
    levels: [f32; 3],
}

/// A measure that surprises.
struct Much<'a> {
    nats: f32,
    unit: &'static str,
    count: f32,
    amount: &'a Amount,
    level: Level,
}

/// What an answer holds that none held before.
struct New<'s> {
    nats: f32,
    member: Option<&'s Member>,
    kinds: Sensitive,
    /// Members that never came.
    count: usize,
}

fn key_of(endpoint: EndpointId, status: u16) -> u64 {
    mix(endpoint.0, u64::from(status / 100))
}

fn class_slot(class: Class, status: u16) -> usize {
    class as usize * 2 + usize::from(status >= 400)
}

/// An answer measured, as ln(1 + n); `None` where the record could not tell.
fn measure(features: &Features) -> [Option<f32>; MEASURES] {
    let response = &features.response;
    let has_body = features.capabilities.has(Capability::ResponseBody);
    [
        has_body.then(|| (response.records as f32).ln_1p()),
        response.bytes.map(|b| (b as f32).ln_1p()),
        has_body.then(|| (response.sensitive_values as f32).ln_1p()),
    ]
}

/// Size of page that a request asks for, as a power of two.
fn page_of(features: &Features, field: u64) -> Option<u8> {
    let field = features.fields.iter().find(|f| f.id == field)?;
    let size: u64 = features.value(field).parse().ok().filter(|n| *n > 0)?;
    Some(size.ilog2() as u8)
}

/// Whether a field may say how many records are wanted.
fn may_be_page(place: Place, kind: ValueKind) -> bool {
    matches!(place, Place::Query | Place::Json | Place::Form) && kind == ValueKind::Int
}

impl Responses {
    fn profile(&self, seen: &Seen<'_>) -> Option<&Profile> {
        let key = key_of(seen.id, seen.features.status());
        let at = self.profiles.binary_search_by_key(&key, |(k, _)| *k).ok()?;
        seen.endpoint.map(|_| &self.profiles[at].1)
    }

    fn amounts(&self, seen: &Seen<'_>) -> Option<(&Amounts, Level)> {
        let own = self.profile(seen).and_then(|profile| {
            let page = profile.page.and_then(|field| page_of(seen.features, field));
            let by_page = page.and_then(|page| profile.by_page.binary_search_by_key(&page, |(p, _)| *p).ok());
            by_page.map(|at| &profile.by_page[at].1).or(profile.amounts.as_ref())
        });
        let slot = class_slot(seen.class, seen.features.status());
        own.map(|a| (a, Level::Own)).or_else(|| self.classes.get(slot)?.as_ref().map(|a| (a, Level::Parent)))
    }

    /// How much an amount may surprise: where an endpoint is judged by others for want of answers, what it gave to two callers already claims
    /// little more than so few answers can.
    fn most_surprising(&self, seen: &Seen<'_>, level: Level, measure: usize, x: f32) -> f32 {
        let shared = self.profile(seen).filter(|profile| level != Level::Own && x <= profile.shared[measure]);
        shared.map_or(f32::INFINITY, |profile| (profile.n as f32 + 1.0).ln() + OF_FEW)
    }

    /// The measure that surprises most; `None` when there is nothing to measure by.
    fn much<'a>(&'a self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Much<'a>> {
        let measured = measure(seen.features);
        let (amounts, level) = self.amounts(seen)?;
        let mut worst: Option<Much<'a>> = None;
        let mut consider = |much: Much<'a>| {
            if worst.as_ref().is_none_or(|w| w.nats < much.nats) {
                worst = Some(much);
            }
        };
        let key = key_of(seen.id, seen.features.status());
        for at in 0..MEASURES {
            let (Some(amount), Some(x)) = (&amounts[at], measured[at]) else { continue };
            let mut nats = (amount.tail.p(f64::from(x)).nats() as f32).min(self.most_surprising(seen, level, at, x));
            if nats > ASK_PEERS {
                let now = live.shared.answers.read(&key, |recent| recent.surprisal(live.key, at, x));
                nats = now.flatten().map_or(nats, |now| nats.min(now));
            }
            consider(Much { nats, unit: UNITS[at], count: x.exp_m1(), amount, level });
        }
        if let Some(sums) = self.sums.as_ref().filter(|_| live.has_session && seen.features.response.records > 0) {
            let sum = live.session.taken.with(seen.features.response.records);
            let x = sum.ln_1p();
            let mut nats = sums.tail.p(f64::from(x)).nats() as f32;
            if nats > ASK_PEERS {
                let now = live.shared.answers.read(&sums_key(seen.features), |recent| recent.surprisal(live.key, 0, x));
                nats = now.flatten().map_or(nats, |now| nats.min(now));
            }
            consider(Much { nats, unit: "records in this session", count: sum, amount: sums, level: Level::Parent });
        }
        worst
    }

    /// What never came before in such an answer.
    fn novelty<'s>(&self, seen: &Seen<'s>, live: &Live<'_>) -> Option<New<'s>> {
        let response = &seen.features.response;
        let profile = self.profile(seen).filter(|p| p.n >= SUPPORT && seen.features.capabilities.has(Capability::ResponseBody))?;
        let mut new = New { nats: 0.0, member: None, kinds: Sensitive::default(), count: 0 };
        for member in &response.members {
            let mut kinds = Sensitive(member.sensitive.0 & !profile.kinds.0);
            let mut is_known = profile.members.binary_search_by_key(&member.path, |(path, _)| *path).is_ok();
            is_known |= is_of_protocol(seen.features, &member.name);
            if !is_known || !kinds.is_empty() {
                // What somebody put in comes out again: that is his doing, not the reader's.
                if let Some(put_in) = live.shared.newcomers.read(&word_key(member.key), Newcomer::kinds) {
                    (is_known, kinds) = (true, Sensitive(kinds.0 & !put_in.0));
                }
            }
            if is_known && kinds.is_empty() {
                continue;
            }
            let mut nats = 0.0f32;
            if !is_known {
                new.count += 1;
                nats = profile.new_member;
            }
            if !kinds.is_empty() {
                nats = nats.max(profile.new_kind);
            }
            if new.member.is_none() || nats > new.nats {
                (new.nats, new.member, new.kinds) = (nats, Some(member), kinds);
            }
        }
        // Several new members at once are one change of the answer, a little odder than one.
        new.nats += if new.nats > 0.0 { 0.5 * (new.count.max(1) as f32).ln() } else { 0.0 };
        Some(new)
    }

    /// Answers [`Aspect::Amount`] and [`Aspect::Members`].
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        if let Some(much) = self.much(seen, live) {
            out.push(Signal { aspect: Aspect::Amount, score: much.nats, level: much.level, bet: hash(much.unit.as_bytes()) });
        }
        if let Some(new) = self.novelty(seen, live) {
            let bet = new.member.map_or(0, |m| m.path);
            out.push(Signal { aspect: Aspect::Members, score: new.nats, level: Level::Own, bet });
        }
    }

    /// Takes note of how much was given to whom.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if seen.endpoint.is_none() || self.profile(seen).is_none() {
            return;
        }
        let measured = measure(seen.features).map(Option::unwrap_or_default);
        let (key, session) = (key_of(seen.id, seen.features.status()), live.has_session.then_some(live.key));
        live.shared.answers.update(key, seen.now, |recent| recent.note(session, measured));
        if live.has_session && seen.features.response.records > 0 {
            live.session.taken.add(seen.features.response.records);
            let sum = live.session.taken.with(0).ln_1p();
            live.shared.answers.update(sums_key(seen.features), seen.now, |recent| recent.note(session, [sum, 0.0, 0.0]));
        }
    }

    /// Explains one of this room's aspects.
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, aspect: Aspect) -> Option<Explanation> {
        let support = self.profile(seen).map_or(0, |p| u64::from(p.n));
        if aspect == Aspect::Amount {
            let much = self.much(seen, live)?;
            let [p50, p90, p99] = much.amount.levels;
            let whose = if much.level == Level::Own { "this endpoint's answers" } else { "answers" };
            return Some(Explanation {
                family: Family::ExcessiveData,
                place: "response.body".to_owned(),
                observed: format!("{:.0} {}", much.count, much.unit),
                expected: format!("p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0} of {whose}, and less to others now"),
                support,
            });
        }
        let new = self.novelty(seen, live)?;
        let member = new.member?;
        let kinds: Vec<&str> = new.kinds.iter().map(SensitiveKind::name).collect();
        let observed = match (new.count, kinds.is_empty()) {
            (_, false) => format!("{}, which this endpoint never gave", kinds.join(", ")),
            (1, true) => "a member that this endpoint never gave".to_owned(),
            (n, true) => format!("{n} members that this endpoint never gave, this the first"),
        };
        let name: String = member.name.chars().take(64).map(|c| if c.is_control() { '·' } else { c }).collect();
        Some(Explanation {
            family: Family::ExcessiveData,
            place: format!("response.body.{name}"),
            observed,
            expected: format!("one of {} known members", self.profile(seen).map_or(0, |p| p.members.len())),
            support,
        })
    }
}

/// Whether a member is one that GraphQL (specification of October 2021, 7.1) or JSON-RPC 2.0 gives any answer, errors above all: these come
/// with 200. What servers add to an error, their stack for one, is none.
fn is_of_protocol(features: &Features, name: &str) -> bool {
    features.operation.is_some() && OF_PROTOCOL.contains(&name)
}

/// Key of what sessions got in all, apart from all endpoints.
fn sums_key(features: &Features) -> u64 {
    mix(hash(features.host.as_bytes()), 0x5075)
}
