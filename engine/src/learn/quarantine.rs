//! What is too odd to be learned from: attackers do not wait until the learning time is over.
//!
//! Each row is judged by what was learned without its fold. Whose rows are anomalous for what attackers do (not for what
//! newcomers bring) is left out when the history is learned again, unless several others from other networks did the same: then it is what
//! people do here. What is left is judged once more: attackers hide one another.

use super::Row;
use super::breadth::Breadth;
use crate::ablation::Plan;
use crate::detect::Aspect;
use crate::fuse::{Calibration, Held};
use crate::record::EndpointId;
use rustc_hash::{FxHashMap, FxHashSet};

/// How often a history is judged: attackers hide one another, and are seen once others of them are gone.
pub(super) const PASSES: usize = 2;

/// Share of rows that are left out at most, in all passes: the oddest.
const MOST: f64 = 0.02;

/// How much more often than at the configured level a deed may come and be left out: nearly nobody does such a thing.
const WARY: f64 = 10.0;

/// An answer is large for its endpoint only where so many callers, at least, were answered: the lists of two of the staff are what they get.
const ANSWERED: usize = 8;

/// Rows that may be left out of a history of so many.
pub(super) fn most(rows: usize) -> usize {
    (MOST * rows as f64) as usize
}

/// By row, whether it is left out; `left` rows at most.
pub(super) fn odd(rows: &[Row<'_>], held: &[Held<'_>], alpha: f64, mut left: usize) -> Vec<bool> {
    let calibration = Calibration::fit_wary(held, Plan::default(), is_attack_like);
    let judged = calibration.each(held);
    let mut callers: FxHashMap<EndpointId, FxHashSet<u64>> = FxHashMap::default();
    for row in rows {
        callers.entry(row.id).or_default().insert(row.unit);
    }
    let is_flagged = |at: &usize| {
        let (p, aspect) = judged[*at];
        // Where one caller is all there is, nobody else can have done the same.
        let Some(aspect) = aspect.filter(|aspect| !rows[*at].is_sole && is_attack_like(*aspect)) else { return false };
        if aspect == Aspect::Amount && callers[&rows[*at].id].len() < ANSWERED {
            return false;
        }
        let level = alpha.max(calibration.least_alpha(held[*at].peers()));
        // Steps are left out by many, one way or another.
        let is_clear = aspect.is_deed() && aspect != Aspect::Skipped;
        p.nats() > -(if is_clear { WARY * level } else { level }).ln()
    };
    let flagged: Vec<usize> = (0..rows.len()).filter(is_flagged).collect();
    // Who did what that is odd.
    let mut doers: FxHashMap<(EndpointId, Option<Aspect>), Breadth> = FxHashMap::default();
    for &at in &flagged {
        doers.entry((rows[at].id, judged[at].1)).or_default().note(rows[at].unit, rows[at].network);
    }
    let mut oddest: FxHashMap<u64, f64> = FxHashMap::default();
    for at in flagged {
        if !doers[&(rows[at].id, judged[at].1)].is_enough() {
            let most = oddest.entry(rows[at].unit).or_default();
            *most = most.max(judged[at].0.nats());
        }
    }
    let mut sent: FxHashMap<u64, usize> = FxHashMap::default();
    rows.iter().for_each(|row| *sent.entry(row.unit).or_default() += 1);
    let mut by_oddness: Vec<(u64, f64)> = oddest.into_iter().collect();
    by_oddness.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut out: FxHashSet<u64> = FxHashSet::default();
    for (unit, _) in by_oddness {
        if sent[&unit] <= left {
            left -= sent[&unit];
            out.insert(unit);
        }
    }
    rows.iter().map(|row| out.contains(&row.unit)).collect()
}

/// Whether it is rather an attacker's work than a newcomer's.
fn is_attack_like(aspect: Aspect) -> bool {
    aspect.is_deed() || matches!(aspect, Aspect::Structure | Aspect::Sensitive | Aspect::Amount | Aspect::Enumeration)
}
