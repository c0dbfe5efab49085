//! Tools that try everything: paths, bodies, parameters.

use super::disguise::{Cast, Rounds};
use super::words::{PARAMETERS, PATHS, VALUES};
use crate::ids::ProductId;
use crate::people::{Step, log_in};
use crate::wire::Call;

/// Words of a list as paths, as ffuf and its like send them.
pub(super) fn paths(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let agent = cast.scene.chance.pick(&[
        "Fuzz Faster U Fool v2.1.0-dev",
        "gobuster/3.6",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
    ]);
    let client = cast.tool(agent);
    let rounds = cast.scene.chance.between(90, 220) as u32;
    let shift = cast.scene.chance.below(PATHS.len());
    cast.enter(
        0,
        client,
        Rounds::new(rounds, move |round, _, scene, _| {
            let word = PATHS[(shift + round as usize * 7) % PATHS.len()];
            let path = match scene.chance.below(4) {
                0 => format!("/{word}"),
                1 => format!("/v2/{word}"),
                2 => format!("/v1/{word}"),
                _ => format!("/v2/users/{word}"),
            };
            vec![Step::attack(scene.chance.between(15, 120), family, Call::get(path))]
        }),
    );
}

/// Bodies made from a description of the API, one field after the other broken, as RESTler and its like send them.
pub(super) fn bodies(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let agent = cast.scene.chance.pick(&["restler/9.2.4", "python-requests/2.31.0", "schemathesis/3.36.0"]);
    let mut client = cast.tool(agent);
    client.user = Some(cast.somebody());
    let rounds = cast.scene.chance.between(70, 160) as u32;
    cast.enter(
        0,
        client,
        Rounds::new(rounds, move |round, client, scene, _| {
            if round == 0 {
                return vec![Step::attack_intent(1, family, log_in)];
            }
            let chance = &mut *scene.chance;
            let value = chance.pick(VALUES);
            let product = client.memory.products.any(chance).map_or(4_011, ProductId::number);
            let call = match chance.below(8) {
                0 => Call::post("/v2/cart/items", format!("{{\"sku\":{value},\"quantity\":1}}")),
                1 => Call::post("/v2/cart/items", format!("{{\"sku\":\"AB-1001-M\",\"quantity\":{value}}}")),
                2 => Call::post("/v2/messages", format!("{{\"subject\":\"fuzzstring\",\"text\":{value}}}")),
                3 => Call::post(format!("/v2/products/{product}/reviews"), format!("{{\"stars\":{value},\"text\":\"fuzzstring\"}}")),
                4 => Call::new("PATCH", "/v2/users/me").with_body(format!("{{\"nickname\":{value}}}")),
                5 => Call::post("/v2/users/me/addresses", format!("{{\"street\":{value},\"zip\":\"1\",\"city\":\"fuzzstring\"}}")),
                6 => Call::new(chance.pick(&["PUT", "DELETE", "PATCH"]), format!("/v2/orders/{}", chance.uuid())),
                _ => Call::get(format!("/v2/products/{}", chance.pick(&["0", "-1", "fuzzstring", "1.5", "%00"]))),
            };
            vec![Step::attack(chance.between(30, 200), family, call)]
        }),
    );
}

/// Names of parameters that might do something, on an endpoint that is known.
pub(super) fn parameters(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(40, 90) as u32;
    cast.passing_by(Rounds::new(rounds, move |round, _, scene, _| {
        let name = PARAMETERS[round as usize % PARAMETERS.len()];
        let value = scene.chance.pick(VALUES).trim_matches('"').to_owned();
        let path = scene.chance.pick(&["/v2/products", "/v2/categories", "/v2/products/4011"]);
        vec![Step::attack(scene.chance.between(80, 500), family, Call::get(path).with(name, &value))]
    }));
}
