//! Fields of request bodies: JSON, forms, multipart, anything else as one value.

use super::decode::percent;
use super::extract::Fields;
use super::json::{Leaf, Visitor, Walked, Walker};
use super::{Place, ValueKind};
use crate::record::Exchange;

/// Reads a body by what it looks like, then by what its content type says. Returns the operation that it names, if any.
pub(super) fn read(body: &str, content_type: &str, walker: &mut Walker, out: &mut Fields) -> Option<String> {
    let start = body.trim_start();
    if start.is_empty() {
        return None;
    }
    if start.starts_with(['{', '[']) || content_type.contains("json") {
        let mut reader = JsonFields { out, operation: Operation::default() };
        if walker.walk(body, Exchange::MAX_DEPTH, &mut reader) != Walked::Nothing {
            return reader.operation.name();
        }
        out.push(Place::Raw, "", body);
    } else if content_type.starts_with("multipart/") {
        read_multipart(body, out);
    } else if content_type.contains("x-www-form-urlencoded") || (content_type.is_empty() && looks_like_form(start)) {
        read_form(start, Place::Form, out);
    } else {
        out.push(Place::Raw, "", body);
    }
    None
}

/// Reads `a=b&c=d`.
pub(super) fn read_form(text: &str, place: Place, out: &mut Fields) {
    for pair in text.trim_end_matches(['\r', '\n']).split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        out.push(place, &percent(name, true), &percent(value, true));
    }
}

/// Reads `a=b; c=d`.
pub(super) fn read_cookies(text: &str, out: &mut Fields) {
    for pair in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        out.push(Place::Cookie, name, &percent(value, false));
    }
}

fn looks_like_form(text: &str) -> bool {
    text.find('=').is_some_and(|at| {
        at > 0 && text[..at].bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'%'))
    })
}

fn read_multipart(body: &str, out: &mut Fields) {
    let Some(boundary) = body.lines().next().filter(|l| l.starts_with("--") && l.len() > 2) else {
        out.push(Place::Raw, "", body);
        return;
    };
    for part in body.split(boundary).skip(1) {
        let Some((head, content)) = part.split_once("\r\n\r\n").or_else(|| part.split_once("\n\n")) else { continue };
        let parameter =
            |wanted: &str| head.split([';', '\n']).find_map(|p| p.trim().strip_prefix(wanted)?.trim().strip_prefix('"')?.strip_suffix('"'));
        let name = parameter("name=").unwrap_or_default();
        if let Some(file) = parameter("filename=") {
            out.push(Place::Form, &format!("{name}.filename"), file);
        } else {
            out.push(Place::Form, name, content.trim_end_matches(['\r', '\n']));
        }
    }
}

struct JsonFields<'f> {
    out: &'f mut Fields,
    operation: Operation,
}

impl Visitor for JsonFields<'_> {
    fn leaf(&mut self, _path: u64, _key: u64, name: &str, leaf: Leaf<'_>) {
        match leaf {
            Leaf::Text(text) => {
                self.operation.see(name, text);
                self.out.push(Place::Json, name, text);
            }
            Leaf::Number(digits) => self.out.push_kind(Place::Json, name, digits, ValueKind::of(digits)),
            Leaf::Bool(value) => self.out.push_kind(Place::Json, name, if value { "true" } else { "false" }, ValueKind::Bool),
            Leaf::Null => self.out.push_kind(Place::Json, name, "", ValueKind::Null),
        }
    }

    fn array(&mut self, _path: u64, _length: u32) {}

    fn member(&mut self, _path: u64, _depth: usize, _name: &str) {}
}

/// What in a JSON body names the operation: GraphQL's `operationName` or first field of `query`, JSON-RPC's `method` beside `jsonrpc`.
#[derive(Default)]
struct Operation {
    named: Option<String>,
    query: Option<String>,
    method: Option<String>,
    is_rpc: bool,
}

impl Operation {
    fn see(&mut self, name: &str, text: &str) {
        match name {
            "operationName" => self.named = identifier(text).map(str::to_owned),
            "query" => self.query = graphql_operation(text),
            "method" => self.method = identifier(text).map(str::to_owned),
            "jsonrpc" => self.is_rpc = true,
            _ => {}
        }
    }

    fn name(self) -> Option<String> {
        if self.is_rpc {
            return self.method;
        }
        let query = self.query?;
        Some(self.named.unwrap_or(query))
    }
}

fn identifier(text: &str) -> Option<&str> {
    (!text.is_empty() && text.len() <= 100 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'-')))
        .then_some(text)
}

/// Name of a GraphQL document's first operation, else of its first field.
fn graphql_operation(document: &str) -> Option<String> {
    let text = document.trim_start();
    let rest = ["query", "mutation", "subscription"].iter().find_map(|k| text.strip_prefix(k)).unwrap_or(text).trim_start();
    if !(rest.starts_with('{') || text.len() != rest.len()) || !text.contains('{') {
        return None;
    }
    let word = |s: &str| -> String { s.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').take(100).collect() };
    let named = word(rest);
    if !named.is_empty() {
        return Some(named);
    }
    let field = word(rest[rest.find('{')? + 1..].trim_start());
    (!field.is_empty()).then_some(field)
}
