//! A server that tells too much: files left lying about, stack traces, answers for any web site.

use super::disguise::{Cast, Rounds, by_hand, by_script};
use crate::json::Json;
use crate::wire::Call;

const FILES: &[&str] = &[
    "/.env",
    "/.git/config",
    "/backup/",
    "/static/",
    "/server-status",
    "/.aws/credentials",
    "/phpinfo.php",
    "/actuator/env",
    "/.DS_Store",
];

/// Files and listings that should not be there; a few of them are.
pub(super) fn files(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(4, 9) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| {
        let path = scene.chance.pick(FILES);
        vec![by_script(family, scene, Call::get(path))]
    }));
}

/// Bodies that make the server show its stack.
pub(super) fn traces(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(2, 6) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let broken = scene.chance.pick(&["{\"sku\":", "{'sku': 'AB-1001-M'}", "[1,2", "{\"quantity\":1e}", "<sku/>", "{\"a\":\"\\x\"}"]);
        let path = scene.chance.pick(&["/v2/cart/items", "/v2/messages", "/v2/cart/coupon", "/v2/users/me/addresses"]);
        vec![by_hand(family, scene, Call::post(path, broken.to_owned()))]
    }));
}

/// Answers that any web site may read, with the customer's token; the open schema of the query language.
pub(super) fn cors(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(2, 6) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let call = match scene.chance.below(3) {
            0 => {
                let query = "query IntrospectionQuery { __schema { types { name kind fields { name } } } }";
                Call::post(
                    "/v2/graphql",
                    Json::object(|j| {
                        j.str("operationName", "IntrospectionQuery").str("query", query);
                    }),
                )
            }
            1 => Call::get("/v2/users/me").header("origin", "https://free-coupons.evil.example"),
            _ => Call::get("/v2/orders").header("origin", "null"),
        };
        vec![by_hand(family, scene, call)]
    }));
}
