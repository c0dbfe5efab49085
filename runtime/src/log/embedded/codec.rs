//! Bytes of a stored record, and keys.
//!
//! A record's value in the store, numbers little-endian: version (1 byte) · append time (8) · bytes of the partition before it (8) ·
//! flags (1) · key length (4) · headers (4) · per header: name length (4), name, value length (4), value · key · record value.
//! Keys are big-endian, so that their order is the order of offsets.

use crate::log::{LogError, Output, Record};
use bytes::{Buf, Bytes};
use engine::{Offset, TopicPartition};

const VERSION: u8 = 1;
const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;
const FIXED: usize = 1 + 8 + 8 + 1 + 4 + 4;

/// What the log knows of a record besides what its writer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Append time, epoch milliseconds; never falls within a partition.
    pub(super) timestamp_ms: i64,
    /// Encoded bytes of all earlier records of the partition, gone ones included: retention by size needs no counting.
    pub(super) bytes_before: u64,
}

/// Encodes a record; its stamp is still to be set.
///
/// # Errors
/// [`LogError::TooLarge`] over `limit` bytes (encoded, so some 30 bytes more than key, value and headers).
pub(super) fn encode(output: &Output, limit: usize) -> Result<Vec<u8>, LogError> {
    let key = output.key.as_deref().unwrap_or_default();
    let value = output.value.as_deref().unwrap_or_default();
    let headers: usize = output.headers.iter().map(|(name, value)| 8 + name.len() + value.len()).sum();
    let size = FIXED + headers + key.len() + value.len();
    if size > limit {
        return Err(LogError::TooLarge { topic: output.topic.to_string(), size, limit });
    }
    let mut bytes = Vec::with_capacity(size);
    bytes.push(VERSION);
    bytes.extend_from_slice(&[0; 16]);
    bytes.push(if output.key.is_some() { HAS_KEY } else { 0 } | if output.value.is_some() { HAS_VALUE } else { 0 });
    push_length(&mut bytes, key.len());
    push_length(&mut bytes, output.headers.len());
    for (name, value) in &output.headers {
        push_length(&mut bytes, name.len());
        bytes.extend_from_slice(name.as_bytes());
        push_length(&mut bytes, value.len());
        bytes.extend_from_slice(value);
    }
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    Ok(bytes)
}

#[allow(clippy::cast_possible_truncation, reason = "a record is within its limit, which is below 4 GiB")]
fn push_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
}

/// Sets the stamp of an encoded record.
pub(super) fn set_stamp(encoded: &mut [u8], stamp: Stamp) {
    encoded[1..9].copy_from_slice(&stamp.timestamp_ms.to_le_bytes());
    encoded[9..17].copy_from_slice(&stamp.bytes_before.to_le_bytes());
}

/// The stamp of a stored record.
///
/// # Errors
/// The record is damaged.
pub(super) fn stamp(mut encoded: &[u8]) -> Result<Stamp, LogError> {
    if encoded.len() < FIXED || encoded.get_u8() != VERSION {
        return Err(damaged("a record's stamp"));
    }
    Ok(Stamp { timestamp_ms: encoded.get_i64_le(), bytes_before: encoded.get_u64_le() })
}

/// Decodes a stored record without copying its parts.
///
/// # Errors
/// The record is damaged.
pub(super) fn decode(at: &TopicPartition, offset: u64, encoded: Bytes) -> Result<Record, LogError> {
    parts(at, offset, encoded).ok_or_else(|| damaged(&format!("the record at {at}, offset {offset}")))
}

fn parts(at: &TopicPartition, offset: u64, mut encoded: Bytes) -> Option<Record> {
    if encoded.try_get_u8().ok()? != VERSION {
        return None;
    }
    let timestamp_ms = encoded.try_get_i64_le().ok()?;
    encoded.try_get_u64_le().ok()?;
    let flags = encoded.try_get_u8().ok()?;
    let key_length = encoded.try_get_u32_le().ok()?;
    let header_count = encoded.try_get_u32_le().ok()? as usize;
    let mut headers = Vec::with_capacity(header_count.min(encoded.len() / 8));
    for _ in 0..header_count {
        let name = taken_by_length(&mut encoded)?;
        let value = taken_by_length(&mut encoded)?;
        headers.push((std::str::from_utf8(&name).ok()?.to_owned(), value));
    }
    let key = taken(&mut encoded, key_length)?;
    Some(Record {
        at: at.clone(),
        offset: Offset(offset),
        timestamp_ms,
        key: (flags & HAS_KEY != 0).then_some(key),
        value: (flags & HAS_VALUE != 0).then_some(encoded),
        headers,
    })
}

fn taken_by_length(bytes: &mut Bytes) -> Option<Bytes> {
    let length = bytes.try_get_u32_le().ok()?;
    taken(bytes, length)
}

fn taken(bytes: &mut Bytes, length: u32) -> Option<Bytes> {
    let length = length as usize;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

/// The error of something that cannot be read back.
pub(super) fn damaged(what: &str) -> LogError {
    LogError::Fatal { doing: format!("reading {what}"), why: "the data directory is damaged, or was written by a later version".to_owned() }
}

/// Key of a record in its segment.
pub(super) fn record_key(partition: u32, offset: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&partition.to_be_bytes());
    key[4..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// Offset in the key of a record.
///
/// # Errors
/// It is no such key.
pub(super) fn offset_of(key: &[u8]) -> Result<u64, LogError> {
    key.get(4..12).and_then(|offset| offset.try_into().ok()).map(u64::from_be_bytes).ok_or_else(|| damaged("a record's key"))
}

/// A number as the store keeps it.
///
/// # Errors
/// It is not eight bytes.
pub(super) fn number(stored: &[u8]) -> Result<u64, LogError> {
    stored.try_into().map(u64::from_be_bytes).map_err(|_| damaged("a stored number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn output(key: Option<Vec<u8>>, value: Option<Vec<u8>>, headers: Vec<Vec<u8>>) -> Output {
        let headers = headers.into_iter().map(|v| ("weir-format", Bytes::from(v))).collect();
        Output { topic: "t".into(), partition: None, key: key.map(Bytes::from), value: value.map(Bytes::from), headers }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
            headers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5), 0..4),
            timestamp_ms: i64, bytes_before: u64,
        ) {
            let written = output(key, value, headers);
            let mut bytes = encode(&written, 1000).unwrap();
            set_stamp(&mut bytes, Stamp { timestamp_ms, bytes_before });
            prop_assert_eq!(stamp(&bytes).unwrap(), Stamp { timestamp_ms, bytes_before });
            let read = decode(&TopicPartition::new("t", 3), 7, bytes.into()).unwrap();
            prop_assert_eq!(read.key, written.key);
            prop_assert_eq!(read.value, written.value);
            prop_assert_eq!(read.timestamp_ms, timestamp_ms);
            let headers: Vec<_> = read.headers.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
            prop_assert_eq!(headers, written.headers);
        }

        #[test]
        fn arbitrary_bytes_are_an_error_or_a_record(bytes in proptest::collection::vec(any::<u8>(), 0..80), versioned: bool) {
            let mut bytes = bytes;
            if versioned && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            let _ = stamp(&bytes);
            let _ = decode(&TopicPartition::new("t", 0), 0, bytes.into());
        }
    }

    #[test]
    fn the_limit_is_on_what_is_stored() {
        let record = output(None, Some(vec![0; 100]), vec![]);
        assert_eq!(encode(&record, FIXED + 100).unwrap().len(), FIXED + 100);
        assert!(matches!(encode(&record, FIXED + 99), Err(LogError::TooLarge { size, limit, .. }) if size == limit + 1));
    }
}
