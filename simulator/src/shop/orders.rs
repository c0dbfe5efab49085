//! Orders, tracking, invoices, exports. Orders are given to their owners only; tracking and invoices to whoever has a token, and an export
//! has no limit and takes the account as a parameter: weaknesses.

use super::ask::{Ask, Handed, Reply};
use super::catalog::Catalog;
use super::{Accounts, Shop};
use crate::chance::mix;
use crate::ids::{ProductId, UserId, Uuid};
use crate::json::Json;
use engine::time::rfc3339;
use std::collections::{BTreeMap, VecDeque};

const FIRST: u32 = 20_417;
const PER_USER: usize = 8;

/// An order.
#[derive(Debug)]
pub(super) struct Order {
    number: u32,
    id: Uuid,
    pub(super) user: UserId,
    lines: Vec<(ProductId, u32)>,
    cents: i64,
    placed: i64,
    cancelled: bool,
}

/// The latest orders; the oldest is forgotten when there are too many.
#[derive(Debug)]
pub(crate) struct Orders {
    kept: VecDeque<Order>,
    by_id: BTreeMap<Uuid, u32>,
    next: u32,
    cap: usize,
}

/// An order about to be placed.
#[derive(Debug)]
pub(super) struct Placing {
    pub(super) user: UserId,
    pub(super) lines: Vec<(ProductId, u32)>,
    pub(super) placed: i64,
    pub(super) id: Uuid,
}

/// The number of an invoice as it stands in paths.
pub(crate) fn invoice_number(number: u32) -> String {
    format!("INV-2026-{number:06}")
}

impl Orders {
    pub(super) fn new(users: u32) -> Self {
        Self { kept: VecDeque::new(), by_id: BTreeMap::new(), next: FIRST, cap: users as usize * 4 + 1_000 }
    }

    /// Places an order and gives the number of its invoice.
    pub(super) fn place(&mut self, accounts: &mut Accounts, catalog: &Catalog, placing: Placing) -> u32 {
        if self.kept.len() >= self.cap
            && let Some(oldest) = self.kept.pop_front()
        {
            self.by_id.remove(&oldest.id);
        }
        let number = self.next;
        self.next += 1;
        let Placing { user, lines, placed, id } = placing;
        let cents = lines.iter().map(|(p, n)| catalog.get(*p).map_or(0, |p| p.price) * i64::from(*n)).sum();
        self.kept.push_back(Order { number, id, user, lines, cents, placed, cancelled: false });
        self.by_id.insert(id, number);
        if let Some(account) = accounts.get_mut(user) {
            if account.orders.len() >= PER_USER {
                account.orders.remove(0);
            }
            account.orders.push(number);
        }
        number
    }

    pub(super) fn by_number(&self, number: u32) -> Option<&Order> {
        let first = self.kept.front()?.number;
        self.kept.get(number.checked_sub(first)? as usize)
    }

    fn by_id(&self, id: Uuid) -> Option<&Order> {
        self.by_number(*self.by_id.get(&id)?)
    }

    /// Id of the order that lies `back` orders behind the latest.
    pub(crate) fn recent(&self, back: usize) -> Option<Uuid> {
        self.kept.iter().rev().nth(back).map(|o| o.id)
    }

    /// The number of the latest invoice.
    pub(crate) fn latest_invoice(&self) -> u32 {
        self.next.saturating_sub(1)
    }

    /// Number of orders kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn latest(&self, count: usize) -> impl Iterator<Item = &Order> {
        self.kept.iter().rev().take(count)
    }
}

impl Order {
    /// Its id.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    pub(super) fn state(&self, now: i64) -> &'static str {
        match (self.cancelled, now - self.placed) {
            (true, _) => "cancelled",
            (false, ..3_600_000) => "received",
            (false, 3_600_000..86_400_000) => "packed",
            (false, 86_400_000..259_200_000) => "shipped",
            _ => "delivered",
        }
    }

    pub(super) fn brief(&self, j: &mut Json, now: i64) {
        j.show("id", self.id).str("number", &format!("SO-{}", self.number)).str("state", self.state(now)).money("total", self.cents);
        j.str("currency", "EUR").str("placed_at", &rfc3339(self.placed)).int("items", self.lines.len() as i64);
        j.str("invoice", &invoice_number(self.number));
    }

    pub(super) fn full(&self, j: &mut Json, shop: &Shop, now: i64) {
        j.show("id", self.id).str("number", &format!("SO-{}", self.number)).str("state", self.state(now)).money("total", self.cents);
        j.str("currency", "EUR").str("placed_at", &rfc3339(self.placed)).str("invoice", &invoice_number(self.number));
        j.list("lines", &self.lines, |j, (product, quantity)| {
            if let Some(product) = shop.catalog.get(*product) {
                j.int("product_id", product.id.number())
                    .str("sku", &product.sku)
                    .str("name", &product.name)
                    .money("unit_price", product.price);
            }
            j.int("quantity", *quantity);
        });
        j.nested("ship_to", |j| ship_to(j, shop, self.user));
        j.nested("links", |j| {
            j.str("tracking", &format!("/v2/orders/{}/tracking", self.id))
                .str("invoice", &format!("/v2/invoices/{}", invoice_number(self.number)));
        });
    }
}

fn ship_to(j: &mut Json, shop: &Shop, user: UserId) {
    let identity = shop.accounts.identity(user);
    j.str("recipient", &format!("{} {}", identity.first, identity.last)).str("country", identity.locale.country);
    if let Some(address) = shop.accounts.get(user).and_then(|u| u.addresses.first()) {
        j.str("street", &address.street).str("zip", &address.zip).str("city", &address.city);
    }
}

/// The order of an id, in full.
pub(super) fn answer(shop: &Shop, id: Uuid, status: u16) -> Reply {
    match shop.orders.by_id(id) {
        Some(order) => {
            let body = Json::object(|j| order.full(j, shop, order.placed));
            Reply::json(status, body).hand([Handed::Order(order.id)])
        }
        None => Reply::missing("Order"),
    }
}

/// `GET /v2/orders`.
pub(super) fn list(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let numbers = ask.user.and_then(|u| shop.accounts.get(u)).map_or(&[][..], |u| &u.orders);
    let orders = || numbers.iter().rev().filter_map(|n| shop.orders.by_number(*n));
    Reply::object(|j| {
        j.list("items", orders(), |j, o| o.brief(j, ask.now));
        j.int("total", numbers.len() as i64);
    })
    .hand(orders().take(4).flat_map(|o| [Handed::Order(o.id), Handed::Invoice(o.number)]))
}

/// `GET /v2/orders/{id}`.
pub(super) fn show(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(order) = ask.uuid(0).and_then(|id| shop.orders.by_id(id)) else {
        return Reply::missing("Order");
    };
    if Some(order.user) != ask.user {
        return Reply::forbidden();
    }
    Reply::object(|j| order.full(j, shop, ask.now)).hand([Handed::Order(order.id), Handed::Invoice(order.number)])
}

/// `POST /v2/orders/{id}/cancel`.
pub(super) fn cancel(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(number) = ask.uuid(0).and_then(|id| shop.orders.by_id.get(&id).copied()) else {
        return Reply::missing("Order");
    };
    let first = shop.orders.kept.front().map_or(0, |o| o.number);
    let Some(order) = shop.orders.kept.get_mut((number - first) as usize) else { return Reply::missing("Order") };
    if Some(order.user) != ask.user {
        return Reply::forbidden();
    }
    if order.state(ask.now) != "received" {
        return Reply::problem(409, "Conflict", "The order is on its way");
    }
    order.cancelled = true;
    Reply::object(|j| order.brief(j, ask.now))
}

/// `GET /v2/orders/{id}/tracking`.
pub(super) fn tracking(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(order) = ask.uuid(0).and_then(|id| shop.orders.by_id(id)) else {
        return Reply::missing("Order");
    };
    let code = mix(order.id.key(), 5);
    Reply::object(|j| {
        j.show("order_id", order.id).str("carrier", ["DHL", "UPS", "GLS", "PostNord"][(code % 4) as usize]);
        j.str("code", &format!("JD0146{:014}", code % 100_000_000_000_000)).str("state", order.state(ask.now));
        j.list("events", ["received", "packed", "handed over"], |j, what| {
            j.str("what", what).str("at", &rfc3339(order.placed)).str("where", "Hub Leipzig");
        });
        j.nested("destination", |j| ship_to(j, shop, order.user));
    })
}

/// `GET /v2/invoices/{number}`.
pub(super) fn invoice(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let number = ask.vars[0].strip_prefix("INV-2026-").and_then(|n| n.parse().ok());
    let Some(order) = number.and_then(|n| shop.orders.by_number(n)) else {
        return Reply::missing("Invoice");
    };
    let identity = shop.accounts.identity(order.user);
    Reply::object(|j| {
        j.str("number", &invoice_number(order.number)).show("order_id", order.id).str("issued_at", &rfc3339(order.placed));
        j.nested("customer", |j| {
            j.int("id", order.user.number()).str("email", &identity.email);
            ship_to(j, shop, order.user);
        });
        j.list("lines", &order.lines, |j, (product, quantity)| {
            let product = shop.catalog.get(*product);
            j.str("name", product.map_or("", |p| &p.name)).int("quantity", *quantity).money("unit_price", product.map_or(0, |p| p.price));
        });
        j.money("net", order.cents * 100 / 119).money("vat", order.cents - order.cents * 100 / 119).money("gross", order.cents);
        j.str("pdf", &format!("https://files.shop.example/invoices/{:016x}.pdf", order.id.key()));
    })
}

/// `GET /v2/orders/export`: people take a year of their own orders; nothing stops who wants all of everybody's.
pub(super) fn export(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(limit) = ask.number("limit", 25) else { return Reply::problem(400, "Bad request", "limit must be a number") };
    let everybody = ask.query("customer").is_some_and(|c| c == "*" || c == "all");
    let own = ask.user.and_then(|u| shop.accounts.get(u)).map_or(&[][..], |u| &u.orders);
    let count = (limit as usize).min(400);
    let orders: Vec<&Order> = if everybody || limit > 100 {
        shop.orders.latest(count).collect()
    } else {
        own.iter().rev().filter_map(|n| shop.orders.by_number(*n)).take(count).collect()
    };
    Reply::object(|j| {
        j.str("format", "json").int("count", orders.len() as i64);
        j.list("orders", orders, |j, o| {
            o.brief(j, ask.now);
            if Some(o.user) != ask.user {
                let identity = shop.accounts.identity(o.user);
                j.str("email", &identity.email).str("phone", &identity.phone).str("birthday", &identity.birthday);
            }
        });
    })
}
