//! How well verdicts tell attacks from the rest, where labels say which is which.

use super::labels::Truth;
use engine::rate::Rate;
use engine::{Label, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

/// What counts as one case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Unit {
    /// Each request.
    #[default]
    Request,
    /// Requests that belong together by the labels: the highest score counts. For attacks that show over a session only.
    Group,
}

/// Verdicts beside what they should have been.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    unit: Unit,
    cases: BTreeMap<u64, Case>,
}

/// One case.
#[derive(Debug, Clone, Copy, Default)]
struct Case {
    score: f64,
    is_attack: bool,
    is_found: bool,
}

impl Cases {
    /// None yet.
    pub(crate) fn new(unit: Unit) -> Self {
        Self { unit, cases: BTreeMap::new() }
    }

    /// Takes a verdict in.
    pub(crate) fn add(&mut self, truth: Truth, verdict: &Verdict) {
        let key = match self.unit {
            Unit::Request => self.cases.len() as u64,
            Unit::Group => truth.group,
        };
        let case = self.cases.entry(key).or_default();
        case.score = case.score.max(verdict.score);
        case.is_attack |= truth.is_attack;
        case.is_found |= verdict.label == Label::Anomalous;
    }

    /// What it comes to; `None` without a case of each sort.
    pub(crate) fn quality(&self) -> Option<Quality> {
        let scores = |is_attack| {
            let mut scores: Vec<f64> = self.cases.values().filter(|c| c.is_attack == is_attack).map(|c| c.score).collect();
            scores.sort_by(f64::total_cmp);
            scores
        };
        let found = |is_attack| Rate {
            events: self.cases.values().filter(|c| c.is_attack == is_attack && c.is_found).count() as u64,
            of: self.cases.values().filter(|c| c.is_attack == is_attack).count() as u64,
        };
        let (benign, attacks) = (scores(false), scores(true));
        if benign.is_empty() || attacks.is_empty() {
            return None;
        }
        let at = |rate| detected(&benign, &attacks, rate);
        Some(Quality {
            auc: auc(&benign, &attacks),
            at_1_percent: at(0.01),
            at_0_1_percent: at(0.001),
            found: found(true),
            wrong: found(false),
        })
    }
}

/// What verdicts are worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Quality {
    /// Share of pairs of an attack and a harmless case in which the attack scores higher; ties count half.
    pub(crate) auc: f64,
    /// Share of attacks above all but 1 % of harmless cases; `None` with fewer than 500 of those.
    pub(crate) at_1_percent: Option<f64>,
    /// The same above all but 0.1 %; `None` with fewer than 5,000.
    pub(crate) at_0_1_percent: Option<f64>,
    /// Attacks that were called anomalous.
    pub(crate) found: Rate,
    /// Harmless cases that were.
    pub(crate) wrong: Rate,
}

/// Share of attacks that score above the smallest threshold which at most this share of harmless cases exceeds.
fn detected(benign: &[f64], attacks: &[f64], rate: f64) -> Option<f64> {
    let all = Rate { events: 0, of: benign.len() as u64 };
    if all.least_level() > rate {
        return None;
    }
    let threshold = benign[benign.len() - 1 - ((benign.len() as f64 * rate) as usize).min(benign.len() - 1)];
    let above = attacks.len() - attacks.partition_point(|score| *score <= threshold);
    Some(above as f64 / attacks.len() as f64)
}

/// Area under the curve of detection over false positives, both ascending.
fn auc(benign: &[f64], attacks: &[f64]) -> f64 {
    let below = |score: &f64| benign.partition_point(|b| b < score) + benign.partition_point(|b| b <= score);
    let pairs: f64 = attacks.iter().map(|score| below(score) as f64 / 2.0).sum();
    pairs / (benign.len() as f64 * attacks.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::{auc, detected};

    #[test]
    fn ties_count_half_and_thresholds_are_exceeded() {
        assert_eq!(auc(&[1.0, 2.0], &[2.0, 3.0]), 0.875);
        let benign: Vec<f64> = (0..1_000).map(f64::from).collect();
        assert_eq!(detected(&benign, &[989.0, 990.0, 999.0, 2_000.0], 0.01), Some(0.75));
        assert_eq!(detected(&benign, &[2_000.0], 0.001), None);
    }
}
