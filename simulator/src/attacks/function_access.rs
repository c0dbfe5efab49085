//! What only staff does, done by a customer.

use super::disguise::{Cast, Rounds, by_hand};
use crate::json::Json;
use crate::wire::Call;

/// Lists and figures of the administration.
pub(super) fn read(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(2, 8) as u32;
    cast.logged_in(Rounds::new(rounds, move |round, _, scene, _| {
        let call = match scene.chance.below(4) {
            0 => Call::get("/admin/v2/stats/daily"),
            1 => Call::get("/admin/v2/orders").with("status", "open"),
            _ => Call::get("/admin/v2/users").with("page", &(round + 1).to_string()),
        };
        vec![by_hand(family, scene, call)]
    }));
}

/// Prices, locks and refunds.
pub(super) fn write(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 5) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, client, scene, _| {
        let product = client.memory.products.any(scene.chance).unwrap_or_else(|| scene.shop.catalog.popular(scene.chance));
        let user = scene.shop.accounts.anybody(scene.chance);
        let back = scene.chance.below(scene.shop.orders.len());
        let order = scene.shop.orders.recent(back).map(|id| id.to_string()).unwrap_or_default();
        let call = match scene.chance.below(4) {
            0 => Call::post(
                format!("/admin/v2/users/{}/lock", user.number()),
                Json::object(|j| {
                    j.str("reason", "x");
                }),
            ),
            1 => Call::post(
                format!("/admin/v2/orders/{order}/refund"),
                Json::object(|j| {
                    j.int("amount_cents", 9_900).str("reason", "goodwill");
                }),
            ),
            2 => Call::new("DELETE", format!("/admin/v2/reviews/{}", 81_000 + scene.chance.below(2_000))),
            _ => Call::new("PATCH", format!("/admin/v2/products/{}", product.number())).with_body(Json::object(|j| {
                j.int("price_cents", 1);
            })),
        };
        vec![by_hand(family, scene, call)]
    }));
}
