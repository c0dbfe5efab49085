//! What an exchange looks like to every detector, extracted once, without any model.

mod body;
pub mod decode;
mod extract;
pub mod hash;
pub mod json;
mod kind;
mod response;
pub mod sensitive;

pub use extract::Extractor;
pub use kind::ValueKind;
pub use response::{Leaks, Member, ResponseFeatures};

use crate::record::{Capabilities, Exchange, SessionKey, SourceId};
use serde::{Deserialize, Serialize};

/// Most request fields taken of one exchange.
pub const MAX_FIELDS: usize = 256;
/// Most bytes kept of one value.
pub const MAX_VALUE: usize = 1024;
/// Most path segments looked at; what follows counts as one.
pub const MAX_SEGMENTS: usize = 32;

/// Where in the request a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Place {
    /// Variable of the path.
    Path,
    /// Query string.
    Query,
    /// Form or multipart body.
    Form,
    /// JSON body.
    Json,
    /// A body of another kind, as one value.
    Raw,
    /// Header.
    Header,
    /// Cookie.
    Cookie,
}

impl Place {
    /// Prefix of `where` in reasons.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Form | Self::Json | Self::Raw => "request.body",
            Self::Header => "request.headers",
            Self::Cookie => "request.cookies",
        }
    }

    /// Whether fields here are properties of the endpoint; headers and cookies belong to the API as a whole.
    #[must_use]
    pub fn is_of_endpoint(self) -> bool {
        !matches!(self, Self::Header | Self::Cookie)
    }
}

/// A range of [`Features::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    start: u32,
    end: u32,
}

/// One request field.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Field {
    /// Where it stands.
    pub place: Place,
    /// What its value looks like.
    pub kind: ValueKind,
    /// Personal data and secrets in its value.
    pub sensitive: sensitive::Sensitive,
    /// Which one of several with this name in this place, from 0.
    pub repeat: u16,
    /// Hash of place and name.
    pub id: u64,
    /// Hash of the last part of the name alone, as response members have it.
    pub key: u64,
    /// Hash of the value, case folded.
    pub value_hash: u64,
    /// Bytes of the decoded value before it was cut to [`MAX_VALUE`].
    pub length: u32,
    name: Span,
    value: Span,
}

impl Field {
    /// The field that the n-th variable of a path is, from its decoded value. [`Features::value`] does not know it.
    #[must_use]
    pub fn of_path(variable: usize, value: &str) -> Self {
        let nothing = Span { start: 0, end: 0 };
        let place = Place::Path;
        let kind = ValueKind::of(value);
        Self {
            place,
            kind,
            sensitive: sensitive::scan_kind(value, kind),
            repeat: 0,
            id: hash::mix(place as u64 + 1, variable as u64),
            key: 0,
            value_hash: hash::hash_folded(value),
            length: value.len() as u32,
            name: nothing,
            value: nothing,
        }
    }
}

/// How the caller says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Credential {
    /// Not at all.
    None,
    /// By cookie.
    Cookie,
    /// By a key of its own header.
    ApiKey,
    /// By `Authorization`.
    Authorization,
}

/// A scalar of a body, by hashes: the member it stood in, and its value (case folded).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scalar {
    /// Hash of the member's name.
    pub key: u64,
    /// Hash of the value, case folded.
    pub value: u64,
}

/// One exchange, digested: owned, compact, independent of any model. It is what history keeps and what detectors read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Features {
    /// Event time, epoch milliseconds; a time before 1970 or after 9999 is unknown.
    pub time: Option<i64>,
    /// What the record could tell.
    pub capabilities: Capabilities,
    /// Method, upper case.
    pub method: Box<str>,
    /// Host, lower case, without the scheme's own port; empty when unknown.
    pub host: Box<str>,
    /// Path as sent, at most 2 KiB.
    pub path: Box<str>,
    /// Declared route.
    pub route: Option<Box<str>>,
    /// Operation behind the path: GraphQL operation, JSON-RPC method.
    pub operation: Option<Box<str>>,
    /// Session.
    pub session: Option<SessionKey>,
    /// Authenticated subject.
    pub subject: Option<SessionKey>,
    /// Client address.
    pub source: Option<SourceId>,
    /// Hash of the user agent's family (letters only, version numbers left out); 0 when unknown.
    pub agent: u64,
    /// How the caller says who it is.
    pub credential: Credential,
    /// Hash of the credential itself, case folded; 0 where it is a cookie or none.
    pub credential_hash: u64,
    /// Request fields: query, body, cookies, headers (path variables need a model).
    pub fields: Vec<Field>,
    /// Fields beyond [`MAX_FIELDS`].
    pub fields_dropped: u32,
    /// Scalars of the request body and query, for provenance.
    pub request_scalars: Vec<Scalar>,
    /// Request body's size in bytes, where known.
    pub request_bytes: Option<u64>,
    /// The response.
    pub response: ResponseFeatures,
    /// Duration, microseconds.
    pub duration_us: Option<u64>,
    text: String,
}

impl Features {
    /// Digests an exchange. For many exchanges in a row, an [`Extractor`] reuses buffers.
    #[must_use]
    pub fn of(exchange: &Exchange<'_>) -> Self {
        Extractor::default().extract(exchange)
    }

    /// Name of a field.
    #[must_use]
    pub fn name(&self, field: &Field) -> &str {
        self.at(field.name)
    }

    /// Value of a field, decoded, cut to [`MAX_VALUE`] bytes.
    #[must_use]
    pub fn value(&self, field: &Field) -> &str {
        self.at(field.value)
    }

    /// The same exchange with another value in one field.
    #[must_use]
    pub(crate) fn with_value(&self, field: usize, value: &str) -> Self {
        let mut other = self.clone();
        let value = &value[..value.floor_char_boundary(MAX_VALUE)];
        if let Some(field) = other.fields.get_mut(field) {
            let start = other.text.len() as u32;
            other.text.push_str(value);
            field.value = Span { start, end: other.text.len() as u32 };
            field.kind = ValueKind::of(value);
            field.sensitive = sensitive::scan_kind(value, field.kind);
            field.value_hash = hash::hash_folded(value);
            field.length = value.len() as u32;
        }
        other
    }

    /// Segments of the path, at most [`MAX_SEGMENTS`].
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.strip_prefix('/').unwrap_or(&self.path).splitn(MAX_SEGMENTS, '/')
    }

    /// Status, 0 when unknown.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status
    }

    /// Whether the exchange succeeded: 2xx or 3xx; `None` when the status is unknown.
    #[must_use]
    pub fn succeeded(&self) -> Option<bool> {
        match self.response.status {
            0 => None,
            status => Some((200..400).contains(&status)),
        }
    }

    /// Heap and own bytes, estimated.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + self.method.len()
            + self.host.len()
            + self.path.len()
            + self.text.capacity()
            + self.fields.capacity() * size_of::<Field>()
            + (self.request_scalars.capacity() + self.response.scalars.capacity()) * size_of::<Scalar>()
            + self.response.size()
    }

    /// Gives unused capacity back, for keeping.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.fields.shrink_to_fit();
        self.request_scalars.shrink_to_fit();
        self.response.shrink();
    }

    fn at(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}
