//! The format of records on topics, and the header that says it.
//!
//! A version of Weir writes its own format and reads that and the one before, so that processes of two neighbouring versions can stand side by
//! side while an installation is brought up to date. A record without the header comes from elsewhere and counts as the oldest.

use crate::log::{Output, Record};
use bytes::Bytes;
use std::sync::Arc;

/// Format of the records that this version writes.
pub const FORMAT: u32 = 1;

/// Header of every record.
const HEADER: &str = "weir-format";

/// A record of a format that this version does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record is of format {found}; this version reads {oldest} to {FORMAT}", oldest = FORMAT - 1)]
pub struct UnknownFormat {
    /// What the header says; at most 20 characters.
    pub found: String,
}

/// The header of a record that this version writes.
#[must_use]
pub fn header() -> (&'static str, Bytes) {
    (HEADER, FORMAT.to_string().into())
}

/// A record of a topic of one partition, by its key; without a value the tombstone of that key.
#[must_use]
pub fn entry(topic: &Arc<str>, key: String, value: Option<Bytes>) -> Output {
    Output { topic: Arc::clone(topic), partition: Some(0), key: Some(key.into()), value, headers: vec![header()] }
}

/// Whether this version reads a record.
///
/// # Errors
/// It does not.
pub fn check(record: &Record) -> Result<(), UnknownFormat> {
    let Some(value) = record.header(HEADER) else { return Ok(()) };
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u32>().ok());
    match number {
        Some(number) if (FORMAT - 1..=FORMAT).contains(&number) => Ok(()),
        _ => Err(UnknownFormat { found: value.escape_ascii().to_string().chars().take(20).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{Offset, TopicPartition};

    fn record(format: Option<&'static [u8]>) -> Record {
        Record {
            at: TopicPartition::new("weir.traffic", 0),
            offset: Offset(0),
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: format.map(|value| (HEADER.to_owned(), Bytes::from_static(value))).into_iter().collect(),
        }
    }

    #[test]
    fn this_format_the_one_before_and_none_are_read() {
        for format in [None, Some(&b"0"[..]), Some(b"1")] {
            assert_eq!(check(&record(format)), Ok(()));
        }
        for format in [&b"2"[..], b"", b"\xff", b"-1"] {
            assert!(check(&record(Some(format))).is_err());
        }
        let said = check(&record(Some(b"2"))).unwrap_err().to_string();
        assert_eq!(said, "the record is of format 2; this version reads 0 to 1");
    }

    #[test]
    fn what_is_written_is_read() {
        let (name, value) = header();
        assert_eq!(check(&Record { headers: vec![(name.to_owned(), value)], ..record(None) }), Ok(()));
    }
}
