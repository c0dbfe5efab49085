//! What goes over the wire: a call as a client builds it, and the exchange as a gateway would mirror it.

use crate::people::Client;
use crate::shop::Reply;
use engine::record::{Client as Caller, Exchange, Headers, Request, Response, Text};

/// Host of the shop's own API.
pub(crate) const API: &str = "api.shop.example";
/// Host of the partners' API.
pub(crate) const PARTNERS: &str = "partner.shop.example";
const JSON: &str = "application/json";

/// One request before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    /// Percent-encoded path.
    pub(crate) path: String,
    /// Query string without `?`; empty when there is none.
    pub(crate) query: String,
    pub(crate) body: Option<String>,
    pub(crate) content_type: &'static str,
    /// Headers beyond those that the client always sends.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Whether the client leaves its token out.
    pub(crate) anonymous: bool,
    /// Whether a person mistyped something that the shop will refuse; it is corrected afterwards.
    pub(crate) slip: bool,
}

impl Call {
    /// A call without query and body to the shop's own API.
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            host: API,
            path: path.into(),
            query: String::new(),
            body: None,
            content_type: JSON,
            headers: Vec::new(),
            anonymous: false,
            slip: false,
        }
    }

    /// `GET path`.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// `POST path` with a JSON body.
    pub(crate) fn post(path: impl Into<String>, body: String) -> Self {
        Self::new("POST", path).with_body(body)
    }

    /// The same with a JSON body.
    pub(crate) fn with_body(mut self, body: String) -> Self {
        self.body = Some(body);
        self
    }

    /// The same to another host.
    pub(crate) fn at(mut self, host: &'static str) -> Self {
        self.host = host;
        self
    }

    /// The same with one more query parameter; the value is percent-encoded.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(name);
        self.query.push('=');
        encode(value, &mut self.query);
        self
    }

    /// The same with one more header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same without the client's token.
    pub(crate) fn anonymously(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// The same, marked as mistyped.
    pub(crate) fn slipped(mut self, slip: bool) -> Self {
        self.slip = slip;
        self
    }

    /// A header that the call brings.
    pub(crate) fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }
}

/// Percent-encodes as browsers do in query strings, a space as `+`.
pub(crate) fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// Percent-encodes one path segment.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode(text, &mut out);
    out.replace('+', "%20")
}

/// Undoes [`encode`]; bytes that are no UTF-8 become replacement characters.
pub(crate) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                let digits = (ahead.next().and_then(hex_digit), ahead.next().and_then(hex_digit));
                if let (Some(high), Some(low)) = digits {
                    out.push(high << 4 | low);
                    bytes = ahead;
                } else {
                    out.push(b'%');
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|d| d as u8)
}

/// What a gateway mirrors beside the call and its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mirror {
    /// Running number of the exchange.
    pub(crate) number: u64,
    /// Event time, epoch milliseconds.
    pub(crate) time: i64,
    /// Whether bodies are mirrored.
    pub(crate) bodies: bool,
}

/// The exchange of a call and its answer.
pub(crate) fn exchange(mirror: Mirror, client: &Client, call: Call, reply: Reply) -> Exchange<'static> {
    let request_id = client.request_id(mirror.number);
    let session = client.session(&call);
    let subject = if call.anonymous { None } else { client.bearer.as_ref().map(|b| b.subject.to_string()) };
    let sent = call.body.as_ref().map(|b| b.len() as u64);
    let headers = request_headers(client, &call, &request_id);
    let user_agent = agent(client, &call).to_owned();
    let received = reply.body.len() as u64;
    let has_body = !reply.body.is_empty();
    let answer = response_headers(&reply, request_id, has_body);
    Exchange {
        id: Some(format!("sim-{}", mirror.number).into()),
        time: Some(mirror.time),
        method: call.method.into(),
        scheme: Some("https".into()),
        host: Some(call.host.into()),
        path: call.path.into(),
        query: (!call.query.is_empty()).then(|| call.query.into()),
        route: None,
        client: Caller { ip: Some(client.address.to_string().into()), user_agent: Some(user_agent.into()) },
        session: Some(session.into()),
        subject: subject.map(Text::from),
        request: Request {
            headers: Some(headers),
            body: if mirror.bodies { call.body.map(Text::from) } else { None },
            bytes: Some(sent.unwrap_or(0)),
            ..Request::default()
        },
        response: Response {
            status: Some(reply.status),
            headers: Some(answer),
            body: (mirror.bodies && has_body).then(|| reply.body.into()),
            bytes: Some(received),
            ..Response::default()
        },
        duration_ms: Some((reply.took_ms * 10.0).round() / 10.0),
        source: Some("gateway".into()),
    }
}

/// The user agent of a call: the client's, unless the call brings one.
pub(crate) fn agent<'c>(client: &'c Client, call: &'c Call) -> &'c str {
    call.header_value("user-agent").unwrap_or(&client.agent)
}

fn request_headers(client: &Client, call: &Call, request_id: &str) -> Headers<'static> {
    let mut headers = Headers::new();
    headers.push("host", call.host);
    headers.push("user-agent", agent(client, call).to_owned());
    headers.push("accept", client.kind.accepts());
    if let Some(language) = client.language {
        headers.push("accept-language", language);
    }
    if call.body.is_some() {
        headers.push("content-type", call.content_type);
    }
    if let Some(bearer) = client.bearer.as_ref().filter(|_| !call.anonymous) {
        headers.push("authorization", format!("Bearer {}", bearer.text));
    }
    client.own_headers(call, &mut headers);
    headers.push("x-request-id", request_id.to_owned());
    for (name, value) in call.headers.iter().filter(|(name, _)| *name != "user-agent") {
        headers.push(*name, value.clone());
    }
    headers
}

fn response_headers(reply: &Reply, request_id: String, has_body: bool) -> Headers<'static> {
    let mut headers = Headers::new();
    if has_body {
        headers.push("content-type", reply.content_type);
    }
    headers.push("x-request-id", request_id);
    headers.push("strict-transport-security", "max-age=31536000; includeSubDomains");
    headers.push("x-content-type-options", "nosniff");
    headers.push("cache-control", if reply.public { "public, max-age=60" } else { "no-store" });
    for (name, value) in &reply.headers {
        headers.push(*name, value.to_string());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn encoding_is_undone(text in any::<String>()) {
            let mut out = String::new();
            encode(&text, &mut out);
            prop_assert!(out.is_ascii());
            prop_assert_eq!(decode(&out), text.clone());
            prop_assert_eq!(decode(&segment(&text)), text);
        }
    }

    #[test]
    fn broken_escapes_are_kept() {
        assert_eq!(decode("100%+off%2"), "100% off%2");
        assert_eq!(decode("%zz%41"), "%zzA");
    }
}
