//! Values of foreign records: found by dotted path, read as what they are meant to be.

use super::super::push_percent;
use engine::Headers;
use serde_json::Value;
use std::borrow::Cow;

/// Unit of a number that is a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    fn in_milliseconds(self) -> f64 {
        match self {
            Self::Seconds => 1e3,
            Self::Milliseconds => 1.0,
            Self::Microseconds => 1e-3,
            Self::Nanoseconds => 1e-6,
        }
    }
}

/// The value at a dotted path. A key may itself hold dots (`http.request.method` at the top), so the longest key that is there is taken at
/// each step. A step into an array is an index.
pub(super) fn lookup<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => {
            if let Some(found) = map.get(path) {
                return Some(found);
            }
            path.rmatch_indices('.').find_map(|(dot, _)| lookup(map.get(&path[..dot])?, &path[dot + 1..]))
        }
        Value::Array(items) => {
            let (index, rest) = path.split_once('.').map_or((path, None), |(index, rest)| (index, Some(rest)));
            let item = items.get(index.parse::<usize>().ok()?)?;
            rest.map_or(Some(item), |rest| lookup(item, rest))
        }
        _ => None,
    }
}

/// A text that says something: not empty, not the `-` by which logs say that there is nothing.
pub(super) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty() && *text != "-").map(Cow::Borrowed),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        // Lists of one, as header maps have them.
        Value::Array(items) if items.len() == 1 => text(&items[0]),
        _ => None,
    }
}

/// A whole number, also where it is written as text, with a fraction of zero, or as a list of one.
pub(super) fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?)),
        Value::Array(items) if items.len() == 1 => integer(&items[0]),
        _ => None,
    }
}

fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

/// A duration in milliseconds; a text may name its own unit (`1.5s`, `12ms`, `340µs`). Negative and infinite ones are unknown.
pub(super) fn milliseconds(value: &Value, unit: Unit) -> Option<f64> {
    let (number, unit) = match value {
        Value::Number(number) => (number.as_f64()?, unit),
        Value::String(text) => {
            let text = text.trim();
            let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
            let unit = match text[digits..].trim() {
                "" => unit,
                "s" => Unit::Seconds,
                "ms" => Unit::Milliseconds,
                "us" | "µs" | "μs" => Unit::Microseconds,
                "ns" => Unit::Nanoseconds,
                _ => return None,
            };
            (text[..digits].parse().ok()?, unit)
        }
        _ => return None,
    };
    let milliseconds = number * unit.in_milliseconds();
    // Steps of a nanosecond: what floating point adds beyond them is not part of the record.
    let milliseconds = (milliseconds * 1e6).round() / 1e6;
    (milliseconds.is_finite() && milliseconds >= 0.0).then_some(milliseconds)
}

/// A time in epoch milliseconds: RFC 3339, the time of access logs, `2026-01-05 10:00:00` (UTC), or a number since the epoch whose unit is
/// told by its size (seconds up to the year 5138, then milliseconds, microseconds, nanoseconds).
pub(super) fn time(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => epoch(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
                return epoch(text.parse().ok()?);
            }
            engine::time::parse(text).or_else(|| super::super::access_log::clf_time(text)).or_else(|| civil_time(text))
        }
        _ => None,
    }
}

fn civil_time(text: &str) -> Option<i64> {
    let time: jiff::civil::DateTime = text.parse().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

fn epoch(number: f64) -> Option<i64> {
    let unit = match number.abs() {
        n if n < 1e11 => Unit::Seconds,
        n if n < 1e14 => Unit::Milliseconds,
        n if n < 1e17 => Unit::Microseconds,
        n if n < 1e20 => Unit::Nanoseconds,
        _ => return None,
    };
    Some((number * unit.in_milliseconds()).round() as i64)
}

/// A query without its question mark: a text as it is, or an object of names and values, which is written as a query.
pub(super) fn query(value: &Value) -> Option<String> {
    let Value::Object(map) = value else {
        return text(value).map(|query| query.strip_prefix('?').unwrap_or(&query).to_owned()).filter(|query| !query.is_empty());
    };
    let mut query = String::new();
    for (name, value) in map {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values.iter().filter_map(Value::as_str) {
            for (separator, part) in [(if query.is_empty() { "" } else { "&" }, name.as_str()), ("=", value)] {
                query.push_str(separator);
                part.bytes().for_each(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => query.push(byte.into()),
                    other => push_percent(&mut query, other),
                });
            }
        }
    }
    (!query.is_empty()).then_some(query)
}

/// A route template; AWS writes the method before it (`GET /orders/{id}`) and names one that stands for no other `$default`.
pub(super) fn route(text: &str) -> Option<String> {
    let route = text.split_once(' ').map_or(text, |(_, route)| route);
    route.starts_with('/').then(|| route.to_owned())
}

/// Headers: an object of texts or lists of texts, a list of `{name, value}`, or one of these as JSON within a text.
pub(super) fn headers(value: &Value) -> Option<Headers<'static>> {
    let mut headers = Headers::new();
    match value {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            return serde_json::from_str(text).ok().filter(|inner: &Value| !inner.is_string()).and_then(|inner| self::headers(&inner));
        }
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::Array(items) => items.iter().filter_map(header_text).for_each(|text| headers.push(name.clone(), text)),
                    value => header_text(value).into_iter().for_each(|text| headers.push(name.clone(), text)),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let part = |names: [&str; 2]| names.into_iter().find_map(|name| item.get(name)).and_then(header_text);
                if let (Some(name), Some(value)) = (part(["name", "key"]), part(["value", "values"])) {
                    headers.push(name, value);
                }
            }
        }
        _ => return None,
    }
    Some(headers)
}

/// Headers that stand at the top of a record, each under a prefix and its name, in which nginx writes dashes as underscores; `None`: there is
/// none. `is_other`: whether a field is something else.
pub(super) fn prefixed_headers(record: &Value, prefix: &str, is_other: impl Fn(&str) -> bool) -> Option<Headers<'static>> {
    let mut headers = None;
    for (field, value) in record.as_object()?.iter().filter(|(field, _)| !is_other(field)) {
        if let (Some(name), Some(value)) = (field.strip_prefix(prefix), header_text(value)) {
            headers.get_or_insert_with(Headers::new).push(name.replace('_', "-"), value);
        }
    }
    headers
}

/// Loggers write a header that was not there as an empty one, or as a dash. What they redacted (Kong, Caddy, Traefik) is unknown: as a value it would
/// make one caller of all.
fn header_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !matches!(text.as_str(), "" | "-" | "REDACTED")),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A body: a text as it is, anything else as the JSON that it is.
pub(super) fn body(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty() && text != "-"),
        other => serde_json::to_string(other).ok(),
    }
}
