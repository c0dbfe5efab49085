//! One's own profile, and the public profiles of others.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use crate::ids::UserId;
use crate::json::Json;

const FIELDS: &[&str] = &["nickname", "newsletter", "phone", "locale", "birthday", "first_name", "last_name"];

fn own(shop: &Shop, user: UserId) -> Reply {
    let identity = shop.accounts.identity(user);
    let account = shop.accounts.get(user);
    Reply::object(|j| {
        j.int("id", user.number()).str("email", &identity.email).str("first_name", identity.first).str("last_name", identity.last);
        j.str("phone", &identity.phone).str("birthday", &identity.birthday).str("locale", identity.locale.tag);
        let nickname = account.and_then(|u| u.nickname.as_deref());
        match nickname {
            Some(nickname) => j.str("nickname", nickname),
            None => j.null("nickname"),
        };
        j.bool("newsletter", account.is_some_and(|u| u.newsletter));
        j.str("role", if account.is_some_and(|u| u.staff) { "staff" } else { "customer" });
        j.bool("is_admin", false).int("loyalty_points", user.0 % 700).int("credit_cents", 0);
        j.str("wishlist", &format!("{:010x}", shop.accounts.key(user) & 0xff_ffff_ffff)).str("created_at", "2024-11-02T09:14:00Z");
        for (field, value) in account.map_or(&[][..], |u| &u.assigned) {
            j.raw(field, value);
        }
    })
    .hand([Handed::User(user), Handed::WishList(shop.accounts.key(user) & 0xff_ffff_ffff)])
}

/// `GET /v2/users/me`.
pub(super) fn show(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    match ask.user {
        Some(user) => own(shop, user),
        None => Reply::forbidden(),
    }
}

/// `PATCH /v2/users/me`: takes any field that the body brings, which is a weakness.
pub(super) fn update(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    if ask.body.get("phone").is_some() && !ask.text("phone").starts_with('+') {
        return Reply::invalid("phone", "must be in international format");
    }
    if let Some(account) = shop.accounts.get_mut(user) {
        if let Some(on) = ask.body.get("newsletter").and_then(serde_json::Value::as_bool) {
            account.newsletter = on;
        }
        if ask.body.get("nickname").is_some() {
            account.nickname = Some(ask.text("nickname").chars().take(80).collect());
        }
    }
    assign_extras(shop, user, ask, FIELDS);
    own(shop, user)
}

/// Stores fields that the form does not have, as a careless object mapper does; `role` and `is_admin` take effect.
pub(super) fn assign_extras(shop: &mut Shop, user: UserId, ask: &Ask<'_>, known: &[&str]) {
    let (Some(body), Some(account)) = (ask.body.as_object(), shop.accounts.get_mut(user)) else { return };
    for (field, value) in body.iter().filter(|(field, _)| !known.contains(&field.as_str())).take(8) {
        if (field == "role" && value == "admin") || (field == "is_admin" && value == true) {
            account.staff = true;
        }
        account.assigned.retain(|(name, _)| name != field);
        if account.assigned.len() < 8 && field.len() <= 40 {
            account.assigned.push((field.clone(), value.to_string().chars().take(200).collect()));
        }
    }
    account.assigned.retain(|(_, value)| serde_json::from_str::<serde_json::Value>(value).is_ok());
}

/// `GET /v2/users/{id}`: what everybody may see.
pub(super) fn public(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let user = ask.vars[0].parse().ok().and_then(UserId::of_number);
    let Some((user, account)) = user.and_then(|u| shop.accounts.get(u).map(|a| (u, a))) else {
        return Reply::missing("User");
    };
    let identity = shop.accounts.identity(user);
    let body = Json::object(|j| {
        j.int("id", user.number());
        j.str("display_name", account.nickname.as_deref().unwrap_or(identity.first)).str("member_since", "2024");
        j.str("country", identity.locale.country).int("reviews", user.0 % 9);
    });
    Reply::json(200, body).cacheable()
}
