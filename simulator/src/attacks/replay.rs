//! What was sent once, sent again: a partner's signed call, somebody else's token, a provider's event.

use super::disguise::{Cast, Rounds, by_script};
use crate::hard::partner_client;
use crate::ids::ProductId;
use crate::json::Json;
use crate::people::{Client, Kind, Stamp, Step, data_centre, partner_signed, stranger};
use crate::wire::Call;

/// A partner's stock update, overheard, and sent again and again from elsewhere.
pub(super) fn partner(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let scene = &mut *cast.scene;
    let partner = scene.chance.below(5);
    let body = Json::object(|j| {
        j.show("batch_id", scene.chance.uuid());
        j.list("items", 0..scene.chance.between(4, 20), |j, _| {
            let product = ProductId(scene.chance.below(scene.shop.catalog.len()) as u32);
            j.str("sku", scene.shop.catalog.get(product).map_or("", |p| &p.sku)).int("quantity", scene.chance.between(0, 300));
            j.str("warehouse", "HAM1");
        });
    });
    let stamp = Stamp { nonce: scene.chance.hex(32), timestamp: scene.now / 1000 };
    let call = partner_signed(partner, "/stock/v1/updates", body, stamp);
    let owner = partner_client(partner, scene.chance);
    let original = call.clone();
    let rounds = scene.chance.between(4, 30) as u32;
    let thief = Client { address: data_centre(scene.chance), ..owner.clone() };
    // The first sending is the partner's own; it comes from the partner's place and does no harm.
    cast.enter(0, owner, Rounds::new(1, move |_, _, _, _| vec![Step::call(1, original.clone())]));
    let pause = cast.scene.chance.between(60_000, 600_000);
    cast.enter(pause, thief, Rounds::new(rounds, move |_, _, scene, _| vec![by_script(family, scene, call.clone())]));
}

/// A customer's session, carried on by somebody else: another client, another network.
pub(super) fn token(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let Some(bearer) = cast.scene.shop.leaked_token(cast.scene.chance, cast.scene.now) else { return };
    let address = stranger(cast.scene.chance);
    let mut thief = Client::of_stranger(Kind::Web, address, cast.scene.chance);
    if cast.scene.chance.hit(0.5) {
        thief = Client::program(Kind::Machine, "python-requests/2.32.3", address, cast.scene.chance);
    }
    thief.user = Some(bearer.user);
    thief.bearer = Some(bearer);
    let paths = ["/v2/users/me", "/v2/users/me/addresses", "/v2/orders", "/v2/messages", "/v2/notifications", "/v2/cart"];
    let rounds = cast.scene.chance.between(4, 10) as u32;
    let pause = cast.scene.chance.between(1_000, 120_000);
    cast.enter(
        pause,
        thief,
        Rounds::new(rounds, move |round, _, scene, _| {
            let call = Call::get(paths[round as usize % paths.len()]);
            vec![Step::attack(scene.chance.think(3_000.0), family, call)]
        }),
    );
}

/// A payment provider's event, sent again to have the goods shipped twice.
pub(super) fn hook(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let chance = &mut *cast.scene.chance;
    let body = Json::object(|j| {
        j.str("id", &format!("evt_{}", chance.base62(24))).str("type", "payment_intent.succeeded").int("created", cast.scene.now / 1000);
        j.nested("data", |j| {
            j.str("intent", &format!("pi_{}", chance.base62(24))).int("amount", 8_998).str("currency", "eur").str("status", "succeeded");
        });
    });
    let call =
        Call::post("/webhooks/payments", body).header("x-webhook-signature", format!("t={},v1={}", cast.scene.now / 1000, chance.hex(64)));
    let rounds = chance.between(3, 15) as u32;
    let address = data_centre(chance);
    let client = Client::program(Kind::Machine, "PaymentProvider-Hooks/1.4", address, chance);
    let first = call.clone();
    cast.enter(
        0,
        client,
        Rounds::new(rounds + 1, move |round, _, scene, _| match round {
            0 => vec![Step::call(1, first.clone())],
            _ => vec![Step::attack(scene.chance.between(2_000, 30_000), family, call.clone())],
        }),
    );
}
