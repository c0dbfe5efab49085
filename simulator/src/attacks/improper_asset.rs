//! Endpoints that everybody forgot.

use super::disguise::{Cast, Rounds, by_hand, by_script};
use crate::ids::UserId;
use crate::json::Json;
use crate::wire::Call;

/// Whole user records from the first version of the API, which asks for no token.
pub(super) fn users(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(2, 12) as u32;
    let scripted = cast.scene.chance.hit(0.5);
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| {
        let user = scene.shop.accounts.anybody(scene.chance);
        let call = Call::get(format!("/v1/users/{}", user.number())).anonymously();
        vec![if scripted { by_script(family, scene, call) } else { by_hand(family, scene, call) }]
    }));
}

/// The state of the process, its figures, and everybody in one file.
pub(super) fn debug(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 4) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| {
        let path = scene.chance.pick(&["/internal/debug", "/internal/metrics", "/v1/export/users", "/internal/debug"]);
        let call = if path.ends_with("users") { Call::get(path).with("limit", "200") } else { Call::get(path) };
        vec![by_hand(family, scene, call)]
    }));
}

/// Log-in by the first version of the API.
pub(super) fn login(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(2, 6) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, client, scene, _| {
        let identity = scene.shop.accounts.identity(client.user.unwrap_or(UserId(20)));
        let body = Json::object(|j| {
            j.str("email", &identity.email).str("password", &identity.password);
        });
        vec![by_hand(family, scene, Call::post("/v1/login", body).anonymously())]
    }));
}
