//! Notes that the fact stage wrote, ready for the lanes that are to take them.

use engine::{Note, Offset};
use runtime::format;
use runtime::log::Record;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Notes kept of one partition. A lane that is further behind misses the oldest: what they told is told again as it grows.
const KEPT: usize = 1_024;

/// Notes of one partition with their offsets, oldest first.
type Newest = VecDeque<(Offset, Note)>;

/// The newest notes by partition; clones share them.
#[derive(Clone)]
pub(crate) struct Notes {
    topic: Arc<str>,
    newest: Arc<Mutex<BTreeMap<u32, Newest>>>,
}

impl Notes {
    pub(crate) fn new(topic: &Arc<str>) -> Self {
        Self { topic: Arc::clone(topic), newest: Arc::default() }
    }

    /// Takes those of some records that are notes.
    pub(crate) fn take(&self, records: &[Record]) {
        for record in records.iter().filter(|record| record.at.topic == self.topic) {
            if let Err(error) = format::check(record) {
                tracing::warn!(%error, at = %record.at, offset = record.offset.0, "a note is not taken");
                continue;
            }
            match record.value.as_deref().map(Note::from_bytes) {
                Some(Ok(note)) => self.keep(record, note),
                Some(Err(error)) => tracing::warn!(%error, at = %record.at, offset = record.offset.0, "a note is not taken"),
                None => {}
            }
        }
    }

    fn keep(&self, record: &Record, note: Note) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = newest.entry(record.at.partition).or_default();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((record.offset, note));
    }

    /// Notes of a partition from an offset on, in order.
    pub(crate) fn since(&self, partition: u32, from: Offset) -> Vec<(Offset, Note)> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = newest.get(&partition) else { return Vec::new() };
        let first = kept.partition_point(|(offset, _)| *offset < from);
        kept.range(first..).cloned().collect()
    }
}
