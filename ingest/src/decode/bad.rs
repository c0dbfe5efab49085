//! What could not be read: where it stood, and why in one stable word.

use engine::{Exchange, ExchangeError};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Longest detail kept of a fault, bytes.
const MAX_DETAIL: usize = 200;

/// Where a record stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file as it was named, or `-`.
    pub file: Arc<str>,
    /// Line on which the record starts, from 1.
    pub line: u64,
    /// Number of the element, from 1, where records are elements of a JSON array (HAR, arrays of exchanges).
    pub entry: Option<u64>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match self.entry {
            Some(entry) => write!(f, " (entry {entry})"),
            None => Ok(()),
        }
    }
}

/// Why a record could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Larger than the size limit of a record.
    TooLong,
    /// Nested deeper than the depth limit.
    TooDeep,
    /// Not UTF-8 where it has to be.
    NotUtf8,
    /// Not JSON.
    NotJson,
    /// Well formed, but nothing that was asked of an API: no method, no path, not HTTP.
    NotARequest,
    /// A field has a value that it cannot have.
    WrongField,
    /// Not a line of an access log.
    NotALogLine,
    /// The input itself could not be read on: damaged compression, a failing disk. Nothing of it is read after that.
    ReadError,
}

impl Reason {
    /// Stable short name, as it stands in reports, metrics and dead letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::TooDeep => "too-deep",
            Self::NotUtf8 => "not-utf8",
            Self::NotJson => "not-json",
            Self::NotARequest => "not-a-request",
            Self::WrongField => "wrong-field",
            Self::NotALogLine => "not-a-log-line",
            Self::ReadError => "read-error",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a record is no exchange: the [`Reason`], and a detail for a person that quotes no value of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Fault {
    /// In one word.
    pub reason: Reason,
    /// For a person; at most 200 bytes.
    pub detail: Cow<'static, str>,
}

impl Fault {
    /// A fault; a long detail is cut.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL {
            let cut = detail.floor_char_boundary(MAX_DETAIL);
            detail.to_mut().truncate(cut);
        }
        Self { reason, detail }
    }

    /// A record over the size limit.
    pub(crate) fn too_long(size: u64, limit: usize) -> Self {
        Self::new(Reason::TooLong, format!("{size} bytes; the limit is {limit}"))
    }

    /// A record over the depth limit.
    pub(crate) fn too_deep(limit: usize) -> Self {
        Self::new(Reason::TooDeep, format!("nested deeper than {limit} levels"))
    }

    /// What the JSON parser said of a record, without the values that it quotes.
    pub(crate) fn json(error: &serde_json::Error, record: &[u8]) -> Self {
        let said = without_values(&error.to_string());
        match error.classify() {
            serde_json::error::Category::Data if is_missing(&said) => Self::new(Reason::NotARequest, said),
            serde_json::error::Category::Data => Self::new(Reason::WrongField, said),
            _ if std::str::from_utf8(record).is_err() => Self::new(Reason::NotUtf8, "the record is not UTF-8"),
            _ => Self::new(Reason::NotJson, said),
        }
    }
}

/// Whether the parser missed what makes a record a request.
fn is_missing(said: &str) -> bool {
    said.starts_with("missing field")
}

/// A parser's message with what stands between the first and the last quotation mark left out: it is a value of the record.
fn without_values(said: &str) -> String {
    match (said.find('"'), said.rfind('"')) {
        (Some(first), Some(last)) if last > first => format!("{}…{}", &said[..=first], &said[last..]),
        _ => said.to_owned(),
    }
}

/// A record that could not be read, and where it stood. Never fatal by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {fault}")]
pub struct BadLine {
    /// Where it stood.
    pub at: Position,
    /// Why it could not be read.
    pub fault: Fault,
}

/// Reads a canonical record.
///
/// # Errors
/// The record is no exchange.
pub(crate) fn canonical(record: &[u8]) -> Result<Exchange<'_>, Fault> {
    // Checked here, since a derived reader would take an array for the fields in their order.
    if record.trim_ascii_start().first().is_some_and(|byte| *byte != b'{') {
        return Err(Fault::new(Reason::NotJson, "not a JSON object"));
    }
    Exchange::from_json(record).map_err(|error| match error {
        ExchangeError::TooLarge { size, limit } => Fault::too_long(size as u64, limit),
        ExchangeError::TooDeep { limit } => Fault::too_deep(limit),
        ExchangeError::Json(error) => Fault::json(&error, record),
        ExchangeError::Empty(field) => Fault::new(Reason::NotARequest, format!("`{field}` is empty")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_quote_no_values() {
        let fault = canonical(br#"{"method":"GET","path":"/","response":{"status":"hunter2 \" x"}}"#).unwrap_err();
        assert_eq!(fault.reason, Reason::WrongField);
        assert!(!fault.detail.contains("hunter2"), "{fault}");
        assert!(fault.detail.contains("column"), "{fault}");
    }

    #[test]
    fn each_kind_of_damage_has_its_word() {
        let deep = [b"{\"x\":".as_slice(), &b"[".repeat(100_000)].concat();
        let cases: [(&[u8], Reason); 7] = [
            (b"{", Reason::NotJson),
            (b"[]", Reason::NotJson),
            (b"{\"method\":\"GET\"}", Reason::NotARequest),
            (b"{\"method\":\"\",\"path\":\"/\"}", Reason::NotARequest),
            (b"{\"method\":\"\xff\",\"path\":\"/\"}", Reason::NotUtf8),
            (b"{\"method\":\"GET\",\"path\":\"/\",\"duration_ms\":[]}", Reason::WrongField),
            (&deep, Reason::TooDeep),
        ];
        for (record, reason) in cases {
            assert_eq!(canonical(record).unwrap_err().reason, reason);
        }
    }

    #[test]
    fn long_details_are_cut_on_a_character() {
        let fault = Fault::new(Reason::NotJson, "é".repeat(500));
        assert!(fault.detail.len() <= MAX_DETAIL);
    }
}
