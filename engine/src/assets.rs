//! `assets`: which endpoints are live, with which authentication, and how talkative the server is.

use crate::detect::{Aspect, Explanation, Level, Seen, Signal};
use crate::features::hash::{hash, mix};
use crate::features::{Credential, Features};
use crate::learn::{Row, Sole, has_password};
use crate::newcomer;
use crate::partition::Live;
use crate::paths::{EndpointIndex, Paths, Route};
use crate::record::Family;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Successful requests that an endpoint's habits rest on, at least.
const SUPPORT: u32 = 30;

/// Segments that a version may stand in.
const VERSIONED: usize = 3;

/// Share of endpoints called without a credential from which on that says nothing.
const OPEN: f32 = 0.98;

/// Share of an endpoint's callers without a credential from which on one more says nothing.
const GUESTS: f32 = 0.02;

/// What an endpoint that never succeeded claims beyond how seldom that is, nats: as good as nothing.
const LEAST: f32 = 0.05;
/// Words at the beginning of a path that say where it belongs, at most.
const AREA_WORDS: usize = 4;
/// A place that fewer than this share of all subjects call has regulars.
const NARROW: f32 = 0.2;
/// Regulars remembered of all places.
const MAX_REGULARS: usize = 100_000;
/// Answers about what was asked after which an endpoint is live though it never succeeded, and paths that are watched for it.
const ANSWERED: u32 = 3;
const MAX_ANSWERED: usize = 10_000;

/// Words that endpoints for operators have in their paths.
const INTERNAL: [&str; 10] = ["admin", "debug", "internal", "metrics", "actuator", "console", "export", "backup", "test", "swagger"];

/// How the endpoints of one API are used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Assets {
    endpoints: Vec<Habits>,
    /// All successful requests.
    successes: u64,
    /// Places (as [`place_of`] has them) where somebody without a credential succeeded, ascending.
    open: Vec<u64>,
    /// By hash of host: the version in its paths that most of its successes are to.
    versions: Vec<(u64, u32)>,
    /// First segments of endpoints that succeeded, as [`place_of`] has them; ascending.
    places: Vec<u64>,
    /// Paths of which several callers were told what was wrong with what they asked, as [`newcomer::path_key`] has them; ascending.
    answered: Vec<u64>,
    /// Places that few subjects call, with each of these, as [`regular`] has them; ascending.
    regulars: Vec<u64>,
    traits: Traits,
}

/// How many endpoints that succeeded are of each sort: what few known ones are, a release hardly ever brings.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Traits {
    live: u32,
    /// Of an older version of the API than the one that is in use.
    old: u32,
    /// Take passwords.
    doors: u32,
    /// Mostly called without a credential.
    open: u32,
    /// Were the first with their first segment.
    first: u32,
    /// Are for operators, by their words.
    internal: u32,
}

impl Traits {
    /// How much odder an endpoint is, nats, for a trait that so many known ones have.
    fn odder(self, count: u32) -> f32 {
        -((count as f32 + 0.5) / (self.live as f32 + 1.0)).ln()
    }

    /// Whether nothing, or next to nothing, is called with a credential: a public site, or a log that tells of none.
    fn is_open(self) -> bool {
        self.open as f32 >= OPEN * self.live.max(1) as f32
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Habits {
    /// Successes, and how many of them brought a credential.
    successes: u32,
    with_credential: u32,
    /// Requests, and how many were answered with each sign of a talkative server.
    requests: u32,
    leaks: [u32; 8],
    /// Callers who succeeded, and how many of them did without a credential.
    callers: u32,
    guests: u32,
    first_seen: Option<i64>,
    /// The only caller that it ever had.
    sole: Option<Sole>,
}

impl Assets {
    /// Learns from rows of one API.
    pub(crate) fn learn<'r>(rows: impl Iterator<Item = &'r Row<'r>>, soles: &[Option<Sole>]) -> Self {
        let endpoints = soles.iter().map(|sole| Habits { sole: sole.clone(), ..Habits::default() }).collect();
        let mut assets = Self { endpoints, ..Self::default() };
        let mut versions: BTreeMap<u64, BTreeMap<u32, u64>> = BTreeMap::new();
        let mut live: BTreeMap<EndpointIndex, (&Features, u32)> = BTreeMap::new();
        let mut answered = Answered::default();
        let mut callers: FxHashMap<u64, FxHashSet<u64>> = FxHashMap::default();
        let mut units: FxHashMap<(EndpointIndex, u64), bool> = FxHashMap::default();
        let mut open: FxHashSet<u64> = FxHashSet::default();
        for row in rows {
            answered.note(row);
            let Some(endpoint) = row.route.endpoint else { continue };
            let EndpointIndex(at) = endpoint;
            let habits = &mut assets.endpoints[at as usize];
            habits.requests += 1;
            for (bit, count) in habits.leaks.iter_mut().enumerate() {
                *count += u32::from(row.features.response.leaks.0 >> bit & 1);
            }
            if row.features.status() < 400 {
                assets.successes += 1;
                if let Some(subject) = row.features.subject {
                    let words = row.route.variables.first().map_or(usize::MAX, |first| usize::from(*first));
                    for area in areas(row.features).take(words).chain([EVERYWHERE]) {
                        callers.entry(area).or_default().insert(subject.0 as u64);
                    }
                }
                if let Some(version) = version_of(row.features) {
                    *versions.entry(hash(row.features.host.as_bytes())).or_default().entry(version).or_default() += 1;
                }
                live.entry(endpoint).or_insert((row.features, 0)).1 += u32::from(has_password(row.features));
                habits.successes += 1;
                let is_guest = row.features.credential == Credential::None;
                habits.with_credential += u32::from(!is_guest);
                *units.entry((endpoint, row.unit)).or_default() |= is_guest;
                if is_guest {
                    open.insert(place_of(row.features));
                }
                habits.first_seen = habits.first_seen.into_iter().chain(row.features.time).min();
            }
        }
        for ((EndpointIndex(at), _), was_guest) in units {
            assets.endpoints[at as usize].callers += 1;
            assets.endpoints[at as usize].guests += u32::from(was_guest);
        }
        assets.open = open.into_iter().collect();
        assets.open.sort_unstable();
        assets.regulars = regulars(&callers);
        assets.answered = answered.several();
        let most = |counts: BTreeMap<u32, u64>| counts.into_iter().max_by_key(|(_, n)| *n).map(|(version, _)| version);
        assets.versions = versions.into_iter().filter_map(|(host, counts)| Some((host, most(counts)?))).collect();
        let mut places: Vec<u64> = live.values().map(|(features, _)| place_of(features)).collect();
        places.sort_unstable();
        places.dedup();
        assets.traits.first = places.len() as u32;
        assets.places = places;
        for (EndpointIndex(at), (features, passwords)) in live {
            let Habits { successes, with_credential, .. } = assets.endpoints[at as usize];
            let is_older = assets.is_older(features);
            let traits = &mut assets.traits;
            traits.live += 1;
            traits.old += u32::from(is_older);
            traits.internal += u32::from(is_internal(features));
            traits.doors += u32::from(passwords * 2 > successes);
            traits.open += u32::from(with_credential * 2 < successes);
        }
        assets
    }

    /// How odd it is that an endpoint which never did succeeds, nats, by what known endpoints are like.
    fn strangeness(&self, features: &Features) -> f32 {
        let Traits { old, doors, open, first, internal, .. } = self.traits;
        let given = |is_so: bool, count: u32| if is_so { self.traits.odder(count) } else { 0.0 };
        // Each is about where it stands: the oddest counts. Nothing of it is odd for those who are at home there.
        let is_first = self.places.binary_search(&place_of(features)).is_err();
        let place = if self.is_at_home(features) {
            0.0
        } else {
            given(self.is_older(features), old).max(given(is_first, first)).max(given(is_internal(features), internal))
        };
        let is_open = features.credential == Credential::None && features.succeeded().is_some();
        place + given(has_password(features), doors) + given(is_open, open)
    }

    /// Whether the subject was one of the few who called what stands beside it.
    fn is_at_home(&self, features: &Features) -> bool {
        let Some(subject) = features.subject else { return false };
        areas(features).any(|area| self.regulars.binary_search(&regular(area, subject.0 as u64)).is_ok())
    }

    /// Whether an unseen endpoint is one that a release of the API brings: callers with a credential use it from several networks. What is
    /// for operators, what is of an older version than the one in use, and what is open to anybody where other endpoints are not, is no
    /// release however many find it.
    fn is_release(&self, seen: &Seen<'_>, live: &Live<'_>) -> bool {
        let is_as_closed = seen.features.credential != Credential::None || self.traits.is_open();
        let is_suspect = self.is_older(seen.features) || is_internal(seen.features);
        is_as_closed && !is_suspect && newcomer::is_usual(seen, live, newcomer::path_key(seen.features))
    }

    fn habits(&self, endpoint: Option<EndpointIndex>) -> Option<&Habits> {
        endpoint.and_then(|e| self.endpoints.get(e.0 as usize))
    }

    /// Whether the endpoint succeeded before, and not for one other caller alone; or could have, had something else been asked. What is of an older
    /// version than the one in use, and had one caller, is what somebody tried.
    fn is_live(&self, seen: &Seen<'_>) -> bool {
        match self.habits(seen.route.endpoint).filter(|h| h.successes > 0) {
            Some(habits) => {
                let is_others = habits.sole.as_ref().is_some_and(|sole| sole.is_other(seen.features));
                let was_tried = habits.sole.is_none() && habits.callers == 1 && self.is_older(seen.features);
                !is_others && !was_tried
            }
            None => self.answered.binary_search(&newcomer::path_key(seen.features)).is_ok(),
        }
    }

    /// How odd it is that an endpoint succeeds which never did, nats beyond how seldom that is.
    pub(crate) fn novelty(&self, features: &Features) -> f32 {
        // An unknown status may have been a failure: half as odd.
        let sure = if features.succeeded().is_none() { 0.0 } else { 0.7 };
        LEAST + sure + self.strangeness(features)
    }

    /// Answers [`Aspect::Unseen`], [`Aspect::Unauthenticated`] and [`Aspect::Leak`].
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        let features = seen.features;
        if features.succeeded() != Some(false) {
            let score = if self.is_live(seen) || self.is_release(seen, live) { 0.0 } else { self.novelty(features) };
            out.push(Signal { aspect: Aspect::Unseen, score, level: Level::Own, bet: hash(features.path.as_bytes()) });
            if let Some(habits) = self.habits(seen.route.endpoint).filter(|h| h.successes >= SUPPORT) {
                let score = if features.credential == Credential::None { self.closedness(features, habits) } else { 0.0 };
                out.push(Signal { aspect: Aspect::Unauthenticated, score, level: Level::Own, bet: 1 });
            }
        }
        if features.status() != 0 {
            let score = (0..8)
                .filter(|bit| features.response.leaks.0 >> bit & 1 == 1)
                .map(|bit| self.leak_surprisal(seen.route.endpoint, bit))
                .fold(0.0, f32::max);
            out.push(Signal { aspect: Aspect::Leak, score, level: Level::Own, bet: u64::from(features.response.leaks.0) });
        }
    }

    /// How odd it is that an endpoint answers a caller without a credential, nats: where nobody without one ever got anything, by its
    /// requests; among endpoints that are open to all, by its callers, for who has a credential brings it every time.
    fn closedness(&self, features: &Features, habits: &Habits) -> f32 {
        let is_closed_place = self.open.binary_search(&place_of(features)).is_err();
        let rate = if is_closed_place { share(0, habits.successes) } else { share(habits.guests, habits.callers) };
        if rate < GUESTS { -rate.ln() } else { 0.0 }
    }

    /// Whether a path is of an older version of the API than the one that is in use.
    pub(crate) fn is_older(&self, features: &Features) -> bool {
        let host = hash(features.host.as_bytes());
        let in_use = self.versions.iter().find(|(h, _)| *h == host).map(|(_, version)| *version);
        version_of(features).zip(in_use).is_some_and(|(version, in_use)| version < in_use)
    }

    /// Takes note of an endpoint that never succeeded before and did.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if seen.features.succeeded() == Some(true) && !self.is_live(seen) {
            newcomer::note(seen, live, newcomer::path_key(seen.features));
        }
    }

    /// Surprisal of a sign at an endpoint; where the endpoint is little known, over all endpoints.
    fn leak_surprisal(&self, endpoint: Option<EndpointIndex>, bit: usize) -> f32 {
        let (count, of) = match self.habits(endpoint).filter(|h| h.requests >= SUPPORT) {
            Some(h) => (h.leaks[bit], h.requests),
            None => self.endpoints.iter().fold((0, 0), |(a, b), h| (a + h.leaks[bit], b + h.requests)),
        };
        -((f64::from(count) + 0.5) / (f64::from(of) + 1.0)).min(1.0).ln() as f32
    }

    /// Explains one of this room's aspects.
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, paths: &Paths, aspect: Aspect) -> Option<Explanation> {
        let features = seen.features;
        match aspect {
            Aspect::Unseen => {
                if let Some(habits) = self.habits(seen.route.endpoint).filter(|h| h.successes > 0) {
                    return Some(Explanation {
                        family: Family::ImproperAsset,
                        place: "path".to_owned(),
                        observed: "called by another than the only caller that it ever had".to_owned(),
                        expected: format!("the caller of all {} successful requests", habits.successes),
                        support: u64::from(habits.successes),
                    });
                }
                let nearest = nearest(paths, features, seen.route);
                Some(Explanation {
                    family: Family::ImproperAsset,
                    place: "path".to_owned(),
                    observed: match features.succeeded() {
                        Some(_) => format!("an endpoint that never succeeded before answers {}", features.status()),
                        None => "an endpoint that was never seen".to_owned(),
                    },
                    expected: nearest.map_or_else(|| "no endpoint like it is known".to_owned(), |n| format!("nearest known endpoint: {n}")),
                    support: self.successes,
                })
            }
            Aspect::Unauthenticated => {
                let habits = self.habits(seen.route.endpoint)?;
                Some(Explanation {
                    family: Family::ImproperAsset,
                    place: "request.headers.authorization".to_owned(),
                    observed: match features.succeeded() {
                        Some(_) => format!("answered {} without a credential", features.status()),
                        None => "a request without a credential".to_owned(),
                    },
                    expected: format!(
                        "a credential, as in {} of {} successful requests of {} callers",
                        habits.with_credential, habits.successes, habits.callers
                    ),
                    support: u64::from(habits.successes),
                })
            }
            Aspect::Leak => {
                let names: Vec<&str> =
                    crate::features::Leaks::NAMES.iter().filter(|(bit, _)| features.response.leaks.0 & bit != 0).map(|(_, n)| *n).collect();
                Some(Explanation {
                    family: Family::Misconfiguration,
                    place: "response".to_owned(),
                    observed: names.join(", "),
                    expected: "an endpoint that answers without".to_owned(),
                    support: self.habits(seen.route.endpoint).map_or(self.successes, |h| u64::from(h.requests)),
                })
            }
            _ => None,
        }
    }

    /// First success of an endpoint, epoch milliseconds.
    #[must_use]
    pub fn first_seen(&self, endpoint: EndpointIndex) -> Option<i64> {
        self.habits(Some(endpoint)).and_then(|h| h.first_seen)
    }
}

/// Share of callers, or requests, without a credential (Krichevsky and Trofimov).
fn share(guests: u32, of: u32) -> f32 {
    (guests as f32 + 0.5) / (of as f32 + 1.0)
}

/// Paths that never succeeded, by whom they were tried.
#[derive(Debug, Default)]
struct Answered(BTreeMap<u64, (u64, u32, bool)>);

impl Answered {
    fn note(&mut self, row: &Row<'_>) {
        if !is_about_request(row.features.status()) || is_internal(row.features) {
            return;
        }
        let key = newcomer::path_key(row.features);
        if self.0.len() < MAX_ANSWERED || self.0.contains_key(&key) {
            let (first, times, has_others) = self.0.entry(key).or_insert((row.unit, 0, false));
            *times += 1;
            *has_others |= *first != row.unit;
        }
    }

    /// Those of several callers, ascending.
    fn several(self) -> Vec<u64> {
        self.0.into_iter().filter(|(_, (_, times, has_others))| *times >= ANSWERED && *has_others).map(|(key, _)| key).collect()
    }
}

/// Whether an answer is about what was asked (a conflict, a limit, a mistake), by something that is there for its caller.
fn is_about_request(status: u16) -> bool {
    matches!(status, 400 | 402 | 409 | 412 | 415 | 422 | 423 | 428 | 429)
}

/// Key of all places together.
const EVERYWHERE: u64 = 0;

/// Keys of the places that a path leads through: its host with the first words, one more each.
fn areas(features: &Features) -> impl Iterator<Item = u64> + '_ {
    let host = hash(features.host.as_bytes());
    features.segments().take(AREA_WORDS).scan(host, |key, segment| {
        *key = mix(*key, hash(segment.as_bytes()));
        Some(*key)
    })
}

fn regular(area: u64, subject: u64) -> u64 {
    mix(area, subject)
}

/// Who called places that few call: each by place, ascending.
fn regulars(callers: &FxHashMap<u64, FxHashSet<u64>>) -> Vec<u64> {
    let all = callers.get(&EVERYWHERE).map_or(0, FxHashSet::len);
    let narrow = callers.iter().filter(|(_, subjects)| (subjects.len() as f32) < NARROW * all as f32);
    let mut regulars: Vec<u64> = narrow.flat_map(|(area, subjects)| subjects.iter().map(|subject| regular(*area, *subject))).collect();
    regulars.sort_unstable();
    regulars.truncate(MAX_REGULARS);
    regulars
}

/// A host and the first segment of a path.
fn place_of(features: &Features) -> u64 {
    mix(hash(features.host.as_bytes()), hash(features.segments().next().unwrap_or_default().as_bytes()))
}

/// The version of the API in a path: 2 of `/v2/orders`.
fn version_of(features: &Features) -> Option<u32> {
    features.segments().take(VERSIONED).find_map(|segment| segment.strip_prefix('v')?.split('.').next()?.parse().ok())
}

/// Whether a path has a word that endpoints for operators have.
fn is_internal(features: &Features) -> bool {
    let path = features.path.to_ascii_lowercase();
    INTERNAL.iter().any(|word| path.contains(word))
}

/// The known endpoint that shares most with the path.
fn nearest(paths: &Paths, features: &Features, route: &Route) -> Option<String> {
    let mine: Vec<&str> = features.segments().collect();
    let shared = |template: &str| template.split('/').skip(1).zip(&mine).take_while(|(a, b)| *a == **b || a.starts_with('{')).count();
    paths
        .endpoints()
        .iter()
        .filter(|e| *e.host == *features.host)
        .map(|e| (shared(&e.template), *e.method == *features.method, e))
        .filter(|(n, _, _)| *n > 0 || route.known_depth > 0)
        .max_by_key(|(n, same, e)| (*n, *same, std::cmp::Reverse(e.template.len())))
        .map(|(_, _, e)| e.name())
}
