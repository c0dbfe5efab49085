//! OTLP in Protocol Buffers: of its messages, the fields that are read.
//!
//! What nests is cut into pieces of bytes first, so that a body of many empty messages does not unfold into something much larger.

use super::{Attributes, Fault, Reason, Span};
use bytes::Bytes;
use prost::Message;

/// `ExportTraceServiceRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Traces {
    /// [`ResourceSpans`].
    #[prost(bytes = "bytes", repeated, tag = "1")]
    resources: Vec<Bytes>,
}

/// `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Answer {
    /// What was not taken; absent: everything was.
    #[prost(message, optional, tag = "1")]
    pub(crate) partial: Option<Partial>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Partial {
    /// Spans that could not be read.
    #[prost(int64, tag = "1")]
    pub(crate) rejected_spans: i64,
    /// Why the first of them could not.
    #[prost(string, tag = "2")]
    pub(crate) error_message: String,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    scopes: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    spans: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoSpan {
    #[prost(bytes = "bytes", tag = "2")]
    span_id: Bytes,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_ns: u64,
    #[prost(fixed64, tag = "8")]
    end_ns: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Flag(bool),
    #[prost(int64, tag = "3")]
    Whole(i64),
    #[prost(double, tag = "4")]
    Number(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
}

#[derive(Clone, PartialEq, Message)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

/// Hands over each span of a request with the service that it is of; one that cannot be read as its fault.
///
/// # Errors
/// The request as a whole cannot be read.
pub(crate) fn spans(traces: Traces, mut take: impl FnMut(Result<Span, Fault>, Option<&str>)) -> Result<(), Fault> {
    for resource in traces.resources {
        let ResourceSpans { resource, scopes } = parse(resource)?;
        let service = attributes(resource.unwrap_or_default().attributes).owned(&["service.name"]);
        for scope in scopes {
            for span in parse::<ScopeSpans>(scope)?.spans {
                take(parse::<ProtoSpan>(span).map(Into::into), service.as_deref());
            }
        }
    }
    Ok(())
}

/// Reads a message.
///
/// # Errors
/// The bytes are none of that kind.
pub(crate) fn parse<M: Message + Default>(bytes: Bytes) -> Result<M, Fault> {
    M::decode(bytes).map_err(|error| Fault::new(Reason::WrongField, format!("not OTLP in Protocol Buffers: {error}")))
}

impl From<ProtoSpan> for Span {
    fn from(span: ProtoSpan) -> Self {
        Self {
            kind: span.kind,
            id: hex::encode(span.span_id.get(..8).unwrap_or_default()),
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            attributes: attributes(span.attributes),
        }
    }
}

fn attributes(all: Vec<KeyValue>) -> Attributes {
    all.into_iter().map(|KeyValue { key, value }| (key, value.map(values).unwrap_or_default())).collect()
}

/// The values of an `AnyValue`: one, or those of an array.
fn values(value: AnyValue) -> Vec<String> {
    match value.kind {
        Some(Kind::Array(ArrayValue { values })) => values.into_iter().filter_map(scalar).collect(),
        _ => scalar(value).into_iter().collect(),
    }
}

fn scalar(value: AnyValue) -> Option<String> {
    match value.kind? {
        Kind::Text(text) => Some(text),
        Kind::Flag(flag) => Some(flag.to_string()),
        Kind::Whole(number) => Some(number.to_string()),
        Kind::Number(number) => Some(number.to_string()),
        Kind::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decoded, Position, exchange};
    use super::*;

    fn text(key: &str, value: &str) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { kind: Some(Kind::Text(value.to_owned())) }) }
    }

    fn traces(attributes: Vec<KeyValue>, kind: i32) -> Traces {
        let span = ProtoSpan {
            span_id: vec![0xab; 8].into(),
            kind,
            start_ns: 1_800_000_000_000_000_000,
            end_ns: 1_800_000_000_012_500_000,
            attributes,
        };
        let scope = ScopeSpans { spans: vec![span.encode_to_vec().into()] };
        let resource = ResourceSpans {
            resource: Some(Resource { attributes: vec![text("service.name", "shop")] }),
            scopes: vec![scope.encode_to_vec().into()],
        };
        Traces { resources: vec![resource.encode_to_vec().into()] }
    }

    fn read(traces: &Traces) -> Vec<Option<Result<Decoded, Fault>>> {
        let mut all = Vec::new();
        let at = Position { file: "x".into(), line: 1, entry: None };
        // By way of bytes, as they come.
        spans(parse(traces.encode_to_vec().into()).unwrap(), |span, service| all.push(exchange(span, service, &at))).unwrap();
        all
    }

    #[test]
    fn a_server_span_becomes_an_exchange() {
        let agents = Kind::Array(ArrayValue { values: vec![AnyValue { kind: Some(Kind::Text("a=b".to_owned())) }] });
        let attributes = vec![
            text("http.request.method", "GET"),
            text("url.path", "/v1/orders/42"),
            KeyValue { key: "http.response.status_code".to_owned(), value: Some(AnyValue { kind: Some(Kind::Whole(200)) }) },
            KeyValue { key: "http.request.header.cookie".to_owned(), value: Some(AnyValue { kind: Some(agents) }) },
        ];
        let decoded = read(&traces(attributes, 2)).remove(0).unwrap().unwrap().exchange;
        assert_eq!((&*decoded.method, &*decoded.path, decoded.response.status), ("GET", "/v1/orders/42", Some(200)));
        assert_eq!((decoded.time, decoded.duration_ms), (Some(1_800_000_000_000), Some(12.5)));
        assert_eq!((decoded.id.as_deref(), decoded.source.as_deref()), (Some("abababababababab"), Some("shop")));
        assert_eq!(decoded.request.headers.unwrap().get("cookie"), Some("a=b"));
    }

    #[test]
    fn other_spans_are_passed_over() {
        let http = || vec![text("http.request.method", "GET"), text("url.path", "/")];
        assert!(read(&traces(http(), 3))[0].is_none());
        assert!(read(&traces(vec![text("db.system", "postgresql")], 2))[0].is_none());
        assert!(read(&traces(vec![text("http.request.method", "GET")], 2))[0].as_ref().unwrap().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            if let Ok(traces) = parse::<Traces>(bytes.into()) {
                let _ = spans(traces, |span, service| {
                    drop(exchange(span, service, &Position { file: "x".into(), line: 1, entry: None }));
                });
            }
        }
    }
}
