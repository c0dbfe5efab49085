//! Typed path segments: what a segment is by its form alone.

use crate::features::hash::hash_folded;

/// Form of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Form {
    /// A word: a literal or a value, evidence decides.
    Word,
    /// `v1`, `v2.1`: a literal where versions stand.
    Version,
    Int,
    Uuid,
    Hex,
    Date,
    Email,
    Token,
    Encoded,
    Placeholder,
    Grouped,
    Compound,
}

impl Form {
    /// Whether the form alone makes the segment a variable.
    pub(crate) fn is_typed(self) -> bool {
        !matches!(self, Self::Word | Self::Version)
    }

    /// Name of the variable that holds such values.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Email => "email",
            _ => "id",
        }
    }

    /// Type as OpenAPI has it.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Int => "integer",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::Email => "email",
            _ => "string",
        }
    }

    /// Form of a segment as it stands in the path.
    pub(crate) fn of(segment: &str) -> Self {
        match simple(segment) {
            Self::Word if is_compound(segment) => Self::Compound,
            form => form,
        }
    }
}

/// Key of a segment among its siblings: typed forms share one key each, words have their own, case folded.
pub(crate) fn key(segment: &str, form: Form) -> u64 {
    if form.is_typed() { form as u64 } else { hash_folded(segment) | 1 << 63 }
}

/// Whether a key is of a word.
pub(super) fn is_word(key: u64) -> bool {
    key >> 63 == 1
}

fn simple(s: &str) -> Form {
    let b = s.as_bytes();
    if b.is_empty() {
        return Form::Word;
    }
    if is_version(b) {
        return Form::Version;
    }
    let digits = b.iter().filter(|c| c.is_ascii_digit()).count();
    if digits == b.len() {
        return Form::Int;
    }
    if b.len() == 36 && b.iter().enumerate().all(|(i, c)| if matches!(i, 8 | 13 | 18 | 23) { *c == b'-' } else { c.is_ascii_hexdigit() }) {
        return Form::Uuid;
    }
    if digits > 0 && b.len() >= 7 && b.iter().all(u8::is_ascii_hexdigit) {
        return Form::Hex;
    }
    if is_date(b) {
        return Form::Date;
    }
    if is_email(b) {
        return Form::Email;
    }
    let alpha = b.iter().any(u8::is_ascii_alphabetic);
    let plain = b.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
    if plain && digits > 0 && alpha && b.len() >= 20 && (digits * 10 >= b.len() || is_mixed(b) || has_number(b)) {
        return Form::Token;
    }
    if b.windows(3).any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit()) || !s.is_ascii() {
        return Form::Encoded;
    }
    if b[0] == b'<' && b[b.len() - 1] == b'>' {
        return Form::Placeholder;
    }
    if digits >= 2 && plain && is_grouped(b) {
        return Form::Grouped;
    }
    Form::Word
}

/// Whether letters are of both cases as in random tokens, not as in words joined by capitals.
pub(super) fn is_mixed(b: &[u8]) -> bool {
    let capitals = b.iter().filter(|c| c.is_ascii_uppercase()).count();
    b.len() >= 8 && capitals * 10 >= b.len() * 3 && b.iter().any(u8::is_ascii_lowercase)
}

/// Whether a part between dashes or underscores is a number.
pub(super) fn has_number(b: &[u8]) -> bool {
    b.split(|c| matches!(c, b'-' | b'_')).any(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

fn is_version(b: &[u8]) -> bool {
    b.len() <= 8
        && b[0] == b'v'
        && b.get(1).is_some_and(u8::is_ascii_digit)
        && b[1..].split(|c| *c == b'.').all(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit))
}

fn is_date(b: &[u8]) -> bool {
    b.len() >= 10
        && b[4] == b'-'
        && b[7] == b'-'
        && b[..10].iter().enumerate().all(|(i, c)| i == 4 || i == 7 || c.is_ascii_digit())
        && (b.len() == 10 || matches!(b[10], b'T' | b' '))
}

fn is_email(b: &[u8]) -> bool {
    let Some(at) = b.iter().position(|c| *c == b'@') else { return false };
    let domain = &b[at + 1..];
    at > 0
        && !domain.contains(&b'@')
        && domain.iter().rposition(|c| *c == b'.').is_some_and(|dot| {
            dot > 0 && dot + 1 < domain.len() && domain[dot + 1..].iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
        })
}

/// At least three groups of two or more lower-case letters and digits: `ab-12-cd`.
fn is_grouped(b: &[u8]) -> bool {
    let groups: Vec<&[u8]> = b.split(|c| *c == b'-').collect();
    groups.len() >= 3 && groups.iter().all(|g| g.len() >= 2 && g.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
}

/// Several values in one segment: `a...b`, `12,13`, `urn:uuid`.
fn is_compound(s: &str) -> bool {
    if s.contains("...") {
        return true;
    }
    s.contains([':', ',']) && s.split([':', ',']).any(|part| simple(part).is_typed())
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn forms() {
        for (segment, form) in [
            ("orders", Form::Word),
            ("v1", Form::Version),
            ("v2.1", Form::Version),
            ("42", Form::Int),
            ("0f8fad5b-d9cb-469f-a165-70867728950e", Form::Uuid),
            ("ab12ef9", Form::Hex),
            ("facade", Form::Word),
            ("2024-05-06", Form::Date),
            ("a@b.org", Form::Email),
            ("AQAAAYDiB_Ol8PbzFAAAAABB", Form::Token),
            ("a%20b", Form::Encoded),
            ("abc-12d-ef3", Form::Grouped),
            ("alder-slippers-walnut-10", Form::Token),
            ("droplets_http_response_time_95p", Form::Word),
            ("main...dev", Form::Compound),
            ("key:42", Form::Compound),
            ("user-profile", Form::Word),
        ] {
            assert_eq!(Form::of(segment), form, "{segment}");
        }
    }
}
