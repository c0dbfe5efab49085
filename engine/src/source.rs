//! `source`: refused log-ins, by network source and by account. Many on one account is guessing a password, few on many accounts is
//! stuffing leaked ones or finding out who has an account; a colleague's typing errors among an office's log-ins are neither.
//!
//! Servers differ in how they refuse: by status, or with 200 and another answer than the one that brings a credential. Which it is, is
//! learned. What other partitions see of the same account or source comes by notes ([`crate::facts`]).
//!
//! Who tries a list of accounts from many addresses, a few from each, stands out by none of them. But hardly any address is refused on two
//! accounts; when all at once many are, among so few log-ins, each of them is one of those.

use crate::detect::{Aspect, Class, Explanation, Level, Seen, Signal};
use crate::facts::{Entity, Saw};
use crate::features::hash::{hash, hash_folded, mix};
use crate::features::{Features, decode};
use crate::learn::{Row, is_password, source_of};
use crate::partition::Live;
use crate::paths::Route;
use crate::record::Family;
use crate::suspicion::{OCCASIONS, Peers, Suspicion, remember};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Suspicion halves in this time, milliseconds: of a source, of an account (which the patient try slowly).
const SOURCE_HALF_LIFE: f32 = 1_800_000.0;
const ACCOUNT_HALF_LIFE: f32 = 7_200_000.0;
/// Log-ins beyond the usual share that are refused to somebody who guesses: the alternative of the odds.
const GUESSING: f32 = 0.4;
/// One refusal counts at most so much, nats.
const MOST: f32 = 1.5;
/// What everybody may come to by forgetting a password, nats: three accounts refused in a row; eight refusals on one, before its owner
/// gives up and asks for another password.
pub(crate) const SPARE: f32 = 5.0;
const SPARE_ON_ONE: f32 = 12.0;
/// Callers under more suspicion than this, beyond what everybody may come to, are no peers of others.
const TRUSTED: f32 = 1.0;
/// What is left of refused log-ins when they are forgotten, nats.
const FADED: f32 = 0.02;
/// Addresses that an account must be refused from, or that must be refused on several accounts, before it, not they, is under attack.
const SPREAD: usize = 3;
/// Share of log-ins that a list of accounts comes to, tried from many addresses: the alternative of the odds; and what one address counts at
/// most, nats.
const SPREAD_OUT: f32 = 0.1;
const MOST_OF_ONE: f32 = 3.0;
/// An address that was refused on one account is watched for others this long while it is learned how few are, milliseconds.
const WATCHED: i64 = 3_600_000;
/// Accounts, and addresses, remembered of one another.
const REMEMBERED: usize = 32;
/// Share of log-ins that an answer must be to count as one of the usual ones.
const FORM: f32 = 0.01;
/// Distinct values counted of a field while the one that names the account is looked for.
const DISTINCT: usize = 64;

/// Whose refused log-ins are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A source's (or session's), on accounts.
    Source,
    /// An account's, by sources.
    Account,
}

/// Refused log-ins of one source (or session), or on one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// Of a source: each account counts once, so that one person's many errors are not many persons'. Of an account: each refusal.
    suspicion: Suspicion,
    count: u32,
    /// Of a source: accounts; of an account: sources. The latest ones.
    others: Vec<Other>,
    /// Latest occasions that counted.
    occasions: Vec<u32>,
    /// Of an account: the source that was let in last.
    home: u32,
}

/// Refused log-ins of one source on one account.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Other {
    /// Hash of the account, or of the source.
    who: u32,
    count: u32,
    /// What they weigh when `Refused::suspicion` was added to last.
    nats: f32,
}

impl Whose {
    pub(crate) fn of(entity: Entity) -> Self {
        if matches!(entity, Entity::Account(_)) { Self::Account } else { Self::Source }
    }

    /// How fast suspicion fades, milliseconds.
    fn half_life(self) -> f32 {
        match self {
            Self::Source => SOURCE_HALF_LIFE,
            Self::Account => ACCOUNT_HALF_LIFE,
        }
    }
}

impl Refused {
    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.suspicion.is_none() && self.others.is_empty()
    }

    /// What stands against it, nats: by how many were tried, or by how often one was.
    pub(crate) fn weight(&self, now: i64, whose: Whose) -> f32 {
        let most = self.others.iter().map(|o| o.nats).fold(0.0, f32::max);
        self.suspicion.after(0.0, 0, now, whose.half_life()).max(most * self.suspicion.faded(now, whose.half_life()))
    }

    /// Takes over what others know, if that is more.
    pub(crate) fn learn(&mut self, others: Self, now: i64) {
        if others.count > self.count || self.weight(now, Whose::Account) < others.weight(now, Whose::Account) {
            let home = if self.home == 0 { others.home } else { self.home };
            *self = Self { home, ..others };
        }
    }

    fn on(&self, who: u64) -> Option<&Other> {
        self.others.iter().find(|o| o.who == who as u32)
    }

    /// Of a source: whether a log-in that is refused to it is one on another account than those refused before, and whether there are several.
    fn tries_others(&self, trial: &Trial) -> (bool, bool) {
        let is_another = trial.is_refused && !self.others.is_empty() && self.on(trial.account).is_none();
        (is_another, trial.is_refused && (is_another || self.others.len() > 1))
    }

    fn is_new(&self, trial: &Trial) -> bool {
        trial.is_refused && !self.occasions.contains(&(trial.occasion as u32))
    }

    /// What a log-in adds to the suspicion.
    fn gain(&self, trial: &Trial, other: u64, whose: Whose) -> f32 {
        let is_again = trial.is_refused && whose == Whose::Source && self.on(other).is_some();
        if is_again { 0.0 } else { trial.nats }
    }

    /// Of a source: what it comes to with a log-in, beyond what everybody may come to; and whether that is for how often it tried one account,
    /// not for how many it tried.
    fn of_source(&self, trial: &Trial, now: i64) -> (f32, bool) {
        let many = self.suspicion.after(self.gain(trial, trial.account, Whose::Source), trial.occasion, now, SOURCE_HALF_LIFE) - SPARE;
        let faded = self.suspicion.faded(now, SOURCE_HALF_LIFE);
        let gain = if self.is_new(trial) { trial.nats } else { 0.0 };
        let on_this = self.on(trial.account).map_or(0.0, |o| o.nats) * faded + gain;
        let one = self.others.iter().map(|o| o.nats * faded).fold(on_this, f32::max) - SPARE_ON_ONE;
        (many.max(one), one > many)
    }

    pub(crate) fn add(&mut self, trial: &Trial, other: u64, now: i64, whose: Whose) {
        let faded = self.suspicion.faded(now, whose.half_life());
        for o in &mut self.others {
            o.nats *= faded;
        }
        let nats = if self.is_new(trial) { trial.nats } else { 0.0 };
        self.suspicion.add(self.gain(trial, other, whose), trial.occasion, now, whose.half_life());
        if trial.is_refused {
            remember(&mut self.occasions, trial.occasion as u32, OCCASIONS);
            self.refuse(other as u32, nats);
        } else if whose == Whose::Source {
            self.redeem(other, now);
        }
        self.forget();
    }

    /// What a source did, in words.
    fn told(&self, trial: &Trial, now: i64) -> String {
        let one = u32::from(trial.is_refused);
        let on_this = self.on(trial.account).map_or(0, |o| o.count) + one;
        if self.of_source(trial, now).1 {
            let most = self.others.iter().map(|o| o.count).fold(on_this, u32::max);
            return format!("{most} refused log-ins on 1 account");
        }
        let on = self.others.len() + usize::from(trial.is_refused && self.on(trial.account).is_none());
        let more = if on >= REMEMBERED { " or more" } else { "" };
        format!("{} refused log-ins on {on} accounts{more}", self.count + one)
    }

    fn refuse(&mut self, who: u32, nats: f32) {
        self.count = self.count.saturating_add(1);
        if let Some(on) = self.others.iter_mut().find(|o| o.who == who) {
            on.nats += nats;
            on.count = on.count.saturating_add(1);
            return;
        }
        if self.others.len() >= REMEMBERED {
            self.others.remove(0);
        }
        self.others.push(Other { who, count: 1, nats });
    }

    /// Who is let in after errors that everybody may make is the account's owner: they no longer count.
    fn redeem(&mut self, account: u64, now: i64) {
        let Some(at) = self.others.iter().position(|o| o.who == account as u32 && o.nats <= SPARE_ON_ONE) else { return };
        let owner = self.others.remove(at);
        self.count = self.count.saturating_sub(owner.count);
        self.suspicion.add(-owner.nats.min(MOST), 0, now, SOURCE_HALF_LIFE);
    }

    /// Drops what has faded.
    fn forget(&mut self) {
        let mut faded = 0;
        self.others.retain(|o| {
            faded += if o.nats < FADED { o.count } else { 0 };
            o.nats >= FADED
        });
        self.count = self.count.saturating_sub(faded);
        if self.is_nothing() {
            *self = Self { home: self.home, ..Self::default() };
        }
    }
}

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
struct Door {
    endpoint: u32,
    account: AccountAt,
    /// Answers that bring a credential, sorted; empty where none does.
    grants: Vec<u64>,
    n: f32,
    refused: f32,
    /// Log-ins refused to a source on another account than the one before.
    others: f32,
}

/// The authentication endpoints of one API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Accounts {
    /// By endpoint, sorted.
    doors: Vec<Door>,
}

/// One log-in, weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    nats: f32,
    is_refused: bool,
    occasion: u64,
    account: u64,
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

    fn door(&self, seen: &Seen<'_>) -> Option<&Door> {
        let endpoint = seen.endpoint?.0;
        self.doors.binary_search_by_key(&endpoint, |d| d.endpoint).ok().map(|at| &self.doors[at])
    }

    /// A log-in's log-odds of somebody who guesses against everybody else. `None`: no log-in, or its outcome says nothing.
    fn weigh(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Trial> {
        let door = self.door(seen)?;
        let is_refused = door.refuses(seen.features)?;
        let account = door.account_of(seen.features, seen.route)?;
        let nats = if is_refused {
            let others = live.shared.peers.read(&place(seen), |peers| peers.share(live.caller(), seen.now)).unwrap_or(0.0);
            let usual = door.usual().max(others);
            ((usual + GUESSING * (1.0 - usual)) / usual).ln().min(MOST)
        } else {
            (1.0 - GUESSING).ln()
        };
        let of_endpoint = seen.features.fields.iter().filter(|f| f.place.is_of_endpoint());
        let occasion = of_endpoint.fold(account, |key, f| mix(key, f.value_hash));
        Some(Trial { nats, is_refused, occasion, account })
    }

    /// What a log-in says of whether accounts are tried from many addresses: it counts as refused if its source was refused on another before.
    fn weigh_spread(&self, trial: &Trial, seen: &Seen<'_>, live: &Live<'_>) -> Option<Trial> {
        let usual = self.door(seen)?.usual_others();
        let (is_another, _) = live.refused().tries_others(trial);
        let spread = usual + SPREAD_OUT * (1.0 - usual);
        let nats = if is_another { (spread / usual).ln().min(MOST_OF_ONE) } else { ((1.0 - spread) / (1.0 - usual)).ln() };
        Some(Trial { nats, is_refused: is_another, occasion: live.caller(), account: door_key(seen) })
    }

    /// What stands against the source, against whoever tries this account, and against whoever tries several accounts here now, beyond what
    /// everybody may come to.
    fn stands(&self, trial: &Trial, seen: &Seen<'_>, live: &Live<'_>) -> [f32; 3] {
        let (of_source, _) = live.refused().of_source(trial, seen.now);
        let of_account = live.shared.accounts.read(&trial.account, |refused| {
            // Its owner, at home, is not the one who guesses.
            if refused.others.len() < SPREAD || refused.home == live.caller() as u32 {
                return 0.0;
            }
            refused.suspicion.after(trial.nats, mix(trial.occasion, live.caller()), seen.now, ACCOUNT_HALF_LIFE)
        });
        let of_spread = self.weigh_spread(trial, seen, live).filter(|_| live.refused().tries_others(trial).1).and_then(|at_door| {
            live.shared.accounts.read(&at_door.account, |refused| {
                let is_spread = refused.others.len() >= SPREAD;
                if is_spread { refused.suspicion.after(at_door.nats, at_door.occasion, seen.now, ACCOUNT_HALF_LIFE) } else { 0.0 }
            })
        });
        [of_source, of_account.unwrap_or(0.0) - SPARE, of_spread.unwrap_or(0.0) - SPARE]
    }

    /// Answers [`Aspect::Accounts`], at authentication endpoints only.
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        if live.caller() == 0 {
            return;
        }
        let Some(trial) = self.weigh(seen, live) else { return };
        let score = self.stands(&trial, seen, live).into_iter().fold(0.0, f32::max);
        out.push(Signal { aspect: Aspect::Accounts, score, level: Level::Own, bet: 6 });
    }

    /// Takes note of a log-in.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if live.caller() == 0 {
            return;
        }
        let Some(trial) = self.weigh(seen, live) else { return };
        let [of_source, ..] = self.stands(&trial, seen, live);
        let caller = live.caller();
        if let Some(at_door) = self.weigh_spread(&trial, seen, live) {
            note_account(live, &at_door, seen.now);
            // Each of them, for among how many log-ins several accounts were tried, no partition sees alone.
            live.shared.report(Entity::Account(at_door.account), seen.now, Saw::LogIn { trial: at_door, other: caller });
        }
        if let Some(source) = live.source_key.filter(|_| trial.is_refused || !live.source.refused.is_nothing()) {
            live.shared.report(Entity::Source(source), seen.now, Saw::LogIn { trial: trial.clone(), other: trial.account });
        }
        live.refused_mut().add(&trial, trial.account, seen.now, Whose::Source);
        let weighed = Trial { occasion: mix(trial.occasion, caller), ..trial.clone() };
        if note_account(live, &weighed, seen.now) {
            live.shared.report(Entity::Account(trial.account), seen.now, Saw::LogIn { trial: weighed, other: caller });
        }
        if of_source < TRUSTED {
            live.note_peer(place(seen), trial.is_refused, seen.now);
        }
    }

    /// Explains [`Aspect::Accounts`].
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Explanation> {
        let door = self.door(seen)?;
        let trial = self.weigh(seen, live)?;
        let [of_source, of_account, of_spread] = self.stands(&trial, seen, live);
        let most = of_source.max(of_account).max(of_spread);
        if most <= 0.0 {
            return None;
        }
        let one = u32::from(trial.is_refused);
        let caller = if live.source_key.is_some() { "client.ip" } else { "session" };
        if of_spread >= most {
            let (count, from) = live.shared.accounts.read(&door_key(seen), |r| (r.count, r.others.len())).unwrap_or_default();
            let more = if from >= REMEMBERED { " or more" } else { "" };
            let own = live.refused().told(&trial, seen.now);
            return Some(Explanation {
                family: Family::AccountTakeover,
                place: caller.to_owned(),
                observed: format!("{own}; lately {count} like this, on other accounts than before, from {from}{more} sources"),
                expected: format!(
                    "{:.2} % of log-ins here are on another account of a source that was refused",
                    100.0 * door.usual_others()
                ),
                support: door.n as u64,
            });
        }
        let (place, observed) = if of_source >= of_account {
            (caller, live.refused().told(&trial, seen.now))
        } else {
            let (count, from) = live.shared.accounts.read(&trial.account, |r| (r.count, r.others.len())).unwrap_or_default();
            ("account", format!("{} refused log-ins on this account from {from} addresses", count + one))
        };
        Some(Explanation {
            family: Family::AccountTakeover,
            place: place.to_owned(),
            observed,
            expected: format!("{:.1} % of log-ins here are refused, and not to others now", 100.0 * door.usual()),
            support: door.n as u64,
        })
    }
}

impl Door {
    /// Whether a log-in was refused; `None` where the answer does not say (an error of the server, throttling, no body).
    fn refuses(&self, features: &Features) -> Option<bool> {
        match features.status() {
            0 | 429 | 500.. => None,
            400..=499 => Some(true),
            _ if self.grants.is_empty() => Some(false),
            _ if features.response.keys == 0 && !sets_cookie(features) => None,
            _ => Some(self.grants.binary_search(&form(features)).is_err()),
        }
    }

    fn account_of(&self, features: &Features, route: &Route) -> Option<u64> {
        match self.account {
            AccountAt::Field(id) => features.fields.iter().find(|f| f.id == id).map(|f| mix(f.value_hash, 0xacc0)),
            AccountAt::Path => {
                let segment = features.segments().nth(usize::from(*route.variables.first()?))?;
                Some(mix(hash_folded(&decode::percent(segment, false)), 0xacc0))
            }
        }
    }

    /// Share of log-ins that are refused to a source on another account than before.
    fn usual_others(&self) -> f32 {
        ((self.others + 0.5) / (self.n + 10.0)).clamp(1e-6, 0.999)
    }

    /// Share of refused log-ins.
    fn usual(&self) -> f32 {
        ((self.refused + 0.5) / (self.n + 10.0)).clamp(1e-6, 0.999)
    }
}

/// Takes note of a log-in on an account; whether it is remembered: it is if it was refused, or another was.
fn note_account(live: &mut Live<'_>, trial: &Trial, now: i64) -> bool {
    let caller = live.caller();
    let known = live.shared.accounts.take(&trial.account);
    if known.is_none() && !trial.is_refused {
        return false;
    }
    let mut refused = known.unwrap_or_default();
    refused.add(trial, caller, now, Whose::Account);
    if !trial.is_refused {
        refused.home = caller as u32;
    }
    if !refused.is_nothing() {
        live.shared.accounts.put(trial.account, now, refused);
    }
    true
}

/// What stands for an endpoint among accounts.
fn door_key(seen: &Seen<'_>) -> u64 {
    mix(seen.id.0, 0xd00)
}

/// Where callers are compared.
fn place(seen: &Seen<'_>) -> u64 {
    Peers::key(seen.id.0, 2)
}
