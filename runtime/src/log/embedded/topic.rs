//! A topic in memory: its segments, and reading from them.

use super::codec;
use crate::log::{Cleanup, LogError, Record};
use bytes::Bytes;
use engine::TopicPartition;
use fjall::Keyspace;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// What is stored of a topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredTopic {
    pub(super) id: u32,
    pub(super) partitions: u32,
    pub(super) cleanup: StoredCleanup,
}

/// [`Cleanup`] as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StoredCleanup {
    Delete { keep: Duration, max_bytes: Option<u64> },
    Compact,
}

impl From<Cleanup> for StoredCleanup {
    fn from(cleanup: Cleanup) -> Self {
        match cleanup {
            Cleanup::Delete { keep, max_bytes } => Self::Delete { keep, max_bytes },
            Cleanup::Compact => Self::Compact,
        }
    }
}

impl From<StoredCleanup> for Cleanup {
    fn from(stored: StoredCleanup) -> Self {
        match stored {
            StoredCleanup::Delete { keep, max_bytes } => Self::Delete { keep, max_bytes },
            StoredCleanup::Compact => Self::Compact,
        }
    }
}

/// Where a segment begins in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(super) struct SegmentStart {
    /// First offset of the partition that stands here rather than in the segment before.
    pub(super) offset: u64,
    /// Bytes of the partition before that.
    pub(super) bytes: u64,
}

/// What is stored of a segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredSegment {
    pub(super) created_ms: i64,
    /// Per partition.
    pub(super) starts: Vec<SegmentStart>,
}

/// A stretch of all partitions of a topic, in a keyspace of its own: dropping it is deleting its files.
/// It holds each partition's offsets from its own start to the next segment's start.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) keyspace: Keyspace,
    pub(super) stored: StoredSegment,
}

impl Segment {
    /// Where this segment begins in a partition.
    pub(super) fn start(&self, partition: u32) -> SegmentStart {
        self.stored.starts.get(partition as usize).copied().unwrap_or_default()
    }

    /// Value of one record.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn get(&self, partition: u32, offset: u64) -> Result<Option<Bytes>, LogError> {
        let value = self.keyspace.get(codec::record_key(partition, offset)).map_err(|e| reading(&e))?;
        Ok(value.map(Bytes::from))
    }

    /// Offset and value of the newest record of a partition in this segment.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn last(&self, partition: u32) -> Result<Option<(u64, Bytes)>, LogError> {
        let range = codec::record_key(partition, 0)..=codec::record_key(partition, u64::MAX);
        let Some(newest) = self.keyspace.range(range).next_back() else { return Ok(None) };
        let (key, value) = newest.into_inner().map_err(|e| reading(&e))?;
        Ok(Some((codec::offset_of(&key)?, value.into())))
    }
}

/// How much may still be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Room {
    /// Bytes that one read brings at most, but for its last record: large records make a read end before its limit.
    const READ_BYTES: usize = 16 << 20;

    /// Room for one read of at most `records`, but at least one.
    pub(super) fn for_records(records: usize) -> Self {
        Self { records: records.max(1), bytes: Self::READ_BYTES }
    }

    /// Whether nothing more fits.
    pub(super) fn is_full(self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

/// A topic.
pub(super) struct Topic {
    pub(super) id: u32,
    pub(super) name: Arc<str>,
    pub(super) partitions: u32,
    /// Slot of partition 0; the slots of a log number all partitions of all topics.
    pub(super) first_slot: usize,
    pub(super) record_limit: usize,
    pub(super) cleanup: Mutex<Cleanup>,
    /// Oldest first; the last one takes appends.
    pub(super) segments: RwLock<Arc<Vec<Segment>>>,
    /// Newest offset of every key; compacted topics only.
    pub(super) index: Option<Keyspace>,
    /// Records that compaction removed since the files were rewritten; compacted topics only.
    pub(super) removed: AtomicU64,
}

impl Topic {
    pub(super) fn slot(&self, partition: u32) -> usize {
        self.first_slot + partition as usize
    }

    pub(super) fn segments(&self) -> Arc<Vec<Segment>> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_segments(&self, segments: Vec<Segment>) {
        *self.segments.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(segments);
    }

    pub(super) fn cleanup(&self) -> Cleanup {
        *self.cleanup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes after which the next segment starts: small enough that a partition's size limit is kept to about twice.
    pub(super) fn segment_limit(&self, largest: u64) -> u64 {
        const SMALLEST: u64 = 4 << 20;
        match self.cleanup() {
            Cleanup::Delete { max_bytes: Some(bytes), .. } => bytes.max(SMALLEST).min(largest),
            Cleanup::Delete { max_bytes: None, .. } => largest,
            Cleanup::Compact => u64::MAX,
        }
    }

    /// Appends the records of a partition with offsets in `from..end` to `out` while there is room. Returns where to read on:
    /// `end` when all were read.
    ///
    /// # Errors
    /// The disk, or a damaged record.
    pub(super) fn read(&self, at: &TopicPartition, from: u64, end: u64, room: &mut Room, out: &mut Vec<Record>) -> Result<u64, LogError> {
        let segments = self.segments();
        let first = segments.partition_point(|s| s.start(at.partition).offset <= from).saturating_sub(1);
        for (n, segment) in segments.iter().enumerate().skip(first) {
            let segment_end = segments.get(n + 1).map_or(end, |next| next.start(at.partition).offset.min(end));
            if segment_end <= from {
                continue;
            }
            let range = codec::record_key(at.partition, from)..codec::record_key(at.partition, segment_end);
            for item in segment.keyspace.range(range) {
                let (key, value) = item.into_inner().map_err(|e| reading(&e))?;
                let offset = codec::offset_of(&key)?;
                if room.is_full() {
                    return Ok(offset);
                }
                room.records -= 1;
                room.bytes = room.bytes.saturating_sub(value.len());
                out.push(codec::decode(at, offset, value.into())?);
            }
        }
        Ok(end)
    }
}

fn reading(e: &fjall::Error) -> LogError {
    LogError::Fatal { doing: "reading the log".to_owned(), why: e.to_string() }
}
