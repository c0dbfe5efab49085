//! What Envoy shows its external processor: the messages of one HTTP request, one after the other, put together into an exchange.
//!
//! Of the messages (`envoy.service.ext_proc.v3`) the fields that are read: headers and bodies both ways.

use super::target::{Target, is_method};
use super::{Fault, GatewayFields, Reason};
use bytes::Bytes;
use engine::{BodyEncoding, Exchange, Headers, Text};
use prost::Message;

/// Most bytes of a body that are kept; a longer one is cut and marked so.
const MAX_BODY: usize = 1 << 20;

/// `ProcessingRequest`: one message of a request.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Seen {
    #[prost(oneof = "Part", tags = "2, 3, 4, 5, 6, 7")]
    part: Option<Part>,
}

/// `ProcessingResponse`: in observability mode nobody reads one, and none is written.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Part {
    #[prost(message, tag = "2")]
    RequestHeaders(HttpHeaders),
    #[prost(message, tag = "3")]
    ResponseHeaders(HttpHeaders),
    #[prost(message, tag = "4")]
    RequestBody(HttpBody),
    #[prost(message, tag = "5")]
    ResponseBody(HttpBody),
    #[prost(message, tag = "6")]
    RequestTrailers(Trailers),
    #[prost(message, tag = "7")]
    ResponseTrailers(Trailers),
}

#[derive(Clone, PartialEq, Message)]
struct HttpHeaders {
    #[prost(message, optional, tag = "1")]
    headers: Option<HeaderMap>,
    #[prost(bool, tag = "3")]
    end_of_stream: bool,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<HeaderValue>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(bytes = "bytes", tag = "3")]
    raw_value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct HttpBody {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
    #[prost(bool, tag = "2")]
    end_of_stream: bool,
}

/// Nothing of them is read.
#[derive(Clone, PartialEq, Message)]
struct Trailers {}

/// One side of a request as far as it was shown; `None`: that part was not.
#[derive(Debug, Default)]
struct Side {
    headers: Option<Vec<(String, String)>>,
    body: Option<Vec<u8>>,
    bytes: u64,
    /// Whether the message is known to have no body.
    is_empty: bool,
    is_whole: bool,
}

/// A request on its way.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    request: Side,
    response: Side,
    /// When the first and the newest message came, epoch milliseconds.
    began_ms: Option<i64>,
    newest_ms: i64,
}

impl Seen {
    /// Bytes of a body that it brings.
    pub(crate) fn body_bytes(&self) -> usize {
        match &self.part {
            Some(Part::RequestBody(body) | Part::ResponseBody(body)) => body.body.len(),
            _ => 0,
        }
    }
}

impl Watched {
    /// Takes the next message, which came at this time. Without room the bytes of bodies are counted and not kept.
    pub(crate) fn take(&mut self, seen: Seen, now_ms: i64, has_room: bool) {
        self.began_ms.get_or_insert(now_ms);
        self.newest_ms = now_ms;
        match seen.part {
            Some(Part::RequestHeaders(headers)) => self.request.headers(headers),
            Some(Part::ResponseHeaders(headers)) => self.response.headers(headers),
            Some(Part::RequestBody(body)) => self.request.body(&body, has_room),
            Some(Part::ResponseBody(body)) => self.response.body(&body, has_room),
            Some(Part::ResponseTrailers(_)) => self.response.is_whole = true,
            Some(Part::RequestTrailers(_)) | None => {}
        }
    }

    /// Whether the response was shown to its end: nothing comes behind it.
    pub(crate) fn is_over(&self) -> bool {
        self.response.is_whole
    }

    /// The exchange that was shown.
    ///
    /// # Errors
    /// It was no HTTP request: no method, no path.
    pub(crate) fn exchange(self) -> Result<(Exchange<'static>, GatewayFields), Fault> {
        let Self { request, response, began_ms, newest_ms } = self;
        let missing = |what: &'static str| Fault::new(Reason::NotARequest, what);
        let method = request.pseudo(":method").filter(|method| is_method(method)).ok_or_else(|| missing("no :method"))?.to_owned();
        let mut exchange = Exchange {
            method: method.into(),
            time: began_ms,
            duration_ms: began_ms.map(|began| newest_ms.saturating_sub(began).max(0) as f64),
            scheme: request.pseudo(":scheme").map(|scheme| scheme.to_owned().into()),
            host: request.pseudo(":authority").map(|host| host.to_owned().into()),
            ..Exchange::default()
        };
        Target::parse(request.pseudo(":path").ok_or_else(|| missing("no :path"))?)?.fill(&mut exchange);
        exchange.response.status = response.pseudo(":status").and_then(|status| status.parse().ok()).filter(|s| (100..1000).contains(s));
        exchange.client.user_agent = request.pseudo("user-agent").map(|agent| agent.to_owned().into());
        let (headers, body, bytes) = request.parts();
        exchange.request.headers = headers;
        (exchange.request.body, exchange.request.body_encoding, exchange.request.truncated) = body;
        exchange.request.bytes = bytes;
        let (headers, body, bytes) = response.parts();
        exchange.response.headers = headers;
        (exchange.response.body, exchange.response.body_encoding, exchange.response.truncated) = body;
        exchange.response.bytes = bytes;
        Ok((exchange, GatewayFields::default()))
    }
}

/// A body as an exchange has it: text, encoding, whether it was cut.
type Body = (Option<Text<'static>>, BodyEncoding, bool);

impl Side {
    fn headers(&mut self, headers: HttpHeaders) {
        self.is_empty = headers.end_of_stream;
        self.is_whole = headers.end_of_stream;
        let all = headers.headers.unwrap_or_default().headers.into_iter();
        self.headers = Some(
            all.map(|HeaderValue { key, value, raw_value }| {
                // Envoy writes either of them, by its version and settings.
                let value = if value.is_empty() { String::from_utf8_lossy(&raw_value).into_owned() } else { value };
                (key, value)
            })
            .collect(),
        );
    }

    fn body(&mut self, HttpBody { body: piece, end_of_stream }: &HttpBody, has_room: bool) {
        let body = self.body.get_or_insert_default();
        // Behind a gap nothing is kept: what is there is a beginning.
        let is_gapless = body.len() as u64 == self.bytes;
        if has_room && is_gapless {
            body.extend_from_slice(&piece[..piece.len().min(MAX_BODY - body.len())]);
        }
        self.bytes += piece.len() as u64;
        self.is_whole |= *end_of_stream;
    }

    fn pseudo(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn parts(self) -> (Option<Headers<'static>>, Body, Option<u64>) {
        let headers = self.headers.map(|all| {
            let mut headers = Headers::new();
            all.into_iter().filter(|(name, _)| !name.starts_with(':')).for_each(|(name, value)| headers.push(name, value));
            headers
        });
        let bytes = (self.body.is_some() || self.is_empty).then_some(self.bytes);
        let is_cut = self.body.as_ref().is_some_and(|body| (body.len() as u64) < self.bytes);
        let body = match self.body.map(String::from_utf8) {
            None => (None, BodyEncoding::Utf8, false),
            Some(Ok(text)) => (Some(text.into()), BodyEncoding::Utf8, is_cut),
            Some(Err(binary)) => {
                use base64::Engine as _;
                let text = base64::engine::general_purpose::STANDARD.encode(binary.as_bytes());
                (Some(text.into()), BodyEncoding::Base64, is_cut)
            }
        };
        (headers, body, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)], end_of_stream: bool) -> HttpHeaders {
        let value = |(key, value): &(&str, &str)| HeaderValue {
            key: (*key).to_owned(),
            raw_value: value.as_bytes().to_vec().into(),
            value: String::new(),
        };
        HttpHeaders { headers: Some(HeaderMap { headers: all.iter().map(value).collect() }), end_of_stream }
    }

    fn body(bytes: &[u8]) -> HttpBody {
        HttpBody { body: bytes.to_vec().into(), end_of_stream: false }
    }

    fn watched(parts: Vec<Part>) -> Result<Exchange<'static>, Fault> {
        let mut watched = Watched::default();
        for (at, part) in parts.into_iter().enumerate() {
            // By way of bytes, as they come.
            let bytes = Seen { part: Some(part) }.encode_to_vec();
            watched.take(Seen::decode(&bytes[..]).unwrap(), 1_000 + at as i64, true);
        }
        watched.exchange().map(|(exchange, _)| exchange)
    }

    #[test]
    fn messages_become_one_exchange() {
        let request =
            [(":method", "POST"), (":path", "/v1/orders?x=1"), (":authority", "a.example"), (":scheme", "https"), ("cookie", "s=1")];
        let exchange = watched(vec![
            Part::RequestHeaders(headers(&request, false)),
            Part::RequestBody(body(b"{\"a\"")),
            Part::RequestBody(body(b":1}")),
            Part::ResponseHeaders(headers(&[(":status", "201")], false)),
            Part::ResponseBody(body(&[0xff, 0x00])),
        ])
        .unwrap();
        assert_eq!((&*exchange.path, exchange.query.as_deref(), exchange.response.status), ("/v1/orders", Some("x=1"), Some(201)));
        assert_eq!((exchange.request.body.as_deref(), exchange.request.bytes), (Some("{\"a\":1}"), Some(7)));
        assert_eq!((exchange.response.body.as_deref(), exchange.response.body_encoding), (Some("/wA="), BodyEncoding::Base64));
        assert_eq!((exchange.time, exchange.duration_ms), (Some(1_000), Some(4.0)));
        assert_eq!(exchange.request.headers.unwrap().iter().collect::<Vec<_>>(), [("cookie", "s=1")]);
    }

    #[test]
    fn the_end_of_the_response_is_the_end_and_without_room_bodies_are_cut() {
        let get = Seen { part: Some(Part::RequestHeaders(headers(&[(":method", "GET"), (":path", "/")], true))) };
        let piece =
            |bytes: &[u8], end_of_stream| Seen { part: Some(Part::ResponseBody(HttpBody { body: bytes.to_vec().into(), end_of_stream })) };
        let mut watched = Watched::default();
        watched.take(get, 0, true);
        watched.take(piece(b"ab", false), 1, true);
        watched.take(piece(b"cd", false), 2, false);
        assert!(!watched.is_over());
        watched.take(piece(b"ef", true), 3, true);
        assert!(watched.is_over());
        let response = watched.exchange().unwrap().0.response;
        assert_eq!((response.body.as_deref(), response.bytes, response.truncated), (Some("ab"), Some(6), true));
    }

    #[test]
    fn what_was_not_shown_is_unknown_and_long_bodies_are_cut() {
        let get = [(":method", "GET"), (":path", "/")];
        let exchange = watched(vec![Part::RequestHeaders(headers(&get, true))]).unwrap();
        assert_eq!((exchange.request.bytes, exchange.response.bytes, exchange.response.status), (Some(0), None, None));
        assert!(exchange.response.headers.is_none() && exchange.request.body.is_none());
        let long = vec![b'a'; MAX_BODY - 1];
        let parts = vec![Part::RequestHeaders(headers(&get, false)), Part::RequestBody(body(&long)), Part::RequestBody(body(b"bcd"))];
        let cut = watched(parts).unwrap().request;
        assert_eq!((cut.body.unwrap().len(), cut.bytes, cut.truncated), (MAX_BODY, Some(MAX_BODY as u64 + 2), true));
        assert!(watched(vec![Part::ResponseHeaders(headers(&[(":status", "200")], true))]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            if let Ok(seen) = Seen::decode(&bytes[..]) {
                let mut watched = Watched::default();
                watched.take(seen, 0, true);
                let _ = watched.exchange();
            }
        }
    }
}
