//! Tokens that were accepted at least once.

use std::collections::HashSet;

/// A bounded set that forgets what was not seen for long: two generations, the older of which goes when the newer is full.
#[derive(Debug)]
pub(super) struct Proven {
    newer: HashSet<u128>,
    older: HashSet<u128>,
    generation: usize,
}

impl Proven {
    /// A set of at most `capacity` tokens.
    pub(super) fn new(capacity: usize) -> Self {
        Self { newer: HashSet::new(), older: HashSet::new(), generation: (capacity / 2).max(1) }
    }

    /// Takes a token as accepted; always `true`.
    pub(super) fn add(&mut self, token: u128) -> bool {
        if !self.newer.contains(&token) {
            if self.newer.len() >= self.generation {
                self.older = std::mem::take(&mut self.newer);
            }
            self.newer.insert(token);
        }
        true
    }

    /// Whether a token was accepted; one that is asked for is remembered longer.
    pub(super) fn has(&mut self, token: u128) -> bool {
        self.newer.contains(&token) || (self.older.contains(&token) && self.add(token))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_cap_holds_and_what_is_in_use_stays(tokens in proptest::collection::vec(0u128..1000, 0..500)) {
            let mut proven = Proven::new(16);
            proven.add(7777);
            for token in tokens {
                prop_assert!(proven.has(7777));
                proven.add(token);
                prop_assert!(proven.len() <= 16);
                prop_assert!(proven.has(token));
            }
        }
    }
}
