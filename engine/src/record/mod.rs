//! What goes in and what comes out: the exchange, the verdict, and the small types that name things in them.

mod capability;
mod exchange;
mod ids;
mod verdict;

pub use capability::{Capabilities, Capability};
pub use exchange::{Body, BodyEncoding, Client, Exchange, ExchangeError, Headers, MAX_HEADERS, Request, Response, Text};
pub use ids::{ApiName, EndpointId, NetworkId, Offset, PValue, SessionKey, SourceId, TopicPartition};
pub use verdict::{DetectorKind, Family, Label, Reason, Stage, Verdict};
