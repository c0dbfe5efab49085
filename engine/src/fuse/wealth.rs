//! What a session has shown before, as a bet against its being benign.

use crate::record::PValue;
use serde::{Deserialize, Serialize};

/// Exponent of a bet.
const KAPPA: f64 = 0.5;

/// What a session has gambled up against being benign: a test martingale that forgets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Wealth {
    /// ln M, at least 0.
    pub ln: f64,
    at: i64,
    /// What was bet on already, newest last.
    bets: Vec<u32>,
}

impl Wealth {
    /// Most bets remembered.
    const MAX_BETS: usize = 32;
    /// ln M halves in this time, milliseconds.
    const HALF_LIFE: f64 = 3_600_000.0;

    /// Bets on one request's p. What was bet on before is no new evidence ([`bet_of`](super::bet_of)). Returns whether the wealth grew.
    pub fn bet(&mut self, about: u32, p: PValue, now: i64) -> bool {
        if now > self.at {
            if self.at > 0 {
                self.ln *= 0.5f64.powf((now - self.at) as f64 / Self::HALF_LIFE);
            }
            self.at = now;
        }
        if self.bets.contains(&about) {
            return false;
        }
        if self.bets.len() >= Self::MAX_BETS {
            self.bets.remove(0);
        }
        self.bets.push(about);
        let gain = KAPPA.ln() + (1.0 - KAPPA) * p.nats();
        self.ln = (self.ln + gain).max(0.0);
        gain > 0.0
    }
}
