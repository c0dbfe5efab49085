//! Secrets in query strings, forms, cookies and paths.

use super::Masking;
use super::rules::{Site, Treatment};
use super::secret::{is_jwt, outline};
use std::borrow::Cow;

/// Masks `name=value` pairs between separators (`&` in queries and forms); `None` when there is nothing to mask. In a rule, the place
/// of the text stands before the name of a parameter.
pub(super) fn pairs(masking: &Masking, text: &str, site: Site<'_>, separators: &[char]) -> Option<String> {
    let ruled = masking.rules.reach(site.place);
    let mut masked = String::new();
    let mut copied = 0;
    let mut start = 0;
    for part in text.split(separators) {
        let end = start + part.len();
        let (name, value_at) = part.find('=').map_or((part, end), |equals| (&part[..equals], start + equals + 1));
        if let Some(value) = pair(masking, name, &text[value_at..end], site, ruled) {
            masked.push_str(&text[copied..value_at]);
            masked.push_str(&value);
            copied = end;
        }
        start = end + 1;
    }
    if copied == 0 {
        return None;
    }
    masked.push_str(&text[copied..]);
    Some(masked)
}

/// The value of one pair, masked; `None`: it stays.
fn pair(masking: &Masking, name: &str, value: &str, site: Site<'_>, ruled: bool) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let name = decoded(name);
    let rule = ruled.then(|| masking.rules.at(&site.place.iter().copied().chain([&*name]))).flatten();
    let treatment = rule.unwrap_or_else(|| super::names::secrecy(name.as_bytes()).into());
    let value = decoded(value);
    let replaced = match treatment {
        Treatment::Secret | Treatment::SecretTexts => masking.hasher.mask(&value),
        Treatment::Outline => outline(&value),
        Treatment::Drop => return Some(String::new()),
        Treatment::Keep if rule.is_none() && is_jwt(&value) => masking.hasher.mask(&value),
        Treatment::Keep if rule.is_none() && value.starts_with(['{', '[']) => masking.text(&value, site.within()?)?,
        Treatment::Keep if rule.is_none() => masking.by_kind(&value)?,
        Treatment::Keep => return None,
    };
    (replaced != value).then(|| encoded(&replaced))
}

/// Percent and plus taken off; bytes that are no text are replaced.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (bytes[at], byte) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => plain.push(b' '),
            (other, _) => plain.push(other),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// Percent-encoded for a query or a form; `~` and `:` stay, so that a mask is read as one.
fn encoded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'~' | b':' | b'-' | b'_' | b'.' => safe.push(char::from(byte)),
            b' ' => safe.push('+'),
            _ => crate::decode::push_percent(&mut safe, byte),
        }
    }
    safe
}

/// Masks every value of a `cookie` header, whatever its name.
pub(super) fn cookies(masking: &Masking, header: &str) -> String {
    let parts = header.split(';').map(|part| match part.split_once('=') {
        Some((name, value)) => format!("{name}={}", cookie(masking, name.trim(), value.trim())),
        None => masking.hasher.mask(part.trim()),
    });
    parts.collect::<Vec<_>>().join(";")
}

/// Masks the value of a `set-cookie` header; its attributes stay.
pub(super) fn set_cookie(masking: &Masking, header: &str) -> String {
    let (pair, attributes) = header.split_once(';').map_or((header, None), |(pair, attributes)| (pair, Some(attributes)));
    let pair = cookies(masking, pair);
    attributes.map_or(pair.clone(), |attributes| format!("{pair};{attributes}"))
}

fn cookie(masking: &Masking, name: &str, value: &str) -> String {
    match masking.rules.at(&["cookie", name].into_iter()).unwrap_or(Treatment::Secret) {
        Treatment::Keep => value.to_owned(),
        Treatment::Drop => String::new(),
        Treatment::Outline => outline(value),
        // A semicolon would end the cookie that the shape stands in.
        Treatment::Secret | Treatment::SecretTexts => masking.hasher.mask(value.trim_matches('"')),
    }
}

/// Masks tokens among the segments of a path, and secret parameters of its segments (`/cart;jsessionid=…`); `None` when there are none.
pub(super) fn path(masking: &Masking, path: &str) -> Option<String> {
    if !path.contains(';') && !path.contains("eyJ") && !masking.rules.has_kinds() {
        return None;
    }
    let segments = path.split('/').map(|segment| match segment.split_once(';') {
        Some((name, parameters)) => match pairs(masking, parameters, Site::top(&["path"]), &[';']) {
            Some(parameters) => Cow::Owned(format!("{name};{parameters}")),
            None => Cow::Borrowed(segment),
        },
        None if is_jwt(segment) => Cow::Owned(masking.hasher.mask(segment)),
        None => match masking.by_kind(&decoded(segment)) {
            Some(replaced) => Cow::Owned(encoded(&replaced)),
            None => Cow::Borrowed(segment),
        },
    });
    let masked = segments.collect::<Vec<_>>().join("/");
    (masked != path).then_some(masked)
}
