//! Secrets leave before anything is written: tokens, cookies, API keys and passwords become keyed hashes.
//!
//! Equal secrets become equal masks wherever they stand, so that a token issued in a response is still known in the request that uses it.
//!
//! **Invariant:** text that was valid JSON stays valid JSON, and masking twice is masking once.

mod form;
mod json;
mod names;
mod rules;
mod secret;
mod text;

use self::names::Secrecy;
use self::rules::{Rules, Site, Treatment};
use self::secret::{Hasher, is_jwt, outline};
use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{BodyEncoding, Exchange, Headers, Text};
use runtime::config::PrivacyRule;

/// Parts of names, one of which every secret name holds; looked for, with the names of rules, before a text is looked at closely.
const STEMS: [&str; 17] = [
    "pass",
    "pw",
    "secret",
    "credential",
    "token",
    "key",
    "jwt",
    "otp",
    "pin",
    "cvv",
    "cvc",
    "auth",
    "session",
    "sid",
    "assertion",
    "saml",
    "eyJ",
];

/// Authentication schemes; what follows them in a header is secret, they are not.
const SCHEMES: [&str; 16] = [
    "bearer",
    "basic",
    "digest",
    "negotiate",
    "ntlm",
    "apikey",
    "token",
    "hawk",
    "oauth",
    "hmac",
    "signature",
    "key",
    "dpop",
    "mutual",
    "vapid",
    "aws4-hmac-sha256",
];

/// Headers whose value may be a URL.
const URL_HEADERS: [&str; 8] =
    ["referer", "location", "content-location", "x-original-url", "x-original-uri", "x-rewrite-url", "x-forwarded-uri", "link"];

/// Masking could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot build the search for names of secrets: {0}")]
pub struct MaskingError(#[from] aho_corasick::BuildError);

/// Replaces secrets in exchanges.
#[derive(Debug)]
pub struct Masking {
    hasher: Hasher,
    rules: Rules,
    /// [`STEMS`] and names of rules.
    stems: AhoCorasick,
}

impl Masking {
    /// Masks by the built-in names, and before them by configured rules, with the installation's shared key.
    ///
    /// # Errors
    /// The names of the rules are too many to be searched for: never in practice.
    pub fn new(rules: &[PrivacyRule], key: &[u8; 32]) -> Result<Self, MaskingError> {
        let rules = Rules::new(rules);
        let stems = AhoCorasick::builder().ascii_case_insensitive(true).build(STEMS.into_iter().chain(rules.names()))?;
        Ok(Self { hasher: Hasher::new(key), rules, stems })
    }

    /// Masks every secret that is known as one: in headers, cookies, query, path parameters and bodies.
    pub fn mask(&self, exchange: &mut Exchange<'_>) {
        if let Some(query) = exchange.query.as_deref().and_then(|query| form::pairs(self, query, Site::top(&["query"]), &['&'])) {
            exchange.query = Some(query.into());
        }
        if let Some(path) = form::path(self, &exchange.path) {
            exchange.path = path.into();
        }
        let request = &mut exchange.request;
        let is_form = request.headers.as_ref().and_then(|h| h.get("content-type")).is_some_and(|t| t.contains("x-www-form-urlencoded"));
        if let Some(headers) = &mut request.headers {
            self.headers(headers, "request");
        }
        if let Some(body) = &mut request.body {
            self.body(body, request.body_encoding, Site::top(&["request", "body"]), is_form);
        }
        let response = &mut exchange.response;
        if let Some(headers) = &mut response.headers {
            self.headers(headers, "response");
        }
        if let Some(body) = &mut response.body {
            self.body(body, response.body_encoding, Site::top(&["response", "body"]), false);
        }
    }

    fn headers(&self, headers: &mut Headers<'_>, side: &str) {
        for (name, value) in headers.iter_mut() {
            if let Some(masked) = self.header(name, value, side) {
                *value = masked.into();
            }
        }
    }

    /// The value of a header, masked; `None`: it stays.
    fn header(&self, name: &str, value: &str, side: &str) -> Option<String> {
        match self.rules.at(&[side, "headers", name].into_iter()) {
            Some(Treatment::Keep) => return None,
            Some(Treatment::Drop) => return Some(String::new()),
            Some(Treatment::Outline) => return Some(outline(value)),
            Some(Treatment::Secret | Treatment::SecretTexts) => return Some(self.hasher.mask(value)),
            None => {}
        }
        match name {
            "cookie" => Some(form::cookies(self, value)),
            "set-cookie" | "set-cookie2" => Some(form::set_cookie(self, value)),
            _ if names::secrecy(name.as_bytes()) != Secrecy::Open => Some(self.credentials(value)),
            _ if URL_HEADERS.contains(&name) => self.url(value),
            _ if is_jwt(value.trim()) => Some(self.hasher.mask(value.trim())),
            _ => self.by_kind(value),
        }
    }

    /// A value treated by what it holds, as a whole; `None`: no rule speaks of it.
    fn by_kind(&self, value: &str) -> Option<String> {
        match self.rules.of(value)? {
            Treatment::Keep => None,
            Treatment::Drop => Some(String::new()),
            Treatment::Outline => Some(outline(value)),
            Treatment::Secret | Treatment::SecretTexts => Some(self.hasher.mask(value)),
        }
    }

    /// `Bearer abc` as `Bearer ~h:…`: the scheme stays where it is one.
    fn credentials(&self, value: &str) -> String {
        let value = value.trim();
        match value.split_once(' ') {
            Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
                format!("{scheme} {}", self.hasher.mask(rest.trim()))
            }
            _ => self.hasher.mask(value),
        }
    }

    /// Query and fragment of a URL.
    fn url(&self, value: &str) -> Option<String> {
        let at = value.find(['?', '#'])? + 1;
        let masked = form::pairs(self, &value[at..], Site::top(&["query"]), &['&', '#'])?;
        Some(format!("{}{masked}", &value[..at]))
    }

    fn body(&self, body: &mut Text<'_>, encoding: BodyEncoding, site: Site<'_>, said_form: bool) {
        let masked = match encoding {
            BodyEncoding::Utf8 => self.said(body, site, said_form),
            BodyEncoding::Base64 => self.base64(body, site, said_form),
        };
        if let Some(masked) = masked {
            *body = masked.into();
        }
    }

    /// Bytes are taken as Latin-1, so that text among them is found and all others stay what they are.
    fn base64(&self, body: &str, site: Site<'_>, said_form: bool) -> Option<String> {
        let bytes = STANDARD.decode(body).ok()?;
        if !self.stems.is_match(&bytes) && !self.rules.reach(site.place) && !self.rules.has_kinds() {
            return None;
        }
        let latin: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let masked = self.said(&latin, site, said_form)?;
        let bytes: Vec<u8> = masked.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
        Some(STANDARD.encode(bytes))
    }

    /// Masks a body whose header may say that it is a form. JSON is sent under that header often enough.
    fn said(&self, text: &str, site: Site<'_>, said_form: bool) -> Option<String> {
        if said_form && !text.trim_start().starts_with(['{', '[']) { form::pairs(self, text, site, &['&']) } else { self.text(text, site) }
    }

    /// Masks a text of whatever kind it is; `None` when there is nothing to mask.
    fn text(&self, text: &str, site: Site<'_>) -> Option<String> {
        let start = text.trim_start();
        if start.starts_with(['{', '[']) {
            json::Walk::new(self, text, site).run()
        } else if is_form(start) {
            form::pairs(self, text, site, &['&'])
        } else if self.stems.is_match(text) {
            text::loose(self, text)
        } else {
            None
        }
    }
}

/// Whether a text is a form though nothing says so: pairs, and nothing that a form would have encoded.
fn is_form(text: &str) -> bool {
    let first = text.split('&').next().unwrap_or_default();
    first.find('=').is_some_and(|equals| equals > 0) && !text.contains([' ', '\n', '<', '>', '"', '{'])
}

#[cfg(test)]
mod tests;
