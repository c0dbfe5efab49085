//! The cart: lines by stock-keeping unit, and a coupon.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use super::catalog::Catalog;
use crate::ids::{ProductId, UserId};
use crate::json::Json;

const MAX_LINES: usize = 20;

/// A cart.
#[derive(Debug, Clone, Default)]
pub(super) struct Cart {
    pub(super) lines: Vec<Line>,
    pub(super) coupon: Option<String>,
}

/// A line of a cart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) product: ProductId,
    pub(super) quantity: u32,
    /// Price that the client brought along, cents: taken at its word, which is a weakness.
    pub(super) claimed: Option<i64>,
}

impl Cart {
    /// What the cart costs, cents.
    pub(super) fn total(&self, catalog: &Catalog) -> i64 {
        let sum: i64 = self.lines.iter().map(|l| l.price(catalog) * i64::from(l.quantity)).sum();
        if self.coupon.is_some() { sum * 9 / 10 } else { sum }
    }
}

impl Line {
    fn price(self, catalog: &Catalog) -> i64 {
        self.claimed.or_else(|| catalog.get(self.product).map(|p| p.price)).unwrap_or(0)
    }
}

fn answer(shop: &Shop, user: UserId, status: u16) -> Reply {
    let Some(cart) = shop.accounts.get(user).map(|u| &u.cart) else { return Reply::forbidden() };
    let total = cart.total(&shop.catalog);
    let body = Json::object(|j| {
        j.list("items", &cart.lines, |j, line| {
            if let Some(product) = shop.catalog.get(line.product) {
                j.str("sku", &product.sku).int("product_id", product.id.number()).str("name", &product.name);
            }
            j.int("quantity", line.quantity).money("unit_price", line.price(&shop.catalog));
            j.money("line_total", line.price(&shop.catalog) * i64::from(line.quantity));
        });
        match &cart.coupon {
            Some(coupon) => j.str("coupon", coupon),
            None => j.null("coupon"),
        };
        j.money("subtotal", total).money("shipping", if total > 5_000 { 0 } else { 490 }).str("currency", "EUR");
    });
    Reply::json(status, body).hand([Handed::Cart(cart.lines.len())])
}

/// `GET /v2/cart`.
pub(super) fn show(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    ask.user.map_or_else(Reply::forbidden, |user| answer(shop, user, 200))
}

/// `POST /v2/cart/items`.
pub(super) fn add(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    let Some(product) = shop.catalog.by_sku(ask.text("sku")) else {
        return Reply::invalid("sku", "is not known");
    };
    let quantity = ask.int("quantity").unwrap_or(1);
    if !(1..=99).contains(&quantity) {
        return Reply::invalid("quantity", "must be between 1 and 99");
    }
    if shop.catalog.get(product).is_some_and(|p| p.stock < quantity) {
        return Reply::problem(409, "Conflict", "Not enough in stock");
    }
    let claimed = ask.body.get("price").and_then(serde_json::Value::as_f64).map(|p| (p * 100.0).clamp(0.0, 1e7) as i64);
    let Some(account) = shop.accounts.get_mut(user) else { return Reply::forbidden() };
    let full = account.cart.lines.len() >= MAX_LINES;
    match account.cart.lines.iter_mut().find(|l| l.product == product) {
        Some(line) => line.quantity = (line.quantity + quantity as u32).min(99),
        None if full => return Reply::problem(409, "Conflict", "The cart is full"),
        None => account.cart.lines.push(Line { product, quantity: quantity as u32, claimed }),
    }
    answer(shop, user, 201)
}

/// `PATCH /v2/cart/items/{sku}`.
pub(super) fn change(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    let Some(quantity) = ask.int("quantity").filter(|q| (1..=99).contains(q)) else {
        return Reply::invalid("quantity", "must be between 1 and 99");
    };
    let product = shop.catalog.by_sku(ask.vars[0]);
    let line = shop.accounts.get_mut(user).and_then(|u| u.cart.lines.iter_mut().find(|l| Some(l.product) == product));
    match line {
        Some(line) => {
            line.quantity = quantity as u32;
            answer(shop, user, 200)
        }
        None => Reply::missing("Cart item"),
    }
}

/// `DELETE /v2/cart/items/{sku}`.
pub(super) fn remove(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    let product = shop.catalog.by_sku(ask.vars[0]);
    let Some(account) = shop.accounts.get_mut(user) else { return Reply::forbidden() };
    account.cart.lines.retain(|l| Some(l.product) != product);
    let left = account.cart.lines.len();
    Reply::empty(204).hand([Handed::Cart(left)])
}

/// `POST /v2/cart/coupon`.
pub(super) fn coupon(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    let code = ask.text("code");
    if !["WELCOME10", "SPRING15", "THANKYOU5", "FRIEND10", "BDAY20"].contains(&code) {
        return Reply::invalid("code", "is not valid for this cart");
    }
    if let Some(account) = shop.accounts.get_mut(user) {
        account.cart.coupon = Some(code.to_owned());
    }
    answer(shop, user, 200)
}
