//! OpenTelemetry's HTTP server spans (OTLP), by the semantic conventions: those of today, and the names before version 1.20.
//!
//! A span tells of a request what its instrumentation wrote down: seldom headers, hardly ever bodies. Spans that are no HTTP server's are passed
//! over: a service's calls of others, its database, its own steps.

pub(crate) mod json;
pub(crate) mod protobuf;

use super::target::{Target, is_method};
use super::{Decoded, Fault, GatewayFields, Position, Reason};
use engine::{Client, Exchange, Headers, Request, Response};
use std::collections::BTreeMap;

/// `SPAN_KIND_SERVER`.
const SERVER: i32 = 2;
/// Most attributes of a span that are looked at.
const MAX_ATTRIBUTES: usize = 1_024;

/// What a span says, whatever it was written in.
#[derive(Debug, Default)]
pub(crate) struct Span {
    kind: i32,
    /// In hex.
    id: String,
    start_ns: u64,
    end_ns: u64,
    attributes: Attributes,
}

/// Attributes by name, each with its values.
#[derive(Debug, Default)]
struct Attributes(BTreeMap<String, Vec<String>>);

impl FromIterator<(String, Vec<String>)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (String, Vec<String>)>>(all: I) -> Self {
        Self(all.into_iter().filter(|(_, values)| !values.is_empty()).take(MAX_ATTRIBUTES).collect())
    }
}

impl Attributes {
    /// The first of several names that says something.
    fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name)?.first().map(String::as_str)).filter(|value| !value.is_empty())
    }

    fn owned(&self, names: &[&str]) -> Option<String> {
        self.get(names).map(str::to_owned)
    }

    fn number<T: std::str::FromStr>(&self, names: &[&str]) -> Option<T> {
        self.get(names)?.parse().ok()
    }

    /// Headers under a prefix; before version 1.23 their names had underscores for dashes. `None`: none were written down.
    fn headers(&self, prefix: &str) -> Option<Headers<'static>> {
        let mut headers = Headers::new();
        let own = self.0.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
        for (name, values) in own {
            let name = name[prefix.len()..].replace('_', "-");
            values.iter().for_each(|value| headers.push(name.clone(), value.clone()));
        }
        let is_empty = headers.iter().next().is_none();
        if is_empty { None } else { Some(headers) }
    }
}

/// The exchange of a span as read, or why there is none; `None`: it is no HTTP server's.
pub(crate) fn exchange(span: Result<Span, Fault>, service: Option<&str>, at: &Position) -> Option<Result<Decoded, Fault>> {
    match span {
        Ok(span) => span.exchange(service, at.clone()),
        Err(fault) => Some(Err(fault)),
    }
}

impl Span {
    /// The exchange that it tells of; `None`: it is no HTTP server's. `service`: `service.name` of its resource.
    fn exchange(self, service: Option<&str>, at: Position) -> Option<Result<Decoded, Fault>> {
        let method = self.attributes.get(&["http.request.method", "http.method"])?;
        if self.kind != SERVER {
            return None;
        }
        let method = match method {
            "_OTHER" => self.attributes.get(&["http.request.method_original"]).unwrap_or(method),
            known => known,
        };
        if !is_method(method) {
            return Some(Err(Fault::new(Reason::NotARequest, "the method is none of HTTP's")));
        }
        let exchange = Exchange { method: method.to_owned().into(), ..Exchange::default() };
        Some(self.fill(exchange, service).map(|exchange| {
            let gateway = GatewayFields {
                session: self.attributes.owned(&["session.id"]),
                subject: self.attributes.owned(&["user.id", "enduser.id"]),
                ..GatewayFields::default()
            };
            Decoded { exchange, gateway, at }
        }))
    }

    fn fill(&self, mut exchange: Exchange<'static>, service: Option<&str>) -> Result<Exchange<'static>, Fault> {
        let said = &self.attributes;
        exchange.query = said.owned(&["url.query"]).map(|query| query.trim_start_matches('?').to_owned().into());
        exchange.scheme = said.owned(&["url.scheme", "http.scheme"]).map(Into::into);
        let headers = said.headers("http.request.header.");
        exchange.host = headers.as_ref().and_then(|headers| headers.get("host")).map(|host| host.to_owned().into()).or_else(|| self.host());
        let target = said.get(&["url.path", "http.target", "url.full", "http.url"]);
        Target::parse(target.ok_or_else(|| Fault::new(Reason::NotARequest, "no url.path"))?)?.fill(&mut exchange);
        exchange.route = said.owned(&["http.route"]).map(Into::into);
        exchange.id = (!self.id.is_empty()).then(|| self.id.clone().into());
        exchange.time = (self.start_ns > 0).then(|| i64::try_from(self.start_ns / 1_000_000).unwrap_or(i64::MAX));
        let took = self.end_ns.checked_sub(self.start_ns).filter(|_| self.start_ns > 0);
        exchange.duration_ms = took.map(|ns| ns as f64 / 1e6);
        exchange.client = Client {
            ip: said
                .owned(&["client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr", "net.peer.ip"])
                .map(Into::into),
            user_agent: said.owned(&["user_agent.original", "http.user_agent"]).map(Into::into),
        };
        exchange.request =
            Request { headers, bytes: said.number(&["http.request.body.size", "http.request_content_length"]), ..Request::default() };
        exchange.response = Response {
            status: said.number(&["http.response.status_code", "http.status_code"]).filter(|status| (100..1000).contains(status)),
            headers: said.headers("http.response.header."),
            bytes: said.number(&["http.response.body.size", "http.response_content_length"]),
            ..Response::default()
        };
        exchange.source = service.map(|service| service.to_owned().into());
        Ok(exchange)
    }

    /// The host as clients call it, with its port where that is not the scheme's own.
    fn host(&self) -> Option<engine::Text<'static>> {
        let host = self.attributes.get(&["http.host", "server.address", "http.server_name", "net.host.name"])?;
        let port = self.attributes.get(&["server.port", "net.host.port"]).filter(|_| !host.contains(':'));
        Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")).into())
    }
}
