//! The characters that a field's values have, and what is left of a value without strange ones.

use super::counts::FieldCounts;
use super::text::char_slot;
use serde::{Deserialize, Serialize};

/// Strange letters of other languages (in free text any number), and signs, that a value may be explained without.
const MAX_LETTERS: usize = 6;
const MAX_SIGNS: usize = 3;
/// What further letters of another language cost in free text, nats at most: who writes a sentence in it uses many. A sign within a number
/// costs as much.
const FURTHER: f32 = 3.0;
/// What stands within numbers, dates and times.
const NUMERIC: [char; 5] = ['/', '.', ',', ':', '-'];
/// The slots of digits, which share that of the first.
const DIGITS: u64 = 0x3ff << b'0';
/// Share of a field's values below which a sign is rare.
const RARE: f32 = 0.03;

/// Characters by slot, as bit maps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Charset {
    all: Vec<u64>,
    /// The same without signs that hardly any value has.
    usual: Vec<u64>,
    /// Surprisal of a new one, nats.
    new: f32,
}

impl Charset {
    /// Those of a field, and of a pool of fields that stands behind it.
    pub(super) fn compile(counts: &FieldCounts, pool: Option<&Self>) -> Self {
        let n = counts.n.max(1e-3);
        let mut all = slots(counts, |_, _| true);
        let mut usual = slots(counts, |c, seen| seen >= RARE * n || !c.is_ascii_punctuation());
        if let Some(pool) = pool {
            for (a, b) in all.iter_mut().zip(&pool.all).chain(usual.iter_mut().zip(&pool.usual)) {
                *a |= b;
            }
        }
        let once = counts.chars.iter().filter(|c| **c > 0.0 && **c <= 1.0).count() as f32;
        Self { all, usual, new: -((once + 0.5) / (n + 1.0)).ln().min(-0.05) }
    }

    /// Surprisal of so many new characters, nats.
    pub(super) fn new_nats(&self, count: usize) -> f32 {
        self.new * count as f32
    }

    /// What a value pays at least for what [`Self::plain`] leaves out, nats.
    pub(super) fn least_cost(&self) -> f32 {
        self.new.min(FURTHER)
    }

    pub(super) fn has(&self, c: char) -> bool {
        holds(&self.all, c)
    }

    /// Distinct characters of a value that are not in the set; of a password, signs only.
    pub(super) fn unseen(&self, value: &str, is_password: bool) -> usize {
        let mut there: [u64; 4] = [0; 4];
        if !is_password && value.is_ascii() {
            for byte in value.bytes() {
                let bit = 1u64 << (byte % 64);
                there[0] |= if byte < 64 { bit } else { 0 };
                there[1] |= if byte < 64 { 0 } else { bit };
            }
            if there[0] & DIGITS != 0 {
                there[0] = there[0] & !DIGITS | 1 << char_slot('0');
            }
            return self.beyond(there);
        }
        for c in value.chars().filter(|c| !is_password || !c.is_alphanumeric()) {
            let slot = char_slot(c);
            there[slot / 64] |= 1 << (slot % 64);
        }
        self.beyond(there)
    }

    /// How many of these slots are not in the set.
    fn beyond(&self, slots: [u64; 4]) -> usize {
        slots.iter().zip(&self.all).map(|(there, known)| (there & !known).count_ones() as usize).sum()
    }

    /// A value without the few characters that are not in the set, and what it costs to have them, nats: one strange sign makes every
    /// score odd that looks at its neighbours, and people type one now and then. Signs are let pass in free text alone, there also one that
    /// the field hardly ever had, within a word ("r&b"), and any that stands at the side of one ("wool - hat"); letters of other languages
    /// anywhere: names have them, and who has one has others (in free text whole sentences, with that language's signs); what numbers are
    /// written with costs little between digits ("3/4"), in free text; and spaces may be anywhere ("anna at mail.example"). `None`: not such
    /// a value.
    pub(super) fn plain(&self, value: &str, is_free: bool, is_password: bool) -> Option<(String, f32)> {
        if value.chars().all(|c| holds(&self.usual, c) && !(is_free && c.is_ascii_punctuation())) {
            return None;
        }
        let mut plain = String::with_capacity(value.len());
        let mut met = [0u64; 4];
        let (mut letters, mut signs, mut spaces) = (0usize, 0usize, 0usize);
        let (mut letters_again, mut signs_again, mut numeric) = (0usize, 0usize, 0f32);
        let mut before = ' ';
        let mut rest = value.chars();
        while let Some(c) = rest.next() {
            let after = rest.clone().next().unwrap_or(' ');
            let is_in_word = before.is_alphanumeric() && after.is_alphanumeric();
            let is_in_number = before.is_ascii_digit() && after.is_ascii_digit() && NUMERIC.contains(&c);
            before = c;
            let is_odd = is_free && if is_in_word { !holds(&self.usual, c) } else { c.is_ascii_punctuation() };
            let slot = char_slot(c);
            let bit = 1 << (slot % 64);
            if (self.has(c) && !is_odd) || (is_password && c.is_alphanumeric()) {
                plain.push(c);
                continue;
            }
            // The gaps at both sides of what is left out are one.
            if after == ' ' && (plain.is_empty() || plain.ends_with(' ')) {
                before = ' ';
                rest.next();
            }
            let is_again = met[slot / 64] & bit != 0;
            met[slot / 64] |= bit;
            let is_foreign = if is_free { is_of_a_language(c) } else { c.is_alphabetic() && !c.is_ascii() };
            match (c, is_again) {
                (' ', false) => spaces = 1,
                (_, false) if is_free && is_in_number => numeric = FURTHER,
                (_, false) if is_foreign => letters += 1,
                (_, true) if is_foreign => letters_again += 1,
                (_, false) => signs += 1,
                (_, true) => signs_again += 1,
            }
        }
        let (max_letters, max_signs, most) = if is_free { (usize::MAX, MAX_SIGNS, FURTHER) } else { (MAX_LETTERS, 0, f32::INFINITY) };
        if (signs + letters + spaces == 0 && numeric == 0.0) || letters > max_letters || signs > max_signs {
            return None;
        }
        let further = ((letters.max(1) - 1 + letters_again) as f32).min(most);
        Some((plain, self.new_nats(signs + spaces + letters.min(1)) + further + signs_again as f32 + numeric))
    }
}

/// Whether a character is of another language than ASCII's, not the wide form of one of ASCII's signs that code is written in.
fn is_of_a_language(c: char) -> bool {
    let is_wide_sign = ('\u{ff01}'..='\u{ff5e}').contains(&c) && !c.is_alphanumeric() && !"！？，．：（）".contains(c);
    !c.is_ascii() && !is_wide_sign
}

/// Slots of the field's characters, as a bit map: those of which it holds that they, and the weight of values that have them, are such.
fn slots(counts: &FieldCounts, is_such: impl Fn(char, f32) -> bool) -> Vec<u64> {
    let mut map = vec![0u64; 4];
    for slot in (0..counts.chars.len()).filter(|slot| counts.has_char(*slot) && is_such(char::from(*slot as u8), counts.chars[*slot])) {
        map[slot / 64] |= 1 << (slot % 64);
    }
    map
}

/// Whether a bit map has the slot of a character.
fn holds(map: &[u64], c: char) -> bool {
    let slot = char_slot(c);
    map[slot / 64] & (1 << (slot % 64)) != 0
}
