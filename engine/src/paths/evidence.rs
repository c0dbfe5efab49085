//! What speaks for a path segment being a value, and what for its being a name: log odds per child of a node.
//!
//! Weights measured on recorded SDK traffic with known routes; each alone is weak, their sum is not.

use super::learn::Rows;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// One thing that speaks for or against a path segment being a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Clue {
    /// It stands as a value of an identifier in the bodies of its own requests, or never does though there are bodies.
    Echo,
    /// It is never echoed, where its siblings are.
    SilentAmongEchoes,
    /// Bodies anywhere hold it as a value of an identifier, or none does.
    Pool,
    /// The same follows it as follows its siblings, or something else does.
    SubTree,
    /// The same kind of answer comes as from its siblings, or another.
    Answers,
    /// It looks like a value (digits, capitals, dots), or like a word.
    Looks,
    /// It stands below several names.
    Parents,
    /// Many of its siblings were seen once only.
    Once,
    /// A sibling is a value by its form alone.
    TypedSibling,
    /// It is the first segment.
    First,
    /// It is a version (`v2`) where versions stand.
    Version,
    /// Most of its siblings are values, or names; or it is rare where siblings are surely values.
    Siblings,
    /// The configuration says so.
    Pinned,
}

/// Clues with their weight: log odds, nats, above 0 for a value.
pub(super) type Clues = SmallVec<[(Clue, f32); 12]>;

impl fmt::Display for Clue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Echo => "echo in its own bodies",
            Self::SilentAmongEchoes => "never echoed among siblings that are",
            Self::Pool => "identifiers in bodies anywhere",
            Self::SubTree => "what follows it",
            Self::Answers => "kind of answer",
            Self::Looks => "its letters",
            Self::Parents => "stands below several names",
            Self::Once => "siblings seen once",
            Self::TypedSibling => "typed siblings",
            Self::First => "first segment",
            Self::Version => "a version",
            Self::Siblings => "what its siblings are",
            Self::Pinned => "pinned in the configuration",
        })
    }
}

/// A trait of what follows a child: which words, where it ends, which kind of answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Trait {
    /// Key of the n-th segment after it.
    Segment(u8, u64),
    /// It ends two segments later, with this method.
    EndsAfterTwo(u64),
    /// It ends here: method and kind of answer.
    Answer(u64, u64),
}

/// Traits of some rows below one child, with counts.
pub(super) type Traits = FxHashMap<Trait, u32>;

/// One word among the children of a node.
#[derive(Debug)]
pub(super) struct Child<'r> {
    /// As first seen.
    pub(super) word: &'r str,
    /// Successful rows through it.
    pub(super) successes: Vec<u32>,
    pub(super) traits: Traits,
    /// Rows (successful, with bodies) whose bodies hold the word, and all such rows; at most 200 looked at.
    pub(super) echo: (u32, u32),
}

/// What the siblings of a node have in common.
#[derive(Debug)]
pub(super) struct Siblings {
    pub(super) depth: usize,
    pub(super) words: usize,
    /// Words seen once.
    pub(super) once: usize,
    /// In how many children each trait occurs.
    pub(super) spread: Traits,
    /// Traits of typed siblings.
    pub(super) typed: Traits,
    /// Echo over all children, typed ones included.
    pub(super) echo: (u32, u32),
}

/// What speaks for a word being a value (above 0) and for its being a name (below 0), before its siblings have their say.
pub(super) fn clues(rows: &Rows<'_>, child: &Child<'_>, siblings: &Siblings) -> Clues {
    let mut clues = Clues::new();
    let mut weigh = |clue, odds: f64| {
        if odds != 0.0 {
            clues.push((clue, odds as f32));
        }
    };
    let (echoed, with_body) = rows.echo_of(&child.successes, siblings.depth);
    if with_body > 0 {
        let rate = f64::from(echoed) / f64::from(with_body);
        let odds = if rate >= 0.3 {
            3.0
        } else if echoed > 0 {
            1.0
        } else {
            -0.7 * (1.0 + f64::from(with_body)).log2().min(4.0)
        };
        weigh(Clue::Echo, odds);
    }
    let others = siblings.echo.1 - child.echo.1;
    if child.echo.1 >= 1 && child.echo.0 == 0 && others >= 3 && f64::from(siblings.echo.0) >= 0.6 * f64::from(others) {
        weigh(Clue::SilentAmongEchoes, -3.0);
    }
    if rows.has_pool() {
        weigh(Clue::Pool, if rows.in_pool(child.word) { 1.5 } else { -1.5 });
    }
    weigh(Clue::SubTree, sub_tree(child, siblings));
    weigh(Clue::Answers, answers(child, siblings));
    let looks = child.word.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || matches!(b, b'.' | b'%' | b'~' | b'@' | b':'));
    weigh(Clue::Looks, if looks { 1.0 } else { -0.7 });
    if rows.parents_of(child.word) >= 3 && !child.word.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        weigh(Clue::Parents, -0.7);
    }
    if siblings.words >= 8 && siblings.once * 5 > siblings.words * 2 {
        weigh(Clue::Once, 1.0);
    }
    if !siblings.typed.is_empty() {
        weigh(Clue::TypedSibling, 1.0);
    }
    if siblings.depth == 0 {
        weigh(Clue::First, -4.0);
    }
    clues
}

/// Their sum.
pub(super) fn odds(clues: &Clues) -> f64 {
    clues.iter().map(|(_, odds)| f64::from(*odds)).sum()
}

/// Does the same follow it as follows its siblings?
fn sub_tree(child: &Child<'_>, siblings: &Siblings) -> f64 {
    let enough = if siblings.words <= 6 { 2 } else { 3 };
    let mut total = 0u32;
    let mut shared = 0u32;
    for (t, count) in &child.traits {
        if matches!(t, Trait::Answer(..)) {
            continue;
        }
        total += count;
        if siblings.spread.get(t).is_some_and(|n| *n >= enough) || siblings.typed.contains_key(t) {
            shared += count;
        }
    }
    if total == 0 { 0.0 } else { 3.0 * (f64::from(shared) / f64::from(total) - 0.5) }
}

/// Does the same kind of answer come as from its siblings?
fn answers(child: &Child<'_>, siblings: &Siblings) -> f64 {
    let mine: Vec<(u64, u64)> = child
        .traits
        .keys()
        .filter_map(|t| if let Trait::Answer(m, k) = t { Some((*m, *k)) } else { None })
        .filter(|(_, k)| *k != 0)
        .collect();
    if mine.is_empty() {
        return 0.0;
    }
    let is_same = mine.iter().any(|(m, k)| {
        let t = Trait::Answer(*m, *k);
        siblings.spread.get(&t).is_some_and(|n| *n >= 2) || siblings.typed.contains_key(&t)
    });
    if is_same {
        return 1.5;
    }
    let differs = siblings.spread.keys().chain(siblings.typed.keys()).any(|t| match t {
        Trait::Answer(m, k) => *k != 0 && mine.iter().any(|(mm, _)| mm == m) && !child.traits.contains_key(t),
        _ => false,
    });
    if differs { -1.0 } else { 0.0 }
}

/// Lets the siblings of each child have their say; what is above 0 then is a value.
pub(super) fn hear_siblings(clues: &mut [Clues], children: &[Child<'_>], typed_traits: usize) {
    let all: Vec<f64> = clues.iter().map(odds).collect();
    let count = all.len();
    let strong = all.iter().filter(|o| **o >= 2.0).count() + if typed_traits >= 2 { 2 } else { 0 };
    let share = all.iter().filter(|o| **o > 0.0).count() as f64 / count.max(1) as f64;
    let pull = if count >= 5 { 3.0 * (2.0 * share - 1.0) * (count as f64 / 10.0).min(1.0) } else { 0.0 };
    for ((own, child), clues) in all.into_iter().zip(children).zip(clues) {
        let mut heard = if own.abs() < 4.0 { pull } else { 0.0 };
        if strong >= 2 && own > -3.5 && own <= 0.0 && child.successes.len() <= 10 {
            heard += 2.5;
        }
        if heard != 0.0 {
            clues.push((Clue::Siblings, heard as f32));
        }
    }
}
