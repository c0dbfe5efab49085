//! What a value looks like: one pass over its bytes, no regular expressions.

use serde::{Deserialize, Serialize};

/// How a secret begins that ingest masked, and a JSON web token; a keyed hash of 16 hex digits follows.
const MASKED: &[u8] = b"~h:";
const MASKED_TOKEN: &[u8] = b"~j:";

/// What kind of secret stands at the beginning of some bytes, masked by ingest.
pub(super) fn masked(bytes: &[u8]) -> Option<ValueKind> {
    let kind = match bytes.get(..3)? {
        MASKED => ValueKind::Hex,
        MASKED_TOKEN => ValueKind::Jwt,
        _ => return None,
    };
    bytes.get(3..19)?.iter().all(u8::is_ascii_hexdigit).then_some(kind)
}

/// Type of a value, the narrowest that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ValueKind {
    /// Nothing: JSON null or the empty string.
    Null,
    /// `true` or `false`, from JSON.
    Bool,
    /// Up to 18 digits with an optional sign.
    Int,
    /// Digits, a dot, digits.
    Float,
    /// RFC 4122 text form.
    Uuid,
    /// At least 16 hexadecimal digits.
    Hex,
    /// ISO date, with or without time.
    Date,
    /// Mail address.
    Email,
    /// Absolute URL.
    Url,
    /// Three base64url parts with dots.
    Jwt,
    /// IPv4 address.
    Ip,
    /// At least 20 characters of letters and digits, both, and not words and numbers joined.
    Token,
    /// Letters, digits, `_`, `-`, beginning with a letter: `hello_world`, `urban-parka-teal-31`.
    Ident,
    /// Dotted or slashed words.
    Path,
    /// Anything else.
    Free,
}

impl ValueKind {
    /// Number of kinds.
    pub const COUNT: usize = 15;

    /// Whether values of this kind have a form of their own, in which code is never at home.
    #[must_use]
    pub fn has_form(self) -> bool {
        use ValueKind::{Bool, Date, Email, Float, Hex, Int, Ip, Null, Uuid};
        matches!(self, Null | Bool | Int | Float | Uuid | Hex | Date | Email | Ip)
    }

    /// Kind of a text value.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let b = text.as_bytes();
        if b.is_empty() {
            return Self::Null;
        }
        if let Some(kind) = masked(b).filter(|_| b.len() == 19) {
            return kind;
        }
        let has = Classes::of(b);
        if has.only_digits_and_sign_and_dot(b) {
            return number(b);
        }
        if b.len() == 36 && is_uuid(b) {
            return Self::Uuid;
        }
        if b.len() >= 16 && has.other == 0 && has.nonhex == 0 && has.under == 0 {
            return Self::Hex;
        }
        if b.len() >= 10 && is_date(b) {
            return Self::Date;
        }
        if has.at == 1 && is_email(b) {
            return Self::Email;
        }
        if (b.starts_with(b"http://") || b.starts_with(b"https://")) && b.iter().all(|c| is_url_byte(*c)) {
            return Self::Url;
        }
        if b.len() > 30 && b.starts_with(b"eyJ") && has.dots == 2 && has.other == has.dots {
            return Self::Jwt;
        }
        if has.other == 0 {
            if b.len() >= 20 && has.digit > 0 && has.alpha > 0 && !is_words(b) {
                return Self::Token;
            }
            if b[0].is_ascii_alphabetic() || b[0] == b'_' {
                return Self::Ident;
            }
        } else if has.other == has.dots + has.slash
            && b[0] != b'/'
            && b[b.len() - 1] != b'/'
            && !text.contains("//")
            && !text.contains("..")
        {
            if has.dots == 3 && has.slash == 0 && has.alpha == 0 && has.under == 0 {
                return Self::Ip;
            }
            return Self::Path;
        }
        Self::Free
    }

    /// Name for people and for OpenAPI's `type`.
    #[must_use]
    pub fn json_type(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "boolean",
            Self::Int => "integer",
            Self::Float => "number",
            _ => "string",
        }
    }

    /// Name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Bool => "bool",
            Self::Int => "integer",
            Self::Float => "number",
            Self::Uuid => "uuid",
            Self::Hex => "hex",
            Self::Date => "date",
            Self::Email => "e-mail",
            Self::Url => "url",
            Self::Jwt => "jwt",
            Self::Ip => "ip",
            Self::Token => "token",
            Self::Ident => "word",
            Self::Path => "path",
            Self::Free => "text",
        }
    }
}

/// How many bytes of each sort a value has.
#[derive(Default)]
struct Classes {
    digit: usize,
    alpha: usize,
    nonhex: usize,
    under: usize,
    dots: usize,
    slash: usize,
    at: usize,
    sign: usize,
    /// Neither letter, digit, `_` nor `-`.
    other: usize,
}

/// One in the eight bits of each sort that a byte is of: digits lowest, then as [`Classes`] has them, up to signs.
const SORTS: [u64; 256] = {
    let mut sorts = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        sorts[byte] = match byte as u8 {
            b'0'..=b'9' => 1,
            b'a'..=b'f' | b'A'..=b'F' => 1 << 8,
            b'g'..=b'z' | b'G'..=b'Z' => 1 << 8 | 1 << 16,
            b'_' => 1 << 24,
            b'-' => 1 << 24 | 1 << 56,
            b'.' => 1 << 32,
            b'/' => 1 << 40,
            b'@' => 1 << 48,
            b'+' => 1 << 56,
            _ => 0,
        };
        byte += 1;
    }
    sorts
};

impl Classes {
    fn of(bytes: &[u8]) -> Self {
        let mut has = Self::default();
        // Eight counters in one number; none overflows within 255 bytes.
        for chunk in bytes.chunks(255) {
            let counts = chunk.iter().fold(0, |sum, byte| sum + SORTS[usize::from(*byte)]).to_le_bytes().map(usize::from);
            let [digit, alpha, nonhex, under, dots, slash, at, sign] = counts;
            has.digit += digit;
            has.alpha += alpha;
            has.nonhex += nonhex;
            has.under += under;
            has.dots += dots;
            has.slash += slash;
            has.at += at;
            has.sign += sign;
            has.other += chunk.len() - digit - alpha - under;
        }
        has
    }

    fn only_digits_and_sign_and_dot(&self, b: &[u8]) -> bool {
        self.digit > 0
            && self.dots <= 1
            && self.sign <= 1
            && self.digit + self.dots + self.sign == b.len()
            && (self.sign == 0 || matches!(b[0], b'+' | b'-'))
    }
}

fn number(b: &[u8]) -> ValueKind {
    let dot = b.iter().position(|c| *c == b'.');
    match dot {
        None if b.len() <= 19 => ValueKind::Int,
        None => ValueKind::Token,
        Some(0) => ValueKind::Free,
        Some(at) if at + 1 == b.len() => ValueKind::Free,
        Some(_) => ValueKind::Float,
    }
}

/// Whether it is words and numbers with one `-` or `_` between two.
fn is_words(b: &[u8]) -> bool {
    let is_one = |part: &[u8]| !part.is_empty() && (part.iter().all(u8::is_ascii_alphabetic) || part.iter().all(u8::is_ascii_digit));
    b.split(|c| matches!(c, b'-' | b'_')).all(is_one)
}

fn is_uuid(b: &[u8]) -> bool {
    b.iter().enumerate().all(|(i, c)| if matches!(i, 8 | 13 | 18 | 23) { *c == b'-' } else { c.is_ascii_hexdigit() })
}

fn is_date(b: &[u8]) -> bool {
    let digits = |r: std::ops::Range<usize>| b[r].iter().all(u8::is_ascii_digit);
    digits(0..4)
        && b[4] == b'-'
        && digits(5..7)
        && b[7] == b'-'
        && digits(8..10)
        && (b.len() == 10
            || (b.len() <= 35
                && matches!(b[10], b'T' | b't' | b' ')
                && b[11..].iter().all(|c| c.is_ascii_digit() || matches!(c, b':' | b'.' | b'Z' | b'z' | b'+' | b'-'))))
}

fn is_email(b: &[u8]) -> bool {
    let Some(at) = b.iter().position(|c| *c == b'@') else { return false };
    let (local, domain) = (&b[..at], &b[at + 1..]);
    !local.is_empty()
        && local.iter().all(|c| c.is_ascii_alphanumeric() || !c.is_ascii() || matches!(c, b'.' | b'+' | b'-' | b'_'))
        && domain.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-'))
        && domain.iter().skip(1).any(|c| *c == b'.')
        && domain.last().is_some_and(u8::is_ascii_alphanumeric)
}

fn is_url_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, b':' | b'/' | b'.' | b'_' | b'?' | b'=' | b'&' | b'%' | b'-' | b'~' | b'+' | b',' | b'#' | b'@')
}

#[cfg(test)]
mod tests {
    use super::ValueKind;

    #[test]
    fn values_get_their_narrowest_kind() {
        for (text, kind) in [
            ("", ValueKind::Null),
            ("42", ValueKind::Int),
            ("-7", ValueKind::Int),
            ("3.25", ValueKind::Float),
            ("3.", ValueKind::Free),
            ("1-2", ValueKind::Free),
            ("0f8fad5b-d9cb-469f-a165-70867728950e", ValueKind::Uuid),
            ("deadbeefdeadbeef", ValueKind::Hex),
            ("2026-01-05", ValueKind::Date),
            ("2026-01-05T10:00:00Z", ValueKind::Date),
            ("a.b+c@mail.example", ValueKind::Email),
            ("https://example.com/a?b=c", ValueKind::Url),
            ("10.0.0.1", ValueKind::Ip),
            ("hello_world", ValueKind::Ident),
            ("urban-parka-teal-31", ValueKind::Ident),
            ("wind-proof-urban-parka-teal-31", ValueKind::Ident),
            ("a/b/c", ValueKind::Path),
            ("O'Brien", ValueKind::Free),
            ("../etc/passwd", ValueKind::Free),
            ("AQAAAYDiB_Ol8PbzFAAAAABB", ValueKind::Token),
            ("~h:0123456789abcdef", ValueKind::Hex),
            ("~j:0123456789abcdef", ValueKind::Jwt),
            ("~h:0123456789abcdef' w", ValueKind::Free),
        ] {
            assert_eq!(ValueKind::of(text), kind, "{text}");
        }
    }
}
