//! Values that may name a session or a subject.

use crate::decode::GatewayFields;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::Exchange;
use runtime::config::Extractor;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;

/// Longest token whose claims are read, bytes.
const MAX_TOKEN: usize = 16 << 10;

/// A value that may name somebody.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate<'e> {
    /// Where it stood; values of different places never meet.
    pub(super) label: &'e str,
    /// The value.
    pub(super) value: Cow<'e, str>,
    /// What the caller showed to be believed; `None`: it needs no belief.
    pub(super) token: Option<Cow<'e, str>>,
}

impl<'e> Candidate<'e> {
    /// A value that the caller chose.
    pub(super) fn of(label: &'e str, value: impl Into<Cow<'e, str>>) -> Self {
        let value = value.into();
        Self { label, token: Some(value.clone()), value }
    }

    /// A value that the gateway vouches for.
    pub(super) fn vouched(value: &'e str) -> Self {
        Self { label: "", value: Cow::Borrowed(value), token: None }
    }
}

/// What an extractor finds in a record.
pub(super) fn candidate<'e>(extractor: &'e Extractor, exchange: &'e Exchange<'_>, gateway: &'e GatewayFields) -> Option<Candidate<'e>> {
    match extractor {
        Extractor::Header(name) if name == "authorization" => header(exchange, name).map(|value| Candidate::of(name, lasting(value))),
        Extractor::Header(name) => header(exchange, name).map(|value| Candidate::of(name, value)),
        Extractor::Cookie(name) => cookie(exchange, name).map(|value| Candidate::of(name, value)),
        Extractor::Field(path) => gateway.named.iter().find(|(p, _)| p == path).map(|(_, value)| Candidate::of(path, value.as_str())),
        Extractor::JwtClaim { header: name, claim } => {
            let token = header(exchange, name)?;
            let token = token.split_once(' ').map_or(token, |(_, token)| token.trim());
            // A claim is worth what the token is worth: anybody can write a token that claims to be somebody else's.
            Some(Candidate { label: claim, value: Cow::Owned(jwt_claim(token, claim)?), token: Some(Cow::Borrowed(token)) })
        }
        Extractor::ClientAddressAndAgent => {
            let address = exchange.client.ip.as_deref()?;
            let agent = exchange.client.user_agent.as_deref().unwrap_or_default();
            Some(Candidate { label: "client", value: Cow::Owned(format!("{address}\0{agent}")), token: None })
        }
    }
}

fn header<'e>(exchange: &'e Exchange<'_>, name: &str) -> Option<&'e str> {
    exchange.request.headers.as_ref()?.get(name).map(str::trim).filter(|value| !value.is_empty())
}

/// Value of a cookie. Names are compared as they are sent.
fn cookie<'e>(exchange: &'e Exchange<'_>, name: &str) -> Option<&'e str> {
    let headers = exchange.request.headers.as_ref()?;
    let pairs = headers.iter().filter(|(n, _)| *n == "cookie").flat_map(|(_, value)| value.split(';'));
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(n, _)| n.trim() == name)?.1;
    Some(value.trim().trim_matches('"')).filter(|value| !value.is_empty())
}

/// The part of an `Authorization` header that lasts as long as the credential does: schemes that sign each request bring a new value with each.
fn lasting(value: &str) -> Cow<'_, str> {
    let (scheme, credentials) = value.split_once(' ').map_or(("", value), |(scheme, rest)| (scheme, rest.trim()));
    let scheme = scheme.to_ascii_lowercase();
    let parameter = |name: &str, ends: &[char]| {
        let from = credentials.find(name)? + name.len();
        credentials[from..].split(ends).next().filter(|value| !value.is_empty())
    };
    let part = match scheme.as_str() {
        "digest" => parameter("username=\"", &['"']),
        "oauth" => parameter("oauth_token=\"", &['"']).or_else(|| parameter("oauth_consumer_key=\"", &['"'])),
        "hawk" => parameter("id=\"", &['"']),
        "signature" => parameter("keyId=\"", &['"']),
        _ if scheme.starts_with("aws4-") => parameter("Credential=", &['/', ',', ' ']),
        _ => None,
    };
    Cow::Owned(format!("{scheme} {}", part.unwrap_or(credentials)))
}

/// A claim of a JSON web token, as text. The signature is the gateway's to check.
fn jwt_claim(token: &str, claim: &str) -> Option<String> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let payload = token.split('.').nth(1)?.trim_end_matches('=');
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    if engine::features::json::deeper_than(&payload, Exchange::MAX_DEPTH) {
        return None;
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Claim {
        Text(String),
        Number(serde_json::Number),
        Other(serde::de::IgnoredAny),
    }
    let mut claims: HashMap<String, Claim> = serde_json::from_slice(&payload).ok()?;
    match claims.remove(claim)? {
        Claim::Text(text) => Some(text).filter(|text| !text.is_empty()),
        Claim::Number(number) => Some(number.to_string()),
        Claim::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_sign_each_request_are_reduced_to_who_signs() {
        let same = [
            ("Bearer abc", "bearer  abc"),
            ("Digest username=\"ann\", nonce=\"1\"", "Digest username=\"ann\", nonce=\"2\""),
            (
                "AWS4-HMAC-SHA256 Credential=AKID/20260105/eu/s3/aws4_request, Signature=1",
                "AWS4-HMAC-SHA256 Credential=AKID/20260106/eu/s3/aws4_request, Signature=2",
            ),
            ("Signature keyId=\"k\",signature=\"1\"", "Signature keyId=\"k\",signature=\"2\""),
        ];
        for (a, b) in same {
            assert_eq!(lasting(a), lasting(b));
        }
        assert_ne!(lasting("Bearer abc"), lasting("Basic abc"));
        assert_ne!(lasting("Digest username=\"ann\""), lasting("Digest username=\"bob\""));
    }

    #[test]
    fn claims_of_tokens_good_and_bad() {
        let token = |payload: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload));
        assert_eq!(jwt_claim(&token(r#"{"sub":"ann","x":{"y":[1]}}"#), "sub").as_deref(), Some("ann"));
        assert_eq!(jwt_claim(&token(r#"{"sub":42}"#), "sub").as_deref(), Some("42"));
        let nested = format!(r#"{{"a":{}}}"#, "[".repeat(5000));
        for bad in ["", "a.b", "a.!!.c", &token("[]"), &token(r#"{"sub":""}"#), &token(r#"{"sub":{}}"#), &token(&nested), &token("\u{1}")] {
            assert_eq!(jwt_claim(bad, "sub"), None, "{bad}");
        }
    }
}
