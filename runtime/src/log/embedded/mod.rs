//! The log in a directory of this machine, on an on-disk LSM tree, for one process at a time.
//!
//! Same promises as Kafka's behind the same interface. What is particular:
//! - A [`Producer::append`] that returned `Ok` survives the end of the process and power loss (concurrent appends share an fsync).
//! - A [`Worker::commit`](crate::log::Worker::commit) is one atomic batch of outputs and positions. It survives the end of the process;
//!   power loss may take back commits since the last append or [`EmbeddedLog::maintain`], newest first and each as a whole.
//! - Partitions are divided among the workers of a group by number: partition modulo workers.
//! - Nothing is dropped behind anybody's back: [`EmbeddedLog::maintain`] applies retention and compaction, at the time it is told.

mod codec;
mod commit;
mod compaction;
mod lock;
mod members;
mod options;
mod repair;
mod retention;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod topic;

pub use options::Options;

use super::{Log, LogError, Producer, Reader, Start, TopicSpec, Worker, WorkerSpec};
use engine::{Offset, TopicPartition};
use members::{EmbeddedProducer, EmbeddedReader, EmbeddedWorker};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use store::Store;

/// A log in a directory. Clones share it; the directory is free again when the last clone, producer, worker and reader are gone.
#[derive(Clone)]
pub struct EmbeddedLog(Arc<Store>);

/// What one run of [`EmbeddedLog::maintain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Maintained {
    /// Records that retention put out of reach.
    pub expired: u64,
    /// Segments whose files were deleted.
    pub segments_dropped: u64,
    /// Records that compaction removed.
    pub compacted: u64,
}

impl EmbeddedLog {
    /// Opens or creates the log in a directory with [`Options::default`].
    ///
    /// # Errors
    /// See [`Options::open`].
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::options().open(directory)
    }

    /// Defaults, to be changed and opened.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// Drops what retention allows to go, compacts compacted topics, as of `now_ms` (epoch milliseconds), and brings commits of workers
    /// to the disk. To be called every ten seconds or so from a thread of its own: it waits for the disk, appends and reads go on
    /// meanwhile.
    ///
    /// # Errors
    /// The disk.
    pub fn maintain(&self, now_ms: i64) -> Result<Maintained, LogError> {
        let _one_at_a_time = self.0.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = Maintained::default();
        for topic in self.0.all_topics() {
            if topic.index.is_some() {
                done.compacted += self.0.compact(&topic, now_ms)?;
            } else {
                self.0.apply_retention(&topic, now_ms, &mut done)?;
            }
        }
        self.0.release_journals()?;
        self.0.sync()?;
        Ok(done)
    }

    /// Bytes on disk, journals included (each is at least 64 MiB of mostly unwritten space).
    ///
    /// # Errors
    /// The disk.
    pub fn disk_bytes(&self) -> Result<u64, LogError> {
        self.0.db.disk_space().map_err(store::failed("measuring the log"))
    }
}

impl Log for EmbeddedLog {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        topics.iter().try_for_each(|spec| self.0.create_topic(spec))
    }

    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        Ok(self.0.topic(topic)?.partitions)
    }

    fn producer(&self, transactional: Option<&str>) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(EmbeddedProducer::new(Arc::clone(&self.0), transactional)?))
    }

    fn worker(&self, spec: &WorkerSpec) -> Result<Box<dyn Worker>, LogError> {
        Ok(Box::new(EmbeddedWorker::new(Arc::clone(&self.0), spec)?))
    }

    fn reader(&self, from: &[(TopicPartition, Start)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(EmbeddedReader::new(Arc::clone(&self.0), from)?))
    }

    fn committed(&self, group: &str, at: &TopicPartition) -> Result<Option<Offset>, LogError> {
        let slot = self.0.topic_of(at)?.slot(at.partition);
        Ok(self.0.shared.look().committed(group, slot).map(Offset))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<(Offset, Offset), LogError> {
        let slot = self.0.topic_of(at)?.slot(at.partition);
        let visible = self.0.shared.look();
        Ok((Offset(visible.floors[slot]), Offset(visible.ends[slot])))
    }
}
