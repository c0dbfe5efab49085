//! More records than anybody needs, from endpoints that do not stop whoever asks for them.

use super::disguise::{Cast, Rounds, by_hand};
use crate::json::Json;
use crate::wire::Call;

/// Everybody's orders, with everything about everybody.
pub(super) fn export(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 4) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let limit = scene.chance.pick(&["500", "1000", "5000", "99999"]);
        let call = Call::get("/v2/orders/export").with("format", "json").with("limit", limit);
        let call = if scene.chance.hit(0.5) { call.with("customer", "*") } else { call };
        vec![by_hand(family, scene, call)]
    }));
}

/// The whole catalogue in one answer of the front page.
pub(super) fn feed(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 3) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| {
        let first = scene.chance.between(400, 10_000);
        let query =
            "query HomeFeed($first: Int!) { feed(first: $first) { id slug name price currency image rating } banner { title href } }";
        let body = Json::object(|j| {
            j.str("operationName", "HomeFeed").str("query", query);
            j.nested("variables", |j| {
                j.int("first", first);
            });
        });
        vec![by_hand(family, scene, Call::post("/v2/graphql", body))]
    }));
}
