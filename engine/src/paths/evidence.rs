//! What speaks for a path segment being a value, and what for its being a name: log odds per child of a node.
//!
//! Weights measured on recorded SDK traffic with known routes; each alone is weak, their sum is not.

use super::learn::Rows;
use rustc_hash::FxHashMap;

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

/// Log odds that a word is a value (above 0) and not a name (below 0), before its siblings have their say.
pub(super) fn odds(rows: &Rows<'_>, child: &Child<'_>, siblings: &Siblings) -> f64 {
    let mut odds = 0.0;
    let (echoed, with_body) = rows.echo_of(&child.successes, siblings.depth);
    if with_body > 0 {
        let rate = f64::from(echoed) / f64::from(with_body);
        odds += if rate >= 0.3 {
            3.0
        } else if echoed > 0 {
            1.0
        } else {
            -0.7 * (1.0 + f64::from(with_body)).log2().min(4.0)
        };
    }
    let others = siblings.echo.1 - child.echo.1;
    if child.echo.1 >= 1 && child.echo.0 == 0 && others >= 3 && f64::from(siblings.echo.0) >= 0.6 * f64::from(others) {
        odds -= 3.0;
    }
    if rows.has_pool() {
        odds += if rows.in_pool(child.word) { 1.5 } else { -1.5 };
    }
    odds += sub_tree(child, siblings) + answers(child, siblings);
    odds += if child.word.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || matches!(b, b'.' | b'%' | b'~' | b'@' | b':')) {
        1.0
    } else {
        -0.7
    };
    if rows.parents_of(child.word) >= 3 && !child.word.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        odds -= 0.7;
    }
    if siblings.words >= 8 && siblings.once * 5 > siblings.words * 2 {
        odds += 1.0;
    }
    if !siblings.typed.is_empty() {
        odds += 1.0;
    }
    if siblings.depth == 0 {
        odds -= 4.0;
    }
    odds
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

/// Whether each child is a value, after its siblings had their say.
pub(super) fn decide(odds: &[f64], children: &[Child<'_>], typed_traits: usize) -> Vec<bool> {
    let count = odds.len();
    let strong = odds.iter().filter(|o| **o >= 2.0).count() + if typed_traits >= 2 { 2 } else { 0 };
    let share = odds.iter().filter(|o| **o > 0.0).count() as f64 / count.max(1) as f64;
    let pull = if count >= 5 { 3.0 * (2.0 * share - 1.0) * (count as f64 / 10.0).min(1.0) } else { 0.0 };
    odds.iter()
        .zip(children)
        .map(|(own, child)| {
            let mut odds = if own.abs() < 4.0 { own + pull } else { *own };
            if strong >= 2 && *own > -3.5 && *own <= 0.0 && child.successes.len() <= 10 {
                odds += 2.5;
            }
            odds > 0.0
        })
        .collect()
}
