//! An HTTP request that is shown piece by piece, put together into an exchange.

use super::target::{Target, is_method};
use super::{Fault, Reason};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{BodyEncoding, Exchange, Headers, Text};

/// Most bytes of a body that are kept; a longer one is cut and marked so.
pub(super) const MAX_BODY: usize = 1 << 20;

/// One side of a request as far as it was shown; `None`: that part was not.
#[derive(Debug, Default)]
pub(super) struct Side {
    headers: Option<Vec<(String, String)>>,
    body: Option<Vec<u8>>,
    /// Bytes of the body that went by, kept or not.
    bytes: u64,
    /// Whether the message is known to have no body.
    pub(super) is_empty: bool,
    /// Whether the sender cut the body, so that its size is not what was shown.
    pub(super) is_cut: bool,
}

/// A request on its way.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(super) request: Side,
    pub(super) response: Side,
    /// When it came, epoch milliseconds.
    pub(super) began_ms: Option<i64>,
    /// When the last that is known of it happened.
    pub(super) newest_ms: Option<i64>,
}

impl Watched {
    /// Bytes that are held of it.
    pub(super) fn held(&self) -> usize {
        self.request.held() + self.response.held()
    }

    /// The exchange that was shown.
    ///
    /// # Errors
    /// It was no HTTP request: no method, no path.
    pub(crate) fn exchange(self) -> Result<Exchange<'static>, Fault> {
        let Self { request, response, began_ms, newest_ms } = self;
        let missing = |what: &'static str| Fault::new(Reason::NotARequest, what);
        let method = request.header(":method").filter(|method| is_method(method)).ok_or_else(|| missing("no :method"))?.to_owned();
        let took = began_ms.zip(newest_ms).map(|(began, newest)| newest.saturating_sub(began));
        let mut exchange = Exchange {
            method: method.into(),
            time: began_ms,
            duration_ms: took.map(|ms| ms.max(0) as f64),
            scheme: request.header(":scheme").map(|scheme| scheme.to_owned().into()),
            host: request.header(":authority").map(|host| host.to_owned().into()),
            ..Exchange::default()
        };
        Target::parse(request.header(":path").ok_or_else(|| missing("no :path"))?)?.fill(&mut exchange);
        exchange.response.status = response.header(":status").and_then(|status| status.parse().ok()).filter(|s| (100..1000).contains(s));
        exchange.client.user_agent = request.header("user-agent").map(|agent| agent.to_owned().into());
        let (headers, body, bytes) = request.parts();
        exchange.request.headers = headers;
        (exchange.request.body, exchange.request.body_encoding, exchange.request.truncated) = body;
        exchange.request.bytes = bytes;
        let (headers, body, bytes) = response.parts();
        exchange.response.headers = headers;
        (exchange.response.body, exchange.response.body_encoding, exchange.response.truncated) = body;
        exchange.response.bytes = bytes;
        Ok(exchange)
    }
}

/// A body as an exchange has it: text, encoding, whether it was cut.
type Body = (Option<Text<'static>>, BodyEncoding, bool);

impl Side {
    /// Takes headers, pseudo-headers (`:path`) among them.
    pub(super) fn headers(&mut self, headers: Vec<(String, String)>) {
        self.headers = Some(headers);
    }

    /// Whether headers were shown.
    pub(super) fn has_headers(&self) -> bool {
        self.headers.is_some()
    }

    /// Takes a piece of the body. Without room it is counted and not kept.
    pub(super) fn body(&mut self, piece: &[u8], has_room: bool) {
        let body = self.body.get_or_insert_default();
        // Behind a gap nothing is kept: what is there is a beginning.
        let is_gapless = body.len() as u64 == self.bytes && !self.is_cut;
        if has_room && is_gapless {
            body.extend_from_slice(&piece[..piece.len().min(MAX_BODY - body.len())]);
        }
        self.bytes += piece.len() as u64;
    }

    fn held(&self) -> usize {
        let headers = self.headers.iter().flatten().map(|(name, value)| name.len() + value.len() + size_of::<(String, String)>());
        headers.sum::<usize>() + self.body.as_ref().map_or(0, Vec::len)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.as_ref()?.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn parts(self) -> (Option<Headers<'static>>, Body, Option<u64>) {
        let bytes = if self.is_cut {
            self.header("content-length").and_then(|length| length.parse().ok())
        } else {
            (self.body.is_some() || self.is_empty).then_some(self.bytes)
        };
        let headers = self.headers.map(|all| {
            let mut headers = Headers::new();
            all.into_iter().filter(|(name, _)| !name.starts_with(':')).for_each(|(name, value)| headers.push(name, value));
            headers
        });
        let is_cut = self.is_cut || self.body.as_ref().is_some_and(|body| (body.len() as u64) < self.bytes);
        let body = match self.body.map(String::from_utf8) {
            None => (None, BodyEncoding::Utf8, is_cut),
            Some(Ok(text)) => (Some(text.into()), BodyEncoding::Utf8, is_cut),
            Some(Err(binary)) => match cut_character(binary.as_bytes()).filter(|_| is_cut) {
                Some(text) => (Some(text.to_owned().into()), BodyEncoding::Utf8, true),
                None => (Some(STANDARD.encode(binary.as_bytes()).into()), BodyEncoding::Base64, is_cut),
            },
        };
        (headers, body, bytes)
    }
}

/// A text that was cut within its last character, without the rest of that; `None`: it is not one.
fn cut_character(bytes: &[u8]) -> Option<&str> {
    let error = std::str::from_utf8(bytes).err().filter(|error| error.error_len().is_none())?;
    std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
}
