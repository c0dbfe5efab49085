//! How often something happened, and how far that can be trusted: a share of trials with its exact interval.

use serde::{Deserialize, Serialize};

/// Events that must be expected before a rate is held against a level: with fewer, chance says more than the rate.
const EXPECTED: f64 = 5.0;
/// Halvings of an interval's end: beyond the digits that anybody reads.
const HALVINGS: u32 = 50;
/// A term of a sum that is this small beside the first no longer counts.
const NEGLIGIBLE: f64 = 1e-14;

/// So many events in so many trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// Trials with the event, at most `of`.
    pub events: u64,
    /// All trials.
    pub of: u64,
}

impl Rate {
    /// The share, 0 to 1; 0 without trials.
    #[must_use]
    pub fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.events as f64 / self.of as f64 }
    }

    /// The smallest level that so many trials can be held against: 5/n.
    #[must_use]
    pub fn least_level(self) -> f64 {
        EXPECTED / self.of.max(1) as f64
    }

    /// Interval that holds the true share with at least this confidence (0 to 1), whatever the share is: Clopper and Pearson, Biometrika 1934.
    #[must_use]
    pub fn interval(self, confidence: f64) -> (f64, f64) {
        (self.low(confidence), self.high(confidence))
    }

    fn low(self, confidence: f64) -> f64 {
        if self.events == 0 {
            return 0.0;
        }
        let (beyond, choices) = ((1.0 - confidence) / 2.0, self.choices());
        bisect(|p| self.at_least(p, choices) < beyond)
    }

    /// Upper end of [`Self::interval`].
    #[must_use]
    pub fn high(self, confidence: f64) -> f64 {
        if self.events >= self.of {
            return 1.0;
        }
        let (beyond, choices) = ((1.0 - confidence) / 2.0, self.choices());
        bisect(|p| self.at_most(p, choices) > beyond)
    }

    /// P(no more than these events), were the true share p.
    fn at_most(self, p: f64, choices: f64) -> f64 {
        if p * self.of as f64 <= self.events as f64 {
            // The mode lies within: far from where an upper end is looked for, and the terms below would not fall.
            return 1.0;
        }
        let step = |k: f64| k / (self.of as f64 - k + 1.0) * (1.0 - p) / p;
        self.term(p, choices) * series((1..=self.events).rev().map(|k| step(k as f64)))
    }

    /// P(at least these events), were the true share p.
    fn at_least(self, p: f64, choices: f64) -> f64 {
        if p * self.of as f64 >= self.events as f64 {
            return 1.0;
        }
        let step = |k: f64| (self.of as f64 - k) / (k + 1.0) * p / (1.0 - p);
        self.term(p, choices) * series((self.events..self.of).map(|k| step(k as f64)))
    }

    /// P(exactly these events), were the true share p.
    fn term(self, p: f64, choices: f64) -> f64 {
        (choices + self.events as f64 * p.ln() + (self.of - self.events) as f64 * (-p).ln_1p()).exp()
    }

    /// ln of the number of ways to choose the events among the trials.
    fn choices(self) -> f64 {
        let k = self.events.min(self.of - self.events);
        (0..k).map(|i| ((self.of - i) as f64 / (k - i) as f64).ln()).sum()
    }
}

/// 1 + a + ab + abc + … over falling ratios.
fn series(ratios: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for ratio in ratios {
        term *= ratio;
        sum += term;
        if term < NEGLIGIBLE * sum {
            break;
        }
    }
    sum
}

/// Where a condition on a share ceases to hold.
fn bisect(is_below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if is_below(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::Rate;

    /// Against published values of the exact interval (R's `binom.test`).
    #[test]
    fn the_interval_is_the_exact_one() {
        for (events, of, low, high) in
            [(0, 10, 0.0, 0.308_497), (1, 10, 0.002_529, 0.445_016), (10, 100, 0.049_005, 0.176_223), (10, 10, 0.691_503, 1.0)]
        {
            let (l, h) = Rate { events, of }.interval(0.95);
            assert!((l - low).abs() < 1e-5 && (h - high).abs() < 1e-5, "{events} of {of}: {l} to {h}");
        }
    }

    #[test]
    fn it_holds_the_share_and_narrows_with_trials_however_many() {
        let mut width = 1.0;
        for n in [50, 1_000, 100_000, 5_000_000] {
            let rate = Rate { events: n / 10, of: n };
            let (low, high) = rate.interval(0.95);
            assert!(low < 0.1 && 0.1 < high && high - low < width, "{n}: {low} to {high}");
            width = high - low;
        }
        assert_eq!(Rate { events: 0, of: 1_000 }.least_level(), 0.005);
    }
}
