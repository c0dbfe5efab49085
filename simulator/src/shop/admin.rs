//! What staff does. Lists and refunds ask for a member of staff; locking, prices and figures forgot to: a weakness.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use crate::ids::UserId;
use engine::time::rfc3339;

fn is_staff(shop: &Shop, ask: &Ask<'_>) -> bool {
    ask.user.and_then(|u| shop.accounts.get(u)).is_some_and(|u| u.staff)
}

/// `GET /admin/v2/users`.
pub(super) fn users(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(page) = ask.number("page", 1) else { return Reply::problem(400, "Bad request", "page must be a number") };
    let from = page.saturating_sub(1).saturating_mul(25).min(shop.accounts.len());
    let shown = (from..(from + 25).min(shop.accounts.len())).map(UserId);
    Reply::object(|j| {
        j.list("items", shown.clone(), |j, user| {
            let identity = shop.accounts.identity(user);
            j.int("id", user.number()).str("email", &identity.email).str("name", &format!("{} {}", identity.first, identity.last));
            j.str("role", if shop.accounts.get(user).is_some_and(|u| u.staff) { "staff" } else { "customer" });
        });
        j.int("page", page).int("total", shop.accounts.len());
    })
    .hand(shown.take(8).map(Handed::User))
}

/// `GET /admin/v2/users/{id}`.
pub(super) fn user(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    if !is_staff(shop, ask) {
        return Reply::forbidden();
    }
    let user = ask.vars[0].parse().ok().and_then(UserId::of_number);
    let Some((user, account)) = user.and_then(|u| shop.accounts.get(u).map(|a| (u, a))) else {
        return Reply::missing("User");
    };
    let identity = shop.accounts.identity(user);
    Reply::object(|j| {
        j.int("id", user.number()).str("email", &identity.email).str("phone", &identity.phone).str("birthday", &identity.birthday);
        j.int("orders", account.orders.len() as i64).int("failed_logins", account.failures).bool("locked", account.locked_until > ask.now);
        j.str("notes", "");
    })
    .hand([Handed::User(user)])
}

/// `POST /admin/v2/users/{id}/lock`.
pub(super) fn lock(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let user = ask.vars[0].parse().ok().and_then(UserId::of_number);
    match user.and_then(|u| shop.accounts.get_mut(u)) {
        Some(account) => {
            account.locked_until = ask.now + 600_000;
            Reply::object(|j| {
                j.str("id", ask.vars[0]).bool("locked", true).str("reason", ask.text("reason"));
            })
        }
        None => Reply::missing("User"),
    }
}

/// `GET /admin/v2/orders`.
pub(super) fn orders(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    if !is_staff(shop, ask) {
        return Reply::forbidden();
    }
    let orders: Vec<_> = shop.orders.latest(25).collect();
    Reply::object(|j| {
        j.list("items", &orders, |j, o| {
            o.brief(j, ask.now);
            j.int("customer", o.user.number());
        });
        j.int("total", shop.orders.len() as i64);
    })
    .hand(orders.iter().take(6).map(|o| Handed::Order(o.id())))
}

/// `POST /admin/v2/orders/{id}/refund`.
pub(super) fn refund(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(id) = ask.uuid(0) else { return Reply::missing("Order") };
    if ask.int("amount_cents").is_none_or(|cents| cents < 1) {
        return Reply::invalid("amount_cents", "must be positive");
    }
    let refund = shop.chance.base62(16);
    Reply::created(|j| {
        j.str("id", &format!("re_{refund}"))
            .show("order_id", id)
            .int("amount_cents", ask.int("amount_cents").unwrap_or(0))
            .str("state", "pending");
    })
}

/// `PATCH /admin/v2/products/{id}`.
pub(super) fn product(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let price = ask.int("price_cents").filter(|p| (1..1_000_000).contains(p));
    let Some(product) = ask.product(0).and_then(|id| shop.catalog.get_mut(id)) else {
        return Reply::missing("Product");
    };
    match price {
        Some(price) => {
            product.price = price;
            Reply::object(|j| product.full(j))
        }
        None => Reply::invalid("price_cents", "must be positive"),
    }
}

/// `GET /admin/v2/stats/daily`.
pub(super) fn stats(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let out_of_stock = shop.catalog.all().filter(|p| p.stock == 0).count();
    Reply::object(|j| {
        j.str("as_of", &rfc3339(ask.now)).int("accounts", shop.accounts.len()).int("orders", shop.orders.len() as i64);
        j.int("out_of_stock", out_of_stock as i64);
        j.list("by_hour", 0..24, |j, hour: i32| {
            j.int("hour", hour).int("orders", (hour * 7 + 3) % 40).money("revenue", i64::from((hour * 7 + 3) % 40) * 6_130);
        });
    })
}

/// `DELETE /admin/v2/reviews/{id}`.
pub(super) fn delete_review(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    if !is_staff(shop, ask) {
        return Reply::forbidden();
    }
    match ask.vars[0].parse::<u32>() {
        Ok(id) if id > 80_000 => Reply::empty(204),
        _ => Reply::missing("Review"),
    }
}
