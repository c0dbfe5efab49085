//! Evidence that gathers against one caller and fades: a cumulative sum of log-odds, and who else fares alike this minute.

use crate::features::hash::mix;
use serde::{Deserialize, Serialize};

/// Most that a sum comes to, nats: what was proven an hour ago must be able to fade.
const MOST: f32 = 30.0;
/// Latest occasions remembered: the same again is a machine that repeats itself, not somebody who tries things out.
pub(crate) const OCCASIONS: usize = 16;
/// Callers remembered of one minute.
const CALLERS: usize = 32;
/// Callers with bad luck, at least, before a place counts as out of order.
const CROWD: usize = 3;
/// Length of a round of [`Peers`], milliseconds.
const ROUND: i64 = 60_000;

/// A cumulative sum of log-odds against one caller: at least 0, at most 30 nats, halved in a time that its user sets (CUSUM; Page,
/// Biometrika 1954).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Suspicion {
    nats: f32,
    at: i64,
    occasions: Vec<u32>,
}

impl Suspicion {
    /// Whether it stands at nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.nats <= 0.0
    }

    /// What the sum comes to at a time after a gain (or loss), nats. A gain on an occasion that counted already is none.
    #[must_use]
    pub fn after(&self, gain: f32, occasion: u64, now: i64, half_life_ms: f32) -> f32 {
        let gain = if gain > 0.0 && self.occasions.contains(&(occasion as u32)) { 0.0 } else { gain };
        (self.nats * self.faded(now, half_life_ms) + gain).clamp(0.0, MOST)
    }

    /// What is left by now of what counted in full when something was taken in last, 0 to 1.
    #[must_use]
    pub fn faded(&self, now: i64, half_life_ms: f32) -> f32 {
        let gone = if self.at > 0 { (now - self.at).max(0) as f32 } else { 0.0 };
        (-gone / half_life_ms).exp2()
    }

    /// Takes it in.
    pub fn add(&mut self, gain: f32, occasion: u64, now: i64, half_life_ms: f32) {
        self.nats = self.after(gain, occasion, now, half_life_ms);
        self.at = self.at.max(now);
        if self.is_none() {
            self.occasions.clear();
        } else if gain > 0.0 {
            remember(&mut self.occasions, occasion as u32, OCCASIONS);
        }
    }
}

/// Puts a value at the end of a bounded list of distinct ones; the oldest goes.
pub(crate) fn remember(list: &mut Vec<u32>, value: u32, most: usize) {
    if list.contains(&value) {
        return;
    }
    if list.len() >= most {
        list.remove(0);
    }
    list.push(value);
}

/// How callers fare at one place, in this minute and the one before: tells an outage from a scan. Keeps those callers whose hashes are
/// smallest, which is a fair sample however many there are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Peers {
    round: i64,
    now: Sample,
    before: Sample,
}

/// Callers by hash, ascending, with whether they had bad luck.
type Sample = Vec<(u32, bool)>;

impl Peers {
    /// Key of a place: an endpoint (or what stands for one) under one question.
    #[must_use]
    pub fn key(place: u64, question: u64) -> u64 {
        mix(place, 0x7065_6572 + question)
    }

    /// Whether noting a caller's outcome would change nothing.
    #[must_use]
    pub fn knows(&self, caller: u64, is_bad: bool, now: i64) -> bool {
        self.round == now / ROUND
            && match self.now.binary_search_by_key(&(caller as u32), |(c, _)| *c) {
                Ok(at) => self.now[at].1 || !is_bad,
                Err(at) => at >= CALLERS,
            }
    }

    /// Notes a caller's outcome.
    pub fn note(&mut self, caller: u64, is_bad: bool, now: i64) {
        let round = now / ROUND;
        if round != self.round {
            let last = std::mem::take(&mut self.now);
            self.before = if round == self.round + 1 { last } else { Sample::new() };
            self.round = round;
        }
        match self.now.binary_search_by_key(&(caller as u32), |(c, _)| *c) {
            Ok(at) => self.now[at].1 |= is_bad,
            Err(at) => {
                self.now.insert(at, (caller as u32, is_bad));
                self.now.truncate(CALLERS);
            }
        }
    }

    /// Share of the other callers of these two minutes that had bad luck; 0 where fewer than three had.
    #[must_use]
    pub fn share(&self, caller: u64, now: i64) -> f32 {
        let age = now / ROUND - self.round;
        if !(0..=1).contains(&age) {
            return 0.0;
        }
        let is_here = |c: u32| self.now.binary_search_by_key(&c, |(c, _)| *c).is_ok();
        let older = self.before.iter().filter(|(c, _)| age == 0 && !is_here(*c));
        let (bad, all) = (self.now.iter().chain(older))
            .filter(|(c, _)| *c != caller as u32)
            .fold((0usize, 0usize), |(bad, all), (_, is_bad)| (bad + usize::from(*is_bad), all + 1));
        if bad < CROWD { 0.0 } else { bad as f32 / (all + 1) as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, OCCASIONS, Peers, Suspicion};

    const HALF: f32 = 600_000.0;

    #[test]
    fn suspicion_gathers_on_new_occasions_only_and_fades() {
        let mut s = Suspicion::default();
        for _ in 0..10 {
            s.add(2.0, 7, 1_000, HALF);
        }
        assert_eq!(s.nats, 2.0);
        for i in 0..100 {
            s.add(2.0, 100 + i, 1_000, HALF);
        }
        assert_eq!(s.nats, MOST);
        assert!(s.occasions.len() <= OCCASIONS);
        assert!((s.after(0.0, 0, 601_000, HALF) - MOST / 2.0).abs() < 0.01);
        s.add(-MOST, 0, 1_000, HALF);
        assert!(s.is_none() && s.occasions.is_empty());
    }

    #[test]
    fn three_others_make_an_outage_and_oneself_never() {
        let mut peers = Peers::default();
        for caller in 0..2 {
            peers.note(caller, true, 60_000);
        }
        for _ in 0..50 {
            peers.note(99, true, 60_000);
        }
        assert_eq!(peers.share(99, 60_000), 0.0);
        peers.note(5, true, 60_000);
        assert!(peers.share(99, 60_000) >= 0.75);
        assert!(peers.share(99, 125_000) >= 0.75, "the minute before counts");
        assert_eq!(peers.share(99, 200_000), 0.0);
    }

    #[test]
    fn the_sample_of_many_is_fair_and_small() {
        let mut peers = Peers::default();
        for caller in 0..5_000u64 {
            let hash = crate::features::hash::mix(caller, 1);
            peers.note(hash, caller % 4 == 0, 60_000);
            assert!(peers.now.len() <= super::CALLERS && peers.knows(hash, false, 60_000));
        }
        assert!((0.1..0.45).contains(&peers.share(0, 60_000)));
    }
}
