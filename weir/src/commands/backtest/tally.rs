//! What a backtest counts while verdicts go by: bounded, whatever the traffic.

use engine::{Family, Label, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Most surprising verdicts kept.
const TOP: usize = 10;
/// Sessions and endpoints counted exactly; beyond, the count stops here.
const MOST_DISTINCT: usize = 1 << 20;

/// Counts over verdicts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// All verdicts.
    pub(super) verdicts: u64,
    /// Label `benign`.
    pub(super) benign: u64,
    /// Label `anomalous`.
    pub(super) anomalous: u64,
    /// Label `insufficient`.
    pub(super) insufficient: u64,
    /// Anomalous verdicts by family; a verdict with two counts in both.
    pub(super) families: BTreeMap<Family, u64>,
    /// Sum of alpha over the verdicts that could be anomalous: as many anomalies are expected where nothing is wrong.
    pub(super) expected: f64,
    /// Smallest and largest alpha met.
    pub(super) alpha: Option<(f64, f64)>,
    sessions: HashSet<u64>,
    endpoints: HashSet<u64>,
    top: Vec<Verdict>,
}

impl Tally {
    /// Counts a verdict.
    pub(super) fn add(&mut self, verdict: Verdict) {
        self.verdicts += 1;
        match verdict.label {
            Label::Benign => self.benign += 1,
            Label::Anomalous => {
                self.anomalous += 1;
                for family in &verdict.families {
                    *self.families.entry(*family).or_default() += 1;
                }
            }
            Label::Insufficient => self.insufficient += 1,
        }
        if verdict.label != Label::Insufficient {
            self.expected += verdict.alpha;
            let (low, high) = self.alpha.unwrap_or((verdict.alpha, verdict.alpha));
            self.alpha = Some((low.min(verdict.alpha), high.max(verdict.alpha)));
        }
        if let Some(session) = &verdict.session {
            remember(&mut self.sessions, session);
        }
        remember(&mut self.endpoints, &verdict.endpoint);
        self.rank(verdict);
    }

    /// Keeps the most surprising verdicts; of one endpoint and place only the first of the most surprising, so that one flood does not fill the list.
    fn rank(&mut self, verdict: Verdict) {
        if verdict.label == Label::Insufficient || verdict.reasons.is_empty() {
            return;
        }
        let same = |a: &Verdict, b: &Verdict| {
            a.endpoint == b.endpoint && a.reasons.first().map(|r| (r.family, &r.place)) == b.reasons.first().map(|r| (r.family, &r.place))
        };
        if let Some(kept) = self.top.iter_mut().find(|kept| same(kept, &verdict)) {
            if verdict.score > kept.score {
                *kept = verdict;
            }
        } else if self.top.len() < TOP {
            self.top.push(verdict);
        } else if let Some(least) = self.top.iter_mut().min_by(|a, b| a.score.total_cmp(&b.score))
            && verdict.score > least.score
        {
            *least = verdict;
        }
    }

    /// The most surprising verdicts, most surprising first.
    pub(super) fn top(&self) -> Vec<&Verdict> {
        let mut top: Vec<&Verdict> = self.top.iter().collect();
        top.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        top
    }

    /// Distinct sessions.
    pub(super) fn sessions(&self) -> Distinct {
        Distinct::of(&self.sessions)
    }

    /// Distinct endpoints in verdicts, discovered or not.
    pub(super) fn endpoints(&self) -> Distinct {
        Distinct::of(&self.endpoints)
    }
}

/// How many different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Distinct {
    /// At least this many.
    pub(super) at_least: u64,
    /// Whether it is exactly so many.
    pub(super) exact: bool,
}

impl Distinct {
    fn of(seen: &HashSet<u64>) -> Self {
        Self { at_least: seen.len() as u64, exact: seen.len() < MOST_DISTINCT }
    }
}

fn remember(seen: &mut HashSet<u64>, what: &str) {
    if seen.len() < MOST_DISTINCT {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        seen.insert(hasher.finish());
    }
}
