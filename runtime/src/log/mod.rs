//! The log as the services see it: one small interface, made of what Kafka's consumers and transactions need.
//!
//! Two implementations: [`embedded`] in a data directory, and [`kafka`]. Everything above is the same code.
//! Guarantees that callers build on:
//! - A [`Worker::commit`] is atomic: outputs and positions become visible together or not at all.
//! - After [`CommitError::Aborted`] the worker's positions are back at the committed ones, and the state that the batch touched is void:
//!   the caller drops it, restores it from `weir.state`, and reads on.
//! - A [`Producer::append`] that returned `Ok` survives kill -9.
//! - Readers see committed records only.

pub mod embedded;
pub mod kafka;
pub mod partitioner;
mod patience;

pub use patience::{Polled, poll_on, read_on};

use bytes::Bytes;
use engine::{Offset, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

/// One record as read.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it stands.
    pub at: TopicPartition,
    /// See `at`.
    pub offset: Offset,
    /// Append time, epoch milliseconds.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(String, Bytes)>,
}

impl Record {
    /// Value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| &v[..])
    }
}

/// One record to be written.
#[derive(Debug, Clone)]
pub struct Output {
    /// Topic, prefix included.
    pub topic: Arc<str>,
    /// Partition; `None`: by murmur2 of the key (as Java clients do), any one without a key.
    pub partition: Option<u32>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order. `weir-format` is the caller's to set.
    pub headers: Vec<(&'static str, Bytes)>,
}

/// How a topic drops old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// By age and, if set, by bytes a partition.
    Delete {
        /// Records older than this may go.
        keep: Duration,
        /// A partition larger than this loses its oldest records.
        max_bytes: Option<u64>,
    },
    /// The newest record of each key stays; tombstones go after a day.
    Compact,
}

/// A topic as the configuration wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name, prefix included.
    pub name: Arc<str>,
    /// Partitions, fixed for the topic's life.
    pub partitions: u32,
    /// How it drops old records.
    pub cleanup: Cleanup,
}

/// Who consumes what.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// Consumer group, prefix included.
    pub group: String,
    /// Topics.
    pub topics: Vec<Arc<str>>,
    /// Stable name of this process.
    pub instance: String,
    /// Number of this worker in its process, from 0.
    pub number: usize,
    /// Workers in this process (the embedded log divides partitions among them; Kafka's group protocol does its own).
    pub of: usize,
}

/// What a poll brings, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// These partitions are ours now; reading starts at the committed offset given.
    Assigned(Vec<(TopicPartition, Offset)>),
    /// These are not ours any more: drop their state.
    Revoked(Vec<TopicPartition>),
    /// Records, in offset order within a partition.
    Records(Vec<Record>),
}

/// What one batch writes: all of it, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Records to write.
    pub outputs: Vec<Output>,
    /// Next offset to read, per partition.
    pub positions: Vec<(TopicPartition, Offset)>,
}

/// Why the log did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process holds the data directory.
    #[error("{path} is in use by another process{}: only one Weir may run on a data directory at a time", .pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    InUse {
        /// The directory.
        path: String,
        /// The other process, where known.
        pid: Option<u32>,
    },
    /// A topic is not there.
    #[error("topic `{0}` does not exist")]
    NoTopic(String),
    /// A topic is not as configured.
    #[error("topic `{topic}`: {what}")]
    WrongTopic {
        /// The topic.
        topic: String,
        /// What is wrong and what was wanted.
        what: String,
    },
    /// Reading starts before the oldest record that is kept.
    #[error("{at}: offset {wanted} is gone; the oldest kept is {oldest}")]
    OffsetGone {
        /// The partition.
        at: TopicPartition,
        /// Offset asked for.
        wanted: Offset,
        /// Oldest that is there.
        oldest: Offset,
    },
    /// A record is larger than the log takes.
    #[error("record of {size} bytes for `{topic}` is over the limit of {limit}")]
    TooLarge {
        /// The topic.
        topic: String,
        /// Bytes of the record.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Try again.
    #[error("{doing}: {why}")]
    Retriable {
        /// What was being done.
        doing: String,
        /// What went wrong.
        why: String,
    },
    /// No use in trying again.
    #[error("{doing}: {why}")]
    Fatal {
        /// What was being done.
        doing: String,
        /// What went wrong.
        why: String,
    },
}

/// How a commit can fail.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written, or, where an answer got lost, all: state touched by the batch is void in either case; read on from the
    /// committed offsets (already sought).
    #[error("transaction aborted: {0}")]
    Aborted(String),
    /// Another instance with our name has taken over: stop.
    #[error("fenced by another instance of the same name: {0}")]
    Fenced(String),
    /// The log is of no more use.
    #[error(transparent)]
    Fatal(#[from] LogError),
}

/// A log: topics of partitions of records.
pub trait Log: Send + Sync {
    /// Creates what is missing; changes no partition count.
    ///
    /// # Errors
    /// A topic exists with another partition count or cleanup, or the log cannot be reached.
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError>;

    /// Number of partitions of a topic.
    ///
    /// # Errors
    /// No such topic, or the log cannot be reached.
    fn partitions(&self, topic: &str) -> Result<u32, LogError>;

    /// Appends outside of any consumer group. With a name, appends are transactions of that name (one live owner of a name);
    /// without, they are idempotent but each record stands alone.
    ///
    /// # Errors
    /// The log cannot be reached.
    fn producer(&self, transactional: Option<&str>) -> Result<Box<dyn Producer>, LogError>;

    /// A member of a consumer group with its own transactions.
    ///
    /// # Errors
    /// A topic is missing, or the log cannot be reached.
    fn worker(&self, spec: &WorkerSpec) -> Result<Box<dyn Worker>, LogError>;

    /// Reads partitions from given offsets on, outside of any group.
    ///
    /// # Errors
    /// A topic is missing, or the log cannot be reached.
    fn reader(&self, from: &[(TopicPartition, Start)]) -> Result<Box<dyn Reader>, LogError>;

    /// Committed offset of a group, if it has one.
    ///
    /// # Errors
    /// The log cannot be reached.
    fn committed(&self, group: &str, at: &TopicPartition) -> Result<Option<Offset>, LogError>;

    /// Oldest offset kept and the next to be written.
    ///
    /// # Errors
    /// No such partition, or the log cannot be reached.
    fn bounds(&self, at: &TopicPartition) -> Result<(Offset, Offset), LogError>;
}

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record kept.
    Oldest,
    /// After the newest record.
    End,
    /// At an offset.
    At(Offset),
}

/// Appends records. Shared between threads: appends that come together are made durable together.
pub trait Producer: Send + Sync {
    /// Writes records and returns when they are durable, with each one's partition and offset in order.
    ///
    /// # Errors
    /// Nothing is promised about any of them.
    fn append(&self, outputs: Vec<Output>) -> Result<Vec<(u32, Offset)>, LogError>;
}

/// A member of a consumer group with its own transactions; used by one thread.
pub trait Worker: Send {
    /// Waits for at most `wait`, returns at most `limit` records.
    ///
    /// # Errors
    /// [`LogError::Retriable`] may be polled again; others are the end.
    fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Event>, LogError>;

    /// Writes a batch in one transaction.
    ///
    /// # Errors
    /// See [`CommitError`].
    fn commit(&mut self, batch: Batch) -> Result<(), CommitError>;

    /// Reads on from another offset.
    ///
    /// # Errors
    /// The partition is not ours.
    fn seek(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError>;

    /// Brings no records of these partitions until resumed.
    ///
    /// # Errors
    /// A partition is not ours.
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Undoes [`Self::pause`].
    ///
    /// # Errors
    /// A partition is not ours.
    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Where each partition that is ours ends, for lag: behind its last record, once all of it was handed out; until then marks of
    /// transactions may count, too.
    ///
    /// # Errors
    /// The log cannot be reached.
    fn ends(&mut self) -> Result<Vec<(TopicPartition, Offset)>, LogError>;
}

/// Reads partitions outside of any group.
pub trait Reader: Send {
    /// Waits for at most `wait` for the next records, at most `limit`. Empty: nothing came.
    ///
    /// # Errors
    /// [`LogError::Retriable`] may be read again; others are the end.
    fn read(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError>;

    /// Whether everything that was committed when this is asked has been read.
    ///
    /// # Errors
    /// The log cannot be reached.
    fn at_end(&mut self) -> Result<bool, LogError>;
}

/// Where a group goes on in a partition: at its committed offset, else at the oldest record.
///
/// # Errors
/// The log cannot be reached.
pub fn goes_on_at(log: &dyn Log, group: &str, at: &TopicPartition) -> Result<Offset, LogError> {
    log.committed(group, at)?.map_or_else(|| log.bounds(at).map(|(oldest, _)| oldest), Ok)
}

/// Records of one read of [`read_to_end`].
const READ: usize = 256;
/// Longest wait of one read of [`read_to_end`].
const WAIT: Duration = Duration::from_millis(50);

/// Reads partitions from their starts to what is committed by now, and hands every record to `take`.
///
/// # Errors
/// A topic is missing, or the log cannot be reached.
pub fn read_to_end(log: &dyn Log, from: &[(TopicPartition, Start)], mut take: impl FnMut(Record)) -> Result<(), LogError> {
    let mut reader = log.reader(from)?;
    loop {
        let records = read_on(&mut *reader, READ, WAIT)?;
        let may_be_all = records.len() < READ;
        records.into_iter().for_each(&mut take);
        if may_be_all && reader.at_end()? {
            return Ok(());
        }
    }
}
