//! Who a request belongs to: session and subject as keyed hashes, and the client's address.
//!
//! A name is the first half of an HMAC-SHA256, which gateways have: with the derived key ([`gateway_key`]) they find out whether a token that they
//! see stands on the block list.
//!
//! **Invariant:** what an attacker can mint names nobody: a claim, header or cookie that has only been answered by 401 or 403 so far is passed
//! over, and the last extractor (address and user agent) names the session.

mod extract;
mod forwarded;
mod proven;

use self::extract::Candidate;
use self::proven::Proven;
use crate::decode::GatewayFields;
use engine::Exchange;
use hmac::digest::common::Key;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ipnet::IpNet;
use runtime::config::{Config, Extractor};
use sha2::Sha256;
use std::sync::{Mutex, PoisonError};

/// Tokens remembered as accepted.
const PROVEN_TOKENS: usize = 1 << 17;

/// Where sessions and subjects are taken from.
#[derive(Debug, Clone)]
pub struct Identities {
    /// Extractors of the session, in order.
    pub sessions: Vec<Extractor>,
    /// Extractors of the subject, in order; what the gateway itself says comes before them.
    pub subjects: Vec<Extractor>,
    /// Networks whose word on the forwarding chain is taken.
    pub trusted_proxies: Vec<IpNet>,
}

impl Identities {
    /// As the configuration has them.
    #[must_use]
    pub fn configured(config: &Config) -> Self {
        Self {
            sessions: config.session.extractors.clone(),
            subjects: config.session.subjects.clone(),
            trusted_proxies: config.ingest.trusted_proxies.clone(),
        }
    }

    /// As the defaults have them.
    #[cfg(test)]
    pub(crate) fn defaults() -> Self {
        let sources = runtime::config::Sources { host_name: "test".to_owned(), ..Default::default() };
        Self::configured(&Config::resolve(&sources).unwrap())
    }

    /// Dotted paths of the gateway's own records that extractors ask for.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let paths = self.sessions.iter().chain(&self.subjects).filter_map(|extractor| match extractor {
            Extractor::Field(path) => Some(path.clone()),
            _ => None,
        });
        paths.collect()
    }
}

/// Names sessions and subjects. Shared between threads.
#[derive(Debug)]
pub struct Naming {
    identities: Identities,
    key: [u8; 32],
    /// Keyed and ready to be cloned.
    names: Hmac<Sha256>,
    proven: Mutex<Proven>,
}

impl Naming {
    /// Names by these extractors, with the installation's shared key.
    #[must_use]
    pub fn new(identities: Identities, key: &[u8; 32]) -> Self {
        let key = gateway_key(key);
        Self { identities, key, names: keyed(&key), proven: Mutex::new(Proven::new(PROVEN_TOKENS)) }
    }

    /// Fills in the client's address and user agent, session and subject. Those that the record brings stay.
    pub fn name(&self, exchange: &mut Exchange<'_>, gateway: &GatewayFields) {
        if let Some(address) = forwarded::client_address(exchange, gateway, &self.identities.trusted_proxies) {
            exchange.client.ip = Some(address.to_string().into());
        }
        if exchange.client.user_agent.is_none() {
            let agent = exchange.request.headers.as_ref().and_then(|headers| headers.get("user-agent")).map(str::to_owned);
            exchange.client.user_agent = agent.map(Into::into);
        }
        // The subject first: the session's look-up is what makes a token proven.
        if exchange.subject.is_none() {
            exchange.subject = self.subject(exchange, gateway).map(Into::into);
        }
        if exchange.session.is_none() {
            exchange.session = self.session(exchange, gateway).map(Into::into);
        }
    }

    fn session(&self, exchange: &Exchange<'_>, gateway: &GatewayFields) -> Option<String> {
        let mapped = gateway.session.as_deref().map(|value| Candidate::of("gateway", value));
        let found = self.identities.sessions.iter().map(|extractor| extract::candidate(extractor, exchange, gateway));
        let named = std::iter::once(mapped).chain(found).flatten().find(|candidate| self.is_believed(candidate, exchange))?;
        Some(self.hash("session", named.label, &named.value))
    }

    fn subject(&self, exchange: &Exchange<'_>, gateway: &GatewayFields) -> Option<String> {
        // An account that could not log in was not there, whoever it says it was.
        let mapped = gateway.subject.as_deref().filter(|_| exchange.response.status != Some(401)).map(Candidate::vouched);
        let found = self.identities.subjects.iter().map(|extractor| extract::candidate(extractor, exchange, gateway));
        let named = std::iter::once(mapped).chain(found).flatten().find(|candidate| self.is_believed(candidate, exchange))?;
        // One account is one subject wherever its name stood.
        Some(self.hash("subject", "", &named.value))
    }

    /// Whether a candidate may name anybody: it is no token, this answer accepts it, or an earlier one did.
    fn is_believed(&self, candidate: &Candidate<'_>, exchange: &Exchange<'_>) -> bool {
        let Some(token) = candidate.token.as_deref() else { return true };
        let token = self.digest("token", candidate.label, token);
        let mut key = [0; 16];
        key.copy_from_slice(&token.as_bytes()[..16]);
        let refused = matches!(exchange.response.status, Some(401 | 403));
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if refused { proven.has(u128::from_le_bytes(key)) } else { proven.add(u128::from_le_bytes(key)) }
    }

    fn digest(&self, what: &str, label: &str, value: &str) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [what, label, value] {
            hasher.update(part.as_bytes()).update(&[0]);
        }
        hasher.finalize()
    }

    /// HMAC-SHA256, its first 128 bits, hex.
    fn hash(&self, what: &str, label: &str, value: &str) -> String {
        let mut hmac = self.names.clone();
        for part in [what, label, value] {
            hmac.update(part.as_bytes());
            hmac.update(&[0]);
        }
        hex::encode(&hmac.finalize().into_bytes()[..16])
    }
}

/// The key that sessions and subjects are named with, derived from that of the installation. With it a gateway can name the sessions that it
/// sees, and unmask nothing.
#[must_use]
pub fn gateway_key(key: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("weir 2026-01 sessions and subjects", key)
}

/// HMAC-SHA256 with a key of half a block: the rest of the block is zeros.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = Key::<Hmac<Sha256>>::default();
    block[..key.len()].copy_from_slice(key);
    Hmac::new(&block)
}

#[cfg(test)]
mod tests;
