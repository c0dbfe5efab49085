//! Names of things, as types: no bare numbers or tuples cross a function boundary.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Position of a record in a partition: 0, 1, 2, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// Name of the topic, prefix included.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// A partition by topic name and number.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Key of a session inside the engine: 128 bits of a hash of the opaque session string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct SessionKey(pub u128);

impl SessionKey {
    /// The key of an opaque session (or subject) string.
    #[must_use]
    pub fn of(session: &str) -> Self {
        let hash = blake3::hash(session.as_bytes());
        let mut first = [0u8; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        Self(u128::from_le_bytes(first))
    }
}

/// A network source: the client address as it stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub IpAddr);

impl SourceId {
    /// The network the source belongs to: /24 for IPv4, /48 for IPv6.
    #[must_use]
    pub fn network(self) -> NetworkId {
        match self.0 {
            IpAddr::V4(v4) => NetworkId(u64::from(u32::from(v4) >> 8)),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => NetworkId(u64::from(u32::from(v4) >> 8)),
                None => NetworkId((u128::from(v6) >> 80) as u64 | 1 << 63),
            },
        }
    }
}

/// A network: /24 (IPv4) or /48 (IPv6, top bit set).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkId(pub u64);

/// Stable identity of an endpoint: a hash of API host, method and template shape, equal across retraining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointId(pub u64);

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Name of an API: a declared host group, a host with enough traffic of its own, or `other`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApiName(pub Arc<str>);

impl ApiName {
    /// The API of hosts that have not earned one of their own.
    pub const OTHER: &'static str = "other";

    /// An API by name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for ApiName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Probability that benign traffic looks at least this odd, kept as −ln p ("nats") so that small values keep their order.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct PValue {
    nats: f64,
}

impl PValue {
    /// Nothing odd at all.
    pub const ONE: Self = Self { nats: 0.0 };

    /// From surprisal in nats (−ln p). Negative and NaN become 0.
    #[must_use]
    pub fn from_nats(nats: f64) -> Self {
        Self { nats: if nats > 0.0 { nats } else { 0.0 } }
    }

    /// From a probability. Values outside (0, 1] are brought to the nearest bound (smallest: 1e-300).
    #[must_use]
    pub fn from_probability(p: f64) -> Self {
        Self::from_nats(-(p.clamp(1e-300, 1.0)).ln())
    }

    /// −ln p.
    #[must_use]
    pub fn nats(self) -> f64 {
        self.nats
    }

    /// p itself, in (0, 1].
    #[must_use]
    pub fn probability(self) -> f64 {
        (-self.nats).exp()
    }

    /// −10·log10 p, two decimals, at most 300.
    #[must_use]
    pub fn score(self) -> f64 {
        let score = (self.nats * (10.0 / std::f64::consts::LN_10)).min(300.0);
        (score * 100.0).round() / 100.0
    }
}
