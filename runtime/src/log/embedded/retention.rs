//! Retention: which records may go, and giving their disk space back.
//!
//! A partition's floor, its oldest offset kept, moves exactly. Files go by whole segments, once every partition's floor has passed
//! them. A partition that is much busier than the others would keep the segments they share alive under a size limit; what is left of
//! the others in a mostly dead segment is then moved to the next one.

use super::Maintained;
use super::codec;
use super::store::{Store, encoded, failed, meta_key};
use super::topic::{Segment, SegmentStart, Topic};
use crate::log::{Cleanup, LogError};
use fjall::PersistMode;
use std::time::Duration;

/// A segment is closed after this share of the time that its topic keeps records.
const SEGMENTS_IN_RETENTION: u32 = 8;
/// Shortest life of a segment.
const SHORTEST_SEGMENT: Duration = Duration::from_secs(60);

/// What makes a record too old.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// Records appended before this may go, epoch milliseconds.
    oldest_ms: i64,
    /// Records with fewer bytes before them may go.
    bytes_before: u64,
}

impl Store {
    /// Moves the floors of a topic, closes its segment if it is old, and deletes segments that are below all floors.
    pub(super) fn apply_retention(&self, topic: &Topic, now_ms: i64, done: &mut Maintained) -> Result<(), LogError> {
        let Cleanup::Delete { keep, max_bytes } = topic.cleanup() else { return Ok(()) };
        done.expired += self.move_floors(topic, now_ms.saturating_sub(millis(keep)), max_bytes)?;
        self.close_old_segment(topic, now_ms, keep)?;
        done.segments_dropped += self.drop_segments(topic)?;
        if max_bytes.is_some() {
            while self.empty_oldest_segment(topic)? {
                done.segments_dropped += self.drop_segments(topic)?;
            }
        }
        Ok(())
    }

    fn move_floors(&self, topic: &Topic, oldest_ms: i64, max_bytes: Option<u64>) -> Result<u64, LogError> {
        let bytes: Vec<u64> = {
            let writer = self.lock_writer()?;
            writer.tails[topic.first_slot..topic.slot(topic.partitions)].iter().map(|t| t.bytes).collect()
        };
        let mut batch = self.batch();
        let mut moved = Vec::new();
        for (partition, bytes) in (0..topic.partitions).zip(bytes) {
            let limit = Limit { oldest_ms, bytes_before: max_bytes.map_or(0, |most| bytes.saturating_sub(most)) };
            let slot = topic.slot(partition);
            let (floor, end) = {
                let visible = self.shared.look();
                (visible.floors[slot], visible.ends[slot])
            };
            let new = first_kept(topic, partition, floor..end, limit)?;
            if new > floor {
                batch.insert(&self.meta, meta_key::floor(topic.id, partition), new.to_be_bytes());
                moved.push((slot, new));
            }
        }
        batch.commit().map_err(failed("moving the oldest offsets"))?;
        let mut expired = 0;
        if !moved.is_empty() {
            self.shared.change(|visible| {
                for (slot, floor) in moved {
                    expired += floor - visible.floors[slot];
                    visible.floors[slot] = floor;
                }
            });
        }
        Ok(expired)
    }

    fn close_old_segment(&self, topic: &Topic, now_ms: i64, keep: Duration) -> Result<(), LogError> {
        let life = millis((keep / SEGMENTS_IN_RETENTION).max(SHORTEST_SEGMENT));
        let mut writer = self.lock_writer()?;
        let created_ms = topic.segments().last().map_or(i64::MAX, |s| s.stored.created_ms);
        if writer.active[topic.id as usize].bytes > 0 && created_ms.saturating_add(life) <= now_ms {
            self.start_segment(&mut writer, topic)?;
        }
        Ok(())
    }

    /// Deletes the oldest segments of which nothing is kept.
    fn drop_segments(&self, topic: &Topic) -> Result<u64, LogError> {
        let writer = self.lock_writer()?;
        let mut segments = topic.segments().as_ref().clone();
        let dead = {
            let visible = self.shared.look();
            let is_dead = |next: &Segment| (0..topic.partitions).all(|p| visible.floors[topic.slot(p)] >= next.start(p).offset);
            segments.iter().skip(1).take_while(|next| is_dead(next)).count()
        };
        if dead == 0 {
            return Ok(0);
        }
        let dropped: Vec<Segment> = segments.drain(..dead).collect();
        let mut batch = self.batch();
        for segment in &dropped {
            batch.remove(&self.meta, meta_key::segment(topic.id, segment.number));
        }
        batch.commit().map_err(failed("dropping segments"))?;
        // Deleting files is not in the journal: that they are no longer needed must be on the disk first.
        self.db.persist(PersistMode::SyncAll).map_err(failed("dropping segments"))?;
        topic.set_segments(segments);
        drop(writer);
        for segment in dropped {
            self.db.delete_keyspace(segment.keyspace).map_err(failed("deleting a segment"))?;
        }
        Ok(dead as u64)
    }

    /// Moves what is kept of the oldest segment to the next one if that is less than a quarter of it. Returns whether it did.
    fn empty_oldest_segment(&self, topic: &Topic) -> Result<bool, LogError> {
        let segments = topic.segments();
        let [oldest, next, ..] = &segments[..] else { return Ok(false) };
        let (mut kept, mut whole) = (0, 0);
        let mut froms = Vec::new();
        for partition in 0..topic.partitions {
            let (start, end) = (oldest.start(partition), next.start(partition));
            let floor = self.shared.look().floors[topic.slot(partition)].max(start.offset);
            whole += end.bytes - start.bytes;
            if floor < end.offset {
                kept += end.bytes - bytes_before(topic, partition, floor)?;
                froms.push((partition, floor));
            }
        }
        if kept.saturating_mul(4) > whole {
            return Ok(false);
        }
        for (partition, from) in froms {
            while self.move_to_next_segment(topic, partition, from)? {}
        }
        Ok(true)
    }

    /// Moves the newest records of a partition in the oldest segment to the next segment, down to `from`; returns whether there are more.
    fn move_to_next_segment(&self, topic: &Topic, partition: u32, from: u64) -> Result<bool, LogError> {
        const AT_ONCE: u64 = 256;
        let _writer = self.lock_writer()?;
        let mut segments = topic.segments().as_ref().clone();
        let [oldest, next, ..] = &mut segments[..] else { return Ok(false) };
        let end = next.start(partition).offset;
        let begin = from.max(end.saturating_sub(AT_ONCE));
        let mut batch = self.batch();
        let mut start = None;
        for offset in begin..end {
            let record = oldest.get(partition, offset)?.ok_or_else(|| codec::damaged("a record that is kept"))?;
            start.get_or_insert(SegmentStart { offset, bytes: codec::stamp(&record)?.bytes_before });
            batch.insert(&next.keyspace, codec::record_key(partition, offset), record);
        }
        let Some(start) = start else { return Ok(false) };
        next.stored.starts[partition as usize] = start;
        batch.insert(&self.meta, meta_key::segment(topic.id, next.number), encoded(&next.stored)?);
        batch.commit().map_err(failed("moving records between segments"))?;
        topic.set_segments(segments);
        Ok(begin > from)
    }

    /// Lets journals go that only wait for a few records of a quiet topic to reach their segment.
    pub(super) fn release_journals(&self) -> Result<(), LogError> {
        if self.db.journal_count() < 2 {
            return Ok(());
        }
        let topics = self.all_topics();
        let active = topics.iter().filter_map(|t| t.segments().last().map(|s| s.keyspace.clone()));
        let indexes = topics.iter().filter_map(|t| t.index.clone());
        for keyspace in active.chain(indexes).chain([self.meta.clone(), self.positions.clone()]) {
            keyspace.rotate_memtable().map_err(failed("writing records to their segments"))?;
        }
        Ok(())
    }
}

/// First offset within the range that is within the limit, or its end: age and bytes only grow along a partition.
fn first_kept(topic: &Topic, partition: u32, range: std::ops::Range<u64>, limit: Limit) -> Result<u64, LogError> {
    let is_kept = |offset| {
        let stamp = codec::stamp(&stored(topic, partition, offset)?)?;
        Ok::<_, LogError>(stamp.timestamp_ms >= limit.oldest_ms && stamp.bytes_before >= limit.bytes_before)
    };
    let (mut low, mut high) = (range.start, range.end);
    if low >= high || is_kept(low)? {
        return Ok(low);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if is_kept(middle)? { high = middle } else { low = middle + 1 }
    }
    Ok(low)
}

fn bytes_before(topic: &Topic, partition: u32, offset: u64) -> Result<u64, LogError> {
    Ok(codec::stamp(&stored(topic, partition, offset)?)?.bytes_before)
}

/// A record of a topic that is not compacted: every offset from the floor to the end is there.
fn stored(topic: &Topic, partition: u32, offset: u64) -> Result<bytes::Bytes, LogError> {
    let segments = topic.segments();
    let n = segments.partition_point(|s| s.start(partition).offset <= offset).saturating_sub(1);
    segments.get(n).map(|s| s.get(partition, offset)).transpose()?.flatten().ok_or_else(|| codec::damaged("a record that is kept"))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
