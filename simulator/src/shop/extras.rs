//! Notifications, uploads and what a later release brought.

use super::Shop;
use super::ask::{Ask, Handed, Reply};
use crate::chance::mix;
use engine::time::rfc3339;

/// `GET /v2/notifications`: what came since; clients poll it.
pub(super) fn notifications(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    if ask.query("since").is_some_and(|since| since.parse::<i64>().is_err()) {
        return Reply::problem(400, "Bad request", "since must be epoch seconds");
    }
    let unread = ask.user.and_then(|u| shop.accounts.get(u)).map_or(0, |u| u.unread).min(5);
    Reply::object(|j| {
        j.int("unread", unread);
        j.list("items", 0..unread, |j, n| {
            j.int("id", (ask.now / 1000 - i64::from(n) * 977) % 10_000_000).str("kind", ["order", "message", "offer"][usize::from(n) % 3]);
            j.str("text", ["Your parcel is on its way", "We answered your message", "Only today: free shipping"][usize::from(n) % 3]);
            j.str("at", &rfc3339(ask.now - i64::from(n) * 3_600_000));
        });
        j.int("next_poll_s", 60);
    })
}

/// `POST /v2/notifications/read`.
pub(super) fn read(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    if let Some(account) = ask.user.and_then(|u| shop.accounts.get_mut(u)) {
        account.unread = 0;
    }
    Reply::empty(204)
}

/// `POST /v2/uploads`: announces a file and gets a place to put it.
pub(super) fn announce(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let (name, kind) = (ask.text("file_name"), ask.text("content_type"));
    if !matches!(kind, "image/jpeg" | "image/png" | "image/heic" | "application/pdf") {
        return Reply::problem(415, "Unsupported media type", "Only images and PDF are accepted");
    }
    if ask.int("size").is_none_or(|size| !(1..=20_000_000).contains(&size)) {
        return Reply::invalid("size", "must be between 1 and 20000000");
    }
    let id = shop.chance.uuid();
    Reply::created(|j| {
        j.show("id", id).str("file_name", name).str("state", "waiting");
        j.str("put_url", &format!("https://files.shop.example/in/{id}?sig={:016x}", mix(id.key(), 6))).int("expires_in", 600);
    })
    .hand([Handed::Upload(id)])
}

/// `GET /v2/uploads/{id}`.
pub(super) fn upload(_: &mut Shop, ask: &Ask<'_>) -> Reply {
    match ask.uuid(0) {
        Some(id) => Reply::object(|j| {
            j.show("id", id)
                .str("state", "stored")
                .str("sha256", &format!("{:016x}{:016x}{:016x}{:016x}", id.key(), mix(id.key(), 1), mix(id.key(), 2), mix(id.key(), 3)));
        }),
        None => Reply::missing("Upload"),
    }
}

/// `GET /v2/loyalty/card`: came with a later version of the apps.
pub(super) fn loyalty(shop: &mut Shop, ask: &Ask<'_>) -> Reply {
    let Some(user) = ask.user else { return Reply::forbidden() };
    Reply::object(|j| {
        j.str("card", &format!("LC{:012}", shop.accounts.key(user) % 1_000_000_000_000))
            .str("tier", ["blue", "silver", "gold"][(user.0 % 3) as usize]);
        j.int("points", user.0 % 700).int("points_to_next_tier", 700 - user.0 % 700);
    })
}
