//! Interpolated n-grams over bytes (Witten–Bell), counted at the highest order and compiled for one lookup a symbol.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Symbol before the first.
pub(super) const START: u8 = 2;
/// Symbol after the last.
pub(super) const END: u8 = 3;
/// Most n-grams of one table; the rarest go.
const MAX_GRAMS: usize = 6_000;

/// Counts of n-grams: `order` symbols packed into the low bytes, the newest lowest.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(pub(super) FxHashMap<u32, f32>);

impl Counts {
    /// Counts a text of symbols with a weight.
    pub(super) fn add(&mut self, order: u32, symbols: impl Iterator<Item = u8>, weight: f32) {
        let (mut gram, mask) = (start(order), mask(order));
        for symbol in symbols.chain([END]) {
            gram = push(gram, symbol, mask);
            *self.0.entry(gram).or_default() += weight;
        }
    }

    /// Adds another's counts, each times `share`.
    pub(super) fn merge(&mut self, other: &Self, share: f32) {
        for (gram, count) in &other.0 {
            *self.0.entry(*gram).or_default() += share * count;
        }
    }

    /// Keeps the most frequent.
    pub(super) fn bound(&mut self, most: usize) {
        if self.0.len() > most {
            let mut all: Vec<(u32, f32)> = self.0.drain().collect();
            all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(most);
            self.0 = all.into_iter().collect();
        }
    }
}

fn start(order: u32) -> u32 {
    (1..order).fold(0, |gram, _| gram << 8 | u32::from(START))
}

fn push(gram: u32, symbol: u8, mask: u32) -> u32 {
    (gram << 8 | u32::from(symbol)) & mask
}

fn mask(order: u32) -> u32 {
    if order >= 4 { u32::MAX } else { (1 << (8 * order)) - 1 }
}

/// A hash table of n-grams that never grows: open addressing, linear probing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, f32)>", into = "Vec<(u32, f32)>")]
pub(super) struct Lookup {
    /// A power of two of them; at least half are empty.
    slots: Vec<(u32, f32)>,
    /// Bits of a hash that are too many to name a slot.
    shift: u32,
}

impl Lookup {
    const EMPTY: f32 = f32::NEG_INFINITY;

    fn slot(&self, gram: u32) -> usize {
        // Of a product the highest bits hang on all of the gram.
        (gram.wrapping_mul(0x9e37_79b1) >> self.shift) as usize
    }

    /// Value of a gram.
    pub(super) fn get(&self, gram: u32) -> Option<f32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.slot(gram);
        loop {
            let (key, value) = *self.slots.get(at)?;
            if value == Self::EMPTY {
                return None;
            }
            if key == gram {
                return Some(value);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

impl From<Vec<(u32, f32)>> for Lookup {
    fn from(entries: Vec<(u32, f32)>) -> Self {
        if entries.is_empty() {
            return Self::default();
        }
        let size = (entries.len() * 2).next_power_of_two();
        let mut table = Self { slots: vec![(0, Self::EMPTY); size], shift: u32::BITS - size.ilog2() };
        for (gram, value) in entries {
            let mut at = table.slot(gram);
            while table.slots[at].1 != Self::EMPTY && table.slots[at].0 != gram {
                at = (at + 1) & (table.slots.len() - 1);
            }
            table.slots[at] = (gram, value);
        }
        table
    }
}

impl From<Lookup> for Vec<(u32, f32)> {
    fn from(table: Lookup) -> Self {
        let mut entries: Self = table.slots.into_iter().filter(|(_, v)| *v != Lookup::EMPTY).collect();
        entries.sort_unstable_by_key(|(gram, _)| *gram);
        entries
    }
}

/// A compiled model: surprisal in nats of a symbol after its context.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Grams {
    order: u32,
    /// Per order from 1 up: surprisal of a seen gram.
    seen: Vec<Lookup>,
    /// Per order from 1 up: −ln of the weight that a context leaves to the shorter one.
    escape: Vec<Lookup>,
    /// Surprisal where nothing is known.
    floor: f32,
}

impl Grams {
    /// Compiles counts. `alphabet`: symbols that could come at all. `base`: what to fall back to before the uniform.
    pub(super) fn compile(mut counts: Counts, order: u32, alphabet: f32, base: Option<&Self>) -> Self {
        counts.bound(MAX_GRAMS);
        let floor = alphabet.ln();
        let mut levels: Vec<FxHashMap<u32, f32>> = vec![FxHashMap::default(); order as usize];
        let mut all: Vec<(u32, f32)> = counts.0.into_iter().collect();
        all.sort_unstable_by_key(|(gram, _)| *gram);
        for (gram, count) in &all {
            for n in 1..=order {
                *levels[n as usize - 1].entry(gram & mask(n)).or_default() += count;
            }
        }
        let mut out = Self { order, seen: Vec::new(), escape: Vec::new(), floor };
        for n in 1..=order {
            let mut grams: Vec<(u32, f32)> = levels[n as usize - 1].iter().map(|(g, c)| (*g, *c)).collect();
            grams.sort_unstable_by_key(|(gram, _)| *gram);
            let mut contexts: FxHashMap<u32, (f32, f32)> = FxHashMap::default();
            for (gram, count) in &grams {
                let context = contexts.entry(gram >> 8).or_default();
                context.0 += count;
                context.1 += 1.0;
            }
            let seen: Vec<(u32, f32)> = grams
                .iter()
                .map(|(gram, count)| {
                    let (total, kinds) = contexts[&(gram >> 8)];
                    let shorter = (-out.surprisal_at(*gram, n - 1, base)).exp();
                    (*gram, -((count + kinds * shorter) / (total + kinds)).ln())
                })
                .collect();
            let mut escape: Vec<(u32, f32)> =
                contexts.into_iter().map(|(context, (total, kinds))| (context, -(kinds / (total + kinds)).ln())).collect();
            escape.sort_unstable_by_key(|(context, _)| *context);
            out.seen.push(Lookup::from(seen));
            out.escape.push(Lookup::from(escape));
        }
        out
    }

    /// Surprisal of the newest symbol of `gram` when at most `n` symbols of it may be looked at.
    fn surprisal_at(&self, gram: u32, n: u32, base: Option<&Self>) -> f32 {
        let mut escaped = 0.0;
        let mut n = n;
        while n > 0 {
            let level = n as usize - 1;
            if let Some(nats) = self.seen[level].get(gram & mask(n)) {
                return escaped + nats;
            }
            // A context never seen leaves everything to the shorter one.
            escaped += self.escape[level].get((gram & mask(n)) >> 8).unwrap_or(0.0);
            n -= 1;
        }
        escaped + base.map_or(self.floor, |b| b.surprisal_at(gram, b.order, None))
    }

    /// Surprisals of a text, one a symbol and one for its end, into `out`.
    pub(super) fn surprisals(&self, symbols: impl Iterator<Item = u8>, base: Option<&Self>, out: &mut Vec<f32>) {
        out.clear();
        let (mut gram, mask, whole) = (start(self.order), mask(self.order), self.seen.last());
        out.extend(symbols.chain([END]).map(|symbol| {
            gram = push(gram, symbol, mask);
            // Most grams are known whole.
            let known = whole.and_then(|whole| whole.get(gram));
            known.unwrap_or_else(|| self.surprisal_at(gram, self.order, base))
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Grams};

    #[test]
    fn probabilities_after_a_context_sum_to_one() {
        let mut counts = Counts::default();
        for text in ["abc", "abd", "abcabc", "xyz"] {
            counts.add(3, text.bytes(), 1.0);
        }
        let grams = Grams::compile(counts, 3, 256.0, None);
        let context = u32::from(b'a') << 16 | u32::from(b'b') << 8;
        let sum: f32 = (0..=255u32).map(|s| (-grams.surprisal_at(context | s, 3, None)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    }

    #[test]
    fn what_was_learned_surprises_less() {
        let mut counts = Counts::default();
        for n in 0..200 {
            counts.add(3, format!("item{n}").bytes(), 1.0);
        }
        let grams = Grams::compile(counts, 3, 256.0, None);
        let mean = |text: &str| {
            let mut out = Vec::new();
            grams.surprisals(text.bytes(), None, &mut out);
            out.iter().sum::<f32>() / out.len() as f32
        };
        assert!(mean("item77") < 2.5 && mean("' or 1=1") > 5.0);
    }
}
