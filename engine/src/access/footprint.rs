//! Live state of `access` that a session has: what it was shown and asked for, and what turned out to be somebody else's.

use super::owner::Visit;
use crate::features::hash::mix;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Parameters of which a session's distinct values are counted; the first ones stay.
const MAX_COUNTED: usize = 8;
/// Namespaces of which a session remembers to have been shown objects.
const MAX_NAMESPACES: usize = 8;
/// Words of 64 bits of the filter of shown objects, and of a counter of distinct values.
const FILTER: usize = 16;
const COUNTER: usize = 4;

/// Objects of others that are told of late, at most: a session that reaches more of them has been told enough.
const MAX_LATE: usize = 4;

/// What one session was shown and asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Footprint {
    /// Bloom filter of the objects that answers showed to this caller alone.
    shown: Option<Box<[u64; FILTER]>>,
    namespaces: SmallVec<[u32; 2]>,
    counted: SmallVec<[(u32, [u64; COUNTER]); 1]>,
    /// Objects that it reached and that, as other partitions knew, were somebody else's; oldest first, not yet said in a verdict.
    late: Vec<(u64, Visit)>,
}

/// The two bits of an object.
fn bits(object: u64) -> [(usize, u64); 2] {
    [object, object >> 32].map(|h| ((h >> 6) as usize % FILTER, 1 << (h & 63)))
}

impl Footprint {
    pub(super) fn show(&mut self, namespace: u32, object: u64) {
        if !self.namespaces.contains(&namespace) && self.namespaces.len() < MAX_NAMESPACES {
            self.namespaces.push(namespace);
        }
        let shown = self.shown.get_or_insert_default();
        for (word, bit) in bits(object) {
            shown[word] |= bit;
        }
    }

    pub(super) fn was_shown(&self, object: u64) -> bool {
        self.shown.as_ref().is_some_and(|shown| bits(object).iter().all(|(word, bit)| shown[*word] & bit != 0))
    }

    pub(super) fn was_shown_any(&self, namespace: u32) -> bool {
        self.namespaces.contains(&namespace)
    }

    /// Takes note that an object it reached is somebody else's.
    pub(crate) fn learn_late(&mut self, object: u64, visit: Visit) {
        // A note that is taken twice says nothing new.
        if self.late.len() < MAX_LATE && !self.late.iter().any(|(known, _)| *known == object) {
            self.late.push((object, visit));
        }
    }

    /// What is to be said next of what it reached before.
    pub(super) fn late(&self) -> Option<&(u64, Visit)> {
        self.late.first()
    }

    /// Takes note that this was said.
    pub(super) fn tell_late(&mut self) {
        if !self.late.is_empty() {
            self.late.remove(0);
        }
    }

    /// Counts a value of a parameter.
    pub(super) fn count(&mut self, param: u32, value: u64) {
        let at = match self.counted.iter().position(|(p, _)| *p == param) {
            Some(at) => at,
            None if self.counted.len() < MAX_COUNTED => {
                self.counted.push((param, [0; COUNTER]));
                self.counted.len() - 1
            }
            None => return,
        };
        mark(&mut self.counted[at].1, value);
    }

    /// Distinct values of a parameter so far, this one included: linear counting in 256 bits, exact for a few, within a tenth up to
    /// several hundred. Source: Whang, Vander-Zanden and Taylor, ACM TODS 1990.
    pub(super) fn distinct_with(&self, param: u32, value: u64) -> f32 {
        let mut counter = self.counted.iter().find(|(p, _)| *p == param).map_or([0; COUNTER], |(_, counter)| *counter);
        mark(&mut counter, value);
        let size = (COUNTER * 64) as f32;
        let free = counter.iter().map(|w| w.count_zeros()).sum::<u32>().max(1) as f32;
        -size * (free / size).ln()
    }
}

fn mark(counter: &mut [u64; COUNTER], value: u64) {
    let place = mix(value, 0xd157) >> 32;
    counter[(place >> 6) as usize % COUNTER] |= 1 << (place & 63);
}

#[cfg(test)]
mod tests {
    use super::Footprint;
    use crate::features::hash::hash;

    #[test]
    fn distinct_values_are_counted_about_right_and_repeats_not_at_all() {
        for n in [1u64, 5, 40, 300] {
            let mut footprint = Footprint::default();
            for i in 0..n * 3 {
                footprint.count(7, hash(&(i % n).to_le_bytes()));
            }
            let counted = footprint.distinct_with(7, hash(&0u64.to_le_bytes()));
            assert!((counted / n as f32 - 1.0).abs() < 0.2, "{n} counted as {counted}");
        }
    }

    #[test]
    fn what_was_shown_is_known_again_and_little_else() {
        let mut footprint = Footprint::default();
        (0..60u64).for_each(|i| footprint.show(1, hash(&i.to_le_bytes())));
        assert!((0..60u64).all(|i| footprint.was_shown(hash(&i.to_le_bytes()))));
        let wrong = (60..1_060u64).filter(|i| footprint.was_shown(hash(&i.to_le_bytes()))).count();
        assert!(wrong < 50, "{wrong} of 1000");
        assert!(footprint.was_shown_any(1) && !footprint.was_shown_any(2));
    }

    #[test]
    fn a_session_counts_few_parameters() {
        let mut footprint = Footprint::default();
        (0..1_000).for_each(|param| footprint.count(param, 1));
        assert_eq!(footprint.counted.len(), super::MAX_COUNTED);
    }
}
