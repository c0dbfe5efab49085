//! Entries of an HTTP archive (HAR 1.2), as browsers and proxies export them.

use super::target::{Target, is_method};
use super::{Decoded, Fault, GatewayFields, Position, Reason};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{BodyEncoding, Exchange, Headers, Request, Response, Text};
use serde::Deserialize;

/// Most bytes of one entry: pictures and scripts stand in it as base64.
pub(crate) const MAX_ENTRY: usize = 32 << 20;

/// Most levels of an entry. Browsers put call stacks into theirs, deeper than any exchange may be; no value of them is kept.
const MAX_ENTRY_DEPTH: usize = 512;

/// Most bytes of a body that are kept; a longer one is cut and marked so.
const MAX_BODY: usize = 1 << 20;

/// Where the entries stand in the file.
pub(crate) const PATH: &[&str] = &["log", "entries"];

/// Reads one entry.
///
/// # Errors
/// It is over a limit, not JSON, or tells of no HTTP request.
pub(crate) fn decode(entry: &[u8], at: Position) -> Result<Decoded, Fault> {
    if engine::features::json::deeper_than(entry, MAX_ENTRY_DEPTH) {
        return Err(Fault::too_deep(MAX_ENTRY_DEPTH));
    }
    let entry: Entry = serde_json::from_slice(entry).map_err(|error| Fault::json(&error, entry))?;
    if !is_method(&entry.request.method) {
        return Err(Fault::new(Reason::NotARequest, "the method is none of HTTP's"));
    }
    let time = match entry.started.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => Some(engine::time::parse(text).ok_or_else(|| Fault::new(Reason::WrongField, "startedDateTime is no time"))?),
        None => None,
    };
    let mut exchange = Exchange {
        time,
        method: entry.request.method.clone().into(),
        duration_ms: entry.time.filter(|ms| ms.is_finite() && *ms >= 0.0),
        ..Exchange::default()
    };
    Target::parse(&entry.request.url)?.fill(&mut exchange);
    let headers = entry.request.headers();
    exchange.client.user_agent = headers.get("user-agent").map(|agent| agent.to_owned().into());
    let body = entry.request.body()?;
    exchange.request = Request {
        headers: Some(headers),
        body: body.text,
        body_encoding: body.encoding,
        bytes: size(entry.request.size),
        truncated: body.cut,
    };
    let body = entry.response.content.body()?;
    exchange.response = Response {
        status: entry.response.status.filter(|status| (100..1000).contains(status)),
        headers: Some(entry.response.headers()),
        body: body.text,
        body_encoding: body.encoding,
        bytes: size(entry.response.size).or_else(|| size(entry.response.content.size)),
        truncated: body.cut,
    };
    Ok(Decoded { exchange, gateway: GatewayFields::default(), at })
}

/// −1 stands for an unknown size.
fn size(bytes: Option<f64>) -> Option<u64> {
    bytes.filter(|bytes| (0.0..9e15).contains(bytes)).map(|bytes| bytes as u64)
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "startedDateTime", default)]
    started: Option<String>,
    #[serde(default)]
    time: Option<f64>,
    request: HarRequest,
    #[serde(default)]
    response: HarResponse,
}

#[derive(Deserialize)]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(default)]
    cookies: Vec<Pair>,
    #[serde(rename = "postData", default)]
    post: Option<PostData>,
    #[serde(rename = "bodySize", default)]
    size: Option<f64>,
}

#[derive(Deserialize, Default)]
struct HarResponse {
    #[serde(default, deserialize_with = "lenient_status")]
    status: Option<u16>,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(default)]
    cookies: Vec<Pair>,
    #[serde(default)]
    content: Content,
    #[serde(rename = "bodySize", default)]
    size: Option<f64>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    #[serde(default)]
    value: Option<String>,
}

impl Pair {
    fn value(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    params: Vec<Pair>,
}

#[derive(Deserialize, Default)]
struct Content {
    #[serde(default)]
    size: Option<f64>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

/// Some exporters write −1 for a request that got no answer.
fn lenient_status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let number = Option::<f64>::deserialize(deserializer)?;
    Ok(number.filter(|status| status.fract() == 0.0 && (0.0..=65535.0).contains(status)).map(|status| status as u16))
}

impl HarRequest {
    /// Headers, without HTTP/2's pseudo headers; a cookie header is made from the list of cookies where the exporter left it out.
    fn headers(&self) -> Headers<'static> {
        let mut headers = headers(&self.headers);
        if headers.get("cookie").is_none() && !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value())).collect();
            headers.push("cookie", cookies.join("; "));
        }
        headers
    }

    fn body(&self) -> Result<HarBody, Fault> {
        let Some(post) = &self.post else { return Ok(HarBody::default()) };
        match &post.text {
            Some(text) if !text.is_empty() => HarBody::of(text, post.encoding.as_deref()),
            _ if post.params.is_empty() => Ok(HarBody::default()),
            _ => {
                let pairs: Vec<String> = post.params.iter().map(|pair| format!("{}={}", pair.name, pair.value())).collect();
                HarBody::of(&pairs.join("&"), None)
            }
        }
    }
}

impl HarResponse {
    fn headers(&self) -> Headers<'static> {
        let mut headers = headers(&self.headers);
        if headers.get("set-cookie").is_none() {
            for cookie in &self.cookies {
                headers.push("set-cookie", format!("{}={}", cookie.name, cookie.value()));
            }
        }
        headers
    }
}

impl Content {
    fn body(&self) -> Result<HarBody, Fault> {
        match &self.text {
            Some(text) if !text.is_empty() => HarBody::of(text, self.encoding.as_deref()),
            _ => Ok(HarBody::default()),
        }
    }
}

fn headers(pairs: &[Pair]) -> Headers<'static> {
    let mut headers = Headers::new();
    for pair in pairs.iter().filter(|pair| !pair.name.starts_with(':') && !pair.name.is_empty()) {
        headers.push(pair.name.clone(), pair.value().to_owned());
    }
    headers
}

/// A body as the exchange wants it.
#[derive(Default)]
struct HarBody {
    text: Option<Text<'static>>,
    encoding: BodyEncoding,
    cut: bool,
}

impl HarBody {
    fn of(text: &str, encoding: Option<&str>) -> Result<Self, Fault> {
        if encoding != Some("base64") {
            let cut = text.floor_char_boundary(MAX_BODY);
            return Ok(Self { text: Some(text[..cut].to_owned().into()), encoding: BodyEncoding::Utf8, cut: cut < text.len() });
        }
        let mut bytes = STANDARD.decode(text).map_err(|_| Fault::new(Reason::WrongField, "a body is not the base64 that it should be"))?;
        let cut = bytes.len() > MAX_BODY;
        bytes.truncate(MAX_BODY);
        // Exporters encode any body that they are not sure of; text is of more use as text.
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(Self { text: Some(text.into()), encoding: BodyEncoding::Utf8, cut }),
            Ok(text) => Ok(Self { text: Some(STANDARD.encode(text).into()), encoding: BodyEncoding::Base64, cut }),
            Err(error) => Ok(Self { text: Some(STANDARD.encode(error.as_bytes()).into()), encoding: BodyEncoding::Base64, cut }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(entry: &str) -> Result<Decoded, Fault> {
        decode(entry.as_bytes(), Position { file: "t".into(), line: 1, entry: Some(1) })
    }

    #[test]
    fn bodies_in_base64_become_text_where_they_are_text() {
        let entry = |text: &str| {
            let json = format!(
                r#"{{"request":{{"method":"GET","url":"https://h/x"}},"response":{{"status":200,"content":{{"text":"{text}","encoding":"base64"}}}}}}"#
            );
            decoded(&json).map(|d| (d.exchange.response.body.map(|b| b.to_string()), d.exchange.response.body_encoding))
        };
        assert_eq!(entry("eyJhIjoxfQ=="), Ok((Some("{\"a\":1}".into()), BodyEncoding::Utf8)));
        assert_eq!(entry("//79"), Ok((Some("//79".into()), BodyEncoding::Base64)));
        assert_eq!(entry("***").unwrap_err().reason, Reason::WrongField);
    }

    #[test]
    fn long_bodies_are_cut_and_say_so() {
        let text = "é".repeat(MAX_BODY);
        let json = format!(r#"{{"request":{{"method":"POST","url":"https://h/x","postData":{{"text":"{text}"}}}}}}"#);
        let request = decoded(&json).unwrap().exchange.request;
        assert!(request.truncated && request.body.is_some_and(|body| body.len() == MAX_BODY));
    }

    #[test]
    fn requests_without_an_answer_have_an_unknown_status() {
        for status in ["0", "-1", "null"] {
            let json =
                format!(r#"{{"request":{{"method":"GET","url":"http://h"}},"response":{{"status":{status},"bodySize":-1}},"time":-1}}"#);
            let d = decoded(&json).unwrap();
            assert_eq!((d.exchange.response.status, d.exchange.response.bytes, d.exchange.duration_ms), (None, None, None));
        }
    }

    #[test]
    fn what_is_not_http_is_no_request() {
        let entry = |url: &str| decoded(&format!(r#"{{"request":{{"method":"GET","url":"{url}"}}}}"#)).map_err(|f| f.reason);
        assert_eq!(entry("data:image/png;base64,AAAA").unwrap_err(), Reason::NotARequest);
        assert_eq!(entry("blob:https://h/1").unwrap_err(), Reason::NotARequest);
        assert_eq!(decoded("{\"request\":{}}").unwrap_err().reason, Reason::NotARequest);
    }
}
