//! The GraphQL endpoint: a few operations, which the web shop's front page and the apps use.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use super::route::Template;
use crate::ids::ProductId;
use crate::json::Json;
use crate::wire::Call;
use serde_json::Value;

const PATH: &str = "/v2/graphql";
/// Names and templates of the operations.
const OPERATIONS: [(&str, Template); 3] = [
    ("HomeFeed", Template("POST /v2/graphql#HomeFeed")),
    ("ProductCard", Template("POST /v2/graphql#ProductCard")),
    ("OrderStatus", Template("POST /v2/graphql#OrderStatus")),
];

/// Templates of the operations.
pub(super) fn templates() -> impl Iterator<Item = Template> {
    OPERATIONS.into_iter().map(|(_, template)| template)
}

/// The operation that a call names, whether or not it is answered.
pub(super) fn operation(call: &Call) -> Option<Template> {
    let body = call.body.as_deref().filter(|_| call.path == PATH)?;
    let (_, rest) = body.split_once("\"operationName\":\"")?;
    let name = rest.split('"').next()?;
    OPERATIONS.iter().find(|(known, _)| *known == name).map(|(_, template)| *template)
}

/// `POST /v2/graphql`.
pub(super) fn handle(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let variable = |name: &str| ask.body.get("variables").and_then(|v| v.get(name)).and_then(Value::as_u64);
    if ask.text("query").contains("__schema") {
        return introspection();
    }
    match ask.text("operationName") {
        "HomeFeed" => home(shop, variable("first").unwrap_or(8), ask.now),
        "ProductCard" => card(shop, variable("id")),
        "OrderStatus" => status(shop, ask),
        _ => errors("Cannot query this operation"),
    }
}

fn errors(message: &str) -> Reply {
    Reply::object(|j| {
        j.null("data");
        j.list("errors", [message], |j, message| {
            j.str("message", message);
        });
    })
}

/// No cap on `first`: a weakness.
fn home(shop: &Shop, first: u64, now: i64) -> Reply {
    let count = first.min(600) as usize;
    let start = (now / 3_600_000) as usize % 40;
    let products: Vec<_> = shop.catalog.all().skip(start).take(count).collect();
    Reply::object(|j| {
        j.nested("data", |j| {
            j.list("feed", &products, |j, p| p.brief(j));
            j.nested("banner", |j| {
                j.str("title", "Free shipping over 50 €").str("href", "/c/garden");
            });
        });
    })
    .hand(products.iter().take(8).map(|p| Handed::Product(p.id)))
}

fn card(shop: &Shop, id: Option<u64>) -> Reply {
    let product = id.and_then(|n| u32::try_from(n).ok()).and_then(ProductId::of_number).and_then(|id| shop.catalog.get(id));
    match product {
        Some(product) => Reply::object(|j| {
            j.nested("data", |j| {
                j.nested("product", |j| product.full(j));
            });
        })
        .hand([Handed::Product(product.id)]),
        None => errors("Product not found"),
    }
}

fn status(shop: &Shop, ask: &Ask<'_>) -> Reply {
    let Some(account) = ask.user.and_then(|u| shop.accounts.get(u)) else {
        return errors("Not authenticated");
    };
    let latest: Vec<_> = account.orders.iter().rev().take(2).filter_map(|n| shop.orders.by_number(*n)).collect();
    Reply::object(|j| {
        j.nested("data", |j| {
            j.list("orders", &latest, |j, o| o.brief(j, ask.now));
        });
    })
    .hand(latest.iter().map(|o| Handed::Order(o.id())))
}

/// The schema is open to whoever asks: a weakness.
fn introspection() -> Reply {
    let types =
        ["Query", "Mutation", "Product", "Order", "User", "Address", "AdminAudit", "PaymentSecret", "__Schema", "__Type", "__Field"];
    let body = Json::object(|j| {
        j.nested("data", |j| {
            j.nested("__schema", |j| {
                j.list("types", types, |j, name| {
                    j.str("name", name).str("kind", "OBJECT");
                    j.list("fields", ["id", "node", "edges", "createdAt"], |j, field| {
                        j.str("name", field);
                    });
                });
            });
        });
    });
    Reply::json(200, body)
}
