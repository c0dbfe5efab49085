//! The steps that a network knows, by slot: what its inputs and outputs mean.

use crate::record::EndpointId;
use crate::sequence::token;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Slot of every step that has none of its own.
pub const UNKNOWN: u16 = 0;
/// Slot of what comes before the first step of a session.
pub const START: u16 = 1;
/// Slots that are no steps.
const RESERVED: usize = 2;
/// Most slots: what bounds the size and the cost of a network.
const MOST: usize = 1024;
/// Breadth that a step needs for a slot of its own.
const LEAST: f32 = 3.0;
/// Buckets of the time between two steps.
pub const GAPS: usize = 7;

/// Steps, (endpoint, status class), by slot. A later version of a model keeps the slots of the one before and adds to them, so that its
/// network can start from what the one before had learned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Step of each slot from [`RESERVED`] on: endpoint, and hundreds of the status.
    steps: Vec<(EndpointId, u8)>,
    /// Token to slot, sorted by token.
    slots: Vec<(u64, u16)>,
}

impl Vocabulary {
    /// Of steps with the breadth that they were seen with; slots of `previous` are kept unless there is no room.
    pub(crate) fn of(seen: &BTreeMap<(EndpointId, u8), f32>, previous: Option<&Self>) -> Self {
        let mut steps = previous.map_or_else(Vec::new, |p| p.steps.clone());
        let mut new: Vec<(&(EndpointId, u8), &f32)> =
            seen.iter().filter(|(step, breadth)| **breadth >= LEAST && !steps.contains(step)).collect();
        new.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
        if previous.is_some() && steps.len() + new.len() > MOST - RESERVED {
            return Self::of(seen, None);
        }
        steps.extend(new.into_iter().map(|(step, _)| *step));
        steps.truncate(MOST - RESERVED);
        let slot = |(at, (id, hundreds)): (usize, &(EndpointId, u8))| (token(*id, u16::from(*hundreds) * 100), (at + RESERVED) as u16);
        let mut slots: Vec<(u64, u16)> = steps.iter().enumerate().map(slot).collect();
        slots.sort_unstable();
        Self { steps, slots }
    }

    /// Number of slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len() + RESERVED
    }

    /// Whether no step has a slot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Slot of a token of `sequence`; 0 there is the beginning of a session.
    pub(crate) fn slot(&self, token: u64) -> u16 {
        if token == 0 {
            return START;
        }
        self.slots.binary_search_by_key(&token, |(t, _)| *t).map_or(UNKNOWN, |at| self.slots[at].1)
    }

    /// Endpoint and hundreds of the status of a slot, where it is a step.
    pub(crate) fn step(&self, slot: u16) -> Option<(EndpointId, u8)> {
        self.steps.get(usize::from(slot).checked_sub(RESERVED)?).copied()
    }

    /// Whether a later one continues this one: all its slots mean the same there.
    #[must_use]
    pub fn is_start_of(&self, later: &Self) -> bool {
        later.steps.starts_with(&self.steps)
    }
}

/// Bucket of the time between the last step (0: there was none) and now, epoch milliseconds.
pub(crate) fn gap(last: i64, now: i64) -> u8 {
    if last <= 0 || now <= 0 {
        return 0;
    }
    match now - last {
        ..=1_000 => 1,
        1_001..=5_000 => 2,
        5_001..=30_000 => 3,
        30_001..=300_000 => 4,
        300_001..=1_800_000 => 5,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_versions_keep_slots_and_rare_steps_get_none() {
        let step = |n: u64| (EndpointId(n), 2);
        let first = Vocabulary::of(&[(step(7), 9.0), (step(3), 50.0), (step(5), 1.0)].into(), None);
        assert_eq!((first.len(), first.step(2), first.step(3)), (4, Some(step(3)), Some(step(7))));
        assert_eq!((first.slot(0), first.slot(token(EndpointId(5), 200))), (START, UNKNOWN));
        let second = Vocabulary::of(&[(step(1), 90.0), (step(5), 4.0)].into(), Some(&first));
        assert!(first.is_start_of(&second) && !second.is_start_of(&first));
        assert_eq!((second.len(), second.slot(token(EndpointId(7), 204))), (6, 3));
        let crowd: BTreeMap<_, _> = (0..5_000).map(|n| (step(n), 10.0)).collect();
        assert_eq!(Vocabulary::of(&crowd, Some(&second)).len(), MOST);
    }

    #[test]
    fn every_gap_has_a_bucket() {
        for (last, now) in [(0, 5), (5, 0), (5, 4), (5, i64::MAX), (1, 1_002), (1, 40_000), (1, 400_000)] {
            assert!(usize::from(gap(last, now)) < GAPS);
        }
    }
}
