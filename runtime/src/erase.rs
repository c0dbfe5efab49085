//! What a session or an account leaves in the records that Weir keeps of it, to find them when it is to be forgotten.

use crate::format;
use crate::log::{Log, LogError, Output, Record, Start, read_to_end};
use bytes::Bytes;
use engine::{SessionKey, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Shortest identifier that is looked for: a shorter one would be found by chance.
const SHORTEST: usize = 8;

/// The identifier cannot be looked for.
#[derive(Debug, thiserror::Error)]
#[error("an identifier as verdicts show it has at least {SHORTEST} characters")]
pub struct TooShort;

/// The forms in which an identifier of a session or an account stands in records.
#[derive(Debug, Clone)]
pub struct Traces([Vec<u8>; 2]);

impl Traces {
    /// Of an identifier as verdicts show it.
    ///
    /// # Errors
    /// It is too short to be looked for.
    pub fn of(who: &str) -> Result<Self, TooShort> {
        match postcard::to_stdvec(&SessionKey::of(who)) {
            Ok(key) if who.len() >= SHORTEST => Ok(Self([who.as_bytes().to_vec(), key])),
            _ => Err(TooShort),
        }
    }

    /// Whether one of them stands in the key or the value of a record.
    #[must_use]
    pub fn are_in(&self, record: &Record) -> bool {
        let fields = [record.key.as_deref(), record.value.as_deref()];
        fields.into_iter().flatten().any(|bytes| self.0.iter().any(|form| bytes.windows(form.len()).any(|part| part == form)))
    }
}

/// Writes tombstones for keys of a topic; `find` is shown every record and keeps the keys of its partition that are to go. Returns how many.
///
/// # Errors
/// The log cannot be read or written.
pub fn bury(log: &dyn Log, topic: &Arc<str>, find: impl Fn(&Record, &mut BTreeSet<Bytes>)) -> Result<usize, LogError> {
    let mut buried = 0;
    for partition in 0..log.partitions(topic)? {
        let mut found: BTreeSet<Bytes> = BTreeSet::new();
        read_to_end(log, &[(TopicPartition::new(Arc::clone(topic), partition), Start::Oldest)], |record| find(&record, &mut found))?;
        let tombstone = |key| Output {
            topic: Arc::clone(topic),
            partition: Some(partition),
            key: Some(key),
            value: None,
            headers: vec![format::header()],
        };
        buried += found.len();
        log.producer(None)?.append(found.into_iter().map(tombstone).collect())?;
    }
    Ok(buried)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{Offset, TopicPartition};

    fn record(key: &[u8], value: &[u8]) -> Record {
        Record {
            at: TopicPartition::new("weir.state", 0),
            offset: Offset(0),
            timestamp_ms: 0,
            key: Some(key.to_vec().into()),
            value: Some(value.to_vec().into()),
            headers: Vec::new(),
        }
    }

    #[test]
    fn an_identifier_is_found_as_text_and_as_key_and_no_other_is() {
        let traces = Traces::of("7fc61a16162ef8d9").unwrap();
        let key = postcard::to_stdvec(&("before", SessionKey::of("7fc61a16162ef8d9"), 7)).unwrap();
        assert!(traces.are_in(&record(b"e", &key)));
        assert!(traces.are_in(&record(&key, b"")));
        assert!(traces.are_in(&record(b"", b"{\"session\":\"7fc61a16162ef8d9\"}")));
        let other = postcard::to_stdvec(&SessionKey::of("7fc61a16162ef8d8")).unwrap();
        assert!(!traces.are_in(&record(b"7fc61a16162ef8d8", &other)));
        assert!(Traces::of("7fc").is_err() && Traces::of("").is_err());
    }
}
