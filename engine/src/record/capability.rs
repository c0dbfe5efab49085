//! What a record could tell: absent is unknown, not empty.

use serde::{Deserialize, Serialize};

/// One thing a gateway may or may not report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Capability {
    /// Event time.
    Time,
    /// A session by token, cookie or header (not merely address and user agent).
    Session,
    /// An authenticated subject.
    Subject,
    /// The client's address.
    SourceAddress,
    /// Request headers.
    RequestHeaders,
    /// Request body.
    RequestBody,
    /// Response status.
    ResponseStatus,
    /// Response headers.
    ResponseHeaders,
    /// Response body.
    ResponseBody,
    /// Sizes of request or response.
    Sizes,
    /// How long the exchange took.
    Duration,
}

impl Capability {
    /// All, in order of their bits.
    pub const ALL: [Self; 11] = [
        Self::Time,
        Self::Session,
        Self::Subject,
        Self::SourceAddress,
        Self::RequestHeaders,
        Self::RequestBody,
        Self::ResponseStatus,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::Sizes,
        Self::Duration,
    ];

    /// Name as it stands in status and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Session => "session",
            Self::Subject => "subject",
            Self::SourceAddress => "source_address",
            Self::RequestHeaders => "request_headers",
            Self::RequestBody => "request_body",
            Self::ResponseStatus => "response_status",
            Self::ResponseHeaders => "response_headers",
            Self::ResponseBody => "response_body",
            Self::Sizes => "sizes",
            Self::Duration => "duration",
        }
    }
}

/// A set of [`Capability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Capabilities(u16);

impl Capabilities {
    /// Nothing known.
    pub const NONE: Self = Self(0);

    /// This set and one more.
    #[must_use]
    pub fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    /// This set and one more if `present`.
    #[must_use]
    pub fn with_if(self, capability: Capability, present: bool) -> Self {
        if present { self.with(capability) } else { self }
    }

    /// Whether the set has it.
    #[must_use]
    pub fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// What either set has.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Members in order.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |c| self.has(*c))
    }
}
