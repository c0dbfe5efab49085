//! What Envoy shows its external processor: the messages of one HTTP request, one after the other, put together into an exchange.
//!
//! Of the messages (`envoy.service.ext_proc.v3`) the fields that are read: headers and bodies both ways.

use super::Fault;
use super::watched::{Side, Watched};
use bytes::Bytes;
use engine::Exchange;
use prost::Message;

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

/// A request on its way, message by message.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    watched: Watched,
    is_over: bool,
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

impl Watching {
    /// Takes the next message, which came at this time. Without room the bytes of bodies are counted and not kept.
    pub(crate) fn take(&mut self, seen: Seen, now_ms: i64, has_room: bool) {
        self.watched.began_ms.get_or_insert(now_ms);
        self.watched.newest_ms = Some(now_ms);
        let Watched { request, response, .. } = &mut self.watched;
        match seen.part {
            Some(Part::RequestHeaders(headers)) => headers.show(request),
            Some(Part::ResponseHeaders(headers)) => {
                self.is_over = headers.end_of_stream;
                headers.show(response);
            }
            Some(Part::RequestBody(body)) => request.body(&body.body, has_room),
            Some(Part::ResponseBody(body)) => {
                self.is_over |= body.end_of_stream;
                response.body(&body.body, has_room);
            }
            Some(Part::ResponseTrailers(_)) => self.is_over = true,
            Some(Part::RequestTrailers(_)) | None => {}
        }
    }

    /// Whether the response was shown to its end: nothing comes behind it.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The exchange that was shown.
    ///
    /// # Errors
    /// It was no HTTP request: no method, no path.
    pub(crate) fn exchange(self) -> Result<Exchange<'static>, Fault> {
        let mut exchange = self.watched.exchange()?;
        exchange.source = Some("envoy".into());
        Ok(exchange)
    }
}

impl HttpHeaders {
    fn show(self, side: &mut Side) {
        let all = self.headers.unwrap_or_default().headers.into_iter();
        side.is_empty = self.end_of_stream;
        side.headers(
            all.map(|HeaderValue { key, value, raw_value }| {
                // Envoy writes either of them, by its version and settings.
                let value = if value.is_empty() { String::from_utf8_lossy(&raw_value).into_owned() } else { value };
                (key, value)
            })
            .collect(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::watched::MAX_BODY;
    use super::*;
    use engine::BodyEncoding;

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
        let mut watched = Watching::default();
        for (at, part) in parts.into_iter().enumerate() {
            // By way of bytes, as they come.
            let bytes = Seen { part: Some(part) }.encode_to_vec();
            watched.take(Seen::decode(&bytes[..]).unwrap(), 1_000 + at as i64, true);
        }
        watched.exchange()
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
        let mut watched = Watching::default();
        watched.take(get, 0, true);
        watched.take(piece(b"ab", false), 1, true);
        watched.take(piece(b"cd", false), 2, false);
        assert!(!watched.is_over());
        watched.take(piece(b"ef", true), 3, true);
        assert!(watched.is_over());
        let response = watched.exchange().unwrap().response;
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
                let mut watched = Watching::default();
                watched.take(seen, 0, true);
                let _ = watched.exchange();
            }
        }
    }
}
