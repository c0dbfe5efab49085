//! A request as a handler of the shop sees it, and the answer it gives.

use super::accounts::Bearer;
use crate::ids::{ProductId, UserId, Uuid};
use crate::json::Json;
use crate::wire::{Call, decode};
use serde_json::Value;
use std::borrow::Cow;

/// A routed request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(super) call: &'a Call,
    /// Now, epoch milliseconds.
    pub(super) now: i64,
    /// Who asks, when a valid token came along.
    pub(super) user: Option<UserId>,
    /// Log-in session of that token.
    pub(super) login: u64,
    /// Values of the path's variables, in order, still percent-encoded.
    pub(super) vars: [&'a str; 3],
    /// The JSON body; null when there is none.
    pub(super) body: Value,
}

impl Ask<'_> {
    /// A text of the body; the empty text when it is absent or of another type.
    pub(super) fn text(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or("")
    }

    /// A whole number of the body.
    pub(super) fn int(&self, key: &str) -> Option<i64> {
        self.body.get(key).and_then(Value::as_i64)
    }

    /// A parameter of the query, decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        self.call.query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name)).map(|(_, v)| decode(v))
    }

    /// A numeric parameter of the query: its value, or the default when absent, or none when it is no number.
    pub(super) fn number(&self, name: &str, default: u32) -> Option<u32> {
        self.query(name).map_or(Some(default), |v| v.parse().ok())
    }

    /// A variable of the path as a UUID.
    pub(super) fn uuid(&self, var: usize) -> Option<Uuid> {
        self.vars[var].parse().ok()
    }

    /// A variable of the path as a product.
    pub(super) fn product(&self, var: usize) -> Option<ProductId> {
        self.vars[var].parse().ok().and_then(ProductId::of_number)
    }
}

/// Something that an answer gives to its client for later use.
#[derive(Debug, Clone)]
pub(crate) enum Handed {
    Product(ProductId),
    /// What tells whether a product changed since.
    Etag(ProductId, String),
    User(UserId),
    Login(Bearer),
    LoggedOut,
    Address(u32),
    Order(Uuid),
    Invoice(u32),
    Checkout(Uuid),
    Thread(Uuid),
    Review(u32),
    Upload(Uuid),
    WishList(u64),
    /// Lines in the cart now.
    Cart(usize),
    /// Cursor of the next page.
    Cursor(u32),
}

/// The shop's answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Whether caches may keep it.
    pub(crate) public: bool,
    pub(crate) handed: Vec<Handed>,
    /// Milliseconds until the answer stood.
    pub(crate) took_ms: f64,
}

impl Reply {
    /// An answer with a JSON body.
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self { status, body, content_type: "application/json", headers: Vec::new(), public: false, handed: Vec::new(), took_ms: 0.0 }
    }

    /// 200 with an object.
    pub(super) fn object(fill: impl FnOnce(&mut Json)) -> Self {
        Self::json(200, Json::object(fill))
    }

    /// 201 with an object.
    pub(super) fn created(fill: impl FnOnce(&mut Json)) -> Self {
        Self::json(201, Json::object(fill))
    }

    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self::json(status, String::new())
    }

    /// An RFC 9457 problem.
    pub(super) fn problem(status: u16, title: &str, detail: &str) -> Self {
        let body = Json::object(|j| {
            j.str("type", "about:blank").str("title", title).int("status", status).str("detail", detail);
        });
        Self { content_type: "application/problem+json", ..Self::json(status, body) }
    }

    /// 422 for one field.
    pub(super) fn invalid(field: &str, message: &str) -> Self {
        let body = Json::object(|j| {
            j.str("title", "Validation failed").int("status", 422);
            j.list("errors", [(field, message)], |j, (field, message)| {
                j.str("field", field).str("message", message);
            });
        });
        Self { content_type: "application/problem+json", ..Self::json(422, body) }
    }

    /// 404.
    pub(super) fn missing(what: &str) -> Self {
        Self::problem(404, "Not found", &format!("{what} not found"))
    }

    /// 403.
    pub(super) fn forbidden() -> Self {
        Self::problem(403, "Forbidden", "You are not allowed to do this")
    }

    /// A stack trace where a problem should stand: one of the shop's weaknesses.
    pub(super) fn stack_trace(error: &str, at: &str) -> Self {
        let body = Json::object(|j| {
            j.str("error", error).str("path", at);
            j.strs(
                "trace",
                [
                    "com.example.shop.catalog.ProductRepository.find(ProductRepository.java:118)",
                    "com.example.shop.catalog.ProductController.list(ProductController.java:64)",
                    "org.springframework.web.method.support.InvocableHandlerMethod.invokeForRequest(InvocableHandlerMethod.java:150)",
                    "org.apache.catalina.core.ApplicationFilterChain.doFilter(ApplicationFilterChain.java:166)",
                    "java.base/java.lang.Thread.run(Thread.java:1583)",
                ],
            );
        });
        Self { headers: vec![("server", "Apache-Coyote/1.1".into())], ..Self::json(500, body) }
    }

    /// The same, cacheable.
    pub(super) fn cacheable(mut self) -> Self {
        self.public = true;
        self
    }

    /// The same, handing something to the client.
    pub(super) fn hand(mut self, handed: impl IntoIterator<Item = Handed>) -> Self {
        self.handed.extend(handed);
        self
    }

    /// The same with one more header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
