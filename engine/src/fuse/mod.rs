//! From signals to one p-value: each aspect calibrated per endpoint (else class, else API), combined, calibrated again per class,
//! and set beside what the session has shown before.

mod tails;
mod wealth;

pub use wealth::Wealth;

use crate::ablation::{Ablation, Plan, Step};
use crate::calibrate::{Shape, Tail};
use crate::detect::{Aspect, Class, Level, Signal};
use crate::features::hash::mix;
use crate::paths::EndpointIndex;
use crate::record::{NetworkId, PValue};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tails::AspectTails;

/// Requests that a tail of an endpoint's own, or of peers, rests on, at least.
const OWN_SUPPORT: usize = 300;
/// The same for a class, and for sessions of a length.
const CLASS_SUPPORT: usize = 100;
/// From here on, nats, a request is odd; and of one caller's requests that are odd for the same thing so many count: what one machine does
/// all day says little of how often others do anything like it.
const ODD: f32 = std::f32::consts::LN_10;
const SAME: u32 = 2;
/// Length buckets of sessions: 1, 2–5, 6–20, more.
const BUCKETS: usize = 4;

/// Everything that turns scores into probabilities, for one API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Calibration {
    aspects: Vec<AspectTails>,
    /// By [`Peers`].
    fused: Vec<Option<Tail>>,
    /// Of all classes: of requests to known endpoints, and of all.
    fused_all: [Option<Tail>; 2],
    /// By length bucket: largest ln M of benign sessions.
    sessions: Vec<Option<Tail>>,
    /// Rows behind the class with the fewest, and behind all.
    pub rows: u64,
    /// What is left out to see what it contributes; never of a model file.
    #[serde(skip)]
    without: Option<Ablation>,
}

/// Whom a request is compared with. Requests to endpoints that are not known keep out of what known ones are measured by: few callers
/// use such an endpoint, each is a novelty to what the others taught, and a day of one machine's would hide everything else in its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peers {
    /// Kind of endpoint.
    pub class: Class,
    /// Whether the endpoint's requests carry free text.
    pub has_free_text: bool,
    /// Whether the endpoint is known.
    pub is_known: bool,
}

impl Peers {
    const COUNT: usize = Class::COUNT * 4;

    fn slot(self) -> usize {
        self.class as usize * 4 + usize::from(self.has_free_text) * 2 + usize::from(self.is_known)
    }

    /// All sorts, in the order of their slots.
    fn all() -> impl Iterator<Item = Self> {
        Class::ALL.into_iter().flat_map(|class| {
            [(false, false), (false, true), (true, false), (true, true)].map(|(has_free_text, is_known)| Self {
                class,
                has_free_text,
                is_known,
            })
        })
    }
}

/// One row as calibration sees it.
#[derive(Debug, Clone)]
pub(crate) struct Held<'r> {
    pub(crate) endpoint: Option<EndpointIndex>,
    pub(crate) class: Class,
    pub(crate) has_free_text: bool,
    pub(crate) session: Option<u64>,
    pub(crate) time: i64,
    /// Whether rates are measured on it: one caller's habits are not everybody's.
    pub(crate) counts: bool,
    /// Whether the endpoint has one caller: what it does is measured by its own habits.
    pub(crate) is_sole: bool,
    pub(crate) unit: u64,
    pub(crate) network: Option<NetworkId>,
    pub(crate) signals: &'r [Signal],
}

impl Held<'_> {
    pub(crate) fn peers(&self) -> Peers {
        Peers { class: self.class, has_free_text: self.has_free_text, is_known: self.endpoint.is_some() }
    }
}

/// Whether a row is among those that requests to known endpoints, or to others, are measured by.
fn is_measure(row: &Held<'_>, is_known: bool) -> bool {
    row.counts && (row.endpoint.is_some() || !is_known)
}

/// A signal with its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibrated {
    /// The signal.
    pub signal: Signal,
    /// How often benign traffic of this endpoint (or class) scores as high on this aspect.
    pub p: PValue,
}

impl Calibration {
    /// Fits everything on held-out rows, which stand in time order.
    pub(crate) fn fit(rows: &[Held<'_>], plan: Plan) -> Self {
        Self::fit_wary(rows, plan, Aspect::is_deed)
    }

    /// The same where some aspects, if only one or two callers of many gave them cause, count as if nobody had.
    pub(crate) fn fit_wary(rows: &[Held<'_>], plan: Plan, is_wary: fn(Aspect) -> bool) -> Self {
        let mut calibration = Self {
            aspects: Aspect::ALL.iter().map(|a| AspectTails::fit(rows, *a, plan, is_wary(*a))).collect(),
            fused: vec![None; Peers::COUNT],
            fused_all: [None, None],
            sessions: vec![None; BUCKETS],
            rows: rows.len() as u64,
            without: plan.0,
        };
        let mut scratch = Vec::new();
        let (combined, bets): (Vec<f32>, Vec<u32>) = rows
            .iter()
            .map(|row| {
                calibration.calibrate(row.endpoint, row.class, row.signals, &mut scratch);
                (combine(&scratch).nats() as f32, bet_of(row.endpoint, &scratch))
            })
            .unzip();
        if plan.takes(Step::Second) {
            calibration.fit_second(rows, &combined, &bets, plan);
        }
        if plan.takes(Step::Sessions) {
            calibration.fit_sessions(rows, &combined, &bets, plan);
        }
        calibration
    }

    /// Fits the tails of combined p-values.
    fn fit_second(&mut self, rows: &[Held<'_>], combined: &[f32], bets: &[u32], plan: Plan) {
        let mut same: FxHashMap<(u64, u32), u32> = FxHashMap::default();
        let is_more: Vec<bool> = (rows.iter().zip(combined).zip(bets))
            .map(|((row, nats), bet)| {
                let times = same.entry((row.unit, *bet)).or_default();
                *times += u32::from(row.counts && *nats > ODD);
                *nats > ODD && *times > SAME
            })
            .collect();
        let fit = |least, is_in: &dyn Fn(&Held<'_>) -> bool| {
            let measured = rows.iter().zip(combined).zip(&is_more).filter(|((r, _), is_more)| is_in(r) && !**is_more);
            Tail::fit_as(measured.map(|((_, c), _)| *c).collect(), least, plan.shape(Shape::NATS))
        };
        for peers in Peers::all() {
            let is_peer = |r: &Held<'_>| r.class == peers.class && r.has_free_text == peers.has_free_text && is_measure(r, peers.is_known);
            self.fused[peers.slot()] = fit(OWN_SUPPORT, &is_peer);
        }
        self.fused_all = [true, false].map(|is_known| fit(1, &|r| is_measure(r, is_known)));
    }

    fn fit_sessions(&mut self, rows: &[Held<'_>], combined: &[f32], bets: &[u32], plan: Plan) {
        let mut sessions: BTreeMap<u64, (u32, f64, Wealth)> = BTreeMap::new();
        for ((row, nats), bet) in rows.iter().zip(combined).zip(bets) {
            let Some(session) = row.session else { continue };
            let p = self.request(row.peers(), PValue::from_nats(f64::from(*nats)));
            let (count, most, wealth) = sessions.entry(session).or_default();
            *count += 1;
            wealth.bet(*bet, p, row.time);
            *most = most.max(wealth.ln);
        }
        let mut samples: Vec<Vec<f32>> = vec![Vec::new(); BUCKETS];
        for (count, most, _) in sessions.values() {
            samples[bucket(*count)].push(*most as f32);
        }
        for (slot, sample) in samples.into_iter().enumerate() {
            let mut tail = Tail::fit_as(sample, CLASS_SUPPORT, plan.shape(Shape::SCORES));
            if let Some(tail) = &mut tail {
                tail.widen(1.0);
            }
            self.sessions[slot] = tail;
        }
    }

    /// p-values of signals, into `out`.
    pub fn calibrate(&self, endpoint: Option<EndpointIndex>, class: Class, signals: &[Signal], out: &mut Vec<Calibrated>) {
        out.clear();
        let heard = signals.iter().filter(|s| self.without.is_none_or(|without| !without.silences(s.aspect)));
        out.extend(heard.map(|s| {
            let p = self.aspects[s.aspect.measured_by() as usize].p(endpoint, class, f64::from(s.score));
            Calibrated { signal: *s, p: PValue::from_nats(p.nats().min(s.aspect.at_most(f64::from(s.score)))) }
        }));
    }

    /// p of a request from its combined p, by its peers.
    #[must_use]
    pub fn request(&self, peers: Peers, combined: PValue) -> PValue {
        let tail = self.fused[peers.slot()].as_ref().or(self.fused_all[usize::from(!peers.is_known)].as_ref());
        tail.map_or(combined, |t| t.p(combined.nats()))
    }

    /// p of a session's wealth after `count` requests; `None` for sessions of one request.
    #[must_use]
    pub fn session(&self, count: u32, wealth: &Wealth) -> Option<PValue> {
        if count < 2 || wealth.ln <= 0.0 {
            return None;
        }
        let slot = bucket(count);
        let tail = self.sessions[slot].as_ref().or_else(|| self.sessions.iter().flatten().next())?;
        Some(tail.p(wealth.ln))
    }

    /// Combined p of each row by itself, with the strongest aspect behind it.
    pub(crate) fn each(&self, rows: &[Held<'_>]) -> Vec<(PValue, Option<Aspect>)> {
        let mut scratch = Vec::new();
        let one = |row: &Held<'_>| {
            self.calibrate(row.endpoint, row.class, row.signals, &mut scratch);
            (combine(&scratch), strongest(&scratch).map(|c| c.signal.aspect))
        };
        rows.iter().map(one).collect()
    }

    /// Smallest level that the data of a request's peers can support: 1/(10 × rows).
    #[must_use]
    pub fn least_alpha(&self, peers: Peers) -> f64 {
        let rows = self.fused[peers.slot()].as_ref().map_or(self.rows, |t| u64::from(t.n));
        1.0 / (10.0 * rows.max(1) as f64)
    }
}

fn bucket(count: u32) -> usize {
    match count {
        0..=1 => 0,
        2..=5 => 1,
        6..=20 => 2,
        _ => 3,
    }
}

/// Whether a verdict rests on an answer: those that know more than the whole API's habits.
pub(crate) fn is_heard(calibrated: &Calibrated) -> bool {
    calibrated.signal.level != Level::Global
}

/// What a verdict rests on.
pub(crate) fn heard(calibrated: &[Calibrated]) -> impl Iterator<Item = &Calibrated> + Clone {
    calibrated.iter().filter(|c| is_heard(c))
}

/// The oddest answer of those that a verdict rests on.
fn strongest(calibrated: &[Calibrated]) -> Option<&Calibrated> {
    heard(calibrated).max_by(|a, b| a.p.nats().total_cmp(&b.p.nats()))
}

/// Cauchy combination of the p-values that rest on more than the whole API's habits, equal weights.
///
/// An aspect at which nothing was seen (p above ½) adds nothing rather than drowning the others, as tan would have it; the
/// calibration that follows takes up what this does to the level. Source: Liu and Xie, JASA 2020.
#[must_use]
pub fn combine(calibrated: &[Calibrated]) -> PValue {
    let own = heard(calibrated);
    let (mut count, mut largest) = (0u32, 0.0f64);
    for c in own.clone() {
        count += 1;
        largest = largest.max(c.p.nats());
    }
    if count == 0 {
        return PValue::ONE;
    }
    // Σ tan((½ − p)π) in units of the largest term, so that p far below 1e-300 keeps its order.
    let sum: f64 = own.map(|c| cauchy(c.p.nats(), largest)).sum();
    let count = f64::from(count);
    if largest > 18.0 {
        // tan((½ − p)π) → 1/(πp): p of the mean is 1/(π · mean).
        return PValue::from_nats(largest + sum.ln() - count.ln());
    }
    let mean = sum / count;
    PValue::from_probability(0.5 - mean.atan() / std::f64::consts::PI)
}

/// −ln p of what several questions say together, each measured by its tail.
pub(crate) fn together<const N: usize>(asked: [(Aspect, f32, &Tail); N]) -> f64 {
    let one = |(aspect, score, tail): (Aspect, f32, &Tail)| Calibrated {
        signal: Signal { aspect, score, level: Level::Own, bet: 0 },
        p: tail.p(f64::from(score)),
    };
    combine(&asked.map(one)).nats()
}

/// tan((½ − p)π), at least 0; divided by that of the largest when p is small enough for 1/(πp).
fn cauchy(nats: f64, largest: f64) -> f64 {
    if largest > 18.0 {
        return if nats > 0.7 { (nats - largest).exp() } else { 0.0 };
    }
    let p = (-nats).exp();
    if p >= 0.5 { 0.0 } else { ((0.5 - p) * std::f64::consts::PI).tan() }
}

/// What a request bets on: its strongest oddity. What is about the caller is the same at all endpoints.
#[must_use]
pub fn bet_of(endpoint: Option<EndpointIndex>, calibrated: &[Calibrated]) -> u32 {
    strongest(calibrated).map_or(0, |oddest| {
        let Signal { aspect, bet, .. } = oddest.signal;
        let place = endpoint.filter(|_| !aspect.is_about_caller()).map_or(0, |e| u64::from(e.0) + 1);
        mix(mix(bet, aspect as u64), place) as u32
    })
}

/// What stands against whoever sends the request, whatever the request itself is like: p of the strongest aspect that gathers evidence
/// against a caller, where there is any.
#[must_use]
pub fn standing(calibrated: &[Calibrated]) -> Option<PValue> {
    let gathers = |c: &&Calibrated| matches!(c.signal.aspect, Aspect::Probing | Aspect::Accounts) && c.signal.score > 0.0;
    calibrated.iter().filter(gathers).map(|c| c.p).max_by(|a, b| a.nats().total_cmp(&b.nats()))
}

/// p of a verdict from the request's, its session's and what stands against its caller: each that there is was looked at.
#[must_use]
pub fn verdict(request: PValue, session: Option<PValue>, standing: Option<PValue>) -> PValue {
    let looks = 1 + i32::from(session.is_some()) + i32::from(standing.is_some());
    let nats = [session, standing].into_iter().flatten().fold(request.nats(), |most, p| most.max(p.nats()));
    if looks == 1 {
        return request;
    }
    if nats > 10.0 {
        return PValue::from_nats(nats - f64::from(looks).ln());
    }
    PValue::from_probability(1.0 - (1.0 - (-nats).exp()).powi(looks))
}

#[cfg(test)]
mod tests {
    use super::{Calibrated, Calibration, Held, combine, verdict};
    use crate::ablation::Plan;
    use crate::detect::{Aspect, Class, Level, Signal};
    use crate::paths::EndpointIndex;
    use crate::record::PValue;

    fn with(nats: &[f64]) -> Vec<Calibrated> {
        nats.iter()
            .map(|n| Calibrated {
                signal: Signal { aspect: Aspect::Values, score: 0.0, level: Level::Own, bet: 0 },
                p: PValue::from_nats(*n),
            })
            .collect()
    }

    /// A read of an endpoint by a caller.
    fn held(endpoint: u32, unit: u64, signals: &[Signal]) -> Held<'_> {
        Held {
            endpoint: Some(EndpointIndex(endpoint)),
            class: Class::Read,
            has_free_text: false,
            session: None,
            time: 0,
            counts: true,
            is_sole: false,
            unit,
            network: None,
            signals,
        }
    }

    #[test]
    fn a_pooled_question_is_calibrated_over_all_endpoints() {
        let signal = |aspect| Signal { aspect, score: 1.0, level: Level::Own, bet: 0 };
        let quiet = |aspect| [Signal { score: 0.0, ..signal(aspect) }];
        let both = [Aspect::Certain, Aspect::Step].map(|aspect| {
            let (quiet, odd) = (quiet(aspect), [signal(aspect)]);
            let mut rows: Vec<Held<'_>> = (0..800).map(|n| held(n % 2, 0, &quiet[..])).collect();
            rows.extend((0..200).map(|_| held(0, 0, &odd[..])));
            let calibration = Calibration::fit(&rows, Plan::default());
            [0, 1].map(|endpoint| {
                let mut out = Vec::new();
                calibration.calibrate(Some(EndpointIndex(endpoint)), Class::Read, &odd, &mut out);
                out[0].p
            })
        });
        assert!(both[0][0] == both[0][1] && both[1][0].nats() < both[1][1].nats(), "{both:?}");
    }

    #[test]
    fn what_two_of_many_did_at_each_endpoint_counts_as_never_done_there() {
        let quiet = [Signal { aspect: Aspect::Foreign, score: 0.0, level: Level::Own, bet: 0 }];
        let odd = [Signal { score: 7.0, ..quiet[0] }];
        let nats = |of_each: u64| {
            // Endpoints of too few requests for tails of their own: their class speaks for them.
            let mut rows: Vec<Held<'_>> = (0..4_000u64).map(|n| held(n as u32 % 40, n % 500, &quiet[..])).collect();
            rows.extend((0..10 * of_each).map(|n| held(n as u32 % 10, 1_000 + n, &odd[..])));
            let mut out = Vec::new();
            Calibration::fit(&rows, Plan::default()).calibrate(Some(EndpointIndex(0)), Class::Read, &odd, &mut out);
            out[0].p.nats()
        };
        assert!(nats(2) > nats(3) + 2.0, "{} {}", nats(2), nats(3));
        assert!((nats(2) - nats(0)).abs() < 0.1, "{} {}", nats(2), nats(0));
    }

    #[test]
    fn what_one_machine_does_all_day_hides_nothing_of_others() {
        let [quiet, odd] = [0.0, 9.0].map(|score| [Signal { aspect: Aspect::Count, score, level: Level::Own, bet: 7 }]);
        let p = |machine: u64, others: u64| {
            let mut rows: Vec<Held<'_>> = (0..5_000).map(|n| held(0, n, &quiet[..])).collect();
            rows.extend((0..machine).map(|_| held(0, 9_000, &odd[..])));
            rows.extend((0..others).map(|n| held(0, 10_000 + n, &odd[..])));
            let peers = rows[0].peers();
            Calibration::fit(&rows, Plan::default()).request(peers, PValue::from_nats(12.0)).nats()
        };
        assert!(p(200, 0) > p(0, 0) - 0.5, "{} {}", p(200, 0), p(0, 0));
        assert!(p(0, 200) < p(0, 0) - 2.0, "{} {}", p(0, 200), p(0, 0));
    }

    #[test]
    fn the_smallest_p_rules_and_order_is_kept() {
        let mut last = 0.0;
        for nats in [1.0, 3.0, 9.0, 17.9, 18.1, 40.0, 800.0] {
            let p = combine(&with(&[nats, 0.0, 0.0])).nats();
            assert!(p > last && (nats < 3.0 || (p - (nats - 3f64.ln())).abs() < 0.35), "{nats}: {p}");
            last = p;
        }
        assert_eq!(combine(&[]), PValue::ONE);
    }

    #[test]
    fn each_look_costs() {
        let (small, large) = (PValue::from_probability(1e-6), PValue::from_probability(0.3));
        assert!((verdict(small, Some(large), None).probability() / 2e-6 - 1.0).abs() < 1e-3);
        assert!((verdict(large, Some(large), Some(small)).probability() / 3e-6 - 1.0).abs() < 1e-3);
        assert_eq!(verdict(small, None, None), small);
    }
}
