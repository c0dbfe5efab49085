//! `probe`: sessions and network sources that try things out. Each failed request is weighed by how rarely its endpoint fails for
//! others — in history, and among its other callers of this minute, so that an outage is no scan — and each success against it.
//!
//! An address that many people share is judged by its ratio: a success takes back a ninth of what a surprising failure adds.
//! Weakness: a scanner with fewer failures than one in ten requests, or slower than one in five minutes, stays below.

use crate::detect::{Aspect, Class, Explanation, Level, Seen, Signal};
use crate::features::hash::{hash, mix};
use crate::learn::Row;
use crate::partition::Live;
use crate::record::Family;
use crate::suspicion::{Peers, Suspicion};
use serde::{Deserialize, Serialize};

/// Suspicion halves in this time, milliseconds.
const HALF_LIFE: f32 = 600_000.0;
/// Requests beyond the usual share that fail when somebody tries things out, by kind of failure: the alternative of the odds.
const PROBING: f32 = 0.1;
/// Share of a prober's requests that lead to no endpoint.
const ASTRAY: f32 = 0.1;
/// One failure, one path that leads nowhere, counts at most so much, nats.
const MOST_FAILURE: f32 = 2.0;
const MOST_ASTRAY: f32 = 2.5;
/// What everybody may come to, nats: two paths that lead nowhere (a browser asks for an icon), three failures in a row.
const SPARE: f32 = 6.0;
/// What is more than this counts a little all the same, nats: how many come to it, calibration knows.
const FEW: f32 = 4.0;
/// Scores up to here are of what everybody may come to.
pub(crate) const SPARED: f32 = 0.2;
/// Callers under more suspicion than this are no peers of others: a scan by many must not excuse itself.
const TRUSTED: f32 = 7.0;
/// Requests of the API's own rate that an endpoint's rate is drawn to.
const PRIOR: f32 = 10.0;
/// Groups in which paths that lead nowhere are compared with those of others.
const ASTRAY_GROUPS: u64 = 256;

/// Evidence against one session or network source, with the counts behind it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    suspicion: Suspicion,
    /// Requests, failures and paths that lead nowhere since suspicion began.
    requests: u32,
    failed: u32,
    astray: u32,
}

impl Tried {
    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.suspicion.is_none()
    }

    fn add(&mut self, weight: &Weight, now: i64) {
        self.suspicion.add(weight.nats, weight.occasion, now, HALF_LIFE);
        if self.suspicion.is_none() {
            *self = Self::default();
            return;
        }
        self.requests = self.requests.saturating_add(1);
        self.failed = self.failed.saturating_add(u32::from(weight.has_failed));
        self.astray = self.astray.saturating_add(u32::from(weight.is_astray));
    }
}

/// How often requests fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Rate {
    n: f32,
    /// By kind: refused (4xx), broken (5xx).
    failed: [f32; 2],
}

/// How often requests of one API fail, by endpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Probe {
    endpoints: Vec<Rate>,
    /// Requests that lead to no endpoint.
    astray: Rate,
    all: Rate,
}

/// What one request speaks for or against its caller.
struct Weight {
    nats: f32,
    /// What makes this request another one than those before.
    occasion: u64,
    has_failed: bool,
    is_astray: bool,
}

/// Kind of failure; `None` for a success.
fn failure(status: u16) -> Option<usize> {
    match status {
        400..=499 => Some(0),
        500.. => Some(1),
        _ => None,
    }
}

impl Rate {
    fn add(&mut self, status: u16, weight: f32) {
        self.n += weight;
        if let Some(kind) = failure(status) {
            self.failed[kind] += weight;
        }
    }

    /// Share of failures of a kind, drawn to a prior.
    fn of(&self, kind: usize, prior: f32) -> f32 {
        (self.failed[kind] + PRIOR * prior) / (self.n + PRIOR)
    }
}

impl Probe {
    /// Learns from rows of one API.
    pub(crate) fn learn<'r>(rows: impl Iterator<Item = &'r Row<'r>>, endpoints: usize) -> Self {
        let mut probe = Self { endpoints: vec![Rate::default(); endpoints], ..Self::default() };
        for row in rows.filter(|r| r.features.status() != 0) {
            let status = row.features.status();
            let rate = row.route.endpoint.and_then(|e| probe.endpoints.get_mut(e.0 as usize)).unwrap_or(&mut probe.astray);
            rate.add(status, row.weight);
            probe.all.add(status, row.weight);
        }
        probe
    }

    fn usual(&self, seen: &Seen<'_>, kind: usize) -> f32 {
        let overall = (self.all.failed[kind] + 0.5) / (self.all.n + 1.0);
        let rate = seen.route.endpoint.map_or(Some(&self.astray), |e| self.endpoints.get(e.0 as usize));
        rate.map_or(overall, |r| r.of(kind, overall)).clamp(1e-6, 0.999)
    }

    /// Log-odds of somebody who tries things out against everybody else. `None`: says nothing.
    fn weigh(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Weight> {
        let features = seen.features;
        let status = features.status();
        let is_astray = seen.route.endpoint.is_none();
        let Some(kind) = failure(status) else {
            // Paths that lead to something new are for `assets` to judge.
            let nats = if is_astray { 0.0 } else { (1.0 - 2.0 * PROBING).ln() };
            return (status != 0).then_some(Weight { nats, occasion: 0, has_failed: false, is_astray: false });
        };
        // A gateway that reaches no server says nothing of the caller; throttling is for `volume`, refused log-ins are for `source`.
        if matches!(status, 429 | 502..=504) || (seen.class == Class::Authentication && matches!(status, 401 | 403)) {
            return None;
        }
        let others_at = |place| live.shared.peers.read(&place, |peers: &Peers| peers.share(live.caller(), seen.now)).unwrap_or(0.0);
        // A server that breaks does so at many endpoints at once.
        let others = if kind == 1 { others_at(place(seen)).max(others_at(server(seen))) } else { others_at(place(seen)) };
        let usual = self.usual(seen, kind).max(others);
        let mut nats = ((usual + PROBING * (1.0 - usual)) / usual).ln().min(MOST_FAILURE);
        if is_astray && others <= 0.0 {
            let usual = (self.astray.n + 0.5) / (self.all.n + 1.0);
            nats = (nats + ((usual + ASTRAY) / usual).ln()).min(MOST_ASTRAY);
        }
        // A credential that expired fails everywhere: once is enough.
        let occasion = match status {
            401 => mix(features.credential_hash, 401),
            _ => features
                .fields
                .iter()
                .filter(|f| f.place.is_of_endpoint())
                .fold(mix(hash(features.path.as_bytes()), mix(hash(features.method.as_bytes()), u64::from(status))), |key, f| {
                    mix(key, f.value_hash)
                }),
        };
        Some(Weight { nats, occasion, has_failed: true, is_astray })
    }

    /// Suspicion after this request: of the session, of the source.
    fn stands(&self, seen: &Seen<'_>, live: &Live<'_>) -> (f32, f32) {
        let weight = self.weigh(seen, live);
        let (nats, occasion) = weight.map_or((0.0, 0), |w| (w.nats, w.occasion));
        let of = |tried: &Tried| tried.suspicion.after(nats, occasion, seen.now, HALF_LIFE);
        (if live.has_session { of(&live.session.tried) } else { 0.0 }, if live.source_key.is_some() { of(&live.source.tried) } else { 0.0 })
    }

    /// Answers [`Aspect::Probing`]. What stands against a source counts for each of its requests, well-formed or not.
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        if seen.features.status() == 0 || live.caller() == 0 {
            return;
        }
        let (session, source) = self.stands(seen, live);
        let suspicion = session.max(source);
        let score = (SPARED * (suspicion - FEW) / (SPARE - FEW)).clamp(0.0, SPARED) + (suspicion - SPARE).max(0.0);
        out.push(Signal { aspect: Aspect::Probing, score, level: Level::Own, bet: 5 });
    }

    /// Takes note of an exchange.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if live.caller() == 0 {
            return;
        }
        let Some(weight) = self.weigh(seen, live) else { return };
        let (session, source) = self.stands(seen, live);
        if live.has_session {
            live.session.tried.add(&weight, seen.now);
        }
        if live.source_key.is_some() {
            live.source.tried.add(&weight, seen.now);
        }
        if session.max(source) < TRUSTED {
            live.note_peer(place(seen), weight.has_failed, seen.now);
            live.note_peer(server(seen), failure(seen.features.status()) == Some(1), seen.now);
        }
    }

    /// Explains [`Aspect::Probing`].
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Explanation> {
        let (session, source) = self.stands(seen, live);
        if session.max(source) <= FEW {
            return None;
        }
        let (place, tried) = if source >= session { ("client.ip", &live.source.tried) } else { ("session", &live.session.tried) };
        let has_failed = failure(seen.features.status()).is_some();
        let (requests, failed) = (tried.requests + 1, tried.failed + u32::from(has_failed));
        let astray = tried.astray + u32::from(has_failed && seen.route.endpoint.is_none());
        Some(Explanation {
            family: Family::Fuzzing,
            place: place.to_owned(),
            observed: format!("{failed} of the latest {requests} requests failed, {astray} of them on paths that lead nowhere"),
            expected: format!(
                "{:.2} % of requests to this endpoint fail, and not for others now",
                100.0 * (self.usual(seen, 0) + self.usual(seen, 1))
            ),
            support: self.all.n as u64,
        })
    }
}

/// Where callers are compared: at the endpoint; paths that lead nowhere, in groups.
fn place(seen: &Seen<'_>) -> u64 {
    match seen.route.endpoint {
        Some(_) => Peers::key(seen.id.0, 0),
        None => Peers::key(hash(seen.features.path.as_bytes()) % ASTRAY_GROUPS, 1),
    }
}

/// Where callers are compared by whether the server breaks.
fn server(seen: &Seen<'_>) -> u64 {
    Peers::key(hash(seen.features.host.as_bytes()), 3)
}
