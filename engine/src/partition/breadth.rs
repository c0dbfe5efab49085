//! How many different things are wrong with one caller: what sets a fuzzer apart from somebody with one aim.

use crate::detect::Aspect;
use crate::record::EndpointId;
use serde::{Deserialize, Serialize};

/// Requests looked back on.
pub(super) const REACH: u32 = 30;
/// Distinct reasons among them, and distinct questions that these answer, from which on a caller tries everything.
pub(super) const REASONS: usize = 5;
const ASPECTS: usize = 4;
/// Reasons remembered.
const MOST: usize = 16;

/// Reasons that the latest requests of one session or source gave, each enough for an alert by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Breadth {
    /// Requests since the first of them.
    requests: u32,
    /// Distinct, oldest first.
    reasons: Vec<Given>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Given {
    aspect: Aspect,
    endpoint: u32,
    at: u32,
}

impl Breadth {
    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Counts a request with the questions that were answered against it.
    pub fn add(&mut self, endpoint: EndpointId, aspects: impl Iterator<Item = Aspect>) {
        self.requests += 1;
        let (at, endpoint) = (self.requests, endpoint.0 as u32);
        self.reasons.retain(|g| g.at + REACH > at);
        for aspect in aspects {
            self.reasons.retain(|g| (g.aspect, g.endpoint) != (aspect, endpoint));
            if self.reasons.len() >= MOST {
                self.reasons.remove(0);
            }
            self.reasons.push(Given { aspect, endpoint, at });
        }
        if self.reasons.is_empty() {
            self.requests = 0;
        }
    }

    /// Distinct reasons among the requests looked back on.
    #[must_use]
    pub fn reasons(&self) -> usize {
        self.reasons.len()
    }

    /// Whether the caller tries everything: five distinct reasons within 30 requests, of four kinds at least (one odd way through five
    /// endpoints is one aim).
    #[must_use]
    pub fn is_broad(&self) -> bool {
        let kinds = Aspect::ALL.iter().filter(|a| self.reasons.iter().any(|g| g.aspect == **a)).count();
        self.reasons.len() >= REASONS && kinds >= ASPECTS
    }
}

#[cfg(test)]
mod tests {
    use super::{Breadth, MOST};
    use crate::detect::Aspect;
    use crate::record::EndpointId;

    #[test]
    fn one_aim_is_not_broad_and_everything_at_once_is() {
        let mut one = Breadth::default();
        for endpoint in 0..40 {
            one.add(EndpointId(endpoint), [Aspect::Step, Aspect::Count].into_iter());
        }
        assert!(!one.is_broad() && one.reasons.len() <= MOST);
        let mut all = Breadth::default();
        all.add(EndpointId(1), [Aspect::Values, Aspect::Structure].into_iter());
        all.add(EndpointId(2), [Aspect::Unseen].into_iter());
        all.add(EndpointId(3), [Aspect::Values].into_iter());
        assert!(!all.is_broad());
        all.add(EndpointId(3), [Aspect::Step].into_iter());
        assert!(all.is_broad());
        for _ in 0..30 {
            all.add(EndpointId(3), std::iter::empty());
        }
        assert!(!all.is_broad() && all.is_nothing() && all.requests == 0);
    }
}
