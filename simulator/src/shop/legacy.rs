//! The first version of the API, which a few old apps still use, and what everybody forgot to take down.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use crate::chance::mix;
use crate::ids::UserId;
use crate::json::Json;

/// `GET /v1/products/{id}`.
pub(super) fn product(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    match ask.product(0).and_then(|id| shop.catalog.get(id)) {
        Some(product) => Reply::object(|j| product.brief(j)).hand([Handed::Product(product.id)]),
        None => Reply::json(404, "{\"error\":\"no such product\"}".to_owned()),
    }
}

/// `GET /v1/products`.
pub(super) fn products(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let from = ask.number("offset", 0).unwrap_or(0) as usize;
    let shown = || shop.catalog.all().skip(from).take(10);
    Reply::json(200, Json::array(shown(), |j, p| p.brief(j))).hand(shown().map(|p| Handed::Product(p.id)))
}

fn record(j: &mut Json, shop: &Shop, user: UserId) {
    let identity = shop.accounts.identity(user);
    let hash = mix(shop.accounts.key(user), 4);
    j.int("id", user.number()).str("email", &identity.email).str("first_name", identity.first).str("last_name", identity.last);
    j.str("phone", &identity.phone).str("birthday", &identity.birthday);
    j.str("password_hash", &format!("$2a$10${:016x}{:016x}{:016x}", hash, mix(hash, 1), mix(hash, 2)));
    j.bool("is_admin", shop.accounts.get(user).is_some_and(|u| u.staff));
}

/// `GET /v1/users/{id}`: forgotten; the whole record, without a token.
pub(super) fn user(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    match ask.vars[0].parse().ok().and_then(UserId::of_number).filter(|u| shop.accounts.get(*u).is_some()) {
        Some(user) => Reply::object(|j| record(j, shop, user)).hand([Handed::User(user)]),
        None => Reply::json(404, "{\"error\":\"no such user\"}".to_owned()),
    }
}

/// `GET /v1/export/users`: forgotten; everybody.
pub(super) fn export(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let limit = ask.number("limit", 200).unwrap_or(200).min(500);
    let users = (0..limit.min(shop.accounts.len())).map(UserId);
    Reply::json(200, Json::array(users, |j, user| record(j, shop, user)))
}

/// `GET /internal/debug`: forgotten; the state of the process.
pub(super) fn debug(shop: &mut Shop, _: &Ask<'_>) -> Reply {
    Reply::object(|j| {
        j.str("build", "shop-api 2.48.1-SNAPSHOT").str("git", "4f1c2ab").int("accounts", shop.accounts.len());
        j.nested("env", |j| {
            j.str("DB_URL", "jdbc:postgresql://db-01.internal:5432/shop")
                .str("DB_USER", "shop_rw")
                .str("DB_PASSWORD", "s3cr3t-Winter-2024");
            j.str("JWT_KEY_FILE", "/run/secrets/jwt.pem").str("FEATURE_FLAGS", "checkout_v3,loyalty");
        });
        j.strs("threads", ["http-nio-8080-exec-1", "http-nio-8080-exec-2", "scheduler-1"]);
    })
    .header("server", "Apache-Coyote/1.1")
}

/// `GET /internal/metrics`: forgotten as well.
pub(super) fn metrics(shop: &mut Shop, _: &Ask<'_>) -> Reply {
    let body = format!(
        "# TYPE shop_accounts gauge\nshop_accounts {}\n# TYPE shop_orders gauge\nshop_orders {}\n",
        shop.accounts.len(),
        shop.orders.len()
    );
    Reply { content_type: "text/plain; version=0.0.4", ..Reply::json(200, body) }
}
