//! What training never saw, as long as it is new: a client's next version brings its fields and endpoints from many networks, and what
//! somebody put in comes out again elsewhere. No detector of its own: `content`, `assets` and `response` ask it what others do by now.
//! Who brought it is told to all partitions: a release is news once, not once in each.

use crate::detect::Seen;
use crate::facts::{Entity, Saw};
use crate::features::hash::{hash, mix};
use crate::features::sensitive::Sensitive;
use crate::features::{Features, Field};
use crate::links::Origin;
use crate::partition::Live;
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

/// Callers remembered.
const CALLERS: usize = 4;
/// Others, each from another network, who must have brought it before it is usual.
const ENOUGH: usize = 2;
/// What one session brings is told to other partitions so often, at most: the next version of a client brings no more.
const MOST_TOLD: u8 = 32;

/// Who brought something new.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Newcomer {
    /// Session and network, one of each network, at most 4.
    callers: SmallVec<[(u32, u32); CALLERS]>,
    /// Kinds of personal data that came under the name.
    kinds: Sensitive,
}

impl Newcomer {
    fn of(session: u32, network: u32) -> Self {
        Self { callers: smallvec![(session, network)], kinds: Sensitive::default() }
    }

    /// Adds what others know; whether anything of it was not known here.
    pub(crate) fn learn(&mut self, others: Self) -> bool {
        let before = (self.callers.len(), self.kinds);
        for (session, network) in others.callers {
            let is_known = |(s, n): &(u32, u32)| *s == session || *n == network;
            if self.callers.len() < CALLERS && network != 0 && !self.callers.iter().any(is_known) {
                self.callers.push((session, network));
            }
        }
        self.kinds = self.kinds.union(others.kinds);
        before != (self.callers.len(), self.kinds)
    }

    /// Whether it says anything to somebody else: that it is usual, or which kinds of personal data to expect.
    pub(crate) fn is_telling(&self) -> bool {
        self.callers.len() >= ENOUGH || !self.kinds.is_empty()
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

/// Key of a field of an endpoint.
pub(crate) fn field_key(seen: &Seen<'_>, field: &Field) -> u64 {
    mix(seen.id.0, field.id)
}

/// Key of a path that leads to no known endpoint; segments with a digit count as one.
pub(crate) fn path_key(features: &Features) -> u64 {
    let is_value = |s: &str| s.len() > 2 && s.bytes().any(|b| b.is_ascii_digit());
    features.segments().fold(hash(features.method.as_bytes()), |key, s| mix(key, if is_value(s) { 1 } else { hash(s.as_bytes()) }))
}

fn caller(seen: &Seen<'_>, live: &Live<'_>) -> (u32, u32) {
    (live.key as u32, Origin::of(seen.features).network)
}

/// Whether something that training never saw is what others bring by now.
pub(crate) fn is_usual(seen: &Seen<'_>, live: &Live<'_>, key: u64) -> bool {
    let (session, network) = caller(seen, live);
    live.shared.newcomers.read(&key, |n| n.is_usual(session, network)).unwrap_or(false)
}

/// Takes note of something that training never saw, in a request that succeeded.
pub(crate) fn note(seen: &Seen<'_>, live: &mut Live<'_>, key: u64) {
    let (session, network) = caller(seen, live);
    learn(seen, live, key, Newcomer::of(session, network));
}

/// Takes note of the personal data that came under a name.
pub(crate) fn note_kinds(seen: &Seen<'_>, live: &mut Live<'_>, name: u64, kinds: Sensitive) {
    learn(seen, live, word_key(name), Newcomer { kinds, ..Newcomer::default() });
}

/// Adds it to what is known here, and tells the others what is new of it.
fn learn(seen: &Seen<'_>, live: &mut Live<'_>, key: u64, new: Newcomer) {
    let is_more = live.shared.newcomers.update(key, seen.now, |known| known.learn(new.clone()));
    if is_more
        && live.has_session
        && live.session.told < MOST_TOLD
        && live.shared.report_news(Entity::Newcomer(key), seen.now, Saw::Brought(new))
    {
        live.session.told += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Newcomer;

    #[test]
    fn two_other_networks_make_it_usual_and_one_caller_never_does() {
        let mut new = Newcomer::default();
        for _ in 0..10 {
            new.learn(Newcomer::of(1, 7));
            new.learn(Newcomer::of(2, 7));
            new.learn(Newcomer::of(1, 8));
        }
        assert!(!new.is_usual(9, 9));
        assert!(new.learn(Newcomer::of(3, 8)) && !new.learn(Newcomer::of(3, 8)));
        assert!(new.is_usual(9, 9));
        assert!(!new.is_usual(3, 9) && !new.is_usual(9, 8));
        for caller in 10..100 {
            assert_eq!(new.learn(Newcomer::of(caller, caller)), caller < 12, "{caller}");
        }
        assert_eq!(new.callers.len(), super::CALLERS);
    }
}
