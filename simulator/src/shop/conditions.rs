//! What befalls the shop: outages, slow times, faults now and then, the rate limit, and what was released.

use super::ask::Reply;
use super::route::Access;
use crate::chance::Chance;
use crate::wire::Call;

/// A span of time, epoch milliseconds; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

impl Span {
    /// Whether a moment lies in it.
    pub(crate) fn has(self, at: i64) -> bool {
        (self.from..self.until).contains(&at)
    }
}

/// The shop's weather.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    /// When an upstream is down.
    pub(crate) outage: Option<Span>,
    /// When everything takes ten times as long.
    pub(crate) slow: Option<Span>,
    /// Whether a body that cannot be parsed is answered by a stack trace.
    pub(crate) verbose_parser: bool,
}

impl Conditions {
    /// Whether the upstream is down at a moment.
    pub(crate) fn is_out(&self, now: i64) -> bool {
        self.outage.is_some_and(|span| span.has(now))
    }

    /// Factor on every latency.
    pub(super) fn slowness(&self, now: i64) -> f64 {
        if self.slow.is_some_and(|span| span.has(now)) { 10.0 } else { 1.0 }
    }

    /// A fault that hits a call: seldom, and most calls while an upstream is down.
    pub(super) fn fault(&self, chance: &mut Chance, access: Access, now: i64) -> Option<Reply> {
        if access == Access::Probe {
            return None;
        }
        if self.is_out(now) && chance.hit(0.6) {
            return Some(if chance.hit(0.5) {
                Reply::problem(503, "Service unavailable", "Upstream is not reachable").header("retry-after", "10")
            } else {
                Reply::problem(504, "Gateway timeout", "Upstream did not answer in time")
            });
        }
        match chance.below(4_000) {
            0 => Some(Reply::problem(500, "Internal server error", "Something went wrong")),
            1 => Some(Reply::problem(503, "Service unavailable", "Please try again")),
            _ => None,
        }
    }

    /// Whether the answer opens itself to any web site: a weakness that shows when a foreign origin asks.
    pub(super) fn cors_reflects(&self, call: &Call) -> bool {
        call.header_value("origin").is_some_and(|origin| !origin.ends_with(".shop.example"))
    }
}

/// A rate limit by client over whole minutes, in a table of fixed size: a client that meets another in its slot takes it over, so that
/// the limit errs towards letting through.
#[derive(Debug)]
pub(super) struct Limiter {
    slots: Vec<(u64, i64, u32)>,
}

const LIMIT_PER_MINUTE: u32 = 300;

impl Default for Limiter {
    fn default() -> Self {
        Self { slots: vec![(0, 0, 0); 4096] }
    }
}

impl Limiter {
    /// Counts a call; false when there were too many in this minute.
    pub(super) fn allow(&mut self, key: u64, now: i64) -> bool {
        let minute = now / 60_000;
        let at = (crate::chance::mix(key, 3) % self.slots.len() as u64) as usize;
        let slot = &mut self.slots[at];
        if slot.0 != key || slot.1 != minute {
            *slot = (key, minute, 0);
        }
        slot.2 += 1;
        slot.2 <= LIMIT_PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_counts_by_client_and_minute() {
        let mut limiter = Limiter::default();
        let passed = (0..400).filter(|_| limiter.allow(5, 30_000)).count();
        assert_eq!(passed, 300);
        assert!(limiter.allow(6, 30_000));
        assert!(limiter.allow(5, 61_000));
    }
}
