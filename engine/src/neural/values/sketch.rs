//! What the network sees of a value: where it stands, its kind, and which n-grams it has.

use crate::content::{letter, shape};
use crate::features::ValueKind;
use crate::features::hash::mix;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bins of n-grams: one half for runs of three letters, one for runs of three signs.
pub const BINS: usize = 128;
const HALF: u8 = (BINS / 2) as u8;
/// Kinds of values.
pub const KINDS: usize = ValueKind::COUNT;
/// Slot of a field that has none of its own.
const ANY: u16 = 0;
/// Most slots: what bounds the size of the network.
const MOST_SLOTS: usize = 1024;
/// Breadth that a field needs for a slot of its own.
const LEAST: f32 = 100.0;
/// Before the first and after the last symbol.
const EDGE: u8 = 1;

/// One value, as the network sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sketch {
    /// Slot of its field.
    pub field: u16,
    /// Its kind, below [`KINDS`].
    pub kind: u8,
    /// Bit n: it has an n-gram of bin n.
    pub grams: u128,
}

impl Sketch {
    pub(super) fn of(field: u16, kind: ValueKind, value: &str) -> Self {
        let mut grams = 0u128;
        each_gram(value, |bin, _| grams |= 1 << bin);
        Self { field, kind: kind as u8, grams }
    }

    /// By bin: whether the value has an n-gram of it.
    pub fn bins(self) -> impl Iterator<Item = bool> {
        (0..BINS).map(move |bin| self.grams >> bin & 1 == 1)
    }

    /// The same value in a field that nothing is known of.
    pub(super) fn anywhere(self) -> Self {
        Self { field: ANY, ..self }
    }
}

/// The fields that a network knows, by slot. A later version keeps the slots of the one before and adds to them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fields {
    /// Key of each slot from 1 on.
    keys: Vec<u64>,
    /// Key to slot, sorted by key.
    slots: Vec<(u64, u16)>,
}

impl Fields {
    /// Of fields with the breadth that they were seen with.
    pub(super) fn of(seen: &BTreeMap<u64, f32>, previous: Option<&Self>) -> Self {
        let mut keys = previous.map_or_else(Vec::new, |p| p.keys.clone());
        let mut new: Vec<(u64, f32)> = seen.iter().filter(|(key, n)| **n >= LEAST && !keys.contains(key)).map(|(k, n)| (*k, *n)).collect();
        new.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if previous.is_some() && keys.len() + new.len() > MOST_SLOTS - 1 {
            return Self::of(seen, None);
        }
        keys.extend(new.into_iter().map(|(key, _)| key));
        keys.truncate(MOST_SLOTS - 1);
        let mut slots: Vec<(u64, u16)> = keys.iter().zip(1..).map(|(key, slot)| (*key, slot)).collect();
        slots.sort_unstable();
        Self { keys, slots }
    }

    /// Number of slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() + 1
    }

    /// Whether no field has a slot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn slot(&self, key: u64) -> u16 {
        self.slots.binary_search_by_key(&key, |(k, _)| *k).map_or(ANY, |at| self.slots[at].1)
    }

    /// Whether a later one continues this one: all its slots mean the same there.
    #[must_use]
    pub fn is_start_of(&self, later: &Self) -> bool {
        later.keys.starts_with(&self.keys)
    }
}

/// Where in a value an n-gram of a bin stands first, bytes.
pub(super) fn place_of(bin: u8, value: &str) -> Option<usize> {
    let mut place = None;
    each_gram(value, |found, at| place = place.or((found == bin).then_some(at)));
    place
}

/// Tells the bin of every run of three letters and of three signs, and the byte in the middle of it.
fn each_gram(value: &str, mut tell: impl FnMut(u8, usize)) {
    each_three(value.bytes().map(letter).enumerate(), |symbols, at| tell(bin(symbols, 1), at));
    each_three(shape(value), |symbols, at| tell(HALF + bin(symbols, 2), at));
}

fn each_three(symbols: impl Iterator<Item = (usize, u8)>, mut tell: impl FnMut([u8; 3], usize)) {
    let (mut before, mut middle) = (EDGE, None);
    for (at, symbol) in symbols {
        if let Some((at, middle)) = middle.replace((at, symbol)) {
            tell([before, middle, symbol], at);
            before = middle;
        }
    }
    if let Some((at, middle)) = middle {
        tell([before, middle, EDGE], at);
    }
}

fn bin([a, b, c]: [u8; 3], salt: u64) -> u8 {
    (mix(u64::from(a) << 16 | u64::from(b) << 8 | u64::from(c), salt) >> 58) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_gram_of_any_value_has_a_bin_and_a_place(value in ".{0,60}") {
            let mut all = Vec::new();
            each_gram(&value, |bin, at| all.push((bin, at)));
            prop_assert!(all.iter().all(|(bin, at)| usize::from(*bin) < BINS && *at < value.len()));
            prop_assert_eq!(all.is_empty(), value.is_empty());
            for (bin, _) in &all {
                prop_assert!(place_of(*bin, &value).is_some());
            }
        }
    }

    #[test]
    fn numbers_of_one_form_are_one_and_a_sign_is_another() {
        let grams = |value| Sketch::of(0, ValueKind::Free, value).grams;
        assert_eq!(grams("AB-1234"), grams("ab-5678"));
        assert_ne!(grams("AB-1234"), grams("ab'1234"));
        assert_eq!(grams(""), 0);
        let value = "chair' or 1=1";
        let odd = bin([b'w', b'\'', b' '], 2) + HALF;
        assert_eq!(place_of(odd, value), Some(5));
    }

    #[test]
    fn later_versions_keep_slots_and_rare_fields_get_none() {
        let first = Fields::of(&[(7, 900.0), (3, 5_000.0), (5, 10.0)].into(), None);
        assert_eq!((first.len(), first.slot(3), first.slot(7), first.slot(5)), (3, 1, 2, ANY));
        let second = Fields::of(&[(1, 9_000.0), (5, 400.0)].into(), Some(&first));
        assert!(first.is_start_of(&second) && !second.is_start_of(&first));
        assert_eq!((second.len(), second.slot(7), second.slot(1)), (5, 2, 3));
        let crowd: BTreeMap<u64, f32> = (0..5_000).map(|n| (n, 100.0)).collect();
        assert_eq!(Fields::of(&crowd, Some(&second)).len(), MOST_SLOTS);
    }
}
