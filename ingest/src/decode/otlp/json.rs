//! OTLP as JSON: `resourceSpans[].scopeSpans[].spans[]`.
//!
//! What nests is cut into pieces of text first, so that a body of many empty things stays about as small as it came.

use super::{Attributes, Fault, Span};
use engine::Exchange;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Traces<'a> {
    #[serde(rename = "resourceSpans", borrow, default)]
    resources: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct ResourceSpans<'a> {
    #[serde(default)]
    resource: Resource,
    #[serde(rename = "scopeSpans", alias = "instrumentationLibrarySpans", borrow, default)]
    scopes: Vec<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Resource {
    #[serde(default)]
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, default)]
    spans: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSpan {
    #[serde(default)]
    span_id: String,
    #[serde(default, deserialize_with = "kind")]
    kind: i32,
    #[serde(default, deserialize_with = "number")]
    start_time_unix_nano: u64,
    #[serde(default, deserialize_with = "number")]
    end_time_unix_nano: u64,
    #[serde(default)]
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: Value,
}

/// Hands over each span of a request with the service that it is of; one that cannot be read as its fault.
///
/// # Errors
/// The request as a whole cannot be read.
pub(crate) fn spans(text: &[u8], mut take: impl FnMut(Result<Span, Fault>, Option<&str>)) -> Result<(), Fault> {
    if engine::features::json::deeper_than(text, Exchange::MAX_DEPTH) {
        return Err(Fault::too_deep(Exchange::MAX_DEPTH));
    }
    for resource in parse::<Traces<'_>>(text)?.resources {
        let ResourceSpans { resource, scopes } = parse(resource.get().as_bytes())?;
        let service = attributes(resource.attributes).owned(&["service.name"]);
        for scope in scopes {
            for span in parse::<ScopeSpans<'_>>(scope.get().as_bytes())?.spans {
                take(parse::<JsonSpan>(span.get().as_bytes()).map(Into::into), service.as_deref());
            }
        }
    }
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(text).map_err(|error| Fault::json(&error, text))
}

impl From<JsonSpan> for Span {
    fn from(span: JsonSpan) -> Self {
        Self {
            kind: span.kind,
            id: span.span_id,
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
            attributes: attributes(span.attributes),
        }
    }
}

fn attributes(all: Vec<KeyValue>) -> Attributes {
    all.into_iter().map(|KeyValue { key, value }| (key, values(&value))).collect()
}

/// The values of an `AnyValue`: one, or those of an array.
fn values(value: &Value) -> Vec<String> {
    match value.get("arrayValue").and_then(|array| array.get("values")) {
        Some(Value::Array(all)) => all.iter().filter_map(scalar).collect(),
        _ => scalar(value).into_iter().collect(),
    }
}

fn scalar(value: &Value) -> Option<String> {
    let (_, value) = value.as_object()?.iter().next()?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number, or, as 64-bit numbers are written, a text of one.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(0),
        Value::String(text) if text.is_empty() => Ok(0),
        Value::String(text) => text.parse().map_err(|_| serde::de::Error::custom("a time is no number")),
        value => value.as_u64().ok_or_else(|| serde::de::Error::custom("a time is no number")),
    }
}

/// A number, or the name that older exporters write.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(name) if name == "SPAN_KIND_SERVER" => super::SERVER,
        value => value.as_i64().and_then(|kind| i32::try_from(kind).ok()).unwrap_or(0),
    })
}
