//! Live state of `access`: who a caller is, what a session was shown and asked for, and who owns an object.

use crate::detect::Seen;
use crate::features::hash::mix;
use crate::links::{Names, short};
use crate::partition::{Live, Shared};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Parameters of which a session's distinct values are counted; the first ones stay.
const MAX_COUNTED: usize = 8;
/// Namespaces of which a session remembers to have been shown objects.
const MAX_NAMESPACES: usize = 8;
/// Names of an owner remembered.
const MAX_TAGS: usize = 8;
/// Other callers after whom an object is everybody's.
const PUBLIC: u8 = 2;
/// Words of 64 bits of the filter of shown objects, and of a counter of distinct values.
const FILTER: usize = 16;
const COUNTER: usize = 4;

/// Who calls, by every name it has.
#[derive(Debug)]
pub(super) struct Caller {
    /// Names that log-ins gave it.
    pub(super) names: Names,
    /// Subject, else session; 0 when neither is known.
    id: u32,
    is_subject: bool,
}

impl Caller {
    pub(super) fn of(seen: &Seen<'_>, live: &Live<'_>) -> Self {
        let subject = seen.features.subject.map(|s| s.0 as u64);
        let id = subject.or(live.has_session.then_some(live.key)).map_or(0, |key| short(mix(key, 0x0b)) | 1);
        Self { names: live.session.linked.names().collect(), id, is_subject: subject.is_some() }
    }

    pub(super) fn is_known(&self) -> bool {
        self.id != 0
    }

    /// One number for the caller: its subject, else the first of its names, else its session.
    pub(super) fn tag(&self) -> u32 {
        if self.is_subject { self.id } else { self.names.first().copied().unwrap_or(self.id) }
    }

    fn tags(&self) -> impl Iterator<Item = u32> + '_ {
        self.names.iter().copied().chain([self.id])
    }
}

/// Whose an object is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    tags: SmallVec<[u32; 4]>,
    /// Callers without a tie who reached it, the latest of them by tag.
    others: u8,
    latest_other: u32,
}

impl Owner {
    pub(super) fn is_of(&self, caller: &Caller) -> bool {
        caller.tags().any(|t| self.tags.contains(&t))
    }

    pub(super) fn is_public(&self) -> bool {
        self.others >= PUBLIC
    }

    /// Takes note of a caller; returns whether that changed anything.
    fn note(&mut self, caller: &Caller, reach: Reach) -> bool {
        let is_his = match reach {
            Reach::Tied => true,
            Reach::First => self.tags.is_empty() || self.is_of(caller),
            Reach::Strange => self.is_of(caller),
        };
        if is_his {
            let before = self.tags.len();
            for tag in caller.tags() {
                if self.tags.len() < MAX_TAGS && !self.tags.contains(&tag) {
                    self.tags.push(tag);
                }
            }
            return self.tags.len() > before;
        }
        if self.tags.is_empty() || self.is_public() || self.latest_other == caller.tag() {
            return false;
        }
        self.latest_other = caller.tag();
        self.others += 1;
        true
    }
}

/// How a caller came to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// With a tie to it: whatever others did, it is the caller's.
    Tied,
    /// Without one, where nothing speaks against it: whoever comes first owns it.
    First,
    /// Against habit: that makes nobody an owner.
    Strange,
}

impl Reach {
    /// Takes note that a caller reached an object at a time.
    pub(super) fn note(self, shared: &mut Shared, (object, now): (u64, i64), caller: &Caller) {
        let mut owner = shared.objects.read(&object, Owner::clone).unwrap_or_default();
        if owner.note(caller, self) {
            shared.objects.put(object, now, owner);
        }
    }
}

/// What one session was shown and asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Footprint {
    /// Bloom filter of the objects that answers showed to this caller alone.
    shown: Option<Box<[u64; FILTER]>>,
    namespaces: SmallVec<[u32; 2]>,
    counted: SmallVec<[(u32, [u64; COUNTER]); 1]>,
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
