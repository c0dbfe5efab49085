//! What every exchange goes through before it is written or judged.

use crate::decode::Decoded;
use crate::decode::GatewayFields;
use crate::masking::{Masking, MaskingError};
use crate::session::{Identities, Naming};
use engine::Exchange;
use runtime::config::{Config, PrivacyRule};
use runtime::keys::SessionKey;

/// Key for reading files on one's own machine: the same file gives the same sessions on every run. It hides nothing.
const LOCAL_KEY: [u8; 32] = *b"weir: sessions of a local read\0\0";

/// Names session and subject, finds the client's address, then masks secrets. Shared between threads.
#[derive(Debug)]
pub struct Preparer {
    naming: Naming,
    masking: Option<Masking>,
}

impl Preparer {
    /// For exchanges that are to be written: names and masks, with the installation's shared key.
    ///
    /// # Errors
    /// Never in practice; see [`Masking::new`].
    pub fn new(identities: Identities, rules: &[PrivacyRule], key: &[u8; 32]) -> Result<Self, MaskingError> {
        Ok(Self { naming: Naming::new(identities, key), masking: Some(Masking::new(rules, key)?) })
    }

    /// For exchanges that are read from files and stay on this machine. Masks only if that is asked for, then by the installation's key if it
    /// is given; else names, and masks, by a fixed one.
    ///
    /// # Errors
    /// Never in practice; see [`Masking::new`].
    pub fn local(config: &Config, key: Option<&SessionKey>) -> Result<Self, MaskingError> {
        let identities = Identities::configured(config);
        if config.privacy.mask_files {
            return Self::new(identities, &config.privacy.rules, key.map_or(&LOCAL_KEY, SessionKey::as_bytes));
        }
        Ok(Self { naming: Naming::new(identities, &LOCAL_KEY), masking: None })
    }

    /// Prepares an exchange. Sessions are named first: masking takes away what they are named by.
    pub fn prepare(&self, exchange: &mut Exchange<'_>, gateway: &GatewayFields) {
        complete_host(exchange);
        divide_path(exchange);
        self.naming.name(exchange, gateway);
        if let Some(masking) = &self.masking {
            masking.mask(exchange);
        }
    }

    /// Prepares a decoded exchange.
    #[must_use]
    pub fn prepared(&self, mut decoded: Decoded) -> Exchange<'static> {
        self.prepare(&mut decoded.exchange, &decoded.gateway);
        decoded.exchange
    }
}

/// Takes the host from its header where the record has none of its own; writes it in lower case and without the scheme's own port, as one host
/// is to be one name.
fn complete_host(exchange: &mut Exchange<'_>) {
    let header = || exchange.request.headers.as_ref().and_then(|headers| headers.get("host"));
    let Some(said) = exchange.host.as_deref().or_else(header) else { return };
    let own_ports: &[&str] = match exchange.scheme.as_deref() {
        Some("https") => &[":443"],
        Some("http") => &[":80"],
        _ => &[":443", ":80"],
    };
    let said = said.trim();
    let host = own_ports.iter().find_map(|port| said.strip_suffix(port)).unwrap_or(said);
    if exchange.host.as_deref() == Some(host) && !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return;
    }
    let host = host.to_ascii_lowercase();
    exchange.host = (!host.is_empty()).then(|| host.into());
}

/// Puts a query that a sender left in the path where queries stand, as that is where secrets are looked for.
fn divide_path(exchange: &mut Exchange<'_>) {
    let Some((path, inline)) = exchange.path.split_once('?') else { return };
    let (path, inline) = (path.to_owned(), inline.to_owned());
    let query = match exchange.query.as_deref() {
        None | Some("") => inline,
        Some(query) => format!("{inline}&{query}"),
    };
    exchange.path = if path.is_empty() { "/".into() } else { path.into() };
    exchange.query = (!query.is_empty()).then(|| query.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Headers;
    use proptest::prelude::*;

    fn exchange() -> Exchange<'static> {
        let mut headers = Headers::new();
        headers.push("host", "api.example.com");
        headers.push("authorization", "Bearer hunter2hunter2");
        let mut exchange = Exchange { method: "GET".into(), path: "/".into(), ..Exchange::default() };
        exchange.request.headers = Some(headers);
        exchange
    }

    fn local(mask_files: bool) -> Preparer {
        let sources = runtime::config::Sources { host_name: "test".to_owned(), ..Default::default() };
        let mut config = Config::resolve(&sources).unwrap();
        config.privacy.mask_files = mask_files;
        Preparer::local(&config, None).unwrap()
    }

    #[test]
    fn the_session_is_named_before_the_token_is_masked() {
        let preparer = Preparer::new(Identities::defaults(), &[], &[3; 32]).unwrap();
        let mut written = exchange();
        preparer.prepare(&mut written, &GatewayFields::default());
        assert!(written.session.is_some());
        assert_eq!(written.host.as_deref(), Some("api.example.com"));
        assert!(!serde_json::to_string(&written).unwrap().contains("hunter2"));
    }

    #[test]
    fn one_host_is_one_name() {
        let host = |scheme: Option<&'static str>, host: &'static str| {
            let mut exchange = Exchange { scheme: scheme.map(Into::into), host: Some(host.into()), ..exchange() };
            local(false).prepare(&mut exchange, &GatewayFields::default());
            exchange.host.map(|host| host.to_string())
        };
        assert_eq!(host(None, "API.example.com:443").as_deref(), Some("api.example.com"));
        assert_eq!(host(Some("http"), "api.example.com:443").as_deref(), Some("api.example.com:443"));
        assert_eq!(host(Some("http"), "api.example.com:80").as_deref(), Some("api.example.com"));
        assert_eq!(host(None, "api.example.com:8080").as_deref(), Some("api.example.com:8080"));
        assert_eq!(host(None, " "), None);
    }

    #[test]
    fn a_local_read_names_the_same_each_time_and_masks_only_when_asked() {
        let [mut a, mut b, mut masked] = [exchange(), exchange(), exchange()];
        local(false).prepare(&mut a, &GatewayFields::default());
        local(false).prepare(&mut b, &GatewayFields::default());
        local(true).prepare(&mut masked, &GatewayFields::default());
        assert_eq!(a, b);
        assert_eq!(a.session, masked.session);
        assert_eq!(a.request.headers.unwrap().get("authorization"), Some("Bearer hunter2hunter2"));
        assert!(!serde_json::to_string(&masked).unwrap().contains("hunter2"));
    }

    #[test]
    fn a_query_in_the_path_is_masked_like_one_that_stands_where_it_should() {
        let preparer = Preparer::new(Identities::defaults(), &[], &[7; 32]).unwrap();
        let mut asked = Exchange { path: "/v1/orders?token=hunter2hunter2".into(), query: Some("page=2".into()), ..exchange() };
        preparer.prepare(&mut asked, &GatewayFields::default());
        let query = asked.query.unwrap();
        assert_eq!(&*asked.path, "/v1/orders");
        assert!(query.starts_with("token=~h:") && query.ends_with("&page=2") && !query.contains("hunter2"), "{query}");
        let mut bare = Exchange { path: "?".into(), ..exchange() };
        preparer.prepare(&mut bare, &GatewayFields::default());
        assert_eq!((&*bare.path, bare.query), ("/", None));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(
            texts in proptest::collection::vec(proptest::option::of(".*"), 8),
            headers in proptest::collection::vec(("[a-zA-Z-]{1,12}", ".*"), 0..8),
            (status, duration, time) in (proptest::option::of(100u16..1000), proptest::option::of((0u32..).prop_map(|us| f64::from(us) / 1e3)), proptest::option::of(0i64..4_000_000_000_000)),
        ) {
            let text = |i: usize| texts[i].clone().map(Into::into);
            let mut exchange = Exchange {
                id: text(0), query: text(1), host: text(2), session: text(3), time, duration_ms: duration,
                method: "POST".into(), path: "/x".into(), ..Exchange::default()
            };
            exchange.client.ip = text(4);
            exchange.client.user_agent = text(5);
            exchange.request.body = text(6);
            exchange.response.body = text(7);
            exchange.response.status = status;
            let mut all = Headers::new();
            headers.iter().for_each(|(name, value)| all.push(name.clone(), value.clone()));
            exchange.request.headers = Some(all);
            Preparer::new(Identities::defaults(), &[], &[3; 32]).unwrap().prepare(&mut exchange, &GatewayFields::default());
            let written = serde_json::to_vec(&exchange).unwrap();
            let read = Exchange::from_json(&written).unwrap();
            prop_assert_eq!(serde_json::to_vec(&read).unwrap(), written);
        }
    }
}
