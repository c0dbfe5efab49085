//! From an exchange to [`Features`].

use super::body;
use super::decode;
use super::hash::{hash, hash_folded, mix};
use super::json::Walker;
use super::response::{Leaks, MAX_SCALARS, ResponseFeatures};
use super::sensitive;
use super::{Credential, Features, Field, MAX_FIELDS, MAX_VALUE, Place, Scalar, Span, ValueKind};
use crate::record::{Body, BodyEncoding, Exchange, Headers, SessionKey, SourceId};
use base64::Engine as _;
use std::borrow::Cow;

/// Most bytes of text kept of one exchange.
const MAX_TEXT: usize = 96 << 10;
/// Most values kept of one name in one place.
const MAX_REPEATS: u16 = 24;

/// Digests exchanges; keeps its buffers between them.
#[derive(Debug, Default)]
pub struct Extractor {
    walker: Walker,
}

impl Extractor {
    /// Digests one exchange.
    #[must_use]
    pub fn extract(&mut self, exchange: &Exchange<'_>) -> Features {
        let (path, query) = split_path(&exchange.path, exchange.query.as_deref());
        let mut fields = Fields::with_room(exchange.request.body.as_ref().map_or(0, |body| body.len()));
        if let Some(query) = query {
            body::read_form(query, Place::Query, &mut fields);
        }
        let headers = exchange.request.headers.as_ref();
        let content_type = headers.and_then(|h| h.get("content-type")).unwrap_or_default();
        let mut operation = None;
        if let Some(text) = exchange.request.body().map(decode_body) {
            operation = body::read(&text, content_type, &mut self.walker, &mut fields);
        }
        let mut credential = Credential::None;
        let mut credential_hash = 0;
        for (name, value) in headers.into_iter().flat_map(Headers::iter) {
            match name {
                "authorization" => {
                    credential = Credential::Authorization;
                    credential_hash = hash_folded(value.rsplit(' ').next().unwrap_or(value));
                }
                "x-api-key" | "api-key" | "apikey" | "x-auth-token" | "x-access-token" => {
                    credential = credential.max(Credential::ApiKey);
                    credential_hash = hash_folded(value);
                }
                "cookie" => {
                    credential = credential.max(Credential::Cookie);
                    body::read_cookies(value, &mut fields);
                }
                _ if is_noise(name) => {}
                _ => fields.push(Place::Header, name, value),
            }
        }
        if headers.is_none_or(|h| h.get("user-agent").is_none())
            && let Some(agent) = exchange.client.user_agent.as_deref()
        {
            fields.push(Place::Header, "user-agent", agent);
        }
        let agent = exchange.client.user_agent.as_deref().or_else(|| headers.and_then(|h| h.get("user-agent")));
        Features {
            time: exchange.time.and_then(crate::time::plausible),
            capabilities: exchange.capabilities(),
            method: exchange.method.to_ascii_uppercase().chars().take(16).collect::<String>().into(),
            host: host_of(exchange).into(),
            path: path[..path.floor_char_boundary(2048)].into(),
            route: exchange.route.as_deref().map(Into::into),
            operation: operation.map(Into::into),
            session: exchange.session.as_deref().map(SessionKey::of),
            subject: exchange.subject.as_deref().map(SessionKey::of),
            source: exchange.client.ip.as_deref().and_then(|ip| ip.parse().ok()).map(SourceId),
            agent: agent.map_or(0, agent_family),
            credential,
            credential_hash,
            fields: fields.fields,
            fields_dropped: fields.dropped,
            request_scalars: fields.scalars,
            request_bytes: exchange.request.bytes.or_else(|| exchange.request.body.as_ref().map(|b| b.len() as u64)),
            response: self.response(exchange),
            duration_us: exchange.duration_ms.filter(|d| d.is_finite() && *d >= 0.0).map(|d| (d * 1000.0) as u64),
            text: fields.text,
        }
    }

    fn response(&mut self, exchange: &Exchange<'_>) -> ResponseFeatures {
        let response = &exchange.response;
        let mut out = ResponseFeatures { status: response.status.unwrap_or(0), bytes: response.bytes, ..ResponseFeatures::default() };
        if let Some(headers) = &response.headers {
            out.media = headers.get("content-type").map_or(0, |t| hash(t.split(';').next().unwrap_or(t).trim().as_bytes()));
            out.headers = headers.iter().map(|(name, _)| hash(name.as_bytes())).collect();
            out.headers.sort_unstable();
            out.headers.dedup();
            for (_, value) in headers.iter().filter(|(name, _)| *name == "set-cookie") {
                out.read_set_cookie(value);
            }
            let credentials = headers.get("access-control-allow-credentials") == Some("true");
            if credentials && headers.get("access-control-allow-origin") == Some("*") {
                out.leaks.0 |= Leaks::OPEN_CORS;
            }
            if headers.get("server").into_iter().chain(headers.get("x-powered-by")).any(|s| s.bytes().any(|b| b.is_ascii_digit())) {
                out.leaks.0 |= Leaks::BANNER;
            }
        }
        if let Some(text) = response.body().map(decode_body) {
            out.bytes = out.bytes.or(Some(text.len() as u64));
            if text.trim_start().starts_with(['{', '[']) {
                out.read_json(&mut self.walker, &text, Exchange::MAX_DEPTH);
            }
            out.read_leaks(&text);
        }
        out
    }
}

/// Fields as they are collected.
#[derive(Debug, Default)]
pub(super) struct Fields {
    fields: Vec<Field>,
    dropped: u32,
    scalars: Vec<Scalar>,
    text: String,
}

impl Fields {
    /// None yet, with room for those of an ordinary request with a body of so many bytes.
    fn with_room(body: usize) -> Self {
        let text = String::with_capacity(512 + body.min(MAX_VALUE * 4));
        Self { fields: Vec::with_capacity(16), dropped: 0, scalars: Vec::with_capacity(16), text }
    }

    /// Takes a field with its decoded value.
    pub(super) fn push(&mut self, place: Place, name: &str, value: &str) {
        let value = decode::value(value);
        self.push_kind(place, name, &value, ValueKind::of(&value));
    }

    /// Takes a field whose kind is known (JSON null and booleans).
    pub(super) fn push_kind(&mut self, place: Place, name: &str, value: &str, kind: ValueKind) {
        let name = &name[..name.floor_char_boundary(160)];
        let id = mix(place as u64 + 1, hash(name.as_bytes()));
        let repeat = self.fields.iter().rev().find(|f| f.id == id).map_or(0, |f| f.repeat + 1);
        let kept = &value[..value.floor_char_boundary(MAX_VALUE)];
        if self.fields.len() >= MAX_FIELDS || repeat >= MAX_REPEATS || self.text.len() + name.len() + kept.len() > MAX_TEXT {
            self.dropped += 1;
            return;
        }
        let key = hash(name.rsplit(['.', ']']).next().unwrap_or(name).as_bytes());
        let value_hash = hash_folded(kept);
        if place != Place::Header && place != Place::Cookie && !kept.is_empty() && kept.len() <= 100 && self.scalars.len() < MAX_SCALARS {
            self.scalars.push(Scalar { key, value: value_hash });
        }
        let name = match self.fields.iter().rev().find(|f| f.id == id) {
            Some(same) => same.name,
            None => self.keep(name),
        };
        let sensitive = sensitive::scan_kind(kept, kind);
        let value_span = self.keep(kept);
        self.fields.push(Field {
            place,
            kind,
            sensitive,
            repeat,
            id,
            key,
            value_hash,
            length: value.len() as u32,
            name,
            value: value_span,
        });
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Span { start, end: self.text.len() as u32 }
    }
}

/// Headers that say nothing about a request's intent, or that a proxy adds anew each time.
fn is_noise(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "content-length"
            | "connection"
            | "proxy-authorization"
            | "if-none-match"
            | "if-modified-since"
            | "traceparent"
            | "tracestate"
            | "x-request-id"
            | "x-correlation-id"
            | "x-amzn-trace-id"
            | "x-forwarded-for"
            | "x-real-ip"
            | "forwarded"
            | "date"
            | "via"
            | "transfer-encoding"
    ) || name.starts_with("x-b3-")
        || name.starts_with("x-envoy-")
        || name.starts_with(":")
}

fn split_path<'e>(path: &'e str, query: Option<&'e str>) -> (&'e str, Option<&'e str>) {
    match path.split_once('?') {
        Some((path, inline)) => (path, query.or(Some(inline))),
        None => (path, query),
    }
}

fn host_of(exchange: &Exchange<'_>) -> String {
    let host = exchange.host.as_deref().or_else(|| exchange.request.headers.as_ref().and_then(|h| h.get("host"))).unwrap_or_default();
    let host = host[..host.floor_char_boundary(255)].to_ascii_lowercase();
    let own_port = if exchange.scheme.as_deref() == Some("http") { ":80" } else { ":443" };
    host.strip_suffix(own_port).map(str::to_owned).unwrap_or(host)
}

/// Hash of the first product's name and the operating system's words: what stays when versions change.
fn agent_family(agent: &str) -> u64 {
    let letters: String = agent.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).take(200).collect();
    hash(letters.as_bytes())
}

/// Text of a body: as it stands, or from base64.
pub(super) fn decode_body(body: Body<'_>) -> Cow<'_, str> {
    match body.encoding {
        BodyEncoding::Utf8 => Cow::Borrowed(body.text),
        BodyEncoding::Base64 => match base64::engine::general_purpose::STANDARD.decode(body.text.trim_end()) {
            Ok(bytes) => Cow::Owned(decode::text_of(bytes)),
            Err(_) => Cow::Borrowed(body.text),
        },
    }
}
