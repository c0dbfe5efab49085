//! Forgetting a session or an account: what `weir.history` holds of its sessions is not learned from any more.

use bytes::Bytes;
use runtime::erase::{Traces, bury};
use runtime::log::{Log, LogError, Record};
use runtime::topics::Topics;
use std::collections::BTreeMap;

/// Sessions that were forgotten: what stands before these offsets is passed over.
#[derive(Debug, Default)]
pub(crate) struct Forgotten(BTreeMap<(u32, Bytes), u64>);

impl Forgotten {
    /// Takes a tombstone.
    pub(crate) fn add(&mut self, record: &Record) {
        if let Some(key) = &record.key {
            self.0.insert((record.at.partition, key.clone()), record.offset.0);
        }
    }

    /// Whether nobody was forgotten.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a record is of a session that was forgotten after it.
    pub(crate) fn holds(&self, record: &Record) -> bool {
        let key = |key: &Bytes| (record.at.partition, key.clone());
        record.key.as_ref().and_then(|k| self.0.get(&key(k))).is_some_and(|upto| record.offset.0 < *upto)
    }
}

/// Writes a tombstone for every session of the history that holds traces of somebody; returns how many. A trainer passes them over from its
/// next start on; their bytes go with the topic's retention.
///
/// # Errors
/// The log cannot be read or written.
pub fn erase(log: &dyn Log, topics: &Topics, traces: &Traces) -> Result<usize, LogError> {
    bury(log, &topics.history, |record, found| {
        let Some(key) = &record.key else { return };
        match record.value {
            None => drop(found.remove(key)),
            Some(_) if traces.are_in(record) => drop(found.insert(key.clone())),
            Some(_) => {}
        }
    })
}
