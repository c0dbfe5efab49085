//! The exchange: one mirrored request and its response, as it stands on `weir.traffic` and in NDJSON files.

use super::{Capabilities, Capability};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// Headers kept of one message; further ones are dropped (and counted in [`Headers::dropped`]).
pub const MAX_HEADERS: usize = 128;

/// Text that borrows from the record where it can.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The same text, owned.
    #[must_use]
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
            fn visit_string<E: de::Error>(self, v: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v)))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_string())))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_string())))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_string())))
            }
            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(if v { "true" } else { "false" })))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Headers in the order they came; names lower case; a repeated name stands twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers<'a> {
    entries: Vec<(Text<'a>, Text<'a>)>,
    /// Headers beyond [`MAX_HEADERS`], which were not kept.
    pub dropped: u32,
}

impl<'a> Headers<'a> {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; the name is lower-cased; beyond [`MAX_HEADERS`] it only counts.
    pub fn push(&mut self, name: impl Into<Text<'a>>, value: impl Into<Text<'a>>) {
        if self.entries.len() >= MAX_HEADERS {
            self.dropped += 1;
            return;
        }
        let mut name = name.into();
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            name = Text(Cow::Owned(name.to_ascii_lowercase()));
        }
        self.entries.push((name, value.into()));
    }

    /// First value of a header by its lower-case name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(n, _)| &**n == name).map(|(_, v)| &**v)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(n, v)| (&**n, &**v))
    }

    /// All, in order, their values changeable (for masking).
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Text<'a>)> {
        self.entries.iter_mut().map(|(n, v)| (&**n, v))
    }

    /// Number kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same headers, owned.
    #[must_use]
    pub fn into_owned(self) -> Headers<'static> {
        Headers { entries: self.entries.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect(), dropped: self.dropped }
    }
}

impl Serialize for Headers<'_> {
    /// A map; a name that came several times maps to an array, at its first place.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (i, (name, value)) in self.entries.iter().enumerate() {
            if self.entries[..i].iter().any(|(n, _)| n == name) {
                continue;
            }
            let more: Vec<&str> = self.entries[i..].iter().filter(|(n, _)| n == name).map(|(_, v)| &**v).collect();
            if more.len() == 1 {
                map.serialize_entry(&**name, &**value)?;
            } else {
                map.serialize_entry(&**name, &more)?;
            }
        }
        map.end()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<'x, 'a>(&'x mut Headers<'a>, Text<'a>);
        impl<'de: 'a, 'a> de::DeserializeSeed<'de> for Values<'_, 'a> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_any(self)
            }
        }
        impl<'de: 'a, 'a> Visitor<'de> for Values<'_, 'a> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header value: a string or an array of strings")
            }
            fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<(), E> {
                self.0.push(self.1, v);
                Ok(())
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<(), E> {
                self.0.push(self.1, v.to_owned());
                Ok(())
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<(), E> {
                self.0.push(self.1, v.to_string());
                Ok(())
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<(), E> {
                self.0.push(self.1, v.to_string());
                Ok(())
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<(), E> {
                self.0.push(self.1, v.to_string());
                Ok(())
            }
            fn visit_bool<E: de::Error>(self, v: bool) -> Result<(), E> {
                self.0.push(self.1, if v { "true" } else { "false" });
                Ok(())
            }
            fn visit_unit<E: de::Error>(self) -> Result<(), E> {
                Ok(())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
                while let Some(value) = seq.next_element::<Text<'de>>()? {
                    self.0.push(self.1.clone(), value);
                }
                Ok(())
            }
        }
        struct HeadersVisitor<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for HeadersVisitor<'a> {
            type Value = Headers<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of header names to values")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Headers::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut headers = Headers::default();
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    map.next_value_seed(Values(&mut headers, name))?;
                }
                Ok(headers)
            }
        }
        deserializer.deserialize_any(HeadersVisitor(std::marker::PhantomData))
    }
}

/// Who called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Client<'a> {
    /// Address, as text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Text<'a>>,
    /// User agent.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Text<'a>>,
}

/// How a body stands in the record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyEncoding {
    /// As text.
    #[default]
    Utf8,
    /// As base64 of its bytes.
    Base64,
}

impl BodyEncoding {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    fn is_utf8(&self) -> bool {
        *self == Self::Utf8
    }
}

/// A body as it stands in the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Body<'r> {
    /// Text of the body, or base64 of it.
    pub text: &'r str,
    /// Which of the two.
    pub encoding: BodyEncoding,
}

/// The request's message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request<'a> {
    /// Headers; `None` when the gateway does not report them.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers<'a>>,
    /// Body; `None` when there was none or the gateway does not report it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub body: Option<Text<'a>>,
    /// How `body` is encoded.
    #[serde(skip_serializing_if = "BodyEncoding::is_utf8")]
    pub body_encoding: BodyEncoding,
    /// Size of the body on the wire, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether `body` was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The response's message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Response<'a> {
    /// HTTP status, 100 to 999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Headers; `None` when the gateway does not report them.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers<'a>>,
    /// Body; `None` when there was none or the gateway does not report it.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub body: Option<Text<'a>>,
    /// How `body` is encoded.
    #[serde(skip_serializing_if = "BodyEncoding::is_utf8")]
    pub body_encoding: BodyEncoding,
    /// Size of the body on the wire, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether `body` was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Request<'_> {
    /// The body, with its encoding.
    #[must_use]
    pub fn body(&self) -> Option<Body<'_>> {
        self.body.as_deref().map(|text| Body { text, encoding: self.body_encoding })
    }
}

impl Response<'_> {
    /// The body, with its encoding.
    #[must_use]
    pub fn body(&self) -> Option<Body<'_>> {
        self.body.as_deref().map(|text| Body { text, encoding: self.body_encoding })
    }
}

/// One mirrored request with its response. Only `method` and `path` are required; what is absent is unknown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exchange<'a> {
    /// Identifier given by the sender.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    /// Event time: RFC 3339 or epoch milliseconds on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "event_time")]
    pub time: Option<i64>,
    /// HTTP method.
    #[serde(borrow)]
    pub method: Text<'a>,
    /// `http` or `https`.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Text<'a>>,
    /// Host as asked for, with port if not the scheme's own.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub host: Option<Text<'a>>,
    /// Path as sent (percent-encoded), without query.
    #[serde(borrow)]
    pub path: Text<'a>,
    /// Query string as sent, without `?`.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub query: Option<Text<'a>>,
    /// Declared route template, when the gateway knows it.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub route: Option<Text<'a>>,
    /// Who called.
    #[serde(default, borrow)]
    pub client: Client<'a>,
    /// Opaque session (a keyed hash made at ingest).
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub session: Option<Text<'a>>,
    /// Opaque authenticated subject (a keyed hash made at ingest).
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Text<'a>>,
    /// The request.
    #[serde(default, borrow)]
    pub request: Request<'a>,
    /// The response.
    #[serde(default, borrow)]
    pub response: Response<'a>,
    /// How long the exchange took, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// Which gateway mirrored it.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub source: Option<Text<'a>>,
}

/// Why a record is no exchange.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Larger than the limit.
    #[error("record of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes of the record.
        size: usize,
        /// Limit in bytes.
        limit: usize,
    },
    /// Nested deeper than the limit.
    #[error("record is nested deeper than {limit} levels")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// Not the JSON that an exchange is.
    #[error("not an exchange: {0}")]
    Json(#[from] serde_json::Error),
    /// A required field is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
}

impl<'a> Exchange<'a> {
    /// Most bytes a record may have.
    pub const MAX_BYTES: usize = 4 << 20;
    /// Most levels of nesting a record or body may have.
    pub const MAX_DEPTH: usize = 64;

    /// Reads one JSON record.
    ///
    /// # Errors
    /// Over [`Self::MAX_BYTES`] or [`Self::MAX_DEPTH`] (both checked before any parse), not JSON, not an exchange, or `method` or `path` empty.
    pub fn from_json(record: &'a [u8]) -> Result<Self, ExchangeError> {
        if record.len() > Self::MAX_BYTES {
            return Err(ExchangeError::TooLarge { size: record.len(), limit: Self::MAX_BYTES });
        }
        if crate::features::json::deeper_than(record, Self::MAX_DEPTH) {
            return Err(ExchangeError::TooDeep { limit: Self::MAX_DEPTH });
        }
        // Checked once as a whole, its strings need not be checked one by one; what is no UTF-8 gets its error where it stands.
        let exchange: Self = match std::str::from_utf8(record) {
            Ok(text) => serde_json::from_str(text)?,
            Err(_) => serde_json::from_slice(record)?,
        };
        exchange.check()?;
        Ok(exchange)
    }

    /// Whether the required fields are there.
    ///
    /// # Errors
    /// `method` or `path` is empty.
    pub fn check(&self) -> Result<(), ExchangeError> {
        if self.method.is_empty() {
            return Err(ExchangeError::Empty("method"));
        }
        if self.path.is_empty() {
            return Err(ExchangeError::Empty("path"));
        }
        Ok(())
    }

    /// The same exchange, owned.
    #[must_use]
    pub fn into_owned(self) -> Exchange<'static> {
        let own = |text: Option<Text<'a>>| text.map(Text::into_owned);
        let own_headers = |headers: Option<Headers<'a>>| headers.map(Headers::into_owned);
        Exchange {
            id: own(self.id),
            time: self.time,
            method: self.method.into_owned(),
            scheme: own(self.scheme),
            host: own(self.host),
            path: self.path.into_owned(),
            query: own(self.query),
            route: own(self.route),
            client: Client { ip: own(self.client.ip), user_agent: own(self.client.user_agent) },
            session: own(self.session),
            subject: own(self.subject),
            request: Request {
                headers: own_headers(self.request.headers),
                body: own(self.request.body),
                body_encoding: self.request.body_encoding,
                bytes: self.request.bytes,
                truncated: self.request.truncated,
            },
            response: Response {
                status: self.response.status,
                headers: own_headers(self.response.headers),
                body: own(self.response.body),
                body_encoding: self.response.body_encoding,
                bytes: self.response.bytes,
                truncated: self.response.truncated,
            },
            duration_ms: self.duration_ms,
            source: own(self.source),
        }
    }

    /// What the record can tell.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::NONE
            .with_if(Capability::Time, self.time.is_some())
            .with_if(Capability::Session, self.session.is_some())
            .with_if(Capability::Subject, self.subject.is_some())
            .with_if(Capability::SourceAddress, self.client.ip.is_some())
            .with_if(Capability::RequestHeaders, self.request.headers.is_some())
            .with_if(Capability::RequestBody, self.request.body.is_some())
            .with_if(Capability::ResponseStatus, self.response.status.is_some())
            .with_if(Capability::ResponseHeaders, self.response.headers.is_some())
            .with_if(Capability::ResponseBody, self.response.body.is_some())
            .with_if(Capability::Sizes, self.request.bytes.is_some() || self.response.bytes.is_some())
            .with_if(Capability::Duration, self.duration_ms.is_some())
    }
}

/// Event time on the wire: RFC 3339 or epoch milliseconds in; RFC 3339 with milliseconds, UTC, out.
mod event_time {
    use super::{Deserializer, Serializer, Visitor, de, fmt};

    #[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(time: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(ms) => serializer.serialize_str(&crate::time::rfc3339(*ms)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = Option<i64>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: RFC 3339 or epoch milliseconds")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
                crate::time::parse(v).map(Some).ok_or_else(|| E::invalid_value(de::Unexpected::Str(v), &self))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Some(v))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Self::Value, E> {
                i64::try_from(v).map(Some).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(v), &self))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Self::Value, E> {
                Ok(Some(v as i64))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(None)
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}
