//! Why the children of one place in a tree of paths are names or values: what a model remembers of each decision, to be explained later.
//! Of values it keeps counts alone, never one of them.

use super::evidence::{Clue, Clues, odds};
use super::token::Form;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names of one place that are remembered: those that were nearest to being values.
const NAMES: usize = 16;
/// Distinct values counted.
const MOST_DISTINCT: usize = 10_000;
/// Longest name that is remembered, bytes.
const LONGEST: usize = 64;

/// The decision at one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The node.
    pub(super) node: u32,
    /// What was merged; `None` where every child is a name.
    pub values: Option<Values>,
    /// Requests whose segment is a value by its form alone.
    pub typed: u32,
    /// Requests whose bodies hold their segment, and those with bodies.
    pub echo: (u32, u32),
    /// Words that were found to be values, and the clues for them, on average.
    pub words: u32,
    /// See `words`.
    pub clues: Vec<(Clue, f32)>,
    /// Names, nearest to being values first, at most 16.
    pub names: Vec<Name>,
    /// Names beyond those.
    pub more_names: u32,
}

/// What stands where a variable is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// Requests.
    pub requests: u32,
    /// Distinct values, counted up to 10,000.
    pub distinct: u32,
    /// Type of most, as OpenAPI has it.
    pub kind: String,
}

/// A child that is a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Name {
    /// The word.
    pub word: String,
    /// Successful requests.
    pub requests: u32,
    /// What spoke for and against; the sum is at most 0.
    pub clues: Vec<(Clue, f32)>,
}

impl Name {
    /// Log odds for its being a value, nats.
    #[must_use]
    pub fn odds(&self) -> f32 {
        self.clues.iter().map(|(_, odds)| odds).sum()
    }
}

impl Place {
    /// From the words there, with their successes and clues.
    pub(super) fn new<'c>(typed: usize, echo: (u32, u32), children: impl Iterator<Item = ((&'c str, usize), &'c Clues)>) -> Self {
        let mut place = Self { typed: typed as u32, echo, ..Self::default() };
        let mut sums: BTreeMap<Clue, f32> = BTreeMap::new();
        for ((word, successes), clues) in children {
            if odds(clues) > 0.0 {
                place.words += 1;
                clues.iter().for_each(|(clue, odds)| *sums.entry(*clue).or_default() += odds);
            } else {
                let word = word[..word.floor_char_boundary(LONGEST)].to_owned();
                place.names.push(Name { word, requests: successes as u32, clues: clues.to_vec() });
            }
        }
        place.clues = sums.into_iter().map(|(clue, sum)| (clue, sum / place.words as f32)).collect();
        place.names.sort_by(|a, b| b.odds().total_cmp(&a.odds()).then_with(|| a.word.cmp(&b.word)));
        place.more_names = place.names.len().saturating_sub(NAMES) as u32;
        place.names.truncate(NAMES);
        place
    }

    /// Counts what was merged.
    pub(super) fn count_values<'v>(&mut self, form: Form, values: impl ExactSizeIterator<Item = &'v str>) {
        let requests = values.len() as u32;
        let mut distinct: FxHashSet<&str> = FxHashSet::default();
        for value in values {
            if distinct.len() < MOST_DISTINCT {
                distinct.insert(value);
            }
        }
        self.values = Some(Values { requests, distinct: distinct.len() as u32, kind: form.kind().to_owned() });
    }

    /// In one line.
    pub(super) fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(values) = &self.values {
            parts.push(format!("{} distinct values in {} requests", values.distinct, values.requests));
        }
        if self.typed > 0 {
            parts.push(format!("{} of them values by their form", self.typed));
        }
        if self.words > 0 {
            let odds: f32 = self.clues.iter().map(|(_, odds)| odds).sum();
            parts.push(format!("{} words with odds for a value ({odds:.1} on average)", self.words));
        }
        if self.echo.1 > 0 {
            parts.push(format!("echoed in the bodies of {} of {} requests", self.echo.0, self.echo.1));
        }
        parts.join("; ")
    }
}
