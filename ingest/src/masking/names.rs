//! Names of things that hold secrets.

/// Longest name that is looked at, bytes.
const MAX_NAME: usize = 128;

/// What a name says of the values under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Nothing.
    Open,
    /// Texts are secret; numbers are counts (`max_tokens`).
    Texts,
    /// Texts and numbers are secret.
    All,
}

/// Parts that make a name secret wherever they stand in it.
const PARTS: [&[u8]; 12] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"passwort",
    b"secret",
    b"credential",
    b"apikey",
    b"accesskey",
    b"privatekey",
    b"authorization",
    b"sessionid",
    b"jwt",
];

/// Ends that make a name secret.
const ENDS: [&[u8]; 5] = [b"token", b"pwd", b"otp", b"assertion", b"subscriptionkey"];

/// Whole names that are secret: too short to look for within others.
const WHOLE: [&[u8]; 16] = [
    b"pass",
    b"pw",
    b"pin",
    b"newpin",
    b"oldpin",
    b"userpin",
    b"cardpin",
    b"cvv",
    b"cvv2",
    b"cvc",
    b"sid",
    b"auth",
    b"authentication",
    b"samlresponse",
    b"functionskey",
    b"xfunctionskey",
];

/// Classes a name (of a JSON field, form field, query parameter, header, XML element). Case, `_`, `-`, `.`, brackets and spaces do not count.
pub(super) fn secrecy(name: &[u8]) -> Secrecy {
    if name.len() < 2 || name.len() > MAX_NAME {
        return Secrecy::Open;
    }
    let mut buffer = [0u8; MAX_NAME];
    let mut len = 0;
    for byte in name {
        if !matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b' ') {
            buffer[len] = byte.to_ascii_lowercase();
            len += 1;
        }
    }
    let plain = &buffer[..len];
    if plain.ends_with(b"tokens") {
        return Secrecy::Texts;
    }
    let has = |part: &&[u8]| plain.windows(part.len()).any(|window| window == *part);
    if WHOLE.contains(&plain) || ENDS.iter().any(|end| plain.ends_with(end)) || (may_hold_part(plain) && PARTS.iter().any(has)) {
        Secrecy::All
    } else {
        Secrecy::Open
    }
}

/// A quick no for most names: every part holds one of `ss`, `se`, `ke`, `cr`, `au`, `jw` – and none is shorter than three bytes.
fn may_hold_part(plain: &[u8]) -> bool {
    plain.windows(2).any(|pair| matches!(pair, b"ss" | b"se" | b"ke" | b"cr" | b"au" | b"jw"))
}

/// Every part, end and whole name.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static [u8]> {
    PARTS.into_iter().chain(ENDS).chain(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names() {
        for name in [
            "password",
            "Passwd",
            "new_password2",
            "user[password]",
            "user.pass-word",
            "client_secret",
            "secret",
            "access_token",
            "refreshToken",
            "X-Auth-Token",
            "csrf-token",
            "x-api-key",
            "API_KEY",
            "Ocp-Apim-Subscription-Key",
            "aws_secret_access_key",
            "private_key",
            "pwd",
            "user_pwd",
            "PIN",
            "totp",
            "jsessionid",
            "proxy-authorization",
            "X-JWT-Assertion",
            "credentials",
            "passphrase",
            "passwort",
        ] {
            assert_eq!(secrecy(name.as_bytes()), Secrecy::All, "{name}");
        }
        assert_eq!(secrecy(b"refresh_tokens"), Secrecy::Texts);
    }

    #[test]
    fn open_names() {
        for name in [
            "",
            "id",
            "name",
            "card_number",
            "shipping",
            "passenger",
            "token_type",
            "tokenized",
            "author",
            "keyboard",
            "sidebar",
            "pinned",
            "compass",
        ] {
            assert_eq!(secrecy(name.as_bytes()), Secrecy::Open, "{name}");
        }
        assert_eq!(secrecy(&b"password".repeat(1000)), Secrecy::Open);
    }

    #[test]
    fn the_quick_no_never_denies_a_part() {
        for part in PARTS {
            assert!(may_hold_part(part), "{}", part.escape_ascii());
        }
    }
}
