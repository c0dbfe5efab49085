//! The log's directory: opened, recovered, given new topics.
//!
//! ```text
//! DIR/weir.lock           flock, with the holder's process id
//! DIR/log/                one fjall database:
//!   meta                  topics, segments, floors and how far compaction came
//!   positions             committed offsets by group
//!   t<topic>-s<segment>   records: partition, offset -> record; one keyspace a segment
//!   t<topic>-index        compacted topics: newest offset by key
//! ```

use super::codec::{self, Stamp, damaged};
use super::commit::{Active, Durability, Tail, Writer};
use super::lock::DirectoryLock;
use super::options::Options;
use super::repair;
use super::state::{Shared, Visible};
use super::topic::{Segment, SegmentStart, StoredCleanup, StoredSegment, StoredTopic, Topic};
use crate::log::{Cleanup, LogError, TopicSpec};
use engine::TopicPartition;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Journals on disk; a topic whose records hold back older ones is written to its segment.
const JOURNAL_BYTES: u64 = 256 << 20;

/// An open log. Fields are dropped in this order: the lock goes last.
pub(super) struct Store {
    pub(super) topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    pub(super) writer: Mutex<Writer>,
    pub(super) durability: Durability,
    /// Partition, modulo the topic's, of the next record without a key.
    pub(super) keyless: AtomicU32,
    pub(super) shared: Shared,
    pub(super) maintenance: Mutex<()>,
    pub(super) meta: Keyspace,
    pub(super) positions: Keyspace,
    pub(super) db: Database,
    pub(super) options: Options,
    _lock: DirectoryLock,
}

/// Keys of `meta`.
pub(super) mod meta_key {
    pub(in super::super) const TOPIC: u8 = b't';

    pub(in super::super) fn topic(name: &str) -> Vec<u8> {
        [&[TOPIC], name.as_bytes()].concat()
    }

    pub(in super::super) fn segments(topic: u32) -> Vec<u8> {
        [&[b's'][..], &topic.to_be_bytes()].concat()
    }

    pub(in super::super) fn segment(topic: u32, number: u64) -> Vec<u8> {
        [&segments(topic)[..], &number.to_be_bytes()].concat()
    }

    pub(in super::super) fn floor(topic: u32, partition: u32) -> Vec<u8> {
        [&[b'f'][..], &topic.to_be_bytes(), &partition.to_be_bytes()].concat()
    }

    /// Offset before which a partition is compacted.
    pub(in super::super) fn compacted(topic: u32, partition: u32) -> Vec<u8> {
        [&[b'c'][..], &topic.to_be_bytes(), &partition.to_be_bytes()].concat()
    }
}

/// An error of the store while something was being done.
pub(super) fn failed(doing: &str) -> impl Fn(fjall::Error) -> LogError + '_ {
    move |e| {
        let why = match e {
            fjall::Error::Poisoned => "an earlier write failed (disk full or broken?); restart to recover".to_owned(),
            fjall::Error::Io(e) => e.to_string(),
            other => other.to_string(),
        };
        LogError::Fatal { doing: doing.to_owned(), why }
    }
}

/// Opens or creates the log in a directory.
pub(super) fn open(directory: &Path, options: Options) -> Result<Store, LogError> {
    let doing = format!("opening the log in {}", directory.display());
    let io = |e: std::io::Error| LogError::Fatal { doing: doing.clone(), why: e.to_string() };
    std::fs::create_dir_all(directory).map_err(io)?;
    let lock = DirectoryLock::take(directory)?;
    let open = || Database::builder(directory.join("log")).cache_size(options.cache_bytes).max_journaling_size(JOURNAL_BYTES).open();
    let db = match open() {
        Err(fjall::Error::JournalRecovery(_)) => {
            if let Some(kept) = repair::cut_torn_journal(&directory.join("log")).map_err(io)? {
                let kept = kept.display();
                tracing::warn!(%kept, "the log's newest journal was torn, by power loss or by the disk; its end was cut off, and kept");
            }
            open()
        }
        opened => opened,
    }
    .map_err(failed(&doing))?;
    let small = || KeyspaceCreateOptions::default().max_memtable_size(4 << 20);
    let meta = db.keyspace("meta", small).map_err(failed(&doing))?;
    let positions = db.keyspace("positions", small).map_err(failed(&doing))?;
    let mut store = Store {
        topics: RwLock::default(),
        writer: Mutex::default(),
        durability: Durability::default(),
        keyless: AtomicU32::new(0),
        shared: Shared::default(),
        maintenance: Mutex::default(),
        meta,
        positions,
        db,
        options,
        _lock: lock,
    };
    store.recover()?;
    Ok(store)
}

impl Store {
    /// A topic by name.
    ///
    /// # Errors
    /// [`LogError::NoTopic`].
    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(name).cloned().ok_or_else(|| LogError::NoTopic(name.to_owned()))
    }

    /// The topic of a partition that exists.
    ///
    /// # Errors
    /// [`LogError::NoTopic`], or [`LogError::WrongTopic`] when it has fewer partitions.
    pub(super) fn topic_of(&self, at: &TopicPartition) -> Result<Arc<Topic>, LogError> {
        let topic = self.topic(&at.topic)?;
        if at.partition >= topic.partitions {
            let what = format!("there is no partition {}, only {}", at.partition, topic.partitions);
            return Err(LogError::WrongTopic { topic: at.topic.to_string(), what });
        }
        Ok(topic)
    }

    /// All topics in the order of their creation.
    pub(super) fn all_topics(&self) -> Vec<Arc<Topic>> {
        let mut topics: Vec<_> = self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        topics.sort_by_key(|t| t.id);
        topics
    }

    /// Creates a topic, or takes over the retention of one that is there.
    ///
    /// # Errors
    /// It is there with another number of partitions or another kind of cleanup, or the name or number cannot be; or the disk.
    pub(super) fn create_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        let wrong = |what: String| LogError::WrongTopic { topic: spec.name.to_string(), what };
        let name_fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if spec.name.is_empty() || spec.name.len() > 249 || !spec.name.chars().all(name_fits) {
            return Err(wrong("a name has 1 to 249 characters out of a-z, A-Z, 0-9, `.`, `_` and `-`".to_owned()));
        }
        if spec.partitions == 0 || spec.partitions > 10_000 {
            return Err(wrong(format!("{} partitions are asked for; 1 to 10000 are possible", spec.partitions)));
        }
        let mut writer = self.lock_writer()?;
        let Ok(topic) = self.topic(&spec.name) else { return self.create_missing(&mut writer, spec) };
        if topic.partitions != spec.partitions {
            return Err(wrong(format!(
                "has {} partitions, {} are wanted; partitions are fixed for life",
                topic.partitions, spec.partitions
            )));
        }
        if matches!(topic.cleanup(), Cleanup::Compact) != matches!(spec.cleanup, Cleanup::Compact) {
            return Err(wrong(format!("is cleaned up by {:?}, {:?} is wanted", topic.cleanup(), spec.cleanup)));
        }
        if topic.cleanup() != spec.cleanup {
            let stored = StoredTopic { id: topic.id, partitions: topic.partitions, cleanup: spec.cleanup.into() };
            let mut batch = self.batch();
            batch.insert(&self.meta, meta_key::topic(&topic.name), encoded(&stored)?);
            batch.commit().map_err(failed("changing a topic's retention"))?;
            *topic.cleanup.lock().unwrap_or_else(PoisonError::into_inner) = spec.cleanup;
        }
        Ok(())
    }

    fn create_missing(&self, writer: &mut Writer, spec: &TopicSpec) -> Result<(), LogError> {
        let stored = StoredTopic { id: self.next_topic_id(), partitions: spec.partitions, cleanup: spec.cleanup.into() };
        let starts = vec![SegmentStart::default(); spec.partitions as usize];
        let segment = self.new_segment(&stored, 0, starts)?;
        let mut batch = self.batch();
        batch.insert(&self.meta, meta_key::topic(&spec.name), encoded(&stored)?);
        batch.insert(&self.meta, meta_key::segment(stored.id, 0), encoded(&segment.stored)?);
        batch.commit().map_err(failed("creating a topic"))?;
        self.db.persist(PersistMode::SyncAll).map_err(failed("creating a topic"))?;
        let count = spec.partitions as usize;
        let mut first_slot = 0;
        self.shared.change(|visible| {
            first_slot = visible.ends.len();
            visible.ends.resize(first_slot + count, 0);
            visible.floors.resize(first_slot + count, 0);
        });
        writer.tails.resize(first_slot + count, Tail::default());
        writer.active.push(Active::default());
        self.add_topic(&spec.name, &stored, first_slot, vec![segment])
    }

    fn next_topic_id(&self) -> u32 {
        self.all_topics().last().map_or(0, |t| t.id + 1)
    }

    fn add_topic(&self, name: &Arc<str>, stored: &StoredTopic, first_slot: usize, segments: Vec<Segment>) -> Result<(), LogError> {
        let index = match stored.cleanup {
            StoredCleanup::Compact => Some(
                self.db
                    .keyspace(&format!("t{}-index", stored.id), || KeyspaceCreateOptions::default().max_memtable_size(4 << 20))
                    .map_err(failed("opening the index of a topic"))?,
            ),
            StoredCleanup::Delete { .. } => None,
        };
        let topic = Topic {
            id: stored.id,
            name: Arc::clone(name),
            partitions: stored.partitions,
            first_slot,
            record_limit: self.options.topic_limits.get(name).copied().unwrap_or(self.options.record_limit),
            cleanup: Mutex::new(stored.cleanup.into()),
            segments: RwLock::new(Arc::new(segments)),
            index,
            removed: AtomicU64::new(0),
        };
        self.topics.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(name), Arc::new(topic));
        Ok(())
    }

    /// A batch that the operating system has when its commit returns, so that it survives the end of the process.
    pub(super) fn batch(&self) -> OwnedWriteBatch {
        self.db.batch().durability(Some(PersistMode::Buffer))
    }

    /// Makes the keyspace of a new segment; it counts once its entry in `meta` is committed.
    pub(super) fn new_segment(&self, topic: &StoredTopic, number: u64, starts: Vec<SegmentStart>) -> Result<Segment, LogError> {
        let keyspace = self
            .db
            .keyspace(&segment_name(topic.id, number), || self.segment_options(topic.cleanup))
            .map_err(failed("starting a segment"))?;
        Ok(Segment { number, keyspace, stored: StoredSegment { created_ms: (self.options.clock)(), starts } })
    }

    /// Large values stand in files of their own, so that sorting keys never rewrites them.
    fn segment_options(&self, cleanup: StoredCleanup) -> KeyspaceCreateOptions {
        let separation = KvSeparationOptions::default().separation_threshold(1024);
        let separation = match cleanup {
            // Dropped as a whole; nothing to collect.
            StoredCleanup::Delete { .. } => separation,
            StoredCleanup::Compact => separation.file_target_size(16 << 20).age_cutoff(1.0),
        };
        KeyspaceCreateOptions::default()
            .max_memtable_size(self.options.memtable_bytes)
            .expect_point_read_hits(true)
            .with_kv_separation(Some(separation))
    }

    fn recover(&mut self) -> Result<(), LogError> {
        let mut topics = Vec::new();
        for item in self.meta.prefix([meta_key::TOPIC]) {
            let (key, value) = item.into_inner().map_err(failed("reading the topics"))?;
            let name = std::str::from_utf8(&key[1..]).map_err(|_| damaged("a topic's name"))?;
            topics.push((Arc::from(name), decoded::<StoredTopic>(&value)?));
        }
        topics.sort_by_key(|(_, t)| t.id);
        let mut visible = Visible::default();
        let mut writer = Writer::default();
        let mut used = BTreeSet::from(["meta".to_owned(), "positions".to_owned()]);
        for (name, stored) in &topics {
            let segments = self.recover_segments(stored, &mut used)?;
            used.insert(format!("t{}-index", stored.id));
            let first_slot = visible.ends.len();
            let mut active = Active::default();
            for partition in 0..stored.partitions {
                let floor = self.meta_number(&meta_key::floor(stored.id, partition))?.unwrap_or(0);
                let tail = self.recover_tail(stored.id, partition, &segments)?;
                let start = segments.last().map(|s| s.start(partition)).unwrap_or_default();
                active.bytes += tail.bytes.saturating_sub(start.bytes);
                visible.ends.push(tail.next);
                visible.floors.push(floor);
                writer.tails.push(tail);
            }
            writer.active.resize(stored.id as usize, Active::default());
            writer.active.push(active);
            self.add_topic(name, stored, first_slot, segments)?;
        }
        self.recover_positions(&mut visible)?;
        self.drop_unused_keyspaces(&used)?;
        self.shared.change(|v| *v = visible);
        self.writer = Mutex::new(writer);
        Ok(())
    }

    fn recover_segments(&self, topic: &StoredTopic, used: &mut BTreeSet<String>) -> Result<Vec<Segment>, LogError> {
        let mut segments = Vec::new();
        for item in self.meta.prefix(meta_key::segments(topic.id)) {
            let (key, value) = item.into_inner().map_err(failed("reading the segments"))?;
            let number = codec::number(key.get(5..).unwrap_or_default())?;
            let name = segment_name(topic.id, number);
            if !self.db.keyspace_exists(&name) {
                return Err(damaged(&format!("segment {name}")));
            }
            let keyspace = self.db.keyspace(&name, || self.segment_options(topic.cleanup)).map_err(failed("opening a segment"))?;
            used.insert(name);
            segments.push(Segment { number, keyspace, stored: decoded(&value)? });
        }
        if segments.is_empty() {
            return Err(damaged("the segments of a topic"));
        }
        Ok(segments)
    }

    /// Where a partition ends: after its newest record, where one is left, and never before what the newest segment or compaction say.
    fn recover_tail(&self, topic: u32, partition: u32, segments: &[Segment]) -> Result<Tail, LogError> {
        let start = segments.last().map(|s| s.start(partition)).unwrap_or_default();
        let compacted = self.meta_number(&meta_key::compacted(topic, partition))?.unwrap_or(0);
        let mut tail = Tail { next: start.offset.max(compacted), bytes: start.bytes, timestamp_ms: 0 };
        for segment in segments.iter().rev() {
            if let Some((offset, record)) = segment.last(partition)? {
                let Stamp { timestamp_ms, bytes_before } = codec::stamp(&record)?;
                tail.next = tail.next.max(offset + 1);
                tail.bytes = tail.bytes.max(bytes_before + record.len() as u64);
                tail.timestamp_ms = timestamp_ms;
                break;
            }
        }
        Ok(tail)
    }

    fn recover_positions(&self, visible: &mut Visible) -> Result<(), LogError> {
        let first_slots: HashMap<u32, usize> = self.all_topics().iter().map(|t| (t.id, t.first_slot)).collect();
        for item in self.positions.iter() {
            let (key, value) = item.into_inner().map_err(failed("reading the committed offsets"))?;
            let (topic, partition, group) = position_parts(&key).ok_or_else(|| damaged("a committed offset"))?;
            let slot = first_slots.get(&topic).ok_or_else(|| damaged("a committed offset"))? + partition as usize;
            visible.groups.entry(Arc::from(group)).or_default().positions.insert(slot, codec::number(&value)?);
        }
        Ok(())
    }

    /// Deletes what a crash left between making a keyspace and naming it in `meta`, or between forgetting and deleting it.
    fn drop_unused_keyspaces(&self, used: &BTreeSet<String>) -> Result<(), LogError> {
        for name in self.db.list_keyspace_names() {
            if !used.contains(&*name) {
                let keyspace = self.db.keyspace(&name, KeyspaceCreateOptions::default).map_err(failed("opening an unused segment"))?;
                self.db.delete_keyspace(keyspace).map_err(failed("deleting an unused segment"))?;
            }
        }
        Ok(())
    }

    pub(super) fn meta_number(&self, key: &[u8]) -> Result<Option<u64>, LogError> {
        self.meta.get(key).map_err(failed("reading the log's metadata"))?.map(|v| codec::number(&v)).transpose()
    }
}

fn segment_name(topic: u32, number: u64) -> String {
    format!("t{topic}-s{number}")
}

/// Key of a committed offset.
pub(super) fn position_key(topic: u32, partition: u32, group: &str) -> Vec<u8> {
    [&topic.to_be_bytes()[..], &partition.to_be_bytes(), group.as_bytes()].concat()
}

fn position_parts(key: &[u8]) -> Option<(u32, u32, &str)> {
    let topic = u32::from_be_bytes(key.get(..4)?.try_into().ok()?);
    let partition = u32::from_be_bytes(key.get(4..8)?.try_into().ok()?);
    Some((topic, partition, std::str::from_utf8(key.get(8..)?).ok()?))
}

/// Bytes of a metadata entry.
pub(super) fn encoded<T: serde::Serialize>(entry: &T) -> Result<Vec<u8>, LogError> {
    postcard::to_stdvec(entry).map_err(|e| LogError::Fatal { doing: "writing the log's metadata".to_owned(), why: e.to_string() })
}

fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, LogError> {
    postcard::from_bytes(bytes).map_err(|_| damaged("the log's metadata"))
}
