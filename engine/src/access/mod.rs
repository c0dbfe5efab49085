//! `access`: whose objects are whose, how many of them one session asks for, and who calls which function.
//!
//! Nothing here knows what an object is. A parameter of an endpoint counts as private because, in training, callers reached through
//! it only what they had a tie to: what they are called themselves, what an answer that nobody else got had shown them, or what
//! they had been the first to touch. Each kind of tie has its own rate of exceptions, and only where exceptions are rare does one
//! count.

mod cohort;
mod footprint;
mod learn;
mod owner;

pub use footprint::Footprint;
pub use owner::Owner;
pub(crate) use owner::{Reach, Sight, Visit};

use crate::calibrate::Tail;
use crate::detect::{Aspect, Class, Explanation, Level, Seen, Signal};
use crate::features::hash::{hash_folded, mix};
use crate::features::{Features, Place, Scalar, decode};
use crate::links::{presented, short};
use crate::partition::Live;
use crate::paths::{Paths, Route};
use crate::record::{EndpointId, Family};
use crate::time::rfc3339;
use cohort::Cohorts;
use owner::{Caller, Reached};
use serde::{Deserialize, Serialize};

/// Cases that a habit rests on, at least.
const CASES: u32 = 20;
/// Largest share of exceptions that a habit may have.
const EXCEPTIONS: f32 = 0.1;
/// Scalars of an answer looked at for members that name the caller.
const MIRRORED: usize = 64;

/// Whose objects are whose in one API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Access {
    /// By endpoint.
    endpoints: Vec<Watched>,
    /// What shows objects to one caller alone: hash of (endpoint, member) to the namespace of the objects, sorted.
    producers: Vec<(u64, u32)>,
    cohorts: Cohorts,
}

/// What is watched of one endpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Watched {
    params: Vec<Param>,
    mirrors: Vec<Mirror>,
    /// Whether it issues credentials.
    is_issuer: bool,
}

/// A parameter that holds identifiers.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Param {
    slot: Slot,
    /// Objects of one namespace are the same wherever they stand: all of `/users/{id}/…`.
    namespace: u32,
    name: Box<str>,
    /// Callers with names: objects that are none of theirs.
    named: Habit,
    /// Callers who were shown objects of the namespace: objects that were not among them.
    issued: Habit,
    /// Objects with an owner: others than that.
    owned: Habit,
    /// Distinct values that a session sends, √n.
    distinct: Option<Tail>,
    /// The same as counts: p50, p90, p99, and sessions behind them.
    levels: ([f32; 3], u32),
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
enum Slot {
    /// The n-th variable of the path.
    Path(u16),
    /// A field, by its id.
    Field(u64),
}

/// How often something is otherwise than usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Habit {
    cases: u32,
    exceptions: u32,
}

impl Habit {
    fn holds(self) -> bool {
        self.cases >= CASES && self.exceptions as f32 <= EXCEPTIONS * self.cases as f32
    }

    /// Surprisal of an exception.
    fn nats(self) -> f32 {
        -((self.exceptions as f32 + 0.5) / (self.cases as f32 + 1.0)).ln()
    }

    fn kept(self) -> String {
        format!("{:.1} % of {} cases", 100.0 * (1.0 - self.exceptions as f32 / self.cases.max(1) as f32), self.cases)
    }
}

/// A member of an answer that names the caller.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mirror {
    key: u64,
    name: Box<str>,
    habit: Habit,
}

/// How a caller stands to an object.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Ties {
    /// The caller has names; it was shown objects of this namespace; the object has an owner.
    has_names: bool,
    was_shown: bool,
    has_owner: bool,
    /// The object is one of its names, or was shown to it.
    is_linked: bool,
    /// It is the owner.
    is_own: bool,
}

/// What speaks against an access.
enum Strange<'a> {
    /// An object without a tie, by one of a parameter's habits.
    Object { param: &'a Param, habit: Habit, tie: &'static str, value: u64 },
    /// An answer that names somebody else.
    Mirror(&'a Mirror),
    /// An object that the session reached before, of which other partitions knew that it is somebody else's.
    Late(&'a (u64, Visit)),
}

impl Strange<'_> {
    fn nats(&self) -> f32 {
        match self {
            Self::Object { habit, .. } => habit.nats(),
            Self::Mirror(mirror) => mirror.habit.nats(),
            Self::Late((_, visit)) => visit.habit.nats(),
        }
    }
}

impl Param {
    fn is_private(&self) -> bool {
        self.named.holds() || self.issued.holds() || self.owned.holds()
    }

    /// Key of the parameter among all of the API.
    fn key(&self, endpoint: EndpointId) -> u32 {
        let slot = match self.slot {
            Slot::Path(n) => u64::from(n),
            Slot::Field(id) => id,
        };
        short(mix(endpoint.0, slot))
    }

    /// Hash of the parameter's value in a request.
    fn value(&self, features: &Features, route: &Route) -> Option<u64> {
        match self.slot {
            Slot::Path(n) => {
                let at = *route.variables.get(usize::from(n))?;
                let segment = features.segments().nth(usize::from(at))?;
                Some(hash_folded(&decode::percent(segment, false)))
            }
            Slot::Field(id) => features.fields.iter().find(|f| f.id == id && f.length > 0).map(|f| f.value_hash),
        }
    }

    fn place(&self) -> String {
        match self.slot {
            Slot::Path(_) => format!("path.{}", self.name),
            Slot::Field(_) => self.name.to_string(),
        }
    }
}

/// Key of an object in shared tables and footprints.
fn object_key(namespace: u32, value: u64) -> u64 {
    mix(value, u64::from(namespace))
}

fn producer_key(endpoint: EndpointId, scalar: &Scalar) -> u64 {
    mix(endpoint.0, scalar.key)
}

/// Scalars that may show or make an object: those of the answer, and of a request that changes something.
fn shown(features: &Features, class: Class) -> impl Iterator<Item = &Scalar> {
    let sent: &[Scalar] = if class == Class::Read { &[] } else { &features.request_scalars };
    sent.iter().chain(&features.response.scalars)
}

impl Access {
    fn watched(&self, seen: &Seen<'_>) -> Option<&Watched> {
        seen.endpoint.and_then(|e| self.endpoints.get(e.0 as usize))
    }

    fn ties(param: &Param, value: u64, live: &Live<'_>, caller: &Caller) -> Ties {
        let footprint = &live.session.footprint;
        let key = object_key(param.namespace, value);
        let owner = live.shared.objects.read(&key, |o| (o.is_of(caller), o.is_public()));
        Ties {
            has_names: !caller.names().is_empty(),
            was_shown: footprint.was_shown_any(param.namespace),
            has_owner: owner.is_some_and(|(_, is_public)| !is_public),
            is_linked: caller.names().contains(&short(value)) || footprint.was_shown(key),
            is_own: owner.is_some_and(|(is_own, _)| is_own),
        }
    }

    /// What speaks most against a successful access, and whether there was anything to go by. Who asks for a credential and presents
    /// none is yet to say who it is: before, somebody else may have been here, behind the same address.
    fn strangest<'a>(&'a self, seen: &Seen<'_>, live: &Live<'_>) -> (bool, Option<Strange<'a>>) {
        let mut looked = false;
        let mut worst: Option<Strange<'a>> = None;
        let Some(watched) = self.watched(seen).filter(|_| seen.features.succeeded() != Some(false)) else { return (false, None) };
        let is_entry = watched.is_issuer && presented(seen.features).next().is_none();
        if is_entry || (watched.mirrors.is_empty() && !watched.params.iter().any(Param::is_private)) {
            return (false, None);
        }
        let caller = Caller::of(seen, live);
        let mut consider = |strange: Strange<'a>| {
            if worst.as_ref().is_none_or(|w| w.nats() < strange.nats()) {
                worst = Some(strange);
            }
        };
        for mirror in &watched.mirrors {
            match mirrors(mirror.key, seen.features, caller.names()) {
                // The answer itself says that the object is the caller's.
                Some(true) => return (true, None),
                Some(false) => {
                    looked = true;
                    consider(Strange::Mirror(mirror));
                }
                None => {}
            }
        }
        for param in watched.params.iter().filter(|p| p.is_private()) {
            let Some(value) = param.value(seen.features, seen.route) else { continue };
            let ties = Self::ties(param, value, live, &caller);
            let habits = [
                (ties.has_names, param.named, "an object that bears the caller's name or was shown to it"),
                (ties.was_shown, param.issued, "an object that was shown to this session before"),
                (ties.has_owner, param.owned, "an object of the caller's own"),
            ];
            for (applies, habit, tie) in habits {
                if applies && habit.holds() {
                    looked = true;
                    if !ties.is_linked && !ties.is_own {
                        consider(Strange::Object { param, habit, tie, value });
                    }
                }
            }
        }
        (looked, worst)
    }

    /// The same, or what turned out since of what the session reached before, if that is stranger.
    fn strangest_by_now<'a>(&'a self, seen: &Seen<'_>, live: &'a Live<'_>) -> (bool, Option<Strange<'a>>) {
        let (looked, strange) = self.strangest(seen, live);
        let Some(late) = live.session.footprint.late().map(Strange::Late) else { return (looked, strange) };
        (true, Some(strange.filter(|now| now.nats() >= late.nats()).unwrap_or(late)))
    }

    /// The parameter whose distinct values in this session surprise most: nats, parameter, distinct values so far.
    fn enumeration<'a>(&'a self, seen: &Seen<'_>, live: &Live<'_>) -> Option<(f32, &'a Param, f32)> {
        let watched = self.watched(seen).filter(|_| live.has_session)?;
        let counted = watched.params.iter().filter_map(|param| {
            let tail = param.distinct.as_ref()?;
            let value = param.value(seen.features, seen.route)?;
            let distinct = live.session.footprint.distinct_with(param.key(seen.id), value);
            Some((tail.p(f64::from(distinct.sqrt())).nats() as f32, param, distinct))
        });
        counted.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// Answers [`Aspect::Foreign`], [`Aspect::Enumeration`], [`Aspect::Function`] and [`Aspect::Role`].
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        let (looked, strange) = self.strangest_by_now(seen, live);
        if looked {
            let bet = match &strange {
                Some(Strange::Object { param, value, .. }) => object_key(param.namespace, *value),
                Some(Strange::Late((object, _))) => *object,
                Some(Strange::Mirror(mirror)) => seen.features.path.bytes().fold(mirror.key, |key, b| mix(key, u64::from(b))),
                None => 0,
            };
            out.push(Signal { aspect: Aspect::Foreign, score: strange.map_or(0.0, |s| s.nats()), level: Level::Own, bet });
        }
        if let Some((nats, param, _)) = self.enumeration(seen, live) {
            out.push(Signal { aspect: Aspect::Enumeration, score: nats, level: Level::Own, bet: u64::from(param.key(seen.id)) });
        }
        for aspect in [Aspect::Function, Aspect::Role] {
            if let Some(odd) = self.cohorts.oddity(seen, live, aspect) {
                // What kind of client this is, is the same oddity wherever it calls.
                let bet = if aspect == Aspect::Function { 0 } else { seen.id.0 };
                out.push(Signal { aspect, score: odd.nats, level: Level::Own, bet });
            }
        }
    }

    /// Takes note of what a session reached, was shown and made its own.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        live.session.footprint.tell_late();
        let Some(watched) = self.watched(seen) else { return };
        if live.has_session {
            for param in watched.params.iter().filter(|p| p.distinct.is_some()) {
                if let Some(value) = param.value(seen.features, seen.route) {
                    live.session.footprint.count(param.key(seen.id), value);
                }
            }
        }
        if seen.features.succeeded() == Some(false) {
            return;
        }
        let caller = Caller::of(seen, live);
        if !caller.is_known() {
            return;
        }
        let is_strange = self.strangest(seen, live).1.is_some();
        let is_named = watched.mirrors.iter().any(|m| mirrors(m.key, seen.features, caller.names()) == Some(true));
        for param in watched.params.iter().filter(|p| p.is_private()) {
            if let Some(value) = param.value(seen.features, seen.route) {
                let reach = match is_named || Self::ties(param, value, live, &caller).is_linked {
                    true => Reach::Tied,
                    false if is_strange => Reach::Strange,
                    false => Reach::First,
                };
                let (session, at) = (live.key, seen.now);
                let visit = || Visit { session, at, endpoint: seen.id, param: param.key(seen.id), habit: param.owned };
                let judged_by_owner = live.has_session && param.owned.holds();
                Reached { object: object_key(param.namespace, value), now: at, caller: &caller, reach }
                    .note(live.shared, || judged_by_owner.then(visit));
            }
        }
        if self.producers.is_empty() {
            return;
        }
        // Long lists are remembered by the session that got them; single objects get an owner.
        let is_single = seen.features.response.records <= 1;
        for scalar in shown(seen.features, seen.class) {
            let key = producer_key(seen.id, scalar);
            let from = self.producers.partition_point(|(k, _)| *k < key);
            for (_, namespace) in self.producers[from..].iter().take_while(|(k, _)| *k == key) {
                let object = object_key(*namespace, scalar.value);
                live.session.footprint.show(*namespace, object);
                if is_single {
                    Reached { object, now: seen.now, caller: &caller, reach: Reach::Tied }.note(live.shared, || None);
                }
            }
        }
    }

    /// Explains one of this room's aspects.
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, paths: &Paths, aspect: Aspect) -> Option<Explanation> {
        match aspect {
            Aspect::Foreign => Some(match self.strangest_by_now(seen, live).1? {
                Strange::Object { param, habit, tie, .. } => Explanation {
                    family: Family::ObjectAccess,
                    place: param.place(),
                    observed: "somebody else's object, never issued to this session".to_owned(),
                    expected: format!("{tie}, as in {}", habit.kept()),
                    support: u64::from(habit.cases),
                },
                Strange::Mirror(mirror) => Explanation {
                    family: Family::ObjectAccess,
                    place: format!("response.body.{}", mirror.name),
                    observed: "an answer that names somebody else than the caller".to_owned(),
                    expected: format!("the caller itself, as in {}", mirror.habit.kept()),
                    support: u64::from(mirror.habit.cases),
                },
                Strange::Late((_, visit)) => self.told_late(visit, paths),
            }),
            Aspect::Enumeration => {
                let (_, param, distinct) = self.enumeration(seen, live)?;
                let ([p50, p90, p99], sessions) = param.levels;
                Some(Explanation {
                    family: if seen.class == Class::Authentication { Family::AccountTakeover } else { Family::ObjectAccess },
                    place: param.place(),
                    observed: format!("{distinct:.0} distinct values in this session"),
                    expected: format!("p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0} over sessions"),
                    support: u64::from(sessions),
                })
            }
            Aspect::Function | Aspect::Role => self.cohorts.explain(seen, live, paths, aspect),
            _ => None,
        }
    }

    /// What other partitions knew of an object that the session reached before.
    fn told_late(&self, visit: &Visit, paths: &Paths) -> Explanation {
        let known = paths.endpoints().iter().zip(&self.endpoints).find(|(endpoint, _)| endpoint.id == visit.endpoint);
        let by = known.map_or_else(String::new, |(endpoint, watched)| {
            let place = watched.params.iter().find(|p| p.key(endpoint.id) == visit.param).map_or_else(String::new, Param::place);
            format!(" by {place} of {}", endpoint.name())
        });
        Explanation {
            family: Family::ObjectAccess,
            place: "session".to_owned(),
            observed: format!("somebody else's object, reached{by} at {}", rfc3339(visit.at)),
            expected: format!("an object of the caller's own, as in {}", visit.habit.kept()),
            support: u64::from(visit.habit.cases),
        }
    }
}

/// Whether an answer's member names the caller; `None` where it has no such member, or nothing is known of the caller.
fn mirrors(key: u64, features: &Features, names: &[u32]) -> Option<bool> {
    if names.is_empty() {
        return None;
    }
    let mut values = features.response.scalars.iter().take(MIRRORED).filter(|s| s.key == key).peekable();
    values.peek()?;
    Some(values.any(|s| names.contains(&short(s.value))))
}

/// Place of a field as reasons have it.
fn field_place(place: Place, name: &str) -> String {
    let name: String = name.chars().take(64).map(|c| if c.is_control() { '·' } else { c }).collect();
    format!("{}.{name}", place.prefix())
}
