//! The partners' API: stock, prices and shipments in bulk, by API key, signature, nonce and timestamp. Nonces are not remembered: a replay
//! is accepted, which is a weakness.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use crate::chance::mix;
use crate::ids::ProductId;
use crate::wire::Call;
use engine::time::rfc3339;
use serde_json::Value;

/// A partner by name.
#[derive(Debug)]
pub(crate) struct Partner {
    pub(crate) name: &'static str,
    /// User agent of its client.
    pub(crate) agent: &'static str,
    /// First three parts of the address of its data centre.
    pub(crate) network: &'static str,
}

/// Partners of the shop. The last one joins late.
pub(crate) static PARTNERS: &[Partner] = &[
    Partner { name: "nordlager", agent: "nordlager-sync/3.2.1", network: "192.0.2" },
    Partner { name: "acme-supply", agent: "python-requests/2.32.3", network: "198.51.100" },
    Partner { name: "kestrel", agent: "Go-http-client/2.0", network: "203.0.113" },
    Partner { name: "maison-blanc", agent: "Apache-HttpClient/5.3.1 (Java/21.0.4)", network: "198.18.44" },
    Partner { name: "paperworks", agent: "GuzzleHttp/7", network: "198.18.90" },
    Partner { name: "tideline", agent: "axios/1.7.9", network: "198.19.12" },
];

/// The key of a partner.
pub(crate) fn api_key(partner: usize) -> String {
    let key = mix(partner as u64, 0xA9);
    format!("pk_live_{key:016x}{:08x}", mix(key, 1) as u32)
}

/// The signature of a body with nonce and timestamp: 64 hexadecimal digits, as an HMAC has.
pub(crate) fn signature(partner: usize, nonce: &str, timestamp: i64, body: &str) -> String {
    let mut word = mix(partner as u64, timestamp as u64);
    for chunk in nonce.as_bytes().chunks(8).chain(body.as_bytes().chunks(8)) {
        let mut bytes = [0u8; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        word = mix(word, u64::from_le_bytes(bytes));
    }
    format!("{word:016x}{:016x}{:016x}{:016x}", mix(word, 1), mix(word, 2), mix(word, 3))
}

fn caller(call: &Call) -> Option<usize> {
    let key = call.header_value("x-api-key")?;
    (0..PARTNERS.len()).find(|p| api_key(*p) == key)
}

/// Why a call to the partners' API is refused.
pub(super) fn refusal(call: &Call) -> Option<Reply> {
    let Some(partner) = caller(call) else {
        return Some(Reply::problem(401, "Unauthorized", "API key is missing or unknown"));
    };
    if call.method == "GET" {
        return None;
    }
    let nonce = call.header_value("x-nonce").unwrap_or("");
    let timestamp = call.header_value("x-timestamp").and_then(|t| t.parse().ok()).unwrap_or(0);
    let expected = signature(partner, nonce, timestamp, call.body.as_deref().unwrap_or(""));
    (call.header_value("x-signature") != Some(&expected)).then(|| Reply::problem(401, "Unauthorized", "Signature does not match"))
}

/// `POST /stock/v1/updates`.
pub(super) fn stock(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(items) = ask.body.get("items").and_then(Value::as_array).filter(|items| items.len() <= 500) else {
        return Reply::invalid("items", "must be a list of at most 500");
    };
    let mut rejected = Vec::new();
    for item in items {
        let sku = item.get("sku").and_then(Value::as_str).unwrap_or("");
        match shop.catalog.by_sku(sku).and_then(|id| shop.catalog.get_mut(id)) {
            Some(product) => product.stock = item.get("quantity").and_then(Value::as_i64).unwrap_or(0).clamp(0, 10_000),
            None => rejected.push(sku),
        }
    }
    let batch = shop.chance.uuid();
    Reply::json(
        202,
        crate::json::Json::object(|j| {
            j.show("batch", batch).int("accepted", (items.len() - rejected.len()) as i64);
            j.list("rejected", rejected, |j, sku| {
                j.str("sku", sku).str("reason", "unknown");
            });
        }),
    )
}

/// `POST /stock/v1/prices`.
pub(super) fn prices(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let items = ask.body.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for item in items.iter().take(500) {
        let price = item.get("price").and_then(Value::as_f64).map(|p| (p * 100.0).round() as i64);
        let product = item.get("sku").and_then(Value::as_str).and_then(|sku| shop.catalog.by_sku(sku));
        if let (Some(price @ 1..), Some(product)) = (price, product.and_then(|id| shop.catalog.get_mut(id))) {
            product.price = price.min(1_000_000);
        }
    }
    Reply::json(
        202,
        crate::json::Json::object(|j| {
            j.int("accepted", items.len() as i64);
        }),
    )
}

/// `GET /stock/v1/items`: pages by cursor.
pub(super) fn items(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (Some(cursor), Some(limit)) = (ask.number("cursor", 0), ask.number("limit", 50)) else {
        return Reply::problem(400, "Bad request", "cursor and limit must be numbers");
    };
    let until = cursor.saturating_add(limit.min(100)).min(shop.catalog.len() as u32);
    let products = (cursor..until).filter_map(|n| shop.catalog.get(ProductId(n)));
    Reply::object(|j| {
        j.list("items", products, |j, p| {
            j.str("sku", &p.sku).int("product_id", p.id.number()).int("quantity", p.stock).money("price", p.price);
        });
        if until < shop.catalog.len() as u32 {
            j.int("next_cursor", until)
        } else {
            j.null("next_cursor")
        };
    })
    .hand([Handed::Cursor(until)])
}

/// `GET /stock/v1/orders`: orders to fulfil.
pub(super) fn orders(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let partner = caller(ask.call).unwrap_or(0);
    let due: Vec<_> = shop.orders.latest(60).filter(|o| o.user.0 as usize % PARTNERS.len() == partner).take(8).collect();
    Reply::object(|j| {
        j.str("as_of", &rfc3339(ask.now));
        j.list("orders", &due, |j, o| o.full(j, shop, ask.now));
    })
    .hand(due.iter().map(|o| Handed::Order(o.id())))
}

/// `POST /stock/v1/orders/{id}/shipments`.
pub(super) fn ship(_: &mut Shop, ask: &Ask<'_>) -> Reply {
    match ask.uuid(0) {
        Some(id) => Reply::created(|j| {
            j.show("order_id", id).str("tracking_code", ask.text("tracking_code")).str("state", "accepted");
        }),
        None => Reply::missing("Order"),
    }
}
