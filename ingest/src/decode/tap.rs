//! What Envoy's HTTP tap writes as JSON (`envoy.data.tap.v3.TraceWrapper`): a request with its answer in one piece, or in segments.
//!
//! A tap that streams writes each request in segments, those of several requests among one another, and marks no end. So segments are held
//! until the input ends, or until so many are held that the oldest has to go; what comes of it later is told of as a response without a request.

use super::watched::{Side, Watched};
use super::{BadLine, Decoded, Fault, GatewayFields, Position, Reason};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Exchange;
use serde::Deserialize;
use serde_json::Value;
use std::collections::VecDeque;

/// Keys by which a record is known.
pub(super) const KEYS: [&[u8]; 2] = [b"http_buffered_trace", b"http_streamed_trace_segment"];
/// Most requests that are held in segments.
const MAX_HELD: usize = 1_024;
/// Most bytes of them.
const MAX_HELD_BYTES: usize = 64 << 20;

#[derive(Deserialize)]
struct Wrapper {
    http_buffered_trace: Option<Whole>,
    http_streamed_trace_segment: Option<Segment>,
}

#[derive(Deserialize)]
struct Whole {
    request: Option<Message>,
    response: Option<Message>,
    downstream_connection: Option<Connection>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    headers: Vec<Header>,
    body: Option<Body>,
    headers_received_time: Option<String>,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(default)]
    trace_id: Value,
    request_headers: Option<HeaderMap>,
    request_body_chunk: Option<Body>,
    response_headers: Option<HeaderMap>,
    response_body_chunk: Option<Body>,
    response_trailers: Option<HeaderMap>,
}

#[derive(Deserialize)]
struct HeaderMap {
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Deserialize)]
struct Header {
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    raw_value: String,
}

#[derive(Deserialize)]
struct Body {
    as_bytes: Option<String>,
    as_string: Option<String>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct Connection {
    remote_address: Option<Address>,
}

#[derive(Deserialize)]
struct Address {
    socket_address: Option<SocketAddress>,
}

#[derive(Deserialize)]
struct SocketAddress {
    address: String,
}

/// Reads the traces of one input.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// Requests of which segments came, the oldest first.
    held: VecDeque<Held>,
    bytes: usize,
}

/// A request of which segments came.
#[derive(Debug)]
struct Held {
    id: u64,
    /// Where the first of them stood.
    at: Position,
    watched: Watched,
}

impl Traces {
    /// Takes a record, and hands over what is whole with it, or cannot be read.
    pub(super) fn take(&mut self, record: &[u8], at: &Position, mut give: impl FnMut(Result<Decoded, BadLine>)) {
        let taken = parse(record).and_then(|wrapper| match wrapper {
            Wrapper { http_buffered_trace: Some(whole), .. } => Ok(Some(told(whole.exchange(), at.clone()))),
            Wrapper { http_streamed_trace_segment: Some(segment), .. } => Ok(self.segment(segment, at)?.map(Held::told)),
            Wrapper { .. } => Err(Fault::new(Reason::NotARequest, "a trace of something else than HTTP")),
        });
        taken.unwrap_or_else(|fault| Some(told(Err(fault), at.clone()))).into_iter().for_each(&mut give);
        while self.held.len() > MAX_HELD || self.bytes > MAX_HELD_BYTES {
            self.oldest().into_iter().for_each(&mut give);
        }
    }

    /// Gives out the request that has been held longest, as far as it was shown.
    pub(super) fn oldest(&mut self) -> Option<Result<Decoded, BadLine>> {
        self.release(0).map(Held::told)
    }

    /// Adds a segment to its request; gives that out if this was its end.
    fn segment(&mut self, segment: Segment, at: &Position) -> Result<Option<Held>, Fault> {
        let id = match &segment.trace_id {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        let id = id.ok_or_else(|| Fault::new(Reason::WrongField, "trace_id is no number"))?;
        let place = self.held.iter().rposition(|held| held.id == id).unwrap_or_else(|| {
            self.held.push_back(Held { id, at: at.clone(), watched: Watched::default() });
            self.held.len() - 1
        });
        let Some(held) = self.held.get_mut(place) else { return Ok(None) };
        let is_over = segment.response_trailers.is_some();
        self.bytes -= held.watched.held();
        let shown = segment.show(&mut held.watched);
        self.bytes += held.watched.held();
        shown?;
        Ok(if is_over { self.release(place) } else { None })
    }

    fn release(&mut self, place: usize) -> Option<Held> {
        let held = self.held.remove(place)?;
        self.bytes -= held.watched.held();
        Some(held)
    }
}

impl Held {
    fn told(self) -> Result<Decoded, BadLine> {
        told(exchange(self.watched), self.at)
    }
}

fn told(exchange: Result<Exchange<'static>, Fault>, at: Position) -> Result<Decoded, BadLine> {
    match exchange {
        Ok(exchange) => Ok(Decoded { exchange, gateway: GatewayFields::default(), at }),
        Err(fault) => Err(BadLine { at, fault }),
    }
}

fn parse(record: &[u8]) -> Result<Wrapper, Fault> {
    if engine::features::json::deeper_than(record, Exchange::MAX_DEPTH) {
        return Err(Fault::too_deep(Exchange::MAX_DEPTH));
    }
    serde_json::from_slice(record).map_err(|error| Fault::json(&error, record))
}

fn exchange(watched: Watched) -> Result<Exchange<'static>, Fault> {
    let mut exchange = watched.exchange()?;
    exchange.source = Some("envoy".into());
    Ok(exchange)
}

impl Whole {
    fn exchange(self) -> Result<Exchange<'static>, Fault> {
        let mut watched = Watched::default();
        for (message, side, time) in
            [(self.request, &mut watched.request, &mut watched.began_ms), (self.response, &mut watched.response, &mut watched.newest_ms)]
        {
            let Some(message) = message else { continue };
            *time = message.headers_received_time.as_deref().and_then(engine::time::parse);
            side.headers(headers(message.headers)?);
            match message.body {
                Some(body) => body.show(side)?,
                None => side.is_empty = true,
            }
        }
        let mut exchange = exchange(watched)?;
        let remote = self.downstream_connection.and_then(|connection| connection.remote_address?.socket_address);
        exchange.client.ip = remote.map(|remote| remote.address.into());
        Ok(exchange)
    }
}

impl Segment {
    fn show(self, watched: &mut Watched) -> Result<(), Fault> {
        if let Some(all) = self.request_headers {
            watched.request.headers(headers(all.headers)?);
        }
        if let Some(body) = self.request_body_chunk {
            body.show(&mut watched.request)?;
        }
        if let Some(all) = self.response_headers {
            watched.response.headers(headers(all.headers)?);
            // A body of the request has come by now, if there is one.
            watched.request.is_empty |= watched.request.has_headers();
        }
        if let Some(body) = self.response_body_chunk {
            body.show(&mut watched.response)?;
        }
        watched.response.is_empty |= self.response_trailers.is_some();
        Ok(())
    }
}

impl Body {
    fn show(self, side: &mut Side) -> Result<(), Fault> {
        match self {
            Self { as_bytes: Some(bytes), .. } => side.body(&base64(&bytes)?, true),
            Self { as_string: Some(text), .. } => side.body(text.as_bytes(), true),
            Self { .. } => {}
        }
        side.is_cut |= self.truncated;
        Ok(())
    }
}

fn headers(all: Vec<Header>) -> Result<Vec<(String, String)>, Fault> {
    let value = |Header { key, value, raw_value }| {
        // Either of them is written, by the bytes that the header has.
        let is_raw = value.is_empty() && !raw_value.is_empty();
        let value = if is_raw { String::from_utf8_lossy(&base64(&raw_value)?).into_owned() } else { value };
        Ok((key, value))
    };
    all.into_iter().map(value).collect()
}

fn base64(text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text).map_err(|_| Fault::new(Reason::WrongField, "a body or header is not base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(traces: &mut Traces, segment: &str) -> Vec<Result<Decoded, BadLine>> {
        let record = format!("{{\"http_streamed_trace_segment\":{segment}}}");
        let mut told = Vec::new();
        traces.take(record.as_bytes(), &Position { file: "t".into(), line: 1, entry: None }, |one| told.push(one));
        told
    }

    fn request(id: usize) -> String {
        let header = |key: &str, value: &str| format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}");
        format!(
            "{{\"trace_id\":{id},\"request_headers\":{{\"headers\":[{},{}]}}}}",
            header(":method", "GET"),
            header(":path", &format!("/{id}"))
        )
    }

    #[test]
    fn what_has_been_held_longest_goes_when_there_are_too_many() {
        let mut traces = Traces::default();
        assert!((0..MAX_HELD).all(|id| take(&mut traces, &request(id)).is_empty()));
        let gone = take(&mut traces, &request(MAX_HELD));
        assert_eq!((gone.len(), &*gone[0].as_ref().unwrap().exchange.path), (1, "/0"));
        assert_eq!(std::iter::from_fn(|| traces.oldest()).count(), MAX_HELD);
        assert_eq!(traces.bytes, 0);
    }

    #[test]
    fn what_has_been_held_longest_goes_when_it_is_too_much() {
        let mut traces = Traces::default();
        let piece = "x".repeat(super::super::watched::MAX_BODY);
        let mut gone = 0;
        for id in 0..100 {
            take(&mut traces, &request(id));
            gone += take(&mut traces, &format!("{{\"trace_id\":\"{id}\",\"response_body_chunk\":{{\"as_string\":\"{piece}\"}}}}")).len();
            assert!(traces.bytes <= MAX_HELD_BYTES);
        }
        assert_eq!(gone + traces.held.len(), 100);
        assert!(gone > 30);
    }
}
