//! The one place that writes records: offsets are given, one atomic batch is written, then readers see it.
//!
//! A batch is in the operating system's hands when [`Store::write`] returns: kill -9 loses nothing of it. Power loss may, until
//! [`Store::make_durable`] has returned; what it leaves is a prefix of the order in which batches were written, so a transaction is
//! never there without what it was computed from. Producers wait for it, many with one fsync. Workers do not: a commit that is lost is
//! judged again from the same records at the same offsets.

use super::codec::{self, Stamp};
use super::state::Visible;
use super::store::{Store, encoded, failed, meta_key, position_key};
use super::topic::{SegmentStart, StoredTopic, Topic};
use crate::log::{CommitError, LogError, Output, partitioner};
use engine::Offset;
use fjall::PersistMode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The writer's state; whoever holds it writes.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// By slot.
    pub(super) tails: Vec<Tail>,
    /// By topic id.
    pub(super) active: Vec<Active>,
    /// Commits of workers that were tried, for [`super::Options::abort_every`].
    commits: u64,
}

/// End of a partition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tail {
    pub(super) next: u64,
    /// Encoded bytes of all records so far.
    pub(super) bytes: u64,
    pub(super) timestamp_ms: i64,
}

/// The segment that a topic's appends go to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Active {
    pub(super) bytes: u64,
}

/// Counts batches, and lets those who wait for the disk share one fsync.
#[derive(Debug, Default)]
pub(super) struct Durability {
    written: AtomicU64,
    synced: Mutex<Synced>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Synced {
    upto: u64,
    in_progress: bool,
}

/// A record that is ready to be written.
pub(super) struct Prepared {
    topic: Arc<Topic>,
    partition: u32,
    bytes: Vec<u8>,
}

/// A committed offset to be.
pub(super) struct Position {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: u32,
    pub(super) offset: u64,
}

/// Who commits.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) id: u64,
    pub(super) name: &'a str,
    pub(super) group: &'a Arc<str>,
}

/// A batch as it was written.
pub(super) struct Written {
    pub(super) places: Vec<(u32, Offset)>,
    /// To wait with for durability.
    pub(super) ticket: u64,
}

impl Store {
    pub(super) fn lock_writer(&self) -> Result<MutexGuard<'_, Writer>, LogError> {
        // After a panic in the middle of a write, the writer's offsets may be behind the store's.
        self.writer.lock().map_err(|_| LogError::Fatal {
            doing: "writing to the log".to_owned(),
            why: "an earlier write did not end; restart to recover".to_owned(),
        })
    }

    /// Checks and encodes records, and chooses partitions.
    ///
    /// # Errors
    /// An unknown topic or partition, a record over its limit, or one without a key for a compacted topic.
    pub(super) fn prepare(&self, outputs: Vec<Output>) -> Result<Vec<Prepared>, LogError> {
        let mut known: Option<Arc<Topic>> = None;
        let mut prepared = Vec::with_capacity(outputs.len());
        for output in outputs {
            let topic = match known.take().filter(|t| t.name == output.topic) {
                Some(topic) => topic,
                None => self.topic(&output.topic)?,
            };
            let partition = self.partition_for(&topic, &output)?;
            let bytes = codec::encode(&output, topic.record_limit)?;
            prepared.push(Prepared { topic: Arc::clone(&topic), partition, bytes });
            known = Some(topic);
        }
        Ok(prepared)
    }

    fn partition_for(&self, topic: &Topic, output: &Output) -> Result<u32, LogError> {
        let wrong = |what: String| Err(LogError::WrongTopic { topic: topic.name.to_string(), what });
        match (output.partition, &output.key) {
            (_, None) if topic.index.is_some() => wrong("is compacted and takes no record without a key".to_owned()),
            (Some(n), _) if n >= topic.partitions => wrong(format!("there is no partition {n}, only {}", topic.partitions)),
            (Some(n), _) => Ok(n),
            (None, Some(key)) => Ok(partitioner::partition_of(key, topic.partitions)),
            (None, None) => Ok(self.keyless.fetch_add(1, Ordering::Relaxed) % topic.partitions),
        }
    }

    /// Writes records of a producer in one batch; with a name, only while it still owns it.
    pub(super) fn append(&self, owner: Option<(&str, u64)>, records: Vec<Prepared>) -> Result<Written, LogError> {
        let mut writer = self.lock_writer()?;
        if let Some((name, id)) = owner
            && !self.shared.look().is_living(name, id)
        {
            return Err(LogError::Fatal {
                doing: format!("appending as `{name}`"),
                why: "fenced by a later producer of the same name".to_owned(),
            });
        }
        self.write(&mut writer, records, None)
    }

    /// Writes a transaction of a worker.
    ///
    /// # Errors
    /// Fenced by a later worker of the same name; aborted when a partition has gone to another one, or a test asked for it.
    pub(super) fn commit(&self, member: Member<'_>, records: Vec<Prepared>, positions: &[Position]) -> Result<(), CommitError> {
        let mut writer = self.lock_writer()?;
        {
            let visible = self.shared.look();
            if !visible.is_living(member.name, member.id) {
                return Err(CommitError::Fenced(member.name.to_owned()));
            }
            let owners = visible.groups.get(member.group).map(|g| &g.owners);
            for position in positions {
                let slot = position.topic.slot(position.partition);
                if owners.and_then(|o| o.get(&slot)) != Some(&member.id) {
                    let what =
                        format!("{}-{} belongs to another member of `{}` now", position.topic.name, position.partition, member.group);
                    return Err(CommitError::Aborted(what));
                }
            }
        }
        writer.commits += 1;
        if self.options.abort_every > 0 && writer.commits.is_multiple_of(self.options.abort_every) {
            return Err(CommitError::Aborted(format!("every {}. commit is to fail", self.options.abort_every)));
        }
        self.write(&mut writer, records, Some((member.group, positions)))?;
        Ok(())
    }

    /// Writes one atomic batch and shows it to readers.
    fn write(&self, writer: &mut Writer, records: Vec<Prepared>, positions: Option<(&Arc<str>, &[Position])>) -> Result<Written, LogError> {
        let now = (self.options.clock)();
        let mut batch = self.batch();
        let mut places = Vec::with_capacity(records.len());
        let mut tails: BTreeMap<usize, Tail> = BTreeMap::new();
        let mut grown: BTreeMap<u32, (Arc<Topic>, u64)> = BTreeMap::new();
        let mut segment = None;
        for Prepared { topic, partition, mut bytes } in records {
            let slot = topic.slot(partition);
            let tail = tails.entry(slot).or_insert(writer.tails[slot]);
            tail.timestamp_ms = tail.timestamp_ms.max(now);
            codec::set_stamp(&mut bytes, Stamp { timestamp_ms: tail.timestamp_ms, bytes_before: tail.bytes });
            places.push((partition, Offset(tail.next)));
            let keyspace = active_keyspace(&mut segment, &topic)?;
            let size = bytes.len() as u64;
            batch.insert(keyspace, codec::record_key(partition, tail.next), bytes);
            tail.next += 1;
            tail.bytes += size;
            grown.entry(topic.id).or_insert((topic, 0)).1 += size;
        }
        if let Some((group, positions)) = positions {
            for p in positions {
                batch.insert(&self.positions, position_key(p.topic.id, p.partition, group), p.offset.to_be_bytes());
            }
        }
        batch.commit().map_err(failed("writing to the log"))?;
        for (slot, tail) in &tails {
            writer.tails[*slot] = *tail;
        }
        let ticket = self.durability.written.fetch_add(1, Ordering::AcqRel) + 1;
        self.shared.change(|visible| show(visible, &tails, positions));
        for (topic, bytes) in grown.into_values() {
            let active = &mut writer.active[topic.id as usize];
            active.bytes += bytes;
            if active.bytes >= topic.segment_limit(self.options.segment_bytes) {
                self.start_segment(writer, &topic)?;
            }
        }
        Ok(Written { places, ticket })
    }

    /// Starts a topic's next segment; appends go there from now on.
    pub(super) fn start_segment(&self, writer: &mut Writer, topic: &Topic) -> Result<(), LogError> {
        let mut segments = topic.segments().as_ref().clone();
        let Some(last) = segments.last() else { return Ok(()) };
        let (old, number) = (last.keyspace.clone(), last.number + 1);
        let tails = &writer.tails[topic.first_slot..topic.slot(topic.partitions)];
        let starts = tails.iter().map(|t| SegmentStart { offset: t.next, bytes: t.bytes }).collect();
        let stored = StoredTopic { id: topic.id, partitions: topic.partitions, cleanup: topic.cleanup().into() };
        let segment = self.new_segment(&stored, number, starts)?;
        let mut batch = self.batch();
        batch.insert(&self.meta, meta_key::segment(topic.id, number), encoded(&segment.stored)?);
        batch.commit().map_err(failed("starting a segment"))?;
        segments.push(segment);
        topic.set_segments(segments);
        writer.active[topic.id as usize] = Active::default();
        old.rotate_memtable().map_err(failed("closing a segment"))?;
        Ok(())
    }

    /// Brings everything written so far to the disk.
    ///
    /// # Errors
    /// See [`Self::make_durable`].
    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.make_durable(self.durability.written.load(Ordering::Acquire))
    }

    /// Returns when everything up to a ticket is on the disk. Whoever comes first does it for all that have written by then.
    ///
    /// # Errors
    /// The disk; the log takes no more writes then.
    pub(super) fn make_durable(&self, ticket: u64) -> Result<(), LogError> {
        let durability = &self.durability;
        let mut synced = durability.synced.lock().unwrap_or_else(PoisonError::into_inner);
        while synced.upto < ticket {
            if synced.in_progress {
                synced = durability.done.wait(synced).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            synced.in_progress = true;
            drop(synced);
            let upto = durability.written.load(Ordering::Acquire);
            let result = self.db.persist(PersistMode::SyncData).map_err(failed("writing the log to the disk"));
            synced = durability.synced.lock().unwrap_or_else(PoisonError::into_inner);
            synced.in_progress = false;
            durability.done.notify_all();
            result?;
            synced.upto = synced.upto.max(upto);
        }
        Ok(())
    }
}

/// Keyspace of the segment that takes a topic's appends, remembered between records of one topic.
fn active_keyspace<'a>(known: &'a mut Option<(u32, fjall::Keyspace)>, topic: &Topic) -> Result<&'a fjall::Keyspace, LogError> {
    if known.as_ref().is_none_or(|(id, _)| *id != topic.id) {
        let segments = topic.segments();
        let last = segments.last().ok_or_else(|| codec::damaged("the segments of a topic"))?;
        *known = Some((topic.id, last.keyspace.clone()));
    }
    known.as_ref().map(|(_, keyspace)| keyspace).ok_or_else(|| codec::damaged("the segments of a topic"))
}

fn show(visible: &mut Visible, tails: &BTreeMap<usize, Tail>, positions: Option<(&Arc<str>, &[Position])>) {
    for (slot, tail) in tails {
        visible.ends[*slot] = tail.next;
    }
    if let Some((group, positions)) = positions {
        let group = visible.groups.entry(Arc::clone(group)).or_default();
        for p in positions {
            group.positions.insert(p.topic.slot(p.partition), p.offset);
        }
    }
}
