//! What requests bring that training never saw, as long as it is new: a client's next version brings its fields from many networks, and
//! what somebody put in comes out again elsewhere.

use crate::detect::Seen;
use crate::features::Field;
use crate::features::hash::mix;
use crate::features::sensitive::Sensitive;
use crate::links::Origin;
use crate::partition::Live;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Callers remembered.
const CALLERS: usize = 4;
/// Others, each from another network, who must have brought it before it is usual.
const ENOUGH: usize = 2;

/// Who brought something new.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Newcomer {
    /// Session and network, one of each network, at most 4.
    callers: SmallVec<[(u32, u32); CALLERS]>,
    /// Kinds of personal data that came under the name.
    kinds: Sensitive,
}

impl Newcomer {
    fn note(&mut self, session: u32, network: u32) {
        let is_known = |(s, n): &(u32, u32)| *s == session || *n == network;
        if self.callers.len() < CALLERS && network != 0 && !self.callers.iter().any(is_known) {
            self.callers.push((session, network));
        }
    }

    fn is_usual(&self, session: u32, network: u32) -> bool {
        self.callers.iter().filter(|(s, n)| *s != session && *n != network).count() >= ENOUGH
    }

    /// Kinds of personal data that came under the name.
    #[must_use]
    pub fn kinds(&self) -> Sensitive {
        self.kinds
    }
}

/// Key of a name, wherever it is sent.
#[must_use]
pub fn word_key(name: u64) -> u64 {
    mix(name, 0x6e61)
}

fn field_key(seen: &Seen<'_>, field: &Field) -> u64 {
    mix(seen.id.0, field.id)
}

fn caller(seen: &Seen<'_>, live: &Live<'_>) -> (u32, u32) {
    (live.key as u32, Origin::of(seen.features).network)
}

/// Whether a field that training never saw is one that others bring by now.
pub(super) fn is_usual(seen: &Seen<'_>, live: &Live<'_>, field: &Field) -> bool {
    let (session, network) = caller(seen, live);
    live.shared.newcomers.read(&field_key(seen, field), |n| n.is_usual(session, network)).unwrap_or(false)
}

/// Takes note of a field that training never saw, or not with such a value, in a request that succeeded.
pub(super) fn note(seen: &Seen<'_>, live: &mut Live<'_>, field: &Field) {
    let (session, network) = caller(seen, live);
    live.shared.newcomers.update(field_key(seen, field), seen.now, |n| n.note(session, network));
    live.shared.newcomers.update(word_key(field.key), seen.now, |n| n.kinds = n.kinds.union(field.sensitive));
}

#[cfg(test)]
mod tests {
    use super::Newcomer;

    #[test]
    fn two_other_networks_make_it_usual_and_one_caller_never_does() {
        let mut new = Newcomer::default();
        for _ in 0..10 {
            new.note(1, 7);
            new.note(2, 7);
            new.note(1, 8);
        }
        assert!(!new.is_usual(9, 9));
        new.note(3, 8);
        assert!(new.is_usual(9, 9));
        assert!(!new.is_usual(3, 9) && !new.is_usual(9, 8));
        (10..100).for_each(|caller| new.note(caller, caller));
        assert_eq!(new.callers.len(), super::CALLERS);
    }
}
