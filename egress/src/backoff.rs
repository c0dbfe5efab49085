//! Pauses between tries that grow, and differ, so that those who wait do not come back all at once.

use rand::RngExt as _;
use std::time::Duration;

/// Longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// How long to wait before the next try.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    failures: u32,
}

impl Backoff {
    /// Nothing has failed yet.
    pub(crate) fn new(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// A try has failed: the pause before the next. The receiver's own word goes before a shorter one of ours.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let pause = whole.mul_f64(rand::rng().random_range(0.5..1.0));
        asked.map_or(pause, |asked| asked.min(LONGEST).max(pause))
    }

    /// A try went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(500));
        for whole in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
            let pause = backoff.pause(None);
            assert!((whole / 2..=whole).contains(&pause.as_millis()), "{pause:?} of {whole} ms");
        }
        backoff.reset();
        assert!(backoff.pause(None) <= Duration::from_millis(500));
        for _ in 0..1_000 {
            backoff.pause(None);
        }
        assert!(backoff.pause(None) <= LONGEST);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_but_not_for_an_endless_one() {
        let mut backoff = Backoff::new(Duration::from_millis(500));
        assert_eq!(backoff.pause(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff.pause(Some(Duration::from_secs(86_400))), LONGEST);
    }
}
