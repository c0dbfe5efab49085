//! Checkout in steps: open, address, payment intent, order. The last step does not check that the others were taken: a weakness.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use super::ops::Event;
use super::orders::Placing;
use crate::ids::{UserId, Uuid};
use crate::json::Json;
use std::collections::{BTreeMap, VecDeque};

const MAX_OPEN: usize = 4_000;

#[derive(Debug, Clone)]
struct Checkout {
    user: UserId,
    address: Option<u32>,
    /// Idempotency key and id of the payment intent.
    intent: Option<(String, String)>,
}

/// Open checkouts; the oldest is forgotten when there are too many.
#[derive(Debug, Default)]
pub(super) struct Checkouts {
    open: BTreeMap<Uuid, Checkout>,
    order: VecDeque<Uuid>,
}

impl Checkouts {
    fn put(&mut self, id: Uuid, checkout: Checkout) {
        if self.order.len() >= MAX_OPEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
        self.order.push_back(id);
        self.open.insert(id, checkout);
    }
}

fn find<'s>(shop: &'s mut Shop, ask: &Ask<'_>) -> Result<(Uuid, &'s mut Checkout), Reply> {
    let found = ask.uuid(0).and_then(|id| shop.checkouts.open.get_mut(&id).map(|c| (id, c)));
    match found {
        Some((id, checkout)) if Some(checkout.user) == ask.user => Ok((id, checkout)),
        Some(_) => Err(Reply::forbidden()),
        None => Err(Reply::missing("Checkout")),
    }
}

fn write(j: &mut Json, id: Uuid, checkout: &Checkout) {
    let state = match (&checkout.address, &checkout.intent) {
        (_, Some(_)) => "payment_authorised",
        (Some(_), None) => "address_set",
        (None, None) => "open",
    };
    j.show("id", id).str("state", state);
    match checkout.address {
        Some(address) => j.int("address_id", address),
        None => j.null("address_id"),
    };
    j.strs("payment_methods", ["card", "paypal", "invoice", "sepa"]);
}

/// `POST /v2/checkout`.
pub(super) fn open(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    if shop.accounts.get(user).is_none_or(|u| u.cart.lines.is_empty()) {
        return Reply::problem(409, "Conflict", "The cart is empty");
    }
    let (id, checkout) = (shop.chance.uuid(), Checkout { user, address: None, intent: None });
    let reply = Reply::created(|j| write(j, id, &checkout)).hand([Handed::Checkout(id)]);
    shop.checkouts.put(id, checkout);
    reply.header("location", format!("/v2/checkout/{id}"))
}

/// `PUT /v2/checkout/{id}/address`.
pub(super) fn address(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(address) = ask.int("address_id").and_then(|id| u32::try_from(id).ok()) else {
        return Reply::invalid("address_id", "must be the number of an address");
    };
    let owned = ask.user.and_then(|u| shop.accounts.get(u)).is_some_and(|u| u.addresses.iter().any(|a| a.id == address));
    if !owned {
        return Reply::invalid("address_id", "is not one of yours");
    }
    match find(shop, ask) {
        Ok((id, checkout)) => {
            checkout.address = Some(address);
            Reply::object(|j| write(j, id, checkout))
        }
        Err(reply) => reply,
    }
}

/// `POST /v2/checkout/{id}/payment-intent`: the same idempotency key gets the same intent again.
pub(super) fn pay(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(key) = ask.call.header_value("idempotency-key").map(str::to_owned) else {
        return Reply::problem(400, "Bad request", "Idempotency-Key header is required");
    };
    let intent = format!("pi_{}", shop.chance.base62(24));
    let secret = shop.chance.base62(25);
    let amount = ask.user.and_then(|u| shop.accounts.get(u)).map_or(0, |u| u.cart.total(&shop.catalog));
    let (status, id) = match find(shop, ask) {
        Err(reply) => return reply,
        Ok((_, checkout)) if checkout.address.is_none() => return Reply::problem(409, "Conflict", "Choose an address first"),
        Ok((_, checkout)) => match &checkout.intent {
            Some((known, id)) if *known == key => (200, id.clone()),
            _ => {
                checkout.intent = Some((key, intent.clone()));
                (201, intent)
            }
        },
    };
    if shop.chance.hit(0.03) {
        return Reply::problem(402, "Payment required", "The card was declined");
    }
    shop.announce(Event::Paid { intent: id.clone(), cents: amount });
    let body = Json::object(|j| {
        j.str("id", &id).str("client_secret", &format!("{id}_secret_{secret}")).str("status", "authorised");
        j.money("amount", amount).str("currency", "EUR").str("method", ask.text("method"));
    });
    Reply::json(status, body)
}

/// `POST /v2/checkout/{id}/order`.
pub(super) fn order(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let user = match find(shop, ask) {
        Ok((_, checkout)) => checkout.user,
        Err(reply) => return reply,
    };
    let lines: Vec<_> = match shop.accounts.get_mut(user) {
        Some(account) if !account.cart.lines.is_empty() => {
            account.cart.coupon = None;
            account.unread = account.unread.saturating_add(1);
            account.cart.lines.drain(..).map(|l| (l.product, l.quantity)).collect()
        }
        _ => return Reply::problem(409, "Conflict", "The cart is empty"),
    };
    let id = shop.chance.uuid();
    let invoice = shop.orders.place(&mut shop.accounts, &shop.catalog, Placing { user, lines, placed: ask.now, id });
    shop.announce(Event::Shipped { order: id });
    let reply = super::orders::answer(shop, id, 201);
    reply.hand([Handed::Invoice(invoice), Handed::Cart(0)]).header("location", format!("/v2/orders/{id}"))
}
