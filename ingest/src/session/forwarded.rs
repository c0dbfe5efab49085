//! The client's address from a forwarding chain.

use crate::decode::GatewayFields;
use engine::{Exchange, Headers};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Entries of a chain that are looked at, from its end.
const MAX_HOPS: usize = 32;

/// The last address of the chain that is no trusted proxy's; its first one if all are. `None` when the record holds no address.
///
/// The chain is `X-Forwarded-For`, else `Forwarded`, and at its end the peer of the gateway. An entry that is no address ends it: what stands
/// before it cannot be believed.
pub(super) fn client_address(exchange: &Exchange<'_>, gateway: &GatewayFields, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let peer = exchange.client.ip.as_deref().map(address);
    let mut client = match peer {
        Some(Some(address)) if !is_trusted(address) => return Some(address),
        Some(None) => return None,
        Some(known) => known,
        None => None,
    };
    for entry in chain(exchange, gateway) {
        let Some(address) = address(entry) else { break };
        client = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// Entries from the last to the first.
fn chain<'e>(exchange: &'e Exchange<'_>, gateway: &'e GatewayFields) -> Vec<&'e str> {
    let headers = exchange.request.headers.as_ref();
    let values = |name: &'static str| headers.into_iter().flat_map(Headers::iter).filter(move |(n, _)| *n == name).map(|(_, v)| v);
    let split = |texts: Vec<&'e str>| -> Vec<&'e str> {
        let entries = texts.into_iter().rev().flat_map(|text| text.rsplit(','));
        entries.map(str::trim).filter(|entry| !entry.is_empty()).take(MAX_HOPS).collect()
    };
    let mut texts: Vec<&str> = values("x-forwarded-for").collect();
    if texts.is_empty() {
        texts = gateway.forwarded_for.as_deref().into_iter().collect();
    }
    if !texts.is_empty() {
        return split(texts);
    }
    split(values("forwarded").collect()).into_iter().map(forwarded_for).collect()
}

/// The `for` parameter of an element of `Forwarded`; an element without one is an entry without an address.
fn forwarded_for(element: &str) -> &str {
    let parameters = element.split(';').filter_map(|parameter| parameter.split_once('='));
    parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, value)| value.trim()).next().unwrap_or_default()
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `"[2001:db8::1]:80"`; IPv4 in IPv6 as IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Client;

    fn client(peer: Option<&'static str>, headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut exchange = Exchange { client: Client { ip: peer.map(Into::into), user_agent: None }, ..Exchange::default() };
        let mut all = Headers::new();
        headers.iter().for_each(|(name, value)| all.push(*name, *value));
        exchange.request.headers = Some(all);
        client_address(&exchange, &GatewayFields::default(), &["10.0.0.0/8".parse().unwrap()]).map(|address| address.to_string())
    }

    #[test]
    fn the_truth_table() {
        type Case = (Option<&'static str>, &'static [(&'static str, &'static str)], Option<&'static str>);
        let cases: [Case; 14] = [
            (None, &[], None),
            (Some("203.0.113.7"), &[], Some("203.0.113.7")),
            (Some("203.0.113.7:4711"), &[], Some("203.0.113.7")),
            (Some("::ffff:203.0.113.7"), &[], Some("203.0.113.7")),
            // A peer that is no proxy of ours is the client, whatever it sends.
            (Some("203.0.113.7"), &[("x-forwarded-for", "198.51.100.1")], Some("203.0.113.7")),
            (Some("10.0.0.1"), &[("x-forwarded-for", "198.51.100.1")], Some("198.51.100.1")),
            // What the client put in front is passed over.
            (Some("10.0.0.1"), &[("x-forwarded-for", "192.0.2.66, 198.51.100.1, 10.0.0.2")], Some("198.51.100.1")),
            (Some("10.0.0.1"), &[("x-forwarded-for", "192.0.2.66"), ("x-forwarded-for", "198.51.100.1")], Some("198.51.100.1")),
            (None, &[("x-forwarded-for", "192.0.2.66, 198.51.100.1")], Some("198.51.100.1")),
            (Some("10.0.0.1"), &[("x-forwarded-for", "10.0.0.9, 10.0.0.2")], Some("10.0.0.9")),
            (Some("10.0.0.1"), &[("x-forwarded-for", "198.51.100.1, unknown")], Some("10.0.0.1")),
            (Some("10.0.0.1"), &[("forwarded", "for=192.0.2.66, For=\"[2001:db8::7]:80\";proto=https")], Some("2001:db8::7")),
            (Some("10.0.0.1"), &[("forwarded", "for=192.0.2.66, proto=https")], Some("10.0.0.1")),
            (Some("unix:"), &[("x-forwarded-for", "198.51.100.1")], None),
        ];
        for (peer, headers, expected) in cases {
            assert_eq!(client(peer, headers).as_deref(), expected, "{peer:?} {headers:?}");
        }
    }
}
