//! What is counted of one field's values while they are learned.

use super::ngram::Counts;
use super::text::{char_slot, distinct_tokens, length_of, shape_symbols, text_symbols};
use crate::features::{Field, ValueKind};
use crate::learn::{MANY, remember};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Most distinct tokens, values of one field.
const MAX_TOKENS: usize = 8_000;
const MAX_VALUES: usize = 2_000;
/// Characters of a value that n-grams learn from.
const LEARN_CHARS: usize = 400;

/// Who had something, in so far as it tells one and two from more: two callers' marks, or [`Few::MORE`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Few([u16; 2]);

impl Few {
    const MORE: Self = Self([u16::MAX; 2]);

    fn note(&mut self, mark: u16) {
        match self.0 {
            [0, _] => self.0[0] = mark,
            [first, second] if first == mark || second == mark => {}
            [_, 0] => self.0[1] = mark,
            _ => *self = Self::MORE,
        }
    }

    fn merge(&mut self, other: Self) {
        if other == Self::MORE {
            *self = other;
        } else {
            other.0.into_iter().filter(|mark| *mark != 0).for_each(|mark| self.note(mark));
        }
    }
}

/// Counts of one field.
#[derive(Debug, Clone)]
pub(super) struct FieldCounts {
    pub(super) n: f32,
    pub(super) rows: u32,
    /// Whether the values are passwords: what people make up so that nobody guesses it.
    pub(super) is_password: bool,
    pub(super) kinds: [f32; ValueKind::COUNT],
    pub(super) sensitive: [f32; 8],
    pub(super) lengths: FxHashMap<u16, f32>,
    pub(super) chars: Vec<f32>,
    /// By character: who had it.
    char_callers: Vec<Few>,
    /// Marks of callers.
    callers: SmallVec<[u16; MANY]>,
    pub(super) text: Counts,
    pub(super) symbols: Counts,
    pub(super) tokens: FxHashMap<u64, f32>,
    pub(super) values: FxHashMap<u64, (f32, Few)>,
    pub(super) more_values: f32,
}

impl Default for FieldCounts {
    fn default() -> Self {
        Self {
            n: 0.0,
            rows: 0,
            is_password: false,
            kinds: [0.0; ValueKind::COUNT],
            sensitive: [0.0; 8],
            lengths: FxHashMap::default(),
            chars: vec![0.0; 256],
            char_callers: vec![Few::default(); 256],
            callers: SmallVec::new(),
            text: Counts::default(),
            symbols: Counts::default(),
            tokens: FxHashMap::default(),
            values: FxHashMap::default(),
            more_values: 0.0,
        }
    }
}

impl FieldCounts {
    /// Counts a value of a caller: of its network, where that is known.
    pub(super) fn add(&mut self, field: &Field, value: &str, weight: f32, caller: u64) {
        let mark = (caller % u64::from(u16::MAX - 1)) as u16 + 1;
        remember(&mut self.callers, mark);
        self.n += weight;
        self.rows += 1;
        self.kinds[field.kind as usize] += weight;
        for kind in field.sensitive.iter() {
            self.sensitive[kind as usize] += weight;
        }
        if self.values.len() < MAX_VALUES || self.values.contains_key(&field.value_hash) {
            let (count, callers) = self.values.entry(field.value_hash).or_default();
            *count += weight;
            callers.note(mark);
        } else {
            self.more_values += weight;
        }
        *self.lengths.entry(length_of(value)).or_default() += weight;
        let mut seen = [false; 256];
        for c in value.chars() {
            seen[char_slot(c)] = true;
        }
        for (slot, _) in seen.iter().enumerate().filter(|(_, s)| **s) {
            self.chars[slot] += weight;
            self.char_callers[slot].note(mark);
        }
        self.text.add(3, text_symbols(value, LEARN_CHARS), weight);
        self.symbols.add(4, shape_symbols(value), weight);
        for token in distinct_tokens(value) {
            if self.tokens.len() < MAX_TOKENS || self.tokens.contains_key(&token) {
                *self.tokens.entry(token).or_default() += weight;
            }
        }
    }

    /// Whether something that these callers had is the field's. What only one or two of many had is not: they may have been attackers.
    pub(super) fn is_learned(&self, callers: Few) -> bool {
        self.callers.len() < MANY || callers == Few::MORE
    }

    /// Whether the field has a character, by slot.
    pub(super) fn has_char(&self, slot: usize) -> bool {
        self.chars[slot] > 0.0 && self.is_learned(self.char_callers[slot])
    }

    /// Adds another's counts, each times `share`.
    pub(super) fn merge(&mut self, other: &Self, share: f32) {
        self.n += share * other.n;
        self.rows += other.rows;
        self.is_password |= other.is_password;
        self.more_values += share * other.more_values;
        for (a, b) in self.kinds.iter_mut().zip(&other.kinds) {
            *a += share * b;
        }
        for (a, b) in self.sensitive.iter_mut().zip(&other.sensitive) {
            *a += share * b;
        }
        for (a, b) in self.chars.iter_mut().zip(&other.chars) {
            *a += share * b;
        }
        for (a, b) in self.char_callers.iter_mut().zip(&other.char_callers) {
            a.merge(*b);
        }
        other.callers.iter().for_each(|mark| remember(&mut self.callers, *mark));
        for (length, count) in &other.lengths {
            *self.lengths.entry(*length).or_default() += share * count;
        }
        self.text.merge(&other.text, share);
        self.symbols.merge(&other.symbols, share);
        for (token, count) in &other.tokens {
            *self.tokens.entry(*token).or_default() += share * count;
        }
        for (value, (count, callers)) in &other.values {
            let (mine, known) = self.values.entry(*value).or_default();
            *mine += share * count;
            known.merge(*callers);
        }
    }

    /// Keeps memory in bounds after merges of many.
    pub(super) fn bound(&mut self) {
        self.text.bound(40_000);
        self.symbols.bound(20_000);
    }

    /// Free text: over 30 % of the values fit no type and over half are distinct.
    pub(super) fn is_free_text(&self) -> bool {
        let distinct = self.values.len() as f32 + self.more_values * 0.5;
        self.n >= 10.0 && self.kinds[ValueKind::Free as usize] > 0.3 * self.n && distinct > 0.5 * self.n
    }

    /// Words and texts, not things that have a form.
    pub(super) fn is_of_words(&self) -> bool {
        self.kinds[ValueKind::Free as usize] + self.kinds[ValueKind::Ident as usize] > 0.9 * self.n
    }

    /// Random identifiers, many of them: their letters say nothing, only their form does.
    pub(super) fn is_opaque(&self) -> bool {
        let distinct = self.values.len() as f32 + self.more_values * 0.5;
        let tokens: f32 = [ValueKind::Hex, ValueKind::Uuid, ValueKind::Token, ValueKind::Jwt].iter().map(|k| self.kinds[*k as usize]).sum();
        tokens > 0.9 * self.n && distinct >= 20.0
    }

    /// The kind most values have.
    pub(super) fn main_kind(&self) -> ValueKind {
        main_kind(&self.kinds)
    }
}

/// The kind that is counted most.
pub(super) fn main_kind(kinds: &[f32; ValueKind::COUNT]) -> ValueKind {
    KINDS[kinds.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i)]
}

/// All kinds, in the order of their numbers.
pub(super) const KINDS: [ValueKind; ValueKind::COUNT] = [
    ValueKind::Null,
    ValueKind::Bool,
    ValueKind::Int,
    ValueKind::Float,
    ValueKind::Uuid,
    ValueKind::Hex,
    ValueKind::Date,
    ValueKind::Email,
    ValueKind::Url,
    ValueKind::Jwt,
    ValueKind::Ip,
    ValueKind::Token,
    ValueKind::Ident,
    ValueKind::Path,
    ValueKind::Free,
];
