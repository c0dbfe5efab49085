//! What stands in place of a secret.

use std::fmt::Write as _;

/// How a masked value begins; and how one that was a JSON web token: what a secret is, may tell that it stands where none should.
const MARK: &str = "~h:";
const TOKEN_MARK: &str = "~j:";

/// Hex digits of the hash that follow it.
const DIGITS: usize = 16;

/// Longest shape that is kept, characters.
const MAX_SHAPE: usize = 64;

/// Replaces secrets by keyed hashes.
#[derive(Debug, Clone)]
pub(super) struct Hasher {
    key: [u8; 32],
}

impl Hasher {
    /// A hasher with the installation's shared key.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self { key: blake3::derive_key("weir 2026-01 masking", key) }
    }

    /// `~h:` (of a JSON web token `~j:`) and 64 bits of a keyed hash: equal secrets stay equal, wherever they stood. What no plain secret holds (spaces, quotation marks,
    /// brackets, …; also behind a second layer of encoding) comes along as a shape, for an attack sent in a password field has to stay visible:
    /// `~h:0123456789abcdef w' w 0=0`.
    ///
    /// An empty value, and one that is masked already, stays as it is.
    pub(super) fn mask(&self, secret: &str) -> String {
        if secret.is_empty() || is_masked(secret) {
            return secret.to_owned();
        }
        let hash = blake3::keyed_hash(&self.key, secret.as_bytes());
        let mut masked = String::with_capacity(MARK.len() + DIGITS);
        masked.push_str(if is_jwt(secret) { TOKEN_MARK } else { MARK });
        for byte in &hash.as_bytes()[..DIGITS / 2] {
            let _ = write!(masked, "{byte:02x}");
        }
        let plain = engine::features::decode::value(secret);
        if plain.bytes().any(is_odd) || plain.contains("../") {
            masked.push(' ');
            masked.push_str(&shape(&plain));
            masked.truncate(masked.trim_end().len());
        }
        masked
    }
}

/// Whether a value is the mask of one.
pub(super) fn is_masked(value: &str) -> bool {
    value.strip_prefix(MARK).or_else(|| value.strip_prefix(TOKEN_MARK)).is_some_and(|rest| {
        let (hash, shape) = rest.split_at_checked(DIGITS).unwrap_or((rest, ""));
        hash.len() == DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit()) && (shape.is_empty() || shape.starts_with(' '))
    })
}

/// Whether a byte is unlike passwords and tokens.
fn is_odd(byte: u8) -> bool {
    matches!(byte, b' ' | b'\'' | b'"' | b'<' | b'>' | b'(' | b')' | b'{' | b'}' | b';' | b'|' | b'`' | b'\\' | b'&') || byte < b' '
}

/// Runs of letters as `w`, runs of digits as `0`, one of each run of other ASCII characters as it is, the rest as `u`.
fn shape(secret: &str) -> String {
    let mut shape = String::new();
    let kinds = secret.chars().map(|c| match c {
        _ if c.is_alphabetic() => 'w',
        '0'..='9' => '0',
        ' '..='~' => c,
        _ if c.is_ascii_control() => ' ',
        _ => 'u',
    });
    for kind in kinds {
        if !shape.ends_with(kind) {
            shape.push(kind);
        }
        if shape.len() >= MAX_SHAPE {
            break;
        }
    }
    shape
}

/// Letters as `x` and `X`, digits as `0`, the rest as it is: length and kinds of characters stay.
pub(super) fn outline(value: &str) -> String {
    let kind = |c: char| match c {
        _ if c.is_ascii_digit() => '0',
        _ if c.is_uppercase() => 'X',
        _ if c.is_alphanumeric() => 'x',
        _ => c,
    };
    value.chars().map(kind).collect()
}

/// Whether a value is a JSON web token: three parts of base64url, the first of which opens a JSON object.
pub(super) fn is_jwt(value: &str) -> bool {
    value.len() > 20
        && value.starts_with("eyJ")
        && value.bytes().filter(|byte| *byte == b'.').count() == 2
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hasher() -> Hasher {
        Hasher::new(&[1; 32])
    }

    #[test]
    fn plain_secrets_leave_a_hash_and_attacks_their_shape() {
        let mask = |secret| hasher().mask(secret);
        assert_eq!(mask("Pw89384!").len(), 19);
        assert_eq!(mask("Pw89384!"), mask("Pw89384!"));
        assert_ne!(mask("Pw89384!"), mask("Pw89384?"));
        assert_ne!(mask("Pw89384!"), Hasher::new(&[2; 32]).mask("Pw89384!"));
        assert_eq!(&mask("admin' OR '12'='12' -- ")[19..], " w' w '0'='0' -");
        assert_eq!(mask(""), "");
        assert_eq!(&mask("any%0D%0ASet-cookie%3A+a%3D1")[19..], " w w-w:+w=0");
        assert_eq!(&mask("%3Cscript%3Ealert%281%29")[19..], " <w>w(0)");
        assert_eq!(&mask("../../../etc/passwd")[19..], " ./././w/w");
        assert_eq!(mask("100%25sure/ok+1").len(), 19);
        let token = mask("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln");
        assert!(token.starts_with(TOKEN_MARK) && token.len() == 19 && mask(&token) == token, "{token}");
    }

    #[test]
    fn an_outline_keeps_length_and_kinds() {
        assert_eq!(outline("Ann-42 é"), "Xxx-00 x");
    }

    #[test]
    fn tokens_are_known() {
        assert!(is_jwt("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln"));
        assert!(!is_jwt("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ"));
        assert!(!is_jwt("a.b.c"));
    }

    proptest! {
        #[test]
        fn masking_twice_is_masking_once(secret in ".*") {
            let once = hasher().mask(&secret);
            prop_assert_eq!(hasher().mask(&once), once);
        }

        #[test]
        fn no_run_of_two_letters_or_digits_survives(secret in ".*") {
            let masked = hasher().mask(&secret);
            if !is_masked(&secret) && !secret.is_empty() {
                let shape = &masked[19..];
                let pairs: Vec<char> = shape.chars().collect();
                prop_assert!(pairs.windows(2).all(|pair| !(pair[0].is_alphanumeric() && pair[0] == pair[1])), "{}", masked);
                prop_assert!(shape.chars().filter(|c| c.is_alphanumeric()).all(|c| matches!(c, 'w' | '0' | 'u')));
            }
        }
    }
}
