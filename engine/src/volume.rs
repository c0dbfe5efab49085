//! `volume`: how often one session calls an endpoint in 10 seconds, a minute and ten minutes — against the endpoint's own history, at the
//! pace of those who call it now, so that a crowd raises the bar by itself.

use crate::calibrate::Tail;
use crate::detect::{Aspect, Class, Explanation, Level, Seen, Signal};
use crate::features::Features;
use crate::learn::Row;
use crate::partition::Live;
use crate::paths::EndpointIndex;
use crate::record::Family;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Windows, milliseconds.
const WINDOWS: [i64; 3] = [10_000, 60_000, 600_000];
const WINDOW_NAMES: [&str; 3] = ["10 s", "1 min", "10 min"];
/// Endpoints counted for one session; the least recently used goes.
const SLOTS: usize = 12;
/// Sessions that an endpoint's own history rests on, at least.
const SUPPORT: usize = 50;
/// Peers of the moment kept of one endpoint, and needed to ask them.
const PEERS: usize = 64;
const ENOUGH_PEERS: usize = 30;
/// How many times as fast as ever a crowd can be: many programs at once are none.
const MAX_PACE: f32 = 2.0;

/// One sliding count: two buckets, the older one weighted by how much of it still counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Sliding {
    current: u32,
    previous: u32,
}

impl Sliding {
    /// Goes on from the time of the latest count to another.
    fn roll(&mut self, last: i64, now: i64, window: i64) {
        let buckets = now / window - last / window;
        if buckets != 0 {
            self.previous = if buckets == 1 { self.current } else { 0 };
            self.current = 0;
        }
    }

    /// Count in the window that ends now, this request included.
    fn with_one(mut self, last: i64, now: i64, window: i64) -> f32 {
        self.roll(last, now, window);
        let part = 1.0 - (now % window) as f32 / window as f32;
        self.current as f32 + 1.0 + self.previous as f32 * part
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    endpoint: u64,
    last: i64,
    windows: [Sliding; 3],
}

/// How often a session called what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    slots: SmallVec<[Slot; 2]>,
}

impl Counters {
    fn counts(&self, endpoint: u64, now: i64) -> [f32; 3] {
        let slot = self.slots.iter().find(|s| s.endpoint == endpoint).copied().unwrap_or_default();
        std::array::from_fn(|w| slot.windows[w].with_one(slot.last, now, WINDOWS[w]))
    }

    fn add(&mut self, endpoint: u64, now: i64) {
        let at = match self.slots.iter().position(|s| s.endpoint == endpoint) {
            Some(at) => at,
            None if self.slots.len() < SLOTS => {
                self.slots.push(Slot { endpoint, ..Slot::default() });
                self.slots.len() - 1
            }
            None => {
                let oldest = self.slots.iter().enumerate().min_by_key(|(_, s)| (s.last, s.endpoint)).map_or(0, |(at, _)| at);
                self.slots[oldest] = Slot { endpoint, ..Slot::default() };
                oldest
            }
        };
        let slot = &mut self.slots[at];
        for (sliding, window) in slot.windows.iter_mut().zip(WINDOWS) {
            sliding.roll(slot.last, now, window);
            sliding.current += 1;
        }
        slot.last = now;
    }
}

/// Who calls an endpoint now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Crowd {
    /// (session, last call, calls in the last minute), at most 64.
    peers: Vec<(u64, i64, f32)>,
}

impl Crowd {
    fn note(&mut self, session: u64, now: i64, count: f32) {
        if let Some(peer) = self.peers.iter_mut().find(|p| p.0 == session) {
            (peer.1, peer.2) = (now, count);
        } else if self.peers.len() < PEERS {
            self.peers.push((session, now, count));
        } else if let Some(oldest) = self.peers.iter_mut().min_by_key(|p| (p.1, p.0)) {
            *oldest = (session, now, count);
        }
    }

    /// Calls in the last minute of everybody else who called in it.
    fn others(&self, session: u64, now: i64) -> Vec<f32> {
        self.peers.iter().filter(|p| p.0 != session && p.1 > now - WINDOWS[1]).map(|p| p.2).collect()
    }
}

/// Whose a session is, and its largest counts, by window.
type Most = (u64, [f32; 3]);

/// How often sessions of one API call its endpoints.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Volume {
    endpoints: Vec<Option<[Tail; 3]>>,
    classes: Vec<Option<[Tail; 3]>>,
    /// Largest counts of sessions: p50, p90, p99 in the 1-minute window, and sessions, per endpoint.
    levels: Vec<([f32; 3], u32)>,
}

impl Volume {
    /// Learns from rows of one API in time order.
    pub(crate) fn learn<'r>(rows: impl Iterator<Item = &'r Row<'r>>, endpoints: usize) -> Self {
        let mut sessions: FxHashMap<u64, Counters> = FxHashMap::default();
        let mut largest: FxHashMap<(u32, u64), ([f32; 3], Class, u64)> = FxHashMap::default();
        for row in rows {
            let (Some(session), Some(now), Some(EndpointIndex(endpoint))) = (row.session, row.features.time, row.route.endpoint) else {
                continue;
            };
            let counters = sessions.entry(session).or_default();
            let counts = counters.counts(row.id.0, now);
            if counts_for_later(row.features) {
                counters.add(row.id.0, now);
            }
            let (most, ..) = largest.entry((endpoint, session)).or_insert(([0.0; 3], row.class, row.unit));
            for (m, c) in most.iter_mut().zip(counts) {
                *m = m.max(c);
            }
        }
        let mut by_endpoint: Vec<Vec<Most>> = vec![Vec::new(); endpoints];
        let mut by_class: Vec<Vec<Most>> = vec![Vec::new(); Class::COUNT];
        let mut all: Vec<_> = largest.iter().collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        for ((endpoint, _), (most, class, unit)) in all {
            by_endpoint[*endpoint as usize].push((*unit, *most));
            by_class[*class as usize].push((*unit, *most));
        }
        let levels = by_endpoint.iter().map(|sample| (levels(sample), sample.len() as u32)).collect();
        Self {
            endpoints: by_endpoint.into_iter().map(|sample| fit(&sample)).collect(),
            classes: by_class.into_iter().map(|sample| fit(&sample)).collect(),
            levels,
        }
    }

    fn tails(&self, seen: &Seen<'_>) -> Option<(&[Tail; 3], Level)> {
        let own = seen.endpoint.and_then(|e| self.endpoints.get(e.0 as usize)?.as_ref());
        own.map(|t| (t, Level::Own)).or_else(|| self.classes.get(seen.class as usize)?.as_ref().map(|t| (t, Level::Parent)))
    }

    /// What the window that surprises most claims, nats, and which it is.
    fn worst(&self, tails: &[Tail; 3], counts: [f32; 3]) -> (f32, usize) {
        let nats = |w: usize| tails[w].p(f64::from(measure(counts[w], w))).nats() as f32;
        (0..3).map(|w| (nats(w), w)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0))
    }

    /// How often sessions called the endpoint in a minute at most: the 50, 90 and 99 % quantiles, and how many sessions there were.
    fn levels_of(&self, seen: &Seen<'_>) -> ([f32; 3], u32) {
        seen.endpoint.and_then(|e| self.levels.get(e.0 as usize)).copied().unwrap_or_default()
    }

    /// How many others call the endpoint now, and how many times as fast as ever they go, 1 to 2: by the 90 % quantiles of calls in a minute.
    fn pace(&self, seen: &Seen<'_>, live: &Live<'_>) -> (usize, f32) {
        let mut peers = live.shared.crowds.read(&seen.id.0, |crowd| crowd.others(live.key, seen.now)).unwrap_or_default();
        if peers.len() < ENOUGH_PEERS {
            return (peers.len(), 1.0);
        }
        peers.sort_unstable_by(f32::total_cmp);
        let ([_, usual, _], _) = self.levels_of(seen);
        (peers.len(), (at_quantile(&peers, 0.9) / usual.max(1.0)).clamp(1.0, MAX_PACE))
    }

    /// Answers [`Aspect::Count`]; at an endpoint that is little known by what sessions do at others of its class. A path that leads nowhere
    /// is `probe`'s.
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        if !live.has_session || !seen.is_timely || seen.route.endpoint.is_none() {
            return;
        }
        let Some((tails, level)) = self.tails(seen) else { return };
        let counts = live.session.volume.counts(seen.id.0, seen.now);
        let (mut nats, _) = self.worst(tails, counts);
        if nats > 3.0 {
            let (_, pace) = self.pace(seen, live);
            nats = self.worst(tails, counts.map(|c| c / pace)).0;
        }
        out.push(Signal { aspect: Aspect::Count, score: nats, level, bet: 3 });
    }

    /// Takes note of a call.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if !live.has_session || !seen.is_timely {
            return;
        }
        if counts_for_later(seen.features) {
            live.session.volume.add(seen.id.0, seen.now);
        }
        let count = live.session.volume.counts(seen.id.0, seen.now)[1] - 1.0;
        let key = live.key;
        live.shared.crowds.update(seen.id.0, seen.now, |crowd| crowd.note(key, seen.now, count));
    }

    /// Explains [`Aspect::Count`].
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<Explanation> {
        let (tails, _) = self.tails(seen)?;
        let counts = live.session.volume.counts(seen.id.0, seen.now);
        let (peers, pace) = self.pace(seen, live);
        let (_, window) = self.worst(tails, counts.map(|c| c / pace));
        let (levels, sessions) = self.levels_of(seen);
        Some(Explanation {
            family: if opens_account(seen) { Family::AccountTakeover } else { Family::Volume },
            place: "session".to_owned(),
            observed: format!("{:.0} requests in {}", counts[window], WINDOW_NAMES[window]),
            expected: format!(
                "largest per minute of a session: p50 {:.0}, p90 {:.0}, p99 {:.0}; {peers} others call it now",
                levels[0], levels[1], levels[2]
            ),
            support: u64::from(sessions),
        })
    }
}

/// Whether a call counts with those that follow. One that the server failed to answer does not: whoever asks again asks for the same.
fn counts_for_later(features: &Features) -> bool {
    features.status() < 500
}

/// Whether a call is a try at somebody's account: a log-in, or a password to be reset.
fn opens_account(seen: &Seen<'_>) -> bool {
    seen.class == Class::Authentication || seen.features.segments().any(|s| s.to_ascii_lowercase().contains("password"))
}

/// A count in a window as tails are fitted to it: its root, beyond the bulk, is about exponential in ten seconds, in which nobody turns many
/// pages. Over longer windows most people turn a page or two and a few turn forty: such a tail would say of one session in two hundred that
/// it is one in two hundred thousand. Of fourth roots it is about right there, and still far off from those who call hundreds of times. The
/// factors keep the scales of people's counts above the least that a tail may have.
fn measure(count: f32, window: usize) -> f32 {
    let root = count.sqrt();
    if window == 0 { 1.25 * root } else { 2.0 * root.sqrt() }
}

fn fit(sample: &[Most]) -> Option<[Tail; 3]> {
    let tail = |w: usize| Tail::fit_of_callers(&sample.iter().map(|(unit, s)| (*unit, measure(s[w], w))).collect::<Vec<_>>(), SUPPORT);
    Some([tail(0)?, tail(1)?, tail(2)?])
}

fn levels(sample: &[Most]) -> [f32; 3] {
    let mut minute: Vec<f32> = sample.iter().map(|(_, s)| s[1]).collect();
    minute.sort_unstable_by(f32::total_cmp);
    [0.5, 0.9, 0.99].map(|q| at_quantile(&minute, q))
}

fn at_quantile(sorted: &[f32], q: f64) -> f32 {
    sorted.get((q * sorted.len().saturating_sub(1) as f64) as usize).copied().unwrap_or(0.0)
}
