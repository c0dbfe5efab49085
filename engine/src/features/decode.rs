//! Undoing the encodings that a value travels in, before anybody looks at it.

use std::borrow::Cow;

/// Percent-decoding, with `+` as a space when `plus`. Bytes that are no UTF-8 are read as Latin-1; wrong escapes stay as they are.
#[must_use]
pub fn percent(text: &str, plus: bool) -> Cow<'_, str> {
    if !text.bytes().any(|b| b == b'%' || (plus && b == b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' if plus => out.push(b' '),
            b'%' => {
                if let Some(byte) = bytes.get(at + 1).zip(bytes.get(at + 2)).and_then(|(h, l)| Some(hex(*h)? << 4 | hex(*l)?)) {
                    out.push(byte);
                    at += 2;
                } else {
                    out.push(b'%');
                }
            }
            other => out.push(other),
        }
        at += 1;
    }
    Cow::Owned(text_of(out))
}

/// Bytes as text: UTF-8, else Latin-1.
#[must_use]
pub fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| e.into_bytes().iter().map(|b| char::from(*b)).collect())
}

/// Value of a hexadecimal digit.
#[must_use]
pub fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What hides in a value: a second layer of percent-encoding or HTML entities is taken off; line ends at the end go.
#[must_use]
pub fn value(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim_end_matches(['\r', '\n']);
    let mut now = Cow::Borrowed(trimmed);
    for _ in 0..2 {
        let next = if looks_percent_encoded(&now) {
            percent(&now, false).into_owned()
        } else if memchr::memchr(b'&', now.as_bytes()).is_some() && now.contains(';') {
            match entities(&now) {
                Some(decoded) => decoded,
                None => break,
            }
        } else {
            break;
        };
        now = Cow::Owned(next);
    }
    now
}

fn looks_percent_encoded(text: &str) -> bool {
    let b = text.as_bytes();
    memchr::memchr_iter(b'%', b).any(|at| at + 2 < b.len() && hex(b[at + 1]).is_some() && hex(b[at + 2]).is_some())
}

/// HTML entities decoded; `None` when there is none.
fn entities(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut any = false;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let decoded = rest.bytes().take(12).position(|b| b == b';').and_then(|end| Some((entity(&rest[1..end])?, end)));
        if let Some((c, end)) = decoded {
            out.push(c);
            rest = &rest[end + 1..];
            any = true;
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    any.then_some(out)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "colon" => Some(':'),
        "lpar" => Some('('),
        "rpar" => Some(')'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{percent, value};

    #[test]
    fn layers_come_off() {
        assert_eq!(percent("A%F1adir+al", true), "Añadir al");
        assert_eq!(percent("100%+x", false), "100%+x");
        assert_eq!(value("%3Cscript%3E\r\n"), "<script>");
        assert_eq!(value("&lt;b&#62; & co;"), "<b> & co;");
        assert_eq!(value("%2527"), "'");
    }
}
