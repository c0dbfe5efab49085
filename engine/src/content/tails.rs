//! How odd the scores of a field's values get, and what a value's scores say by that.

use crate::calibrate::{Shape, Tail};
use serde::{Deserialize, Serialize};

/// Scores of one value, each rising with oddness.
pub(super) const SCORES: usize = 7;
/// Names of the scores, in order.
pub(super) const SCORE_NAMES: [&str; SCORES] =
    ["length", "characters", "letter sequence", "part of the letter sequence", "form", "words", "type"];
/// The first of the scores that look at parts of a value, not at the whole.
pub(super) const FIRST_OF_PARTS: usize = 3;

/// Nats up to which strange characters in a plain value count in full, and what each nat beyond counts.
const CHECKED: f32 = 10.0;
const BEYOND: f32 = 0.25;

/// The scores of a value.
#[derive(Debug, Clone)]
pub(super) struct Scores {
    /// As it is.
    pub(super) whole: [f32; SCORES],
    /// Without the characters that the field never had, and what it costs to have them, nats.
    pub(super) plain: Option<Box<([f32; SCORES], f32)>>,
}

/// Tails of the scores and of their sum.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tails {
    each: Vec<Tail>,
    sum: Tail,
}

impl Tails {
    /// Fits scores of held-out values; `None` without any.
    pub(super) fn fit(held_out: &[[f32; SCORES]]) -> Option<Self> {
        let each: Vec<Tail> =
            (0..SCORES).filter_map(|i| Tail::fit_as(held_out.iter().map(|s| s[i]).collect(), 1, Shape::LIKELIHOODS)).collect();
        let sums = held_out.iter().map(|s| sum_of(&each, s)).collect();
        Some(Self { sum: Tail::fit_as(sums, 1, Shape::LIKELIHOODS)?, each })
    }

    /// The smaller surprisal of a value: as it is, or as a plain one with strange characters in it (see `FieldProfile::plain`).
    pub(super) fn nats_of(&self, scored: &Scores) -> f32 {
        let whole = self.nats(&scored.whole);
        scored.plain.as_ref().map_or(whole, |plain| whole.min(with_strange(self.nats(&plain.0), plain.1)))
    }

    /// Surprisal of a value in nats, from its scores.
    pub(super) fn nats(&self, scores: &[f32; SCORES]) -> f32 {
        self.sum.p(f64::from(sum_of(&self.each, scores))).nats() as f32
    }

    /// Which score of the value as it is surprises most.
    pub(super) fn strongest(&self, scores: &Scores) -> usize {
        let scores = &scores.whole;
        (0..SCORES)
            .max_by(|a, b| self.each[*a].p(f64::from(scores[*a])).nats().total_cmp(&self.each[*b].p(f64::from(scores[*b])).nats()))
            .unwrap_or(0)
    }
}

/// What a value claims of which the rest claims so much, and its strange characters cost so much, nats. They are no independent oddities
/// ("3/4 sleeve" has digits, too), and no field shows so many values that the product of both could be checked.
pub(super) fn with_strange(rest: f32, cost: f32) -> f32 {
    let both = rest + cost;
    if both > CHECKED { rest.max(CHECKED + BEYOND * (both - CHECKED)) } else { both }
}

fn sum_of(tails: &[Tail], scores: &[f32; SCORES]) -> f32 {
    tails.iter().zip(scores).map(|(t, s)| t.p(f64::from(*s)).nats().min(60.0) as f32).sum()
}
