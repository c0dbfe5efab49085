//! Fields that the form does not have, sent along because the answer showed them or because they are worth a try.

use super::disguise::{Cast, Rounds, by_hand};
use crate::json::Json;
use crate::people::{Step, registration};
use crate::wire::Call;

/// A profile update that makes one an administrator, or rich.
pub(super) fn role(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 4) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let chance = &mut *scene.chance;
        let body = Json::object(|j| {
            j.bool("newsletter", chance.hit(0.5));
            match chance.below(6) {
                0 => j.str("role", "admin"),
                1 => j.bool("is_admin", true),
                2 => j.int("loyalty_points", 99_999),
                3 => j.int("credit_cents", 500_000),
                4 => j.bool("is_admin", true).str("role", "admin"),
                _ => j.bool("email_verified", true).strs("permissions", ["*"]),
            };
        });
        let look = Step::call(700, Call::get("/v2/users/me"));
        vec![by_hand(family, scene, Call::new("PATCH", "/v2/users/me").with_body(body)), look]
    }));
}

/// A cart line with its own price.
pub(super) fn price(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 3) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, client, scene, _| {
        let product = client.memory.products.any(scene.chance).unwrap_or_else(|| scene.shop.catalog.popular(scene.chance));
        let sku = scene.shop.catalog.get(product).map(|p| p.sku.clone()).unwrap_or_default();
        let body = Json::object(|j| {
            j.str("sku", &sku).int("quantity", 1);
            if scene.chance.hit(0.7) {
                j.money("price", 1)
            } else {
                j.money("price", 1).int("discount_percent", 99)
            };
        });
        vec![by_hand(family, scene, Call::post("/v2/cart/items", body)), Step::call(200, Call::get("/v2/cart"))]
    }));
}

/// What a registration brings that it should not.
fn registration_form(j: &mut Json, choice: usize) {
    match choice {
        0 => j.str("role", "admin"),
        1 => j.bool("is_admin", true),
        _ => j.int("credit_cents", 100_000).bool("email_verified", true),
    };
}

/// An account opened with such a form.
pub(super) fn registration_with_role(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    cast.passing_by(Rounds::new(1, move |_, _, scene, _| {
        let identity = scene.shop.accounts.identity(scene.shop.accounts.next());
        let choice = scene.chance.below(3);
        let call = registration(&identity, false, |j| registration_form(j, choice));
        vec![by_hand(family, scene, call), Step::call(900, Call::get("/v2/users/me"))]
    }));
}
