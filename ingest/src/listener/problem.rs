//! Refusals, as RFC 9457 problem details.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Media type of problem details.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Bad records that a refusal names.
pub(super) const NAMED: usize = 10;

/// One record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct BadRecord {
    /// Number of the record in the body, from 0.
    pub(super) index: u64,
    /// Line of the body on which it starts, from 1.
    pub(super) line: u64,
    /// Short name of the reason.
    pub(super) reason: &'static str,
    /// For a person.
    pub(super) detail: String,
}

/// Why a request to the listener was refused. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("a bearer token is required")]
    Unauthorized,
    #[error("{count} of the records could not be read; none was written")]
    BadRecords { count: u64, first: Vec<BadRecord> },
    #[error("the body cannot be read: {0}")]
    BadBody(#[from] crate::decode::Fault),
    #[error("the address cannot be understood: {0}")]
    UnknownShape(String),
    #[error("the body holds no records")]
    NoRecords,
    #[error("the body cannot be read: {0}")]
    UnreadableBody(#[from] std::io::Error),
    #[error("the body did not arrive in time")]
    SlowBody,
    #[error("the body is over the limit of {limit} bytes (after decompression): send it in pieces, or raise `ingest.max_body`")]
    TooLarge { limit: usize },
    #[error("content-encoding `{0}` is not understood; gzip, zstd and identity are")]
    UnknownEncoding(String),
    #[error("too much is waiting for the log; send it again later")]
    Busy,
    #[error("the log did not take the records: {0}")]
    Log(#[from] runtime::log::LogError),
    #[error("the listener is stopping")]
    Stopping,
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        use runtime::log::LogError;
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::BadRecords { .. } | Self::BadBody(_) | Self::UnknownShape(_) | Self::NoRecords | Self::UnreadableBody(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } | Self::Log(LogError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Log(LogError::Retriable { .. }) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Log(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the sender is told. Of the log it learns that it failed, not how: that is for the operator's own log.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::Log(runtime::log::LogError::TooLarge { .. }) => "a record is over the limit of the log".to_owned(),
            Self::Log(_) => "the log did not take the records".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Problem details on the wire.
#[derive(Serialize)]
struct Problem<'p> {
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'p [BadRecord],
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let errors: &[BadRecord] = if let Self::BadRecords { first, .. } = &self { first } else { &[] };
        let title = status.canonical_reason().unwrap_or("Error");
        let mut response = (status, Json(Problem { title, status: status.as_u16(), detail: self.detail(), errors })).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some((name, value)) = hint(status) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// What tells the sender how to go on.
fn hint(status: StatusCode) -> Option<(HeaderName, &'static str)> {
    match status {
        StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"weir\"")),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Some((header::ACCEPT_ENCODING, "gzip, zstd, identity")),
        _ => None,
    }
}
