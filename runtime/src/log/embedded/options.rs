//! How an embedded log is opened.

use super::{EmbeddedLog, store};
use crate::clock::{Clock, now_ms};
use crate::log::LogError;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Largest record limit that can be set, in bytes.
const HIGHEST_RECORD_LIMIT: usize = 64 << 20;

/// How an embedded log is opened; made by [`EmbeddedLog::options`].
pub struct Options {
    pub(super) clock: Clock,
    pub(super) record_limit: usize,
    pub(super) topic_limits: HashMap<Arc<str>, usize>,
    pub(super) segment_bytes: u64,
    pub(super) cache_bytes: u64,
    pub(super) memtable_bytes: u64,
    pub(super) abort_every: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(now_ms),
            record_limit: 1 << 20,
            topic_limits: HashMap::new(),
            segment_bytes: 256 << 20,
            cache_bytes: 64 << 20,
            memtable_bytes: 16 << 20,
            abort_every: 0,
        }
    }
}

impl Options {
    /// Where append times come from (default: [`now_ms`]).
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Largest record of a topic without a limit of its own, in bytes as stored (default 1 MiB; at most 64 MiB).
    #[must_use]
    pub fn record_limit(mut self, bytes: usize) -> Self {
        self.record_limit = bytes.min(HIGHEST_RECORD_LIMIT);
        self
    }

    /// Largest record of one topic (traffic needs 4 MiB), in bytes as stored, at most 64 MiB.
    #[must_use]
    pub fn topic_record_limit(mut self, topic: impl Into<Arc<str>>, bytes: usize) -> Self {
        self.topic_limits.insert(topic.into(), bytes.min(HIGHEST_RECORD_LIMIT));
        self
    }

    /// Bytes after which a topic starts its next segment, the unit in which retention gives disk space back (default 256 MiB).
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.max(1);
        self
    }

    /// Memory for blocks read from disk (default 64 MiB).
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Memory for a topic's newest records before they go from the journal to their segment (default 16 MiB; at most five times
    /// this while the disk is behind, then appends wait).
    #[must_use]
    pub fn memtable_bytes(mut self, bytes: u64) -> Self {
        self.memtable_bytes = bytes.max(1 << 20);
        self
    }

    /// Makes every n-th [`Worker::commit`](crate::log::Worker::commit) fail with
    /// [`CommitError::Aborted`](crate::log::CommitError::Aborted), counted over all workers. A hook for tests of what stands above the
    /// log; 0, the default, is never.
    #[must_use]
    pub fn abort_every(mut self, n: u64) -> Self {
        self.abort_every = n;
        self
    }

    /// Opens the log in `directory`, which is created if it is not there.
    ///
    /// # Errors
    /// [`LogError::InUse`] while another process has it open; [`LogError::Fatal`] when the directory cannot be used or is damaged.
    pub fn open(self, directory: impl AsRef<Path>) -> Result<EmbeddedLog, LogError> {
        Ok(EmbeddedLog(Arc::new(store::open(directory.as_ref(), self)?)))
    }
}
