//! Secrets in text that is neither JSON nor a form: multipart bodies, XML, GraphQL, YAML, what programs print.

use super::Masking;
use super::names::secrecy;
use super::rules::Treatment;
use super::secret::outline;

/// Treats values that stand behind a secret name, or one of a rule: `name: value`, `name="value"`, `<name>value</name>`, the part of a multipart body that has the
/// name; `None` when there are none.
pub(super) fn loose(masking: &Masking, text: &str) -> Option<String> {
    let mut masked = String::new();
    let mut copied = 0;
    for hit in masking.stems.find_iter(text) {
        if hit.start() < copied {
            continue;
        }
        let (start, end) = word_around(text.as_bytes(), hit.start(), hit.end());
        let name = &text[start..end];
        let (treatment, found) = if name.starts_with("eyJ") {
            (Treatment::Secret, token(text, start))
        } else {
            match masking.rules.called(name).unwrap_or_else(|| secrecy(name.as_bytes()).into()) {
                Treatment::Keep => continue,
                treatment => (treatment, value_behind(text, end)),
            }
        };
        let Some((from, to)) = found.filter(|(from, to)| *from >= copied && from < to) else { continue };
        masked.push_str(&text[copied..from]);
        match treatment {
            Treatment::Keep => masked.push_str(&text[from..to]),
            Treatment::Drop => {}
            Treatment::Outline => masked.push_str(&outline(&text[from..to])),
            Treatment::Secret | Treatment::SecretTexts => {
                // The shape may hold what ends the value: quotation marks and brackets. The hash alone is always safe to stand anywhere.
                masked.push_str(masking.hasher.mask(&text[from..to]).split(' ').next().unwrap_or_default());
            }
        }
        copied = to;
    }
    if copied == 0 {
        return None;
    }
    masked.push_str(&text[copied..]);
    Some(masked)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']')
}

/// The name around a hit.
fn word_around(bytes: &[u8], start: usize, end: usize) -> (usize, usize) {
    let before = bytes[..start].iter().rev().take(64).take_while(|byte| is_name(**byte)).count();
    let after = bytes[end..].iter().take(64).take_while(|byte| is_name(**byte)).count();
    (start - before, end + after)
}

/// A JSON web token that starts here.
fn token(text: &str, start: usize) -> Option<(usize, usize)> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    let end = start + text.as_bytes()[start..].iter().take_while(|byte| is_part(byte)).count();
    super::secret::is_jwt(&text[start..end]).then_some((start, end))
}

/// The value that a name is followed by.
fn value_behind(text: &str, name_end: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let blank = |at: usize| at + bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    // The mark that closes a quoted name: `"name": …`, `\"name\": …`.
    let after_name = name_end + bytes[name_end..].iter().take_while(|byte| matches!(byte, b'\\' | b'"' | b'\'')).count();
    if after_name > name_end
        && let Some(value) = multipart_value(text, after_name)
    {
        return Some(value);
    }
    let at = blank(after_name);
    match bytes.get(at)? {
        b'>' => {
            let end = at + 1 + memchr::memchr(b'<', &bytes[at + 1..]).unwrap_or(bytes.len() - at - 1);
            Some((at + 1, end))
        }
        b':' | b'=' => {
            let at = blank(at + 1);
            let slashes = bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
            match bytes.get(at + slashes)? {
                mark @ (b'"' | b'\'') => {
                    let from = at + slashes + 1;
                    let mut to = from + quote_end(&bytes[from..], *mark, slashes);
                    while !text.is_char_boundary(to) {
                        to -= 1;
                    }
                    Some((from, to))
                }
                _ => {
                    let stops = |byte: &u8| {
                        byte.is_ascii_whitespace() || matches!(byte, b'&' | b',' | b';' | b'<' | b'"' | b'\'' | b')' | b'}' | b']')
                    };
                    Some((at, at + bytes[at..].iter().position(stops).unwrap_or(bytes.len() - at)))
                }
            }
        }
        _ => None,
    }
}

/// Where a quoted value ends; `slashes` stand before the marks that quote it. The end of the text where it does not.
fn quote_end(bytes: &[u8], mark: u8, slashes: usize) -> usize {
    memchr::memchr_iter(mark, bytes)
        .find(|at| bytes[..*at].iter().rev().take_while(|byte| **byte == b'\\').count() == slashes)
        .map_or(bytes.len(), |at| at - slashes)
}

/// The content of a multipart part whose name ends here: behind the empty line, up to the next boundary.
fn multipart_value(text: &str, name_end: usize) -> Option<(usize, usize)> {
    let rest = &text[name_end..];
    let head = rest.find("\r\n\r\n").filter(|head| *head < 256 && !rest[..*head].contains("\r\n--"))?;
    let from = name_end + head + 4;
    let to = text[from..].find("\r\n--").map_or(text.len(), |end| from + end);
    Some((from, to))
}
