//! Personal data and secrets by form and checksum, never by guessing from free text. Values are not kept: only kinds.

use super::ValueKind;
use super::kind::masked;
use serde::{Deserialize, Serialize};

/// A kind of personal data or secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum SensitiveKind {
    /// Payment card number: issuer range and Luhn.
    Card,
    /// IBAN: country, length, mod 97.
    Iban,
    /// Mail address.
    Email,
    /// Telephone number in E.164.
    Phone,
    /// US social security number, with its issuing rules.
    Ssn,
    /// JSON web token.
    Jwt,
    /// PEM private key.
    PrivateKey,
    /// Key of a cloud or code host, by its published prefix.
    CloudKey,
}

impl SensitiveKind {
    /// All, in order of their bits.
    pub const ALL: [Self; 8] = [Self::Card, Self::Iban, Self::Email, Self::Phone, Self::Ssn, Self::Jwt, Self::PrivateKey, Self::CloudKey];

    /// Name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "payment card number",
            Self::Iban => "IBAN",
            Self::Email => "e-mail address",
            Self::Phone => "telephone number",
            Self::Ssn => "US social security number",
            Self::Jwt => "JSON web token",
            Self::PrivateKey => "private key",
            Self::CloudKey => "cloud key",
        }
    }
}

/// A set of [`SensitiveKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Sensitive(pub u8);

impl Sensitive {
    /// Whether the set has it.
    #[must_use]
    pub fn has(self, kind: SensitiveKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether anything of it is nobody else's business: addresses and telephone numbers are sent for many reasons.
    #[must_use]
    pub fn has_secret(self) -> bool {
        self.iter().any(|kind| !matches!(kind, SensitiveKind::Email | SensitiveKind::Phone))
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What either set has.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Members in order.
    pub fn iter(self) -> impl Iterator<Item = SensitiveKind> {
        SensitiveKind::ALL.into_iter().filter(move |k| self.has(*k))
    }

    fn add(&mut self, kind: SensitiveKind) {
        self.0 |= 1 << kind as u8;
    }
}

/// What a value of a known kind holds: random identifiers pass a checksum now and then, and mean nothing by it.
#[must_use]
pub fn scan_kind(text: &str, kind: ValueKind) -> Sensitive {
    match kind {
        ValueKind::Null | ValueKind::Bool | ValueKind::Uuid | ValueKind::Date | ValueKind::Ip => Sensitive::default(),
        ValueKind::Hex | ValueKind::Token => {
            let mut found = Sensitive::default();
            if text.len() >= 15 && is_cloud_key(text.as_bytes()) {
                found.add(SensitiveKind::CloudKey);
            } else if is_iban(text.as_bytes()) && text.len() < 32 {
                found.add(SensitiveKind::Iban);
            }
            found
        }
        _ => scan(text),
    }
}

/// What a value holds. One scan decides which validators run.
#[must_use]
pub fn scan(text: &str) -> Sensitive {
    let mut found = Sensitive::default();
    let bytes = text.as_bytes();
    if bytes.len() < 7 || !may_hold(bytes) {
        return found;
    }
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'0'..=b'9' if at == 0 || !bytes[at - 1].is_ascii_alphanumeric() => {
                let end = digits_end(bytes, at);
                // Digits that letters follow are part of a longer name: of a hash, of a UUID.
                if !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric) {
                    digits(&bytes[at..end], at > 0 && bytes[at - 1] == b'+', &mut found);
                }
                at = end.max(at + 1);
                continue;
            }
            b'@' if is_email_around(bytes, at) => found.add(SensitiveKind::Email),
            b'e' if bytes[at..].starts_with(b"eyJ") && is_jwt(&bytes[at..]) => found.add(SensitiveKind::Jwt),
            b'~' if masked(&bytes[at..]) == Some(ValueKind::Jwt) => found.add(SensitiveKind::Jwt),
            b'-' if bytes[at..].starts_with(b"-----BEGIN ") && text[at..].contains("PRIVATE KEY") => found.add(SensitiveKind::PrivateKey),
            b'A' | b'g' | b's' | b'x' | b'G' if (at == 0 || !bytes[at - 1].is_ascii_alphanumeric()) && is_cloud_key(&bytes[at..]) => {
                found.add(SensitiveKind::CloudKey);
            }
            b'A'..=b'Z' if (at == 0 || !bytes[at - 1].is_ascii_alphanumeric()) && is_iban(&bytes[at..]) => found.add(SensitiveKind::Iban),
            _ => {}
        }
        at += 1;
    }
    found
}

/// Whether there is a digit, an at sign or a dash at all: whatever is looked for has one. Branch-free, so that it runs at memory speed.
fn may_hold(bytes: &[u8]) -> bool {
    bytes.chunks(64).any(|chunk| chunk.iter().fold(false, |any, b| any | (b.wrapping_sub(b'0') < 10) | (*b == b'@') | (*b == b'-')))
}

/// End of a run of digits with single spaces or dashes between them.
fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'0'..=b'9' => at += 1,
            b' ' | b'-' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => at += 1,
            _ => break,
        }
    }
    at
}

fn digits(run: &[u8], plus: bool, found: &mut Sensitive) {
    let number: Vec<u8> = run.iter().filter(|c| c.is_ascii_digit()).map(|c| c - b'0').collect();
    if plus && (8..=15).contains(&number.len()) && number[0] != 0 {
        found.add(SensitiveKind::Phone);
    } else if (13..=19).contains(&number.len()) && has_issuer(&number) && luhn(&number) {
        found.add(SensitiveKind::Card);
    } else if run.len() == 11 && run[3] == b'-' && run[6] == b'-' && number.len() == 9 && is_ssn(&number) {
        found.add(SensitiveKind::Ssn);
    }
}

/// Issuer ranges of ISO/IEC 7812: Visa, Mastercard, American Express, Discover, Diners, JCB, with their lengths.
fn has_issuer(n: &[u8]) -> bool {
    let first = |k: usize| n[..k].iter().fold(0u32, |a, d| a * 10 + u32::from(*d));
    let distinct = n.iter().fold(0u16, |set, d| set | 1 << d).count_ones();
    distinct > 1
        && match n.len() {
            13 | 19 => n[0] == 4 || first(2) == 62,
            14 => matches!(first(2), 36 | 38 | 39) || (300..=305).contains(&first(3)),
            15 => matches!(first(2), 34 | 37),
            16 => {
                n[0] == 4
                    || (51..=55).contains(&first(2))
                    || (2221..=2720).contains(&first(4))
                    || first(4) == 6011
                    || first(2) == 65
                    || (3528..=3589).contains(&first(4))
            }
            _ => false,
        }
}

fn luhn(n: &[u8]) -> bool {
    let sum: u32 = n
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(*d);
            if i % 2 == 0 {
                d
            } else if d > 4 {
                d * 2 - 9
            } else {
                d * 2
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_ssn(n: &[u8]) -> bool {
    let part = |r: std::ops::Range<usize>| n[r].iter().fold(0u32, |a, d| a * 10 + u32::from(*d));
    let (area, group, serial) = (part(0..3), part(3..5), part(5..9));
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

fn is_email_around(b: &[u8], at: usize) -> bool {
    let local = b[..at].iter().rev().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'+' | b'-' | b'_')).count();
    let domain = b[at + 1..].iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-')).count();
    let domain = &b[at + 1..at + 1 + domain];
    let Some(dot) = domain.iter().rposition(|c| *c == b'.') else { return false };
    local > 0 && dot > 0 && domain.len() - dot > 2 && domain[dot + 1..].iter().all(u8::is_ascii_alphabetic)
}

fn is_jwt(b: &[u8]) -> bool {
    let mut dots = 0;
    let mut length = 0;
    for c in b {
        match c {
            b'.' => dots += 1,
            b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {}
            _ => break,
        }
        length += 1;
    }
    dots == 2 && length > 40
}

fn is_cloud_key(b: &[u8]) -> bool {
    [
        ("AKIA", 20),
        ("ASIA", 20),
        ("ghp_", 40),
        ("gho_", 40),
        ("sk_live_", 24),
        ("sk-", 40),
        ("xoxb-", 24),
        ("xoxp-", 24),
        ("AIza", 39),
        ("GOCSPX-", 35),
    ]
    .iter()
    .any(|(prefix, length)| {
        b.starts_with(prefix.as_bytes())
            && b.iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-')).count() >= *length
    })
}

/// Lengths of IBANs by country, sorted (SWIFT IBAN registry). Without it, one random code in a hundred passes the checksum.
#[rustfmt::skip]
const IBAN_LENGTHS: [([u8; 2], u8); 89] = [
    (*b"AD", 24), (*b"AE", 23), (*b"AL", 28), (*b"AT", 20), (*b"AZ", 28), (*b"BA", 20), (*b"BE", 16), (*b"BG", 22), (*b"BH", 22),
    (*b"BI", 27), (*b"BR", 29), (*b"BY", 28), (*b"CH", 21), (*b"CR", 22), (*b"CY", 28), (*b"CZ", 24), (*b"DE", 22), (*b"DJ", 27),
    (*b"DK", 18), (*b"DO", 28), (*b"EE", 20), (*b"EG", 29), (*b"ES", 24), (*b"FI", 18), (*b"FK", 18), (*b"FO", 18), (*b"FR", 27),
    (*b"GB", 22), (*b"GE", 22), (*b"GI", 23), (*b"GL", 18), (*b"GR", 27), (*b"GT", 28), (*b"HN", 28), (*b"HR", 21), (*b"HU", 28),
    (*b"IE", 22), (*b"IL", 23), (*b"IQ", 23), (*b"IS", 26), (*b"IT", 27), (*b"JO", 30), (*b"KW", 30), (*b"KZ", 20), (*b"LB", 28),
    (*b"LC", 32), (*b"LI", 21), (*b"LT", 20), (*b"LU", 20), (*b"LV", 21), (*b"LY", 25), (*b"MC", 27), (*b"MD", 24), (*b"ME", 22),
    (*b"MK", 19), (*b"MN", 20), (*b"MR", 27), (*b"MT", 31), (*b"MU", 30), (*b"NI", 28), (*b"NL", 18), (*b"NO", 15), (*b"OM", 23),
    (*b"PK", 24), (*b"PL", 28), (*b"PS", 29), (*b"PT", 25), (*b"QA", 29), (*b"RO", 24), (*b"RS", 22), (*b"RU", 33), (*b"SA", 24),
    (*b"SC", 31), (*b"SD", 18), (*b"SE", 24), (*b"SI", 19), (*b"SK", 24), (*b"SM", 27), (*b"SO", 23), (*b"ST", 25), (*b"SV", 28),
    (*b"TL", 23), (*b"TN", 24), (*b"TR", 26), (*b"UA", 29), (*b"VA", 22), (*b"VG", 24), (*b"XK", 20), (*b"YE", 30),
];

fn is_iban(b: &[u8]) -> bool {
    if b.len() < 15 || !b[1].is_ascii_uppercase() || !b[2].is_ascii_digit() || !b[3].is_ascii_digit() {
        return false;
    }
    let Ok(country) = IBAN_LENGTHS.binary_search_by(|(country, _)| country[..].cmp(&b[..2])) else { return false };
    let mut compact = Vec::with_capacity(34);
    for (i, c) in b.iter().enumerate().take(42) {
        match c {
            b'0'..=b'9' | b'A'..=b'Z' => compact.push(*c),
            b' ' if i % 5 == 4 => {}
            _ => break,
        }
    }
    if compact.len() != usize::from(IBAN_LENGTHS[country].1) {
        return false;
    }
    compact.rotate_left(4);
    let rest = compact.iter().fold(0u32, |rest, c| match c {
        b'0'..=b'9' => (rest * 10 + u32::from(c - b'0')) % 97,
        _ => (rest * 100 + u32::from(c - b'A' + 10)) % 97,
    });
    rest == 1
}

#[cfg(test)]
mod tests {
    use super::{SensitiveKind, scan};

    #[test]
    fn what_is_sensitive_is_found_and_look_alikes_are_not() {
        let kinds = |text| scan(text).iter().collect::<Vec<_>>();
        assert_eq!(kinds("card 4111 1111 1111 1111 ok"), [SensitiveKind::Card]);
        assert_eq!(kinds("order 4111 1111 1111 1112"), []);
        assert_eq!(kinds("t=1767655891,v1=4111111111111111c8"), []);
        assert_eq!(kinds("/orders/4111-1111-1111-1111a"), []);
        assert_eq!(kinds("DE89 3704 0044 0532 0130 00"), [SensitiveKind::Iban]);
        assert_eq!(kinds("GB29NWBK60161331926818 x"), []);
        assert_eq!(kinds("GB29NWBK60161331926819"), [SensitiveKind::Iban]);
        assert_eq!(kinds("QQ88NWBK60161331926819"), []);
        assert_eq!(kinds("GB51NWBK6016133192681900"), []);
        assert_eq!(kinds("mail me: a.b@example.org"), [SensitiveKind::Email]);
        assert_eq!(kinds("@handle and a@b"), []);
        assert_eq!(kinds("+4915112345678"), [SensitiveKind::Phone]);
        assert_eq!(kinds("078-05-1120"), [SensitiveKind::Ssn]);
        assert_eq!(kinds("666-05-1120"), []);
        assert_eq!(kinds("AKIAIOSFODNN7EXAMPLE"), [SensitiveKind::CloudKey]);
        assert_eq!(kinds("1700000000000"), []);
        assert_eq!(kinds("mine is ~j:0123456789abcdef."), [SensitiveKind::Jwt]);
        assert_eq!(kinds("mine is ~h:0123456789abcdef."), []);
    }
}
