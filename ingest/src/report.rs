//! What ingest tells of itself on the status topic: that it lives, where it reads and how much it took.

use runtime::clock::now_ms;
use runtime::config::Config;
use runtime::log::{Log, LogError, Producer};
use runtime::shutdown::Shutdown;
use runtime::status::{BEAT_MS, INGEST, IngestStatus, record};
use runtime::topics::Topics;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Time between two tellings of what has changed.
const EVERY_MS: i64 = 2_000;
/// Time between two looks at whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// What came in since the process started, and what cannot be read; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    accepted: AtomicU64,
    dead_letters: AtomicU64,
    unread: Mutex<Vec<String>>,
}

impl Counts {
    pub(crate) fn add(&self, accepted: u64, dead_letters: u64) {
        self.0.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.0.dead_letters.fetch_add(dead_letters, Ordering::Relaxed);
    }

    /// Inputs that cannot be read at present, and why.
    pub(crate) fn set_unread(&self, unread: Vec<String>) {
        *self.0.unread.lock().unwrap_or_else(PoisonError::into_inner) = unread;
    }

    fn unread(&self) -> Vec<String> {
        self.0.unread.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Exchanges that the log has.
    fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Records that could not be read.
    fn dead_letters(&self) -> u64 {
        self.0.dead_letters.load(Ordering::Relaxed)
    }
}

/// Tells when something changed, at least every [`BEAT_MS`], and at the end.
pub(crate) struct Report {
    status: IngestStatus,
    counts: Counts,
    topic: Arc<str>,
    producer: Box<dyn Producer>,
}

impl Report {
    pub(crate) fn new(config: &Config, counts: Counts, log: &dyn Log) -> Result<Self, LogError> {
        let topics = config.ingest.topics.iter().map(|topic| format!("topic {}", topic.name));
        let files = config.ingest.files.iter().map(|file| format!("file {}", file.path.display()));
        let status = IngestStatus {
            instance: config.instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            inputs: std::iter::once(format!("listener {}", config.listen)).chain(topics).chain(files).collect(),
            ..IngestStatus::default()
        };
        Ok(Self { status, counts, topic: Topics::new(config).status, producer: log.producer(None)? })
    }

    /// Tells until it is to stop. Blocks.
    pub(crate) fn run(mut self, shutdown: &Shutdown) -> Self {
        while !shutdown.is_cancelled() {
            let counted = (self.counts.accepted(), self.counts.dead_letters());
            let is_changed = counted != (self.status.accepted, self.status.dead_letters) || self.counts.unread() != self.status.unread;
            let after = if is_changed { EVERY_MS } else { BEAT_MS };
            if self.status.life.said_ms.saturating_add(after) <= now_ms() {
                self.tell();
            }
            std::thread::sleep(LOOK);
        }
        self
    }

    /// Says that ingest has ended in good order. Blocks.
    pub(crate) fn end(mut self) {
        self.status.life.ended = true;
        self.tell();
    }

    /// A status that cannot be written is no reason to stop.
    fn tell(&mut self) {
        self.status.accepted = self.counts.accepted();
        self.status.dead_letters = self.counts.dead_letters();
        self.status.unread = self.counts.unread();
        self.status.life.said_ms = now_ms();
        let written = record(&self.topic, format!("{INGEST}{}", self.status.instance), &self.status)
            .map_err(|error| error.to_string())
            .and_then(|output| self.producer.append(vec![output]).map_err(|error| error.to_string()));
        if let Err(why) = written {
            tracing::warn!(why, "the status of ingest could not be written");
        }
    }
}
