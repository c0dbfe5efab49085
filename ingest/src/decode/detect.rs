//! What an input is, told from its first bytes.

use super::tap;
use runtime::config::RecordFormat;
use std::fmt;

/// Top-level keys of an object that are looked at.
const MAX_KEYS: usize = 256;

/// Lines that may be unlike anything before an input of JSON lines counts as a log.
const MAX_ODD_LINES: usize = 32;

/// Fields of an exchange at its top level.
const EXCHANGE_KEYS: [&[u8]; 15] = [
    b"id",
    b"time",
    b"method",
    b"scheme",
    b"host",
    b"path",
    b"query",
    b"route",
    b"client",
    b"session",
    b"subject",
    b"request",
    b"response",
    b"duration_ms",
    b"source",
];

/// A format of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Canonical exchanges: NDJSON, or one JSON array.
    Exchanges,
    /// HTTP archive 1.2.
    Har,
    /// Combined or common access log, with or without a virtual host in front.
    AccessLog,
    /// JSON objects of a gateway or web server: NDJSON, or one JSON array.
    JsonLog,
    /// OpenTelemetry's spans as OTLP/JSON, one request a line, as the collector's file and Kafka exporters write them.
    Otlp,
    /// Traces of Envoy's HTTP tap as JSON, one behind the other, on one line each or on many.
    Tap,
}

impl Format {
    /// Name, as the configuration has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exchanges => "exchange",
            Self::Har => "har",
            Self::AccessLog => "combined",
            Self::JsonLog => "json",
            Self::Otlp => "otlp",
            Self::Tap => "tap",
        }
    }

    /// The format that a configuration asks for; `None`: it is to be detected.
    #[must_use]
    pub fn forced(format: RecordFormat) -> Option<Self> {
        match format {
            RecordFormat::Auto => None,
            RecordFormat::Exchange => Some(Self::Exchanges),
            RecordFormat::Har => Some(Self::Har),
            RecordFormat::Combined => Some(Self::AccessLog),
            RecordFormat::Json => Some(Self::JsonLog),
            RecordFormat::Otlp => Some(Self::Otlp),
            RecordFormat::Tap => Some(Self::Tap),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How records follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One a line.
    Lines,
    /// As elements of one JSON array.
    Array,
    /// As JSON values, each over several lines.
    Values,
}

/// What an input is: the format of its records, and how they follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Detected {
    /// Format of the records.
    pub(crate) format: Format,
    /// How they follow one another.
    pub(crate) layout: Layout,
}

impl Detected {
    fn lines(format: Format) -> Self {
        Self { format, layout: Layout::Lines }
    }

    /// An input of a format that is known, by its first bytes.
    pub(crate) fn of(format: Format, peek: &[u8]) -> Self {
        let layout = match format {
            Format::AccessLog => Layout::Lines,
            _ if is_array(peek) => Layout::Array,
            Format::Tap if is_over_lines(peek) => Layout::Values,
            _ => Layout::Lines,
        };
        Self { format, layout }
    }
}

/// Whether the first JSON object goes on behind its first line.
fn is_over_lines(peek: &[u8]) -> bool {
    let text = peek.trim_ascii_start();
    memchr::memchr(b'\n', text).is_some_and(|end| !Keys::of(&text[..end]).closed)
}

/// Whether the first bytes that count open a JSON array of objects. A line of garbage that begins like one must not swallow those behind it.
pub(crate) fn is_array(peek: &[u8]) -> bool {
    let Some(first) = peek.trim_ascii_start().strip_prefix(b"[").map(<[u8]>::trim_ascii_start) else { return false };
    match first.strip_prefix(b"{").map(<[u8]>::trim_ascii_start) {
        Some(object) => matches!(object.first(), None | Some(b'"' | b'}')),
        None => first.starts_with(b"]"),
    }
}

/// Tells what an input is from its first bytes; `None`: more are needed, which cannot be when `all` says that there are no more.
pub(crate) fn detect(peek: &[u8], all: bool) -> Option<Detected> {
    let text = peek.trim_ascii_start();
    match text.first() {
        None if all => Some(Detected::lines(Format::Exchanges)),
        None => None,
        Some(b'{') => objects(text, all).map(|format| Detected::of(format, text)),
        Some(b'[') if is_array(text) => {
            let first = text[1..].trim_ascii_start();
            let keys = Keys::of(first);
            (keys.closed || all).then(|| Detected { format: keys.format().unwrap_or(Format::JsonLog), layout: Layout::Array })
        }
        Some(b'[') if text.len() == 1 && !all => None,
        Some(_) => Some(Detected::lines(Format::AccessLog)),
    }
}

/// Tells what JSON objects in a row are.
fn objects(text: &[u8], all: bool) -> Option<Format> {
    let first = Keys::of(text);
    if first.names.first() == Some(&b"log".as_slice()) && first.first_is_object {
        return Some(Format::Har);
    }
    if first.names.first() == Some(&b"resourceSpans".as_slice()) {
        return Some(Format::Otlp);
    }
    if first.is_tap() {
        // The end of the first line tells how the rest is laid out.
        return (all || memchr::memchr(b'\n', text).is_some()).then_some(Format::Tap);
    }
    let mut odd = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let whole = line.ends_with(b"\n") || all;
        if !whole {
            break;
        }
        match Keys::of(line.trim_ascii()).format() {
            Some(format) => return Some(format),
            None if line.trim_ascii().is_empty() => {}
            None => odd += 1,
        }
        if odd >= MAX_ODD_LINES {
            return Some(Format::JsonLog);
        }
    }
    all.then(|| first.guess())
}

/// Top-level keys of an object whose text may be cut.
struct Keys<'t> {
    names: Vec<&'t [u8]>,
    /// Whether the object ends within the text.
    closed: bool,
    /// Whether the first key's value is an object.
    first_is_object: bool,
}

impl<'t> Keys<'t> {
    fn of(text: &'t [u8]) -> Self {
        let mut keys = Self { names: Vec::new(), closed: false, first_is_object: false };
        let (mut depth, mut at) = (0usize, 0usize);
        while at < text.len() && keys.names.len() < MAX_KEYS {
            match text[at] {
                b'"' => {
                    let Some(end) = string_end(text, at) else { return keys };
                    let after = text[end..].trim_ascii_start();
                    if depth == 1 && after.first() == Some(&b':') {
                        keys.names.push(&text[at + 1..end - 1]);
                        if keys.names.len() == 1 {
                            keys.first_is_object = after[1..].trim_ascii_start().first() == Some(&b'{');
                        }
                    }
                    at = end;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        keys.closed = true;
                        return keys;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        keys
    }

    fn has(&self, name: &[u8]) -> bool {
        self.names.contains(&name)
    }

    fn is_tap(&self) -> bool {
        self.names.first().is_some_and(|name| tap::KEYS.contains(name))
    }

    /// The format of a whole object; `None` when it is not whole.
    fn format(&self) -> Option<Format> {
        self.closed.then(|| match self {
            _ if self.is_tap() => Format::Tap,
            _ if self.has(b"method") && self.has(b"path") && self.like_exchange() => Format::Exchanges,
            _ => Format::JsonLog,
        })
    }

    /// The likeliest format of an object that is cut.
    fn guess(&self) -> Format {
        if self.like_exchange() && !self.names.is_empty() { Format::Exchanges } else { Format::JsonLog }
    }

    /// Unknown fields are allowed in an exchange, but one with a status at its top is a log line: an exchange has it in its response.
    fn like_exchange(&self) -> bool {
        let known = self.names.iter().filter(|name| EXCHANGE_KEYS.contains(name)).count();
        let parts = self.has(b"request") || self.has(b"response") || self.has(b"client") || self.has(b"session");
        known == self.names.len() || (parts && !self.has(b"status"))
    }
}

/// Index behind the closing quotation mark of the string that opens at `at`.
pub(crate) fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut from = at + 1;
    loop {
        let hit = from + memchr::memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[hit] == b'"' {
            return Some(hit + 1);
        }
        from = hit + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        use Layout::{Array, Lines, Values};
        let cases: [(&str, Format, Layout); 16] = [
            ("{\n \"http_buffered_trace\": {\n", Format::Tap, Values),
            ("{\"http_streamed_trace_segment\":{}}\n", Format::Tap, Lines),
            ("[{\"http_buffered_trace\":{}}]", Format::Tap, Array),
            ("{\"resourceSpans\":[{\"resource\":{", Format::Otlp, Lines),
            ("{\"method\":\"GET\",\"path\":\"/\"}\n", Format::Exchanges, Lines),
            ("\n {\"method\":\"GET\",\"path\":\"/\",\"response\":{\"status\":200},\"label\":\"x\"}\n", Format::Exchanges, Lines),
            ("[\n{\"method\":\"GET\",\"path\":\"/\"}]", Format::Exchanges, Array),
            ("{\"method\":\"GET\",\"path\":\"/\",\"status\":200,\"response\":\"ok\"}\n", Format::JsonLog, Lines),
            ("{\"remote_addr\":\"::1\",\"request\":\"GET / HTTP/1.1\"}\n", Format::JsonLog, Lines),
            ("{\"request\":{\"method\":\"GET\",\"uri\":\"/\"},\"status\":200}\n", Format::JsonLog, Lines),
            ("[]", Format::JsonLog, Array),
            ("{\"log\":{\"version\":\"1.2\",\"entries\":[", Format::Har, Lines),
            ("{\n  \"log\" : {\n", Format::Har, Lines),
            ("{\"log\":\"started\",\"method\":\"GET\"}\n", Format::JsonLog, Lines),
            ("203.0.113.9 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326\n", Format::AccessLog, Lines),
            ("[::1]:80 ::1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326\n", Format::AccessLog, Lines),
        ];
        for (text, format, layout) in cases {
            assert_eq!(detect(text.as_bytes(), true), Some(Detected { format, layout }), "{text}");
        }
    }

    #[test]
    fn a_bad_first_line_does_not_decide() {
        let text = b"{\"broken\n{\"method\":\"GET\",\"path\":\"/\"}\n";
        assert_eq!(detect(text, false).map(|d| d.format), Some(Format::Exchanges));
        let text = b"[{\n{\"method\":\"GET\",\"path\":\"/\"}\n";
        assert_eq!(Detected::of(Format::Exchanges, text).layout, Layout::Lines);
    }

    #[test]
    fn a_first_line_longer_than_the_peek_is_guessed() {
        let text = b"{\"method\":\"GET\",\"path\":\"/\",\"request\":{\"body\":\"xxxx";
        assert_eq!(detect(text, false), None);
        assert_eq!(detect(text, true).map(|d| d.format), Some(Format::Exchanges));
        assert_eq!(detect(b"{\"message\":\"xxxx", true).map(|d| d.format), Some(Format::JsonLog));
    }
}
