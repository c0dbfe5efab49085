//! Breadth: what several callers from several networks did is what people do; what one or two did may be an attacker's work.

use crate::record::NetworkId;
use rustc_hash::FxHashSet;
use smallvec::SmallVec;

/// So many callers, from as many networks where those are known, make a habit.
const ENOUGH: usize = 3;
/// So many callers are many: one or two of them are few.
pub(crate) const MANY: usize = 20;

/// Remembers something new, as long as there is room for it.
pub(crate) fn remember<T: PartialEq, const ROOM: usize>(known: &mut SmallVec<[T; ROOM]>, new: T) {
    if known.len() < ROOM && !known.contains(&new) {
        known.push(new);
    }
}

/// Who did something: as many of them as matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breadth {
    units: SmallVec<[u64; ENOUGH]>,
    networks: SmallVec<[NetworkId; ENOUGH]>,
    has_unknown: bool,
}

impl Breadth {
    /// Notes who did it.
    pub(crate) fn note(&mut self, unit: u64, network: Option<NetworkId>) {
        remember(&mut self.units, unit);
        match network {
            Some(network) => remember(&mut self.networks, network),
            None => self.has_unknown = true,
        }
    }

    /// Whether enough did it for it to be a habit.
    pub(crate) fn is_enough(&self) -> bool {
        self.units.len() == ENOUGH && (self.has_unknown || self.networks.len() == ENOUGH)
    }
}

/// Who was asked something, and who of them did it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census {
    asked: FxHashSet<u64>,
    did: Breadth,
}

impl Census {
    /// Notes one case.
    pub(crate) fn note(&mut self, unit: u64, network: Option<NetworkId>, did: bool) {
        if self.asked.len() < MANY {
            self.asked.insert(unit);
        }
        if did {
            self.did.note(unit, network);
        }
    }

    /// Whether only one or two of many did it.
    pub(crate) fn is_of_few(&self) -> bool {
        self.asked.len() == MANY && !self.did.is_enough()
    }
}
