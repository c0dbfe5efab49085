//! What speaks for a path segment being a value, and what for its being a name: log odds per child of a node.
//!
//! Weights measured on recorded SDK traffic with known routes, and on traffic made from the routes of public APIs; each alone is weak, their sum is not.

use super::learn::Rows;
use super::token::{has_number, is_mixed, is_word};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// So many siblings are few.
const FEW: usize = 6;
/// How much the habits of names keep to those of all: concentration of their Dirichlet distribution.
const OWN: f64 = 0.5;
/// Nats that one child says, at most, about whether all are used alike.
const EACH: f64 = 3.0;
/// What many words alone speak for values, at most, nats; and where all are used for one and the same.
const MANY: f64 = 3.0;
const VERY_MANY: f64 = 4.5;
/// Ends of names that say what a resource is written in.
const FORMATS: [&str; 8] = ["json", "xml", "html", "htm", "csv", "txt", "yaml", "yml"];
/// Other ends of names.
const EXTENSIONS: [&str; 2] = ["php", "js"];

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
    /// It has many siblings and all are used alike; or each is used in its own way.
    Use,
    /// It is of letters alone, where its siblings have digits or signs.
    Contrast,
    /// It has few siblings, and is seen often.
    Few,
    /// Nothing stands between two slashes.
    Empty,
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
            Self::Use => "how it and its siblings are used",
            Self::Contrast => "letters alone among digits and signs",
            Self::Few => "few siblings, seen often",
            Self::Empty => "nothing between slashes",
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
    /// Successful rows through all words.
    pub(super) requests: usize,
    /// Words that are short codes.
    pub(super) codes: usize,
    /// In how many children each trait occurs.
    pub(super) spread: Traits,
    /// Traits of typed siblings.
    pub(super) typed: Traits,
    /// Echo over all children, typed ones included.
    pub(super) echo: (u32, u32),
    /// Distinct segments with digits or signs, and all distinct ones.
    pub(super) signs: (u32, u32),
    /// Whether all are used alike.
    pub(super) used: Use,
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
    let below = sub_tree(child, siblings);
    weigh(Clue::SubTree, below);
    weigh(Clue::Answers, answers(child, siblings));
    weigh(Clue::Looks, looks(child.word, siblings));
    if rows.parents_of(child.word) >= 3 && !child.word.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        weigh(Clue::Parents, -0.7);
    }
    weigh(Clue::Once, once(siblings));
    if !siblings.typed.is_empty() {
        weigh(Clue::TypedSibling, 1.0);
    }
    weigh(Clue::Use, used(child.word, below, siblings));
    weigh(Clue::Contrast, contrast(child.word, siblings));
    if siblings.words <= FEW && child.successes.len() >= 20 {
        weigh(Clue::Few, -1.5);
    }
    if siblings.depth == 0 {
        weigh(Clue::First, -4.0);
    }
    clues
}

/// Do new words keep coming? Names come to an end.
fn once(siblings: &Siblings) -> f64 {
    // Share of requests that bring a word never seen before (Good and Turing).
    let new = siblings.once as f64 / siblings.requests.max(1) as f64;
    match (siblings.once, siblings.words) {
        (32.., _) if new > 0.1 => 2.5,
        (once, 8..) if once * 5 > siblings.words * 2 => 1.0,
        _ => 0.0,
    }
}

/// Does it look like a value? Digits and signs are of values, letters alone of names; short codes (`DE`, `en`, `USD`) of values where there are several.
fn looks(word: &str, siblings: &Siblings) -> f64 {
    let among_codes = siblings.codes >= 5 && siblings.codes * 5 >= siblings.words * 4;
    match (is_plain(word), is_code(word)) {
        (false, _) => 1.0,
        (true, true) if among_codes => 1.5,
        (true, true) if word.as_bytes()[0].is_ascii_uppercase() => 0.0,
        (true, _) => -0.7,
    }
}

/// Two letters, or three capitals: a code of a country, language or currency.
pub(super) fn is_code(word: &str) -> bool {
    let of_case = |is: fn(&u8) -> bool| word.as_bytes().iter().all(is);
    match word.len() {
        2 => of_case(u8::is_ascii_uppercase) || of_case(u8::is_ascii_lowercase),
        3 => of_case(u8::is_ascii_uppercase),
        _ => false,
    }
}

/// Whether a word is of letters alone, joined or not, as names are. An extension does not count, nor does a digit in a long one (`response_time_95p`).
pub(super) fn is_plain(word: &str) -> bool {
    let is_extension = |(_, end): &(&str, &str)| EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(end));
    let stem = word.rsplit_once('.').filter(is_extension).map_or_else(|| without_format(word), |(stem, _)| stem).as_bytes();
    let digits = stem.iter().filter(|b| b.is_ascii_digit()).count();
    let has_digits = digits > 0 && (stem.len() <= 16 || digits * 7 >= stem.len() || has_number(stem));
    !has_digits && !is_mixed(stem) && !stem.iter().any(|b| matches!(b, b'.' | b'%' | b'~' | b'@' | b':'))
}

/// A word without the format that a resource is asked for in: `calls` of `calls.json`.
pub(super) fn without_format(word: &str) -> &str {
    let is_format = |(stem, end): &(&str, &str)| !stem.is_empty() && FORMATS.iter().any(|f| f.eq_ignore_ascii_case(end));
    word.rsplit_once('.').filter(is_format).map_or(word, |(stem, _)| stem)
}

/// Do all siblings serve the same purpose, as values do? That each is used in its own way says little of one whose sub-tree is as others'.
fn used(word: &str, below: f64, siblings: &Siblings) -> f64 {
    let more_than = |few: f64, most: f64| (1.5 * (siblings.words as f64 / few).log2()).clamp(0.0, most);
    match siblings.used {
        Use::Same => more_than(24.0, VERY_MANY),
        Use::Differs(odds) if odds > 3.0 => 2.5 + more_than(24.0, MANY),
        Use::Differs(odds) if is_plain(word) => {
            let own = if odds > 0.0 { 0.5 * odds } else { 0.025 * odds };
            own.max(if below > 0.0 { 0.0 } else { -1.5 }) + more_than(96.0, MANY)
        }
        Use::Differs(_) | Use::Unclear => more_than(96.0, MANY),
    }
}

/// Is it one of few words of letters alone beside identifiers, like `search` beside `{id}`?
fn contrast(word: &str, siblings: &Siblings) -> f64 {
    let (signs, distinct) = siblings.signs;
    if signs < 5 || signs * 10 < distinct.saturating_sub(1) * 9 || !is_plain(word) {
        return 0.0;
    }
    match distinct - signs {
        ..=3 => -4.0,
        4..=6 => -1.5,
        _ => 0.0,
    }
}

/// Whether it matters to what is done below which of the children it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Use {
    /// One and the same is done with all.
    Same,
    /// Several things are done; log odds, nats, that each is done with all alike, as with values, against each child having its own.
    Differs(f64),
    /// Too few children to say.
    Unclear,
}

impl Use {
    /// From what is done with each child, with counts.
    pub(super) fn of(uses: &[FxHashMap<u64, u32>]) -> Self {
        if uses.len() < 8 {
            return Self::Unclear;
        }
        let mut all: FxHashMap<u64, u32> = FxHashMap::default();
        for (to, n) in uses.iter().flatten() {
            *all.entry(*to).or_default() += n;
        }
        let total = f64::from(all.values().sum::<u32>());
        let most = f64::from(all.values().copied().max().unwrap_or_default());
        if most > 0.95 * total {
            return Self::Same;
        }
        let share = |to: &u64| f64::from(all[to]) / total;
        Self::Differs(uses.iter().map(|own| alike(own, share).clamp(-EACH, EACH)).sum())
    }
}

/// Log odds, nats, that what is done with one child is drawn from what is done with all (a multinomial), against from habits of its own
/// around that (a Dirichlet multinomial).
fn alike(own: &FxHashMap<u64, u32>, share: impl Fn(&u64) -> f64) -> f64 {
    let mut uses: Vec<(f64, u32)> = own.iter().map(|(to, n)| (share(to), *n)).collect();
    uses.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let rising = |from: f64, times: u32| (0..times).map(|n| (from + f64::from(n)).ln()).sum::<f64>();
    let of_all: f64 = uses.iter().map(|(share, n)| f64::from(*n) * share.ln()).sum();
    let of_own: f64 = uses.iter().map(|(share, n)| rising(OWN * share, *n)).sum();
    of_all - (of_own - rising(OWN, uses.iter().map(|(_, n)| n).sum()))
}

/// Their sum.
pub(super) fn odds(clues: &Clues) -> f64 {
    clues.iter().map(|(_, odds)| f64::from(*odds)).sum()
}

/// Does the same follow it as follows its siblings?
fn sub_tree(child: &Child<'_>, siblings: &Siblings) -> f64 {
    let enough = if siblings.words <= FEW { 2 } else { 3 };
    let mut total = 0u32;
    let mut shared = 0u32;
    for (t, count) in &child.traits {
        let tells = match t {
            Trait::EndsAfterTwo(_) => true,
            // A value may follow a name as well as a value.
            Trait::Segment(_, key) => is_word(*key),
            Trait::Answer(..) => false,
        };
        if !tells {
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
