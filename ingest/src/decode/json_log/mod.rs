//! JSON records of gateways and web servers, by field maps: a configured one, and behind it the well-known names of [`profiles`].

mod custom;
mod profiles;
mod value;

use self::profiles::Profile;
use self::value::Unit;
use super::target::{self, Target};
use super::{Decoded, Fault, GatewayFields, Position, Reason};
use engine::{BodyEncoding, Client, Exchange, Request, Response};
use runtime::config::FieldMap;
use serde_json::Value;

/// What a field of a foreign record tells of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Time,
    Method,
    Scheme,
    Host,
    Path,
    Query,
    /// Path and query, or the whole URL.
    Uri,
    /// `GET /path HTTP/1.1`.
    RequestLine,
    Route,
    Status,
    ClientIp,
    ForwardedFor,
    UserAgent,
    Session,
    Subject,
    RequestHeaders,
    /// Cookies apart from the headers, as a list of `name=value`.
    Cookies,
    RequestBody,
    /// Whether the request body is base64 (a boolean).
    RequestBodyIsBase64,
    RequestBytes,
    ResponseHeaders,
    ResponseBody,
    ResponseBodyIsBase64,
    ResponseBytes,
    /// Duration, in a unit of its own if it is a text that names one.
    Duration(Unit),
    /// Which gateway it was.
    Source,
}

/// Reads the records of one input.
#[derive(Debug)]
pub(crate) struct JsonLog {
    configured: Vec<(Field, String)>,
    /// Paths that extractors of sessions and subjects ask for.
    wanted: Vec<String>,
}

impl JsonLog {
    /// A reader with a configured field map (whose fields come before the well-known ones) and paths that extractors ask for.
    pub(crate) fn new(map: Option<&FieldMap>, wanted: &[String]) -> Self {
        Self { configured: map.map(configured).unwrap_or_default(), wanted: wanted.to_vec() }
    }

    /// Reads one record.
    ///
    /// # Errors
    /// It is over a limit, not JSON, tells of no request, or a field has a value that it cannot have.
    pub(crate) fn decode(&self, record: &[u8], at: Position) -> Result<Decoded, Fault> {
        if record.len() > Exchange::MAX_BYTES {
            return Err(Fault::too_long(record.len() as u64, Exchange::MAX_BYTES));
        }
        if engine::features::json::deeper_than(record, Exchange::MAX_DEPTH) {
            return Err(Fault::too_deep(Exchange::MAX_DEPTH));
        }
        let value = parse(record)?;
        let read = Reader { record: &value, configured: &self.configured, profile: profiles::of(&value) };
        let mut exchange = read.request()?;
        read.response(&mut exchange)?;
        let named = self.wanted.iter().filter_map(|path| Some((path.clone(), value::text(value::lookup(&value, path)?)?.into_owned())));
        let gateway = GatewayFields {
            session: read.owned(Field::Session),
            subject: read.owned(Field::Subject),
            forwarded_for: read.owned(Field::ForwardedFor),
            named: named.collect(),
        };
        Ok(Decoded { exchange, gateway, at })
    }
}

/// Parses a record. nginx writes bytes over 0x7f as they came, so a client could hide its line from a strict parser: what is not UTF-8 is
/// replaced and read all the same.
fn parse(record: &[u8]) -> Result<Value, Fault> {
    serde_json::from_slice(record).or_else(|error| match std::str::from_utf8(record) {
        Ok(_) => Err(Fault::json(&error, record)),
        Err(_) => serde_json::from_str(&String::from_utf8_lossy(record)).map_err(|error| Fault::json(&error, record)),
    })
}

/// The fields that a configured map names.
fn configured(map: &FieldMap) -> Vec<(Field, String)> {
    let fields = [
        (Field::Id, &map.id),
        (Field::Time, &map.time),
        (Field::Method, &map.method),
        (Field::Scheme, &map.scheme),
        (Field::Host, &map.host),
        (Field::Path, &map.path),
        (Field::Query, &map.query),
        (Field::Uri, &map.uri),
        (Field::RequestLine, &map.request_line),
        (Field::Route, &map.route),
        (Field::Status, &map.status),
        (Field::ClientIp, &map.client_ip),
        (Field::ForwardedFor, &map.forwarded_for),
        (Field::UserAgent, &map.user_agent),
        (Field::Session, &map.session),
        (Field::Subject, &map.subject),
        (Field::RequestHeaders, &map.request_headers),
        (Field::RequestBody, &map.request_body),
        (Field::RequestBytes, &map.request_bytes),
        (Field::ResponseHeaders, &map.response_headers),
        (Field::ResponseBody, &map.response_body),
        (Field::ResponseBytes, &map.response_bytes),
        (Field::Duration(Unit::Milliseconds), &map.duration_ms),
        (Field::Duration(Unit::Seconds), &map.duration_s),
    ];
    fields.into_iter().filter_map(|(field, path)| Some((field, path.clone()?))).collect()
}

/// One record under its maps.
struct Reader<'r> {
    record: &'r Value,
    configured: &'r [(Field, String)],
    profile: &'static Profile,
}

impl<'r> Reader<'r> {
    /// Values that may stand for a field, best first.
    fn values(&self, wanted: impl Fn(Field) -> bool + Copy + 'r) -> impl Iterator<Item = (Field, &'r Value)> {
        let configured = self.configured.iter().map(|(field, path)| (*field, path.as_str()));
        let known = self.profile.fields.iter().copied();
        let record = self.record;
        configured
            .chain(known)
            .filter(move |(field, _)| wanted(*field))
            .filter_map(move |(field, path)| Some((field, value::lookup(record, path)?)))
    }

    /// First text of a field that says anything.
    fn owned(&self, field: Field) -> Option<String> {
        self.values(move |f| f == field).find_map(|(_, value)| value::text(value)).map(std::borrow::Cow::into_owned)
    }

    fn number(&self, field: Field) -> Option<u64> {
        self.values(move |f| f == field).find_map(|(_, value)| value::integer(value))
    }

    fn flag(&self, field: Field) -> bool {
        self.values(move |f| f == field).any(|(_, value)| value.as_bool() == Some(true))
    }

    fn text(&self, field: Field) -> Option<engine::Text<'static>> {
        self.owned(field).map(Into::into)
    }

    fn request(&self) -> Result<Exchange<'static>, Fault> {
        let mut exchange = Exchange {
            id: self.text(Field::Id),
            time: self.time()?,
            scheme: self.text(Field::Scheme),
            host: self.text(Field::Host),
            route: self.owned(Field::Route).and_then(|route| value::route(&route).map(Into::into)),
            query: self.values(|field| field == Field::Query).find_map(|(_, value)| value::query(value)).map(Into::into),
            client: Client { ip: self.text(Field::ClientIp), user_agent: self.text(Field::UserAgent) },
            source: self.text(Field::Source),
            ..Exchange::default()
        };
        let line = self.owned(Field::RequestLine);
        let line = line.as_deref().map(target::request_line).transpose();
        let method = match (self.owned(Field::Method), &line) {
            (Some(method), _) => method,
            (None, Ok(Some((method, _)))) => (*method).to_owned(),
            (None, Ok(None)) => return Err(Fault::new(Reason::NotARequest, "no field names a method")),
            (None, Err(fault)) => return Err(fault.clone()),
        };
        if !target::is_method(&method) {
            return Err(Fault::new(Reason::NotARequest, "the method is none of HTTP's"));
        }
        exchange.method = method.into();
        // A path that brings its query along, or is a whole URL, is common enough to be taken apart wherever it stands.
        let target = self.owned(Field::Path).or_else(|| self.owned(Field::Uri));
        match (&target, &line) {
            (Some(target), _) => Target::parse(target)?.fill(&mut exchange),
            (None, Ok(Some((_, target)))) => Target::parse(target)?.fill(&mut exchange),
            (None, _) => return Err(Fault::new(Reason::NotARequest, "no field names a path")),
        }
        let (body, body_encoding) = self.body(Field::RequestBody, Field::RequestBodyIsBase64);
        let mut headers = self.headers(Field::RequestHeaders);
        if let Some((_, Value::Array(cookies))) = self.values(|field| field == Field::Cookies).next() {
            let cookies: Vec<&str> = cookies.iter().filter_map(Value::as_str).collect();
            headers.get_or_insert_default().push("cookie", cookies.join("; "));
        }
        exchange.request = Request { headers, body, body_encoding, bytes: self.number(Field::RequestBytes), truncated: false };
        Ok(exchange)
    }

    fn response(&self, exchange: &mut Exchange<'static>) -> Result<(), Fault> {
        let (body, body_encoding) = self.body(Field::ResponseBody, Field::ResponseBodyIsBase64);
        let headers = self.headers(Field::ResponseHeaders);
        let status = match self.number(Field::Status) {
            // A status of 0 stands for a client that went away before there was one.
            None | Some(0) => None,
            Some(status @ 100..1000) => u16::try_from(status).ok(),
            Some(_) => return Err(Fault::new(Reason::WrongField, "the status is not between 100 and 999")),
        };
        exchange.response = Response { status, headers, body, body_encoding, bytes: self.number(Field::ResponseBytes), truncated: false };
        exchange.duration_ms = self.values(|field| matches!(field, Field::Duration(_))).find_map(|(field, value)| match field {
            Field::Duration(unit) => value::milliseconds(value, unit),
            _ => None,
        });
        Ok(())
    }

    /// Time; a field that is there and says something must be a time.
    fn time(&self) -> Result<Option<i64>, Fault> {
        let mut seen = false;
        for (_, value) in self.values(|field| field == Field::Time) {
            match value::time(value) {
                Some(time) => return Ok(Some(time)),
                None => seen |= value::text(value).is_some(),
            }
        }
        if seen { Err(Fault::new(Reason::WrongField, "the time is in no known form")) } else { Ok(None) }
    }

    fn headers(&self, field: Field) -> Option<engine::Headers<'static>> {
        // Some begin like headers and are none: `http_status`.
        let is_other = |name: &str| {
            let is_line = |field: &Field| matches!(field, Field::Method | Field::Path | Field::Uri | Field::Status);
            self.profile.fields.iter().any(|(field, path)| *path == name && is_line(field))
        };
        let prefixed = || {
            let prefixes = self.profile.fields.iter().filter(|(f, _)| *f == field);
            prefixes.filter_map(|(_, path)| value::prefixed_headers(self.record, path.strip_suffix('*')?, is_other)).next()
        };
        self.values(move |f| f == field).find_map(|(_, value)| value::headers(value)).or_else(prefixed)
    }

    fn body(&self, field: Field, is_base64: Field) -> (Option<engine::Text<'static>>, BodyEncoding) {
        let body = self.values(move |f| f == field).find_map(|(_, value)| value::body(value)).map(Into::into);
        let encoding = if body.is_some() && self.flag(is_base64) { BodyEncoding::Base64 } else { BodyEncoding::Utf8 };
        (body, encoding)
    }
}

#[cfg(test)]
mod tests;
