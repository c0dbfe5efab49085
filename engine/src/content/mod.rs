//! `content`: fields of requests — which there are, and what their values look like.
//!
//! Each field has a profile of its own where at least [`SUPPORT`] values were learned, else the profile of its name over all
//! endpoints, else that of its kind; see [`basis`]. Seven scores a value; see [`field`].

mod basis;
mod charset;
mod counts;
mod explain;
mod field;
mod folds;
mod learn;
mod ngram;
mod tails;
mod text;

pub use field::Scratch;
pub(crate) use learn::{Learned, learn};
pub(crate) use text::{letter, shape};

use crate::detect::{Aspect, Level, Seen, Signal};
use crate::features::hash::mix;
use crate::features::{Features, Field, Place, ValueKind, decode};
use crate::links::Origin;
use crate::newcomer;
use crate::partition::Live;
use crate::paths::{EndpointIndex, Route};
use field::FieldProfile;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Values that a profile of its own rests on, at least.
const SUPPORT: u32 = 30;
/// Held-out values that tails of its own rest on, at least.
const HELD_OUT: usize = 30;
/// Share of requests from which on a field is always there.
const REQUIRED: f32 = 0.98;
/// Share of requests below which a field is rare.
const RARE: f32 = 0.02;

/// Score of a new field where nothing says that it is more than that, nats: how rare any is, calibration knows.
const PLAIN_NEW: f32 = 1.0;

/// What is known of the fields of requests of one API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Content {
    profiles: Vec<FieldProfile>,
    by_key: ByKey,
    /// Pooled free text.
    pool: Option<u32>,
    endpoints: Vec<EndpointFields>,
    /// Names of response members of the API, by hash, sorted.
    response_keys: Vec<u64>,
    /// Headers and cookies of the API.
    of_api: EndpointFields,
    /// Surprisal, nats, of a value of another kind than its field's where little is known of that ([`basis::Judge::other_kind`]).
    other_kind: f32,
}

/// Profile by key. Keys: see [`own_key`], [`name_key`], [`kind_key`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u32)>", into = "Vec<(u64, u32)>")]
struct ByKey(FxHashMap<u64, u32>);

impl ByKey {
    /// In order of the keys.
    fn sorted(&self) -> Vec<(u64, u32)> {
        let mut all: Vec<(u64, u32)> = self.0.iter().map(|(key, at)| (*key, *at)).collect();
        all.sort_unstable();
        all
    }
}

impl From<Vec<(u64, u32)>> for ByKey {
    fn from(entries: Vec<(u64, u32)>) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl From<ByKey> for Vec<(u64, u32)> {
    fn from(by_key: ByKey) -> Self {
        by_key.sorted()
    }
}

/// Which fields requests of one endpoint carry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct EndpointFields {
    /// Weighted requests.
    n: f32,
    /// By id, sorted.
    fields: Vec<FieldFacts>,
    /// Surprisal of a field never seen.
    new_field: f32,
}

/// One field of an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct FieldFacts {
    id: u64,
    place: Place,
    name: Box<str>,
    /// Weighted requests that carry it.
    n: f32,
    /// Values of it in one request, at most.
    most: u16,
    /// What most of its values are; none: too few to say.
    kind: Option<ValueKind>,
    /// Seen too seldom, from too few networks, to count as known.
    is_rare: bool,
}

impl EndpointFields {
    /// Whether a name has a sign that no name of a field here has.
    fn has_new_sign(&self, name: &str) -> bool {
        let is_sign = |c: &char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '[' | ']');
        name.chars().filter(is_sign).any(|c| !self.fields.iter().any(|f| f.name.contains(c)))
    }

    fn find(&self, id: u64) -> Option<&FieldFacts> {
        self.fields.binary_search_by_key(&id, |f| f.id).ok().map(|at| &self.fields[at])
    }
}

/// Pieces of code that gates put into values: one of each common sort.
pub(crate) const CODE: [&str; 6] =
    ["' or '1'='1", "<script>alert(1)</script>", "../../etc/passwd", "; cat /etc/passwd", "${7*7}", "\r\nSet-Cookie: a=b"];

/// A value with the field it stands in.
pub(crate) struct Valued<'f> {
    pub(crate) field: Field,
    pub(crate) value: Cow<'f, str>,
    name: Cow<'f, str>,
}

/// Headers in which a caller's software and language call themselves.
const NAMED: [&str; 2] = ["user-agent", "accept-language"];
/// Headers in which it says what it takes and how it talks: lists of words (RFC 9110, 12.5; RFC 9111, 5.2).
const LISTED: [&str; 13] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "cache-control",
    "connection",
    "dnt",
    "pragma",
    "priority",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "te",
    "upgrade-insecure-requests",
];
/// Longest name, bytes.
const LONGEST_NAME: usize = 512;
/// Questions about values, by slot.
const OF_VALUES: [Aspect; 4] = [Aspect::Values, Aspect::Headers, Aspect::Client, Aspect::Renamed];

impl Valued<'_> {
    /// Slot of the question that a value belongs to. Where a session goes on under another name than it began with, that is no new client
    /// but another one.
    fn question(&self, is_renamed: bool) -> usize {
        match self.field.place.is_of_endpoint() {
            true => 0,
            false if self.is_name() => 2 + usize::from(is_renamed),
            false => 1,
        }
    }

    /// Whether it is what a client's software calls itself or says of itself, and holds nothing that code would need.
    fn is_name(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" ./;:,()_+-@*=~".contains(&byte);
        let name = &&*self.name;
        self.field.place == Place::Header
            && self.value.len() <= LONGEST_NAME
            && (NAMED.contains(name) && self.value.bytes().all(is_plain) || LISTED.contains(name) && is_list(&self.value))
    }
}

/// Whether a value is a list of words or media types, each with parameters or without: `text/html, */*;q=0.8`, `max-age=0`, `?1`.
fn is_list(value: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '?'))
            && word.bytes().skip(1).all(|byte| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte))
    };
    let is_given = |part: &str| part.trim().splitn(2, '=').all(is_word);
    value.split(',').all(|item| {
        let mut parts = item.split(';');
        let is_item =
            parts.next().is_some_and(|first| first.trim().split_once('/').map_or(is_given(first), |(a, b)| is_word(a) && is_word(b)));
        is_item && parts.all(is_given)
    })
}

/// Whether a session goes on in another program than the one that brought its credential first.
fn is_renamed(seen: &Seen<'_>, live: Option<&Live<'_>>) -> bool {
    live.and_then(|live| live.session.beginnings.first()).is_some_and(|first| first.is_renamed(Origin::of(seen.features)))
}

/// All request fields of an exchange, path variables first.
pub(crate) fn valued<'f>(features: &'f Features, route: &'f Route) -> impl Iterator<Item = Valued<'f>> {
    let path = route.variables.iter().enumerate().filter_map(move |(n, at)| {
        let segment = features.segments().nth(*at as usize)?;
        let value = decode::percent(segment, false);
        let field = Field::of_path(n, &value);
        Some(Valued { field, value, name: Cow::Owned(format!("{n}")) })
    });
    path.chain(features.fields.iter().map(move |f| Valued {
        field: *f,
        value: Cow::Borrowed(features.value(f)),
        name: Cow::Borrowed(features.name(f)),
    }))
}

impl Content {
    fn profile(&self, key: u64) -> Option<&FieldProfile> {
        self.by_key.0.get(&key).map(|at| &self.profiles[*at as usize])
    }

    fn pool(&self) -> Option<&FieldProfile> {
        self.pool.map(|at| &self.profiles[at as usize])
    }

    fn fields_of(&self, endpoint: Option<EndpointIndex>, place: Place) -> Option<&EndpointFields> {
        if place.is_of_endpoint() { endpoint.and_then(|e| self.endpoints.get(e.0 as usize)) } else { Some(&self.of_api) }
    }

    /// Answers [`Aspect::Values`], [`Aspect::Headers`], [`Aspect::Client`], [`Aspect::Renamed`], [`Aspect::Structure`] and [`Aspect::Sensitive`].
    /// Without live state, what is new is new to everybody.
    pub fn score(&self, seen: &Seen<'_>, live: Option<&Live<'_>>, scratch: &mut Scratch, out: &mut Vec<Signal>) {
        let mut worst = [Worst::default(); OF_VALUES.len()];
        let mut sensitive = (0.0f32, Level::Own, 0u64);
        let is_renamed = is_renamed(seen, live);
        for valued in valued(seen.features, seen.route) {
            let worst = &mut worst[valued.question(is_renamed)];
            if let Some((nats, level)) = self.surprisal(seen, &valued, worst.nats, scratch) {
                worst.take(nats, level, &valued.field);
            }
            if !valued.field.sensitive.is_empty()
                && let Some(judge) = self.judge(seen.endpoint, &valued.field).filter(|judge| judge.basis.is_of_field())
            {
                let nats = judge.profile.sensitive_surprisal(valued.field.sensitive, self.pool());
                if nats > sensitive.0 {
                    sensitive = (nats, judge.basis.level(), valued.field.id);
                }
            }
        }
        out.extend(worst.iter().zip(OF_VALUES).filter_map(|(worst, aspect)| worst.signal(aspect)));
        out.push(Signal { aspect: Aspect::Sensitive, score: sensitive.0, level: sensitive.1, bet: sensitive.2 });
        if seen.endpoint.is_some() {
            let odd = self.structure(seen, live);
            let bet = odd.iter().map(|o| o.id).fold(0, mix);
            let score = odd.iter().map(|o| o.nats).fold(0.0, f32::max) + 0.5 * odd.iter().skip(1).map(|o| o.nats).sum::<f32>().min(20.0);
            out.push(Signal { aspect: Aspect::Structure, score, level: Level::Own, bet });
        }
    }

    /// Whether an endpoint has been sent every field of a request before.
    pub(crate) fn knows_fields(&self, endpoint: EndpointIndex, features: &Features) -> bool {
        let known = self.endpoints.get(endpoint.0 as usize);
        features.fields.iter().filter(|f| f.place.is_of_endpoint()).all(|f| known.is_some_and(|known| known.find(f.id).is_some()))
    }

    /// Takes note of what a request brought that training never saw.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if seen.features.succeeded() == Some(false) {
            return;
        }
        for field in seen.features.fields.iter().filter(|f| f.repeat == 0) {
            let is_new = self.fields_of(seen.endpoint, field.place).is_some_and(|known| known.find(field.id).is_none());
            if is_new || (field.place.is_of_endpoint() && !field.sensitive.is_empty()) {
                newcomer::note(seen, live, newcomer::field_key(seen, field));
                newcomer::note_kinds(seen, live, field.key, field.sensitive);
            }
        }
    }

    /// What is odd about which fields there are, oddest first.
    fn structure(&self, seen: &Seen<'_>, live: Option<&Live<'_>>) -> Vec<Oddity> {
        let mut out: Vec<Oddity> = Vec::new();
        let Some(known) = seen.endpoint.and_then(|e| self.endpoints.get(e.0 as usize)) else { return out };
        let is_write = seen.class != crate::detect::Class::Read;
        for field in &seen.features.fields {
            let Some(facts) = self.fields_of(seen.endpoint, field.place) else { continue };
            match facts.find(field.id) {
                Some(f) if f.is_rare => {
                    let stands_in = known
                        .fields
                        .iter()
                        .any(|k| k.n >= REQUIRED * known.n && k.place == field.place && !seen.features.fields.iter().any(|x| x.id == k.id));
                    let nats = -(f.n / facts.n.max(1.0)).max(1e-9).ln() + if stands_in { 2.0 } else { 0.0 };
                    out.push(Oddity { id: field.id, nats, what: What::Rare });
                }
                Some(f) => {
                    if field.repeat == f.most && facts.n >= 50.0 && !matches!(field.place, Place::Json) {
                        out.push(Oddity { id: field.id, nats: facts.new_field, what: What::Repeated });
                    }
                }
                None if field.repeat == 0 && field.place.is_of_endpoint() => {
                    let is_usual = live.is_some_and(|live| newcomer::is_usual(seen, live, newcomer::field_key(seen, field)));
                    let from_response = is_write && self.response_keys.binary_search(&field.key).is_ok();
                    let is_switch = is_write && field.kind == ValueKind::Bool;
                    // A client's next version brings fields of its own; what answers have and requests never had is the server's.
                    // Nor has it to do with a version that a secret, or a number of a card, stands where nobody asked for it.
                    let is_secret = field.sensitive.has_secret();
                    let nats = if from_response || is_switch || is_secret { facts.new_field + 2.0 } else { PLAIN_NEW };
                    let what = match (from_response, is_secret) {
                        (true, _) => What::OnlyFromResponses,
                        (false, true) => What::NewSecret,
                        (false, false) => What::New,
                    };
                    if !is_usual || from_response || is_switch || is_secret {
                        out.push(Oddity { id: field.id, nats, what });
                    }
                }
                None => {
                    // A header or cookie that no client of the API sends.
                    if field.repeat == 0 {
                        out.push(Oddity { id: field.id, nats: facts.new_field, what: What::New });
                    }
                }
            }
        }
        if known.n >= 50.0 {
            for f in known.fields.iter().filter(|f| f.place != Place::Path && f.n >= REQUIRED * known.n) {
                if !seen.features.fields.iter().any(|x| x.id == f.id) {
                    out.push(Oddity { id: f.id, nats: -((known.n - f.n + 0.5) / (known.n + 1.0)).ln(), what: What::Missing });
                }
            }
        }
        out.sort_by(|a, b| b.nats.total_cmp(&a.nats));
        out
    }

    /// Fields of an endpoint, for people: place, name, main type, share of requests.
    #[must_use]
    pub fn describe(&self, endpoint: EndpointIndex) -> Vec<crate::model::FieldView> {
        let Some(known) = self.endpoints.get(endpoint.0 as usize) else { return Vec::new() };
        known
            .fields
            .iter()
            .filter(|f| f.place != Place::Path)
            .map(|f| crate::model::FieldView {
                place: match f.place {
                    Place::Query => "query",
                    Place::Form => "form",
                    _ => "body",
                }
                .to_owned(),
                name: f.name.to_string(),
                kind: self.profile(mix(u64::from(endpoint.0) + 0x1000, f.id)).map_or("string", |p| p.main_kind.json_type()).to_owned(),
                share: f64::from((f.n / known.n.max(1e-3)).min(1.0)),
            })
            .collect()
    }

    /// Whether requests of an endpoint carry free text.
    #[must_use]
    pub fn has_free_text(&self, endpoint: Option<EndpointIndex>) -> bool {
        let Some((endpoint, known)) = endpoint.and_then(|e| Some((e, self.endpoints.get(e.0 as usize)?))) else { return false };
        known.fields.iter().any(|f| self.profile(mix(u64::from(endpoint.0) + 0x1000, f.id)).is_some_and(|p| p.is_free_text))
    }

    /// Profiles kept.
    #[must_use]
    pub fn profiles(&self) -> usize {
        self.profiles.len()
    }
}

/// One oddity of structure.
struct Oddity {
    id: u64,
    nats: f32,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    New,
    /// With a secret in it.
    NewSecret,
    OnlyFromResponses,
    Rare,
    Repeated,
    Missing,
}

/// The oddest of several values.
#[derive(Debug, Clone, Copy)]
struct Worst {
    nats: f32,
    level: Level,
    bet: u64,
    count: u32,
}

impl Default for Worst {
    fn default() -> Self {
        Self { nats: 0.0, level: Level::Own, bet: 0, count: 0 }
    }
}

impl Worst {
    fn take(&mut self, nats: f32, level: Level, field: &Field) {
        self.take_bet(nats, level, mix(field.id, field.kind as u64));
    }

    fn take_bet(&mut self, nats: f32, level: Level, bet: u64) {
        self.count += 1;
        if nats > self.nats {
            (self.nats, self.level, self.bet) = (nats, level, bet);
        }
    }

    /// The answer for all of them; none without values.
    fn signal(&self, aspect: Aspect) -> Option<Signal> {
        (self.count > 0).then(|| Signal { aspect, score: sidak(self.nats, self.count), level: self.level, bet: self.bet })
    }
}

/// Surprisal of the smallest of `count` p-values (Šidák).
pub(crate) fn sidak(nats: f32, count: u32) -> f32 {
    let p = (-f64::from(nats)).exp();
    let all = if p < 1e-8 { p * f64::from(count) } else { 1.0 - (1.0 - p).powi(count as i32) };
    (-(all.min(1.0)).ln()) as f32
}

#[cfg(test)]
mod tests {
    use super::is_list;

    #[test]
    fn lists_of_words_are_told_from_what_code_looks_like() {
        for list in [
            "*/*",
            "text/html,application/xhtml+xml;q=0.9, image/*;q=0.8,*/*",
            "gzip, deflate;q=0.5",
            "max-age=0",
            "u=1, i",
            "?1",
            "keep-alive",
        ] {
            assert!(is_list(list), "{list}");
        }
        for other in ["../../etc/passwd", "*/*' OR 1=1", "a/b/c", "; cat /etc/passwd", "<a>", "${7*7}", "text/html id", ""] {
            assert!(!is_list(other), "{other}");
        }
    }
}
