//! Request targets and URLs, taken apart as they were sent.

use super::{Fault, Reason};
use engine::Exchange;

/// Parts of a request target; a part that was not sent is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'t> {
    /// `http` or `https`.
    pub(crate) scheme: Option<&'t str>,
    /// Host, with port if one was given.
    pub(crate) host: Option<&'t str>,
    /// Path; `/` when the URL has none, `*` for `OPTIONS *`.
    pub(crate) path: &'t str,
    /// Query without `?`.
    pub(crate) query: Option<&'t str>,
}

impl<'t> Target<'t> {
    /// Takes apart an origin-form target (`/path?query`), an absolute URL, or `*`. A fragment is left out; it is never sent.
    ///
    /// # Errors
    /// It is none of these, or a URL of a scheme that is not HTTP's.
    pub(crate) fn parse(text: &'t str) -> Result<Self, Fault> {
        let (scheme, host, rest) = if text.starts_with('/') || text == "*" {
            (None, None, text)
        } else if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = http_scheme(scheme)?;
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let authority = &rest[..end];
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            (Some(scheme), (!host.is_empty()).then_some(host), &rest[end..])
        } else {
            return Err(Fault::new(Reason::NotARequest, "the request target is neither a path nor an HTTP URL"));
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        Ok(Self { scheme, host, path: if path.is_empty() { "/" } else { path }, query: query.filter(|query| !query.is_empty()) })
    }

    /// Writes the parts into an exchange; what the exchange knows already stays.
    pub(crate) fn fill(self, exchange: &mut Exchange<'static>) {
        exchange.path = self.path.to_owned().into();
        if exchange.query.is_none() {
            exchange.query = self.query.map(|query| query.to_owned().into());
        }
        if exchange.scheme.is_none() {
            exchange.scheme = self.scheme.map(|scheme| scheme.to_owned().into());
        }
        if exchange.host.is_none() {
            exchange.host = self.host.map(|host| host.to_owned().into());
        }
    }
}

/// The scheme in lower case; WebSocket handshakes are HTTP requests.
fn http_scheme(scheme: &str) -> Result<&'static str, Fault> {
    for (name, http) in [("https", "https"), ("http", "http"), ("wss", "https"), ("ws", "http")] {
        if scheme.eq_ignore_ascii_case(name) {
            return Ok(http);
        }
    }
    Err(Fault::new(Reason::NotARequest, "a URL of a scheme that is not http or https"))
}

/// Takes apart `METHOD target HTTP/x`. The target may hold spaces, as clients that attack send them; the version may be missing.
///
/// # Errors
/// The line does not start with a method.
pub(crate) fn request_line(line: &str) -> Result<(&str, &str), Fault> {
    let not_http = || Fault::new(Reason::NotARequest, "no HTTP request line");
    let (method, rest) = line.split_once(' ').ok_or_else(not_http)?;
    if !is_method(method) {
        return Err(not_http());
    }
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => target,
        _ => rest,
    };
    Ok((method, target))
}

/// Whether a text may be a method: the characters of an HTTP token, and not endless.
pub(crate) fn is_method(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_!#$%&'*+.^`|~".contains(&byte))
}

/// Text from bytes that should be UTF-8: bytes that are not, and control characters, are percent-encoded, so that nothing of what was sent
/// is lost.
pub(crate) fn percent_encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_ascii_control() { push_percent(&mut text, c as u8) } else { text.push(c) }
        }
        for byte in chunk.invalid() {
            push_percent(&mut text, *byte);
        }
    }
    text
}

/// Appends `%XX`.
pub(crate) fn push_percent(text: &mut String, byte: u8) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    text.extend(['%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_in_every_form() {
        let parts = |text| Target::parse(text).map(|t| (t.scheme, t.host, t.path, t.query)).ok();
        assert_eq!(parts("/a?b=c?d#e"), Some((None, None, "/a", Some("b=c?d"))));
        assert_eq!(parts("/a?"), Some((None, None, "/a", None)));
        assert_eq!(parts("//evil"), Some((None, None, "//evil", None)));
        assert_eq!(parts("https://u:p@h.example:8443/x/y"), Some((Some("https"), Some("h.example:8443"), "/x/y", None)));
        assert_eq!(parts("HTTP://h?q=1"), Some((Some("http"), Some("h"), "/", Some("q=1"))));
        assert_eq!(parts("wss://h/ws"), Some((Some("https"), Some("h"), "/ws", None)));
        assert_eq!(parts("*"), Some((None, None, "*", None)));
        for text in ["", "index.html", "data:text/plain,x", "chrome-extension://abc/x.js", "h:443"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn request_lines_with_spaces_and_without_version() {
        assert_eq!(request_line("GET /a b?c=' OR 1=1 HTTP/1.1").ok(), Some(("GET", "/a b?c=' OR 1=1")));
        assert_eq!(request_line("GET /a").ok(), Some(("GET", "/a")));
        for line in ["-", "", "\u{16}\u{3}\u{1} x", "(GET) / HTTP/1.1"] {
            assert!(request_line(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_stay_visible() {
        assert_eq!(percent_encoded(b"/\xff\xc3\xa9\n%41"), "/%FF\u{e9}%0A%41");
    }
}
