//! Compaction: of a compacted topic the newest record of each key stays, and a tombstone for a day.
//!
//! Each partition remembers how far it is compacted. Every record from there on takes its key's place in the index and removes the
//! record that had it; work and memory depend on what is new, not on what is there. Index, removals and progress are one batch, so a
//! crash in between leaves nothing half done.

use super::codec;
use super::store::{Store, failed, meta_key};
use super::topic::{Room, Topic};
use crate::log::{LogError, Record};
use engine::TopicPartition;
use fjall::{Keyspace, OwnedWriteBatch};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Records stay this long whatever follows them: who reads a partition from its start to its end meets every key.
const LAG_MS: i64 = 60_000;
/// Tombstones stay this long.
const TOMBSTONE_MS: i64 = 24 * 3600 * 1000;
/// Records that one batch takes on.
const AT_ONCE: usize = 1000;
/// Removals below which rewriting a topic's files is not worth it.
const FEW_REMOVALS: u64 = 10_000;

/// A key's newest record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Newest {
    offset: u64,
    is_tombstone: bool,
}

/// A hash in a key's place: keys may be longer than the store takes.
type KeyHash = [u8; 16];

/// One batch of work on one partition.
struct Pass<'a> {
    topic: &'a Topic,
    index: &'a Keyspace,
    records: Keyspace,
    partition: u32,
    batch: OwnedWriteBatch,
    /// What the batch has put into the index so far.
    changed: HashMap<KeyHash, Newest>,
    removed: u64,
}

impl Store {
    /// Compacts a topic; returns the number of records removed.
    pub(super) fn compact(&self, topic: &Topic, now_ms: i64) -> Result<u64, LogError> {
        let (Some(index), Some(records)) = (&topic.index, topic.segments().last().map(|s| s.keyspace.clone())) else { return Ok(0) };
        let mut removed = 0;
        for partition in 0..topic.partitions {
            loop {
                let pass =
                    Pass { topic, index, records: records.clone(), partition, batch: self.batch(), changed: HashMap::new(), removed: 0 };
                let Some(n) = self.take_on(pass, now_ms)? else { break };
                removed += n;
            }
            loop {
                let n = self.expire_tombstones(index, &records, partition, now_ms)?;
                removed += n as u64;
                if n < AT_ONCE {
                    break;
                }
            }
        }
        self.rewrite_if_worth_it(topic, &records, removed)?;
        Ok(removed)
    }

    /// Takes the next records on; `None` when there are none that are old enough.
    fn take_on(&self, mut pass: Pass<'_>, now_ms: i64) -> Result<Option<u64>, LogError> {
        let progress = meta_key::compacted(pass.topic.id, pass.partition);
        let from = self.meta_number(&progress)?.unwrap_or(0);
        let end = self.shared.look().ends[pass.topic.slot(pass.partition)];
        let at = TopicPartition { topic: Arc::clone(&pass.topic.name), partition: pass.partition };
        let mut records = Vec::new();
        pass.topic.read(&at, from, end, &mut Room::for_records(AT_ONCE), &mut records)?;
        records.retain(|r| r.timestamp_ms.saturating_add(LAG_MS) <= now_ms);
        let Some(last) = records.last().map(|r| r.offset) else { return Ok(None) };
        for record in &records {
            pass.take_on(record)?;
        }
        pass.batch.insert(&self.meta, progress, last.next().0.to_be_bytes());
        pass.batch.commit().map_err(failed("compacting a topic"))?;
        Ok(Some(pass.removed))
    }

    fn expire_tombstones(&self, index: &Keyspace, records: &Keyspace, partition: u32, now_ms: i64) -> Result<usize, LogError> {
        let mut batch = self.batch();
        let mut removed = 0;
        for item in index.prefix(tombstones_of(partition)).take(AT_ONCE) {
            let (key, value) = item.into_inner().map_err(failed("reading a topic's tombstones"))?;
            let offset = codec::number(key.get(5..).unwrap_or_default())?;
            let (since, hash) = value.split_at_checked(8).ok_or_else(|| codec::damaged("a topic's tombstones"))?;
            #[allow(clippy::cast_possible_wrap, reason = "stored from an i64")]
            let since = codec::number(since)? as i64;
            if since.saturating_add(TOMBSTONE_MS) > now_ms {
                break;
            }
            batch.remove(records, codec::record_key(partition, offset));
            batch.remove(index, [&keys_of(partition)[..], hash].concat());
            batch.remove(index, key);
            removed += 1;
        }
        batch.commit().map_err(failed("removing tombstones"))?;
        Ok(removed)
    }

    /// Removed records leave the files when those are rewritten: at once when that gives half of them back.
    fn rewrite_if_worth_it(&self, topic: &Topic, records: &Keyspace, removed: u64) -> Result<(), LogError> {
        let removed = topic.removed.fetch_add(removed, Ordering::Relaxed) + removed;
        // The store counts what was removed twice: as a record and as its removal.
        let kept = (records.approximate_len() as u64).saturating_sub(removed.saturating_mul(2));
        if removed < FEW_REMOVALS.max(kept) {
            return Ok(());
        }
        records.rotate_memtable_and_wait().map_err(failed("writing records to their segment"))?;
        if records.sealed_memtable_count() > 0 {
            // Appends came in between, and what they sealed is on its way to the files: next time.
            return Ok(());
        }
        topic.removed.store(0, Ordering::Relaxed);
        records.major_compact().map_err(failed("rewriting a compacted topic"))
    }
}

impl Pass<'_> {
    fn take_on(&mut self, record: &Record) -> Result<(), LogError> {
        let hash = key_hash(record.key.as_deref().unwrap_or_default());
        let index_key = [&keys_of(self.partition)[..], &hash].concat();
        if let Some(previous) = self.newest(&hash, &index_key)? {
            self.batch.remove(&self.records, codec::record_key(self.partition, previous.offset));
            if previous.is_tombstone {
                self.batch.remove(self.index, tombstone_key(self.partition, previous.offset));
            }
            self.removed += 1;
        }
        let newest = Newest { offset: record.offset.0, is_tombstone: record.value.is_none() };
        if newest.is_tombstone {
            let value = [&record.timestamp_ms.to_be_bytes()[..], &hash].concat();
            self.batch.insert(self.index, tombstone_key(self.partition, newest.offset), value);
        }
        self.batch.insert(self.index, index_key, newest.encoded());
        self.changed.insert(hash, newest);
        Ok(())
    }

    fn newest(&self, hash: &KeyHash, index_key: &[u8]) -> Result<Option<Newest>, LogError> {
        if let Some(newest) = self.changed.get(hash) {
            return Ok(Some(*newest));
        }
        self.index.get(index_key).map_err(failed("reading the index of a topic"))?.map(|v| Newest::decoded(&v)).transpose()
    }
}

impl Newest {
    fn encoded(self) -> [u8; 9] {
        let mut bytes = [0; 9];
        bytes[..8].copy_from_slice(&self.offset.to_be_bytes());
        bytes[8] = u8::from(self.is_tombstone);
        bytes
    }

    fn decoded(bytes: &[u8]) -> Result<Self, LogError> {
        let (offset, flag) = bytes.split_at_checked(8).ok_or_else(|| codec::damaged("the index of a topic"))?;
        Ok(Self { offset: codec::number(offset)?, is_tombstone: flag == [1] })
    }
}

fn key_hash(key: &[u8]) -> KeyHash {
    let mut hash = KeyHash::default();
    hash.copy_from_slice(&blake3::hash(key).as_bytes()[..16]);
    hash
}

fn keys_of(partition: u32) -> [u8; 5] {
    prefix(b'k', partition)
}

fn tombstones_of(partition: u32) -> [u8; 5] {
    prefix(b't', partition)
}

fn prefix(kind: u8, partition: u32) -> [u8; 5] {
    let [a, b, c, d] = partition.to_be_bytes();
    [kind, a, b, c, d]
}

fn tombstone_key(partition: u32, offset: u64) -> Vec<u8> {
    [&tombstones_of(partition)[..], &offset.to_be_bytes()].concat()
}
