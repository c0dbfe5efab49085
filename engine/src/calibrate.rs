//! From scores to p-values: rank for the body, an exponential tail fitted on the bulk above it.
//!
//! The tail's scale comes from the 60 % to 90 % quantiles, so that a few attacks among the training data cannot stretch it
//! (with 1 % attacks a threshold at the top quantile loses four fifths of its detections, a bulk-fitted one almost none).

use crate::record::PValue;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Quantiles kept of a sample.
const POINTS: usize = 128;
/// Smallest scale of a tail, nats.
const MIN_SCALE: f64 = 0.35;
/// Support that weighs as much as the class's own scale does in shrinkage.
const SHRINKAGE: f64 = 300.0;
/// Above this share of zeros a score counts as an event that mostly does not happen: the tail is fitted on the others.
const MOSTLY_ZERO: f64 = 0.6;
/// Benign cases over the bar of a gate.
const FALSE_POSITIVES: f64 = 0.01;
/// Nats beyond the bulk are kept in order but never promised further than this.
const MAX_TAIL: f64 = 400.0;
/// Callers that must have come to a score, and their share of all, before it is common: more than attackers among the training data are.
const MANY: usize = 8;
const COMMON: f64 = 0.02;

/// Distribution of a score on benign traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Observations.
    pub n: u32,
    /// Share of observations above zero, when that is small: the sample below is of those only.
    positive: Option<f64>,
    /// Quantiles at 0, 1/(k−1), …, 1, ascending.
    quantiles: Vec<f32>,
    /// Where the tail begins.
    start: f64,
    /// −ln of the share beyond `start`.
    start_nats: f64,
    /// Scale of the tail, nats of score per nat of p.
    scale: f64,
    /// The largest score that many callers came to, and −ln of the share of scores from there on.
    common: Option<(f64, f64)>,
}

/// How a tail is fitted: between which quantiles its scale is taken, and how small that may be.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    between: (f64, f64),
    least_scale: f64,
}

impl Shape {
    /// Of scores in any unit.
    pub const SCORES: Self = Self { between: (0.6, 0.9), least_scale: MIN_SCALE };
    /// Of likelihoods in nats: more than one nat of p for a nat of score is never claimed.
    pub const LIKELIHOODS: Self = Self { between: (0.6, 0.9), least_scale: 1.0 };
    /// Of −ln of p-values: ranks up to the 99 % quantile, a tail on 90 % to 99 % beyond.
    pub const NATS: Self = Self { between: (0.9, 0.99), least_scale: 1.0 };
    /// As tails are commonly fitted, by the largest values alone. For comparison: a few attacks among the data stretch it.
    pub const OF_THE_TOP: Self = Self { between: (0.99, 0.999), least_scale: MIN_SCALE };
}

impl Tail {
    /// Fits a sample (order does not matter; NaN counts as 0). `None` when there are fewer than `least`.
    #[must_use]
    pub fn fit(sample: Vec<f32>, least: usize) -> Option<Self> {
        Self::fit_as(sample, least, Shape::SCORES)
    }

    /// The same with a tail of another shape.
    #[must_use]
    pub fn fit_as(mut sample: Vec<f32>, least: usize, shape: Shape) -> Option<Self> {
        let Shape { between: (low, high), least_scale } = shape;
        if sample.len() < least.max(1) {
            return None;
        }
        for x in &mut sample {
            if x.is_nan() {
                *x = 0.0;
            }
        }
        sample.sort_unstable_by(f32::total_cmp);
        let n = sample.len();
        let zeros = sample.partition_point(|x| *x <= 0.0);
        let mut positive = None;
        if zeros as f64 > MOSTLY_ZERO * n as f64 {
            // Half an observation stands for what was never seen.
            positive = Some(((n - zeros) as f64 + 0.5) / (n as f64 + 1.0));
            sample.drain(..zeros);
            if sample.len() < 10 {
                // Too few to tell how they spread: each nat of score counts as one of p.
                let start = sample.first().copied().map_or(0.0, f64::from);
                return Some(Self { n: n as u32, positive, quantiles: Vec::new(), start, start_nats: 0.0, scale: 1.0, common: None });
            }
        }
        let at = |q: f64| f64::from(quantile(&sample, q));
        let scale = ((at(high) - at(low)) / ((1.0 - low) / (1.0 - high)).ln()).max(least_scale);
        let points = POINTS.min(sample.len());
        let quantiles = (0..points).map(|i| quantile(&sample, i as f64 / (points - 1).max(1) as f64)).collect();
        Some(Self { n: n as u32, positive, quantiles, start: at(high), start_nats: -(1.0 - high).ln(), scale, common: None })
    }

    /// Fits a sample of (caller, score). What many callers come to now and then is common however far it is from the bulk (a search that
    /// finds something, where most find nothing): up to there no more is claimed than its share.
    #[must_use]
    pub fn fit_of_callers(sample: &[(u64, f32)], least: usize) -> Option<Self> {
        let mut tail = Self::fit(sample.iter().map(|(_, x)| *x).collect(), least)?;
        let mut largest: FxHashMap<u64, f32> = FxHashMap::default();
        for (caller, x) in sample {
            let most = largest.entry(*caller).or_insert(*x);
            *most = most.max(*x);
        }
        let mut largest: Vec<f32> = largest.into_values().collect();
        largest.sort_unstable_by(|a, b| b.total_cmp(a));
        let many = MANY.max((COMMON * largest.len() as f64).ceil() as usize);
        if let Some(reach) = largest.get(many - 1) {
            let from_there = sample.iter().filter(|(_, x)| x >= reach).count();
            tail.common = Some((f64::from(*reach), -(from_there as f64 / sample.len() as f64).ln()));
        }
        Some(tail)
    }

    /// Draws scale and rate towards those of its class: weight n/(n + 300) is its own.
    pub fn shrink_to(&mut self, class: &Self) {
        let own = f64::from(self.n) / (f64::from(self.n) + SHRINKAGE);
        self.scale = (own * self.scale + (1.0 - own) * class.scale).max(MIN_SCALE);
        if let (Some(mine), Some(theirs)) = (self.positive, class.positive) {
            // The half observation that stands for what was never seen is the class's to give; who never saw it knows no more than the class.
            let seen = (mine * (f64::from(self.n) + 1.0) - 0.5).max(0.0);
            let shrunk = (seen + SHRINKAGE * theirs) / (f64::from(self.n) + SHRINKAGE);
            self.positive = Some(if seen > 0.5 { shrunk } else { shrunk.max(theirs) });
        }
    }

    /// Raises the scale to at least this.
    pub fn widen(&mut self, least: f64) {
        self.scale = self.scale.max(least);
    }

    /// p of a score: how often benign traffic scores at least as high.
    #[must_use]
    pub fn p(&self, score: f64) -> PValue {
        let p = self.p_by_tail(score);
        match self.common {
            Some((reach, nats)) if score <= reach => PValue::from_nats(p.nats().min(nats)),
            _ => p,
        }
    }

    fn p_by_tail(&self, score: f64) -> PValue {
        if score <= 0.0 && (self.positive.is_some() || self.quantiles.first().is_none_or(|q| *q >= 0.0)) {
            return PValue::ONE;
        }
        let base = self.positive.map_or(0.0, |p| -p.ln());
        if self.quantiles.is_empty() {
            return PValue::from_nats(base + ((score - self.start).max(0.0) / self.scale).min(MAX_TAIL));
        }
        if score > self.start {
            return PValue::from_nats(base + self.start_nats + ((score - self.start) / self.scale).min(MAX_TAIL));
        }
        // Rank among the quantiles; never below the share at which the tail takes over.
        let points = self.quantiles.len();
        let below = self.quantiles.partition_point(|q| f64::from(*q) < score);
        let rest = if below == 0 {
            1.0
        } else {
            let (low, high) = (f64::from(self.quantiles[below - 1]), self.quantiles.get(below).map_or(score, |q| f64::from(*q)));
            let part = if high > low { (score - low) / (high - low) } else { 1.0 };
            1.0 - ((below - 1) as f64 + part) / (points - 1).max(1) as f64
        };
        PValue::from_nats(base + (-rest.ln()).min(self.start_nats))
    }
}

/// The score that one in a hundred benign cases is over: what gates hold models to.
pub(crate) fn bar(scores: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = scores.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = ((1.0 - FALSE_POSITIVES) * sorted.len() as f64) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// Quantile of a sorted sample, by linear interpolation.
fn quantile(sorted: &[f32], q: f64) -> f32 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = q * last as f64;
    let (low, part) = (place as usize, (place - place.floor()) as f32);
    let next = sorted[(low + 1).min(last)];
    sorted[low] + (next - sorted[low]) * part
}

#[cfg(test)]
mod tests {
    use super::Tail;

    /// A repeatable sample of Exp(1).
    fn exponential(n: u32) -> Vec<f32> {
        (0..n).map(|i| -((f64::from(i) + 0.5) / f64::from(n)).ln() as f32).collect()
    }

    #[test]
    fn p_of_an_exponential_is_its_survival() {
        let tail = Tail::fit(exponential(5000), 30).expect("enough");
        for x in [0.1, 0.7, 2.0, 5.0, 9.0] {
            let p = tail.p(x).probability();
            assert!((p.ln() + x).abs() < 0.15 * x.max(1.0), "p({x}) = {p}");
        }
    }

    #[test]
    fn a_few_attacks_in_the_sample_do_not_move_the_tail() {
        let mut sample = exponential(5000);
        sample.extend(std::iter::repeat_n(60.0, 50));
        let clean = Tail::fit(exponential(5000), 30).expect("enough");
        let poisoned = Tail::fit(sample, 30).expect("enough");
        assert!((clean.p(12.0).nats() - poisoned.p(12.0).nats()).abs() < 1.0);
    }

    #[test]
    fn rare_events_keep_their_rate() {
        let mut sample = vec![0.0; 9900];
        sample.extend((0..100).map(|i| 1.0 + i as f32 / 100.0));
        let tail = Tail::fit(sample, 30).expect("enough");
        assert!((tail.p(1.0).probability() - 0.01).abs() < 0.002);
        assert!(tail.p(0.0).probability() > 0.99);
        assert!(tail.p(5.0).probability() < 1e-4);
    }

    #[test]
    fn what_many_callers_come_to_is_common_and_what_a_few_do_is_not() {
        // So many of 200 callers once each, of twenty times.
        let sample = |callers: u64| -> Vec<(u64, f32)> {
            (0..4_000).map(|n| (n % 200, if n % 200 < callers && n / 200 == n % 20 { 7.0 } else { 3.0 })).collect()
        };
        let many = sample(40);
        let share = many.iter().filter(|(_, x)| *x > 6.0).count() as f64 / 4_000.0;
        let tail = Tail::fit_of_callers(&many, 30).expect("enough");
        assert!((tail.p(7.0).probability() - share).abs() < 1e-6 && tail.p(8.0).probability() < 1e-4, "{share} {tail:?}");
        let few = Tail::fit_of_callers(&sample(5), 30).expect("enough");
        assert!(few.p(7.0).probability() < 1e-4, "{few:?}");
    }

    #[test]
    fn who_never_saw_an_event_claims_no_more_than_its_class() {
        let never = |n: usize| Tail::fit(vec![0.0; n], 1).expect("enough");
        let class = never(20_000);
        for n in [100, 1_000, 10_000] {
            let mut own = never(n);
            own.shrink_to(&class);
            assert!((own.p(1.0).nats() - class.p(1.0).nats()).abs() < 1e-9, "{n}");
        }
        let mut sample = vec![0.0; 990];
        sample.extend([2.0; 10]);
        let mut own = Tail::fit(sample, 1).expect("enough");
        let alone = own.p(2.0).nats();
        own.shrink_to(&class);
        assert!(own.p(2.0).nats() > alone && own.p(2.0).nats() < class.p(2.0).nats());
    }

    #[test]
    fn more_is_never_less_odd() {
        let tail = Tail::fit(exponential(300), 30).expect("enough");
        let mut last = 0.0;
        for i in 0..200 {
            let now = tail.p(f64::from(i) * 0.1).nats();
            assert!(now >= last);
            last = now;
        }
    }
}
