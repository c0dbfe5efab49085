//! What could not be read goes to `weir.deadletter`, with reason and position; its bytes only when asked for.

use engine::ExchangeError;
use runtime::format::{self, UnknownFormat};
use runtime::log::{Output, Record};
use std::sync::Arc;

/// Longest detail.
const DETAIL: usize = 512;
/// Most bytes that go along: a dead letter always fits into a record. Longer ones are still in the traffic topic.
const KEPT: usize = 512 << 10;

/// Why a record ends as a dead letter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It has no value.
    #[error("the record has no value")]
    NoValue,
    /// It is of a format that this version does not know.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
    /// It is no exchange.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

impl Unreadable {
    /// One word for the header.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::Format(_) => "unknown_format",
            Self::Exchange(ExchangeError::TooLarge { .. }) => "too_large",
            Self::Exchange(ExchangeError::TooDeep { .. }) => "too_deep",
            Self::Exchange(ExchangeError::Json(_)) => "not_an_exchange",
            Self::Exchange(ExchangeError::Empty(_)) => "field_empty",
        }
    }
}

/// The dead letter of a record. `value`: whether its bytes go along.
pub(crate) fn letter(topic: &Arc<str>, record: &Record, why: &Unreadable, value: bool) -> Output {
    let detail: String = why.to_string().chars().take(DETAIL).collect();
    Output {
        topic: Arc::clone(topic),
        partition: None,
        key: None,
        value: record.value.clone().filter(|bytes| value && bytes.len() <= KEPT),
        headers: vec![
            ("reason", why.reason().into()),
            ("detail", detail.into()),
            ("topic", record.at.topic.to_string().into()),
            ("partition", record.at.partition.to_string().into()),
            ("offset", record.offset.to_string().into()),
            format::header(),
        ],
    }
}
