//! Forgetting a session or an account: what `weir.state` holds under its name goes. The counters of a live session stand under a hash that
//! does not lead back to it, and go when it has been idle.

use crate::state;
use bytes::Bytes;
use engine::TopicPartition;
use runtime::erase::Traces;
use runtime::format;
use runtime::log::{Log, LogError, Output, Start, read_to_end};
use runtime::topics::Topics;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Writes tombstones for every entry of the saved state that names somebody; returns how many. A scorer that runs keeps what it has
/// in memory, and writes it again when it changes: stop scorers before, and start them again after.
///
/// # Errors
/// The log cannot be read or written.
pub fn erase(log: &dyn Log, topics: &Topics, traces: &Traces) -> Result<usize, LogError> {
    let mut erased = 0;
    for partition in 0..log.partitions(&topics.state)? {
        let mut found: BTreeSet<Bytes> = BTreeSet::new();
        read_to_end(log, &[(TopicPartition::new(Arc::clone(&topics.state), partition), Start::Oldest)], |record| {
            let Some(key) = record.key.clone().filter(|key| state::is_entry(key)) else { return };
            if record.value.is_some() && traces.are_in(&record) {
                found.insert(key);
            } else {
                found.remove(&key);
            }
        })?;
        let tombstone = |key| Output {
            topic: Arc::clone(&topics.state),
            partition: Some(partition),
            key: Some(key),
            value: None,
            headers: vec![format::header()],
        };
        erased += found.len();
        log.producer(None)?.append(found.into_iter().map(tombstone).collect())?;
    }
    Ok(erased)
}
