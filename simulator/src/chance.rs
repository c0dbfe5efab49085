//! Randomness, all of it from one seed, and the small laws of chance that people and machines follow.

use crate::ids::Uuid;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of chance. The same seed gives the same stream on every run.
#[derive(Debug, Clone)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of a seed; `stream` tells streams of one seed apart.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub(crate) fn hit(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as usize) as i64
    }

    /// One of a slice that is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// One of a list of (value, weight) pairs that is not empty.
    pub(crate) fn weighted<T: Copy>(&mut self, from: &[(T, u32)]) -> T {
        let total: u32 = from.iter().map(|(_, weight)| weight).sum();
        let mut left = self.below(total as usize) as u32;
        for &(value, weight) in from {
            if left < weight {
                return value;
            }
            left -= weight;
        }
        from[from.len() - 1].0
    }

    /// Exponential with the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Log-normal with the given median; `sigma` is the standard deviation of the logarithm.
    pub(crate) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        // Irwin-Hall with four terms: near enough to a normal, bounded, and free of trigonometry.
        let normal = (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * 1.732;
        median * (normal * sigma).exp()
    }

    /// A time to think, milliseconds: log-normal, never under 40.
    pub(crate) fn think(&mut self, median_ms: f64) -> i64 {
        self.lognormal(median_ms, 0.7).max(40.0) as i64
    }

    /// A rank in `0..n`, low ranks much oftener (near Zipf with exponent 1).
    pub(crate) fn rank(&mut self, n: usize) -> usize {
        let rank = ((n as f64 + 1.0).powf(self.unit()) - 1.0) as usize;
        rank.min(n.saturating_sub(1))
    }

    /// A random (version 4) UUID.
    pub(crate) fn uuid(&mut self) -> Uuid {
        Uuid::random(self.bits(), self.bits())
    }

    /// `length` characters of an alphabet.
    pub(crate) fn token(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }

    /// `length` hexadecimal digits.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        self.token(b"0123456789abcdef", length)
    }

    /// `length` letters and digits.
    pub(crate) fn base62(&mut self, length: usize) -> String {
        self.token(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", length)
    }
}

/// A 64-bit mix of two numbers (the finaliser of SplitMix64): what is fixed for a user or a product is drawn from it, not stored.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(b).wrapping_add(0x632B_E59B_D9B4_E019);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One of a slice that is not empty, fixed by `key`.
pub(crate) fn fixed<T: Copy>(key: u64, from: &[T]) -> T {
    from[(key % from.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let take = |seed, stream| (0..8).map(|_| 0).scan(Chance::new(seed, stream), |c, _: i32| Some(c.bits())).collect::<Vec<_>>();
        assert_eq!(take(7, 0), take(7, 0));
        assert_ne!(take(7, 0), take(7, 1));
        assert_ne!(take(7, 0), take(8, 0));
    }

    #[test]
    fn draws_stay_in_their_ranges() {
        let mut chance = Chance::new(1, 0);
        for _ in 0..10_000 {
            assert!(chance.below(7) < 7);
            assert!((-3..=4).contains(&chance.between(-3, 4)));
            assert!(chance.rank(50) < 50);
            assert_ne!(chance.weighted(&[(1, 0), (2, 5)]), 1);
        }
        assert_eq!(chance.below(0), 0);
    }

    #[test]
    fn low_ranks_are_drawn_oftener() {
        let mut chance = Chance::new(2, 0);
        let low = (0..10_000).filter(|_| chance.rank(1000) < 10).count();
        assert!((2_500..4_500).contains(&low), "{low}");
    }
}
