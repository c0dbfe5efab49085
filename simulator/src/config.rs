//! What to simulate.

/// A simulation. The same values give the same exchanges, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Seed of all randomness.
    pub seed: u64,
    /// First moment, epoch milliseconds.
    pub start: i64,
    /// Length in days; parts of days are allowed.
    pub days: f64,
    /// Exchanges in a day on average, about.
    pub requests_per_day: u32,
    /// Accounts at the start; at least 100, and never more than twice as many later.
    pub users: u32,
    /// Share of the time, from the start, that is for learning (0 to 1): no attacks but [`Config::poison`], no look-alikes but those that
    /// belong to every day.
    pub learning: f64,
    /// Whether there are attacks after the learning time.
    pub attacks: bool,
    /// Launches of each technique of attack after the learning time.
    pub launches: u32,
    /// Whether there are harmless look-alikes (a sale, an outage, a new partner, …) after the learning time.
    pub look_alikes: bool,
    /// Attack launches hidden in the learning time, as a share of its customers' visits (0 to 1).
    pub poison: f64,
    /// Share of exchanges by kiosks, whose two ways differ at the beginning and at the end alone (0 to 1). With attacks, some cross over after
    /// the learning time.
    pub kiosks: f64,
    /// Whether bodies are mirrored.
    pub bodies: bool,
}

const DAY_MS: f64 = 86_400_000.0;

impl Config {
    /// A simulation of some days with this many exchanges a day, everything else as by default.
    #[must_use]
    pub fn new(seed: u64, days: f64, requests_per_day: u32) -> Self {
        Self {
            seed,
            // Monday, 2026-01-05T00:00:00Z.
            start: 1_767_571_200_000,
            days,
            requests_per_day,
            users: (requests_per_day / 20).clamp(400, 100_000),
            learning: 0.5,
            attacks: true,
            launches: 2,
            look_alikes: true,
            poison: 0.0,
            kiosks: 0.0,
            bodies: true,
        }
    }

    /// When the simulation ends, epoch milliseconds.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.start + (self.days.max(0.0) * DAY_MS) as i64
    }

    /// When learning ends, epoch milliseconds: exchanges before it are split `train`, from it on `test`.
    #[must_use]
    pub fn learning_ends(&self) -> i64 {
        self.start + (self.days.max(0.0) * self.learning.clamp(0.0, 1.0) * DAY_MS) as i64
    }

    /// Exchanges in all, about.
    #[must_use]
    pub fn expected(&self) -> u64 {
        (self.days.max(0.0) * f64::from(self.requests_per_day)) as u64
    }

    /// A number of times per day so that something makes up a share of all exchanges; milliseconds between two.
    pub(crate) fn interval(&self, share: f64) -> i64 {
        (DAY_MS / (f64::from(self.requests_per_day.max(1)) * share)).max(50.0) as i64
    }
}
