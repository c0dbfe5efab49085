//! Other people's accounts: lists of passwords tried from one source or from many, one account tried with many passwords, reset mails.

use super::disguise::{Cast, Rounds};
use crate::chance::Chance;
use crate::ids::UserId;
use crate::json::Json;
use crate::people::{Client, Kind, Scene, Step, stranger};
use crate::wire::Call;
use engine::record::Family;

const PASSWORDS: &[&str] =
    &["123456", "password1", "qwertz123", "iloveyou", "Sommer2024!", "passw0rd", "abc123!", "football", "letmein", "hallo123"];

fn attempt(family: Family, scene: &mut Scene<'_>, victim: UserId, (low, high): (i64, i64)) -> Step {
    let identity = scene.shop.accounts.identity(victim);
    // Two in a hundred passwords of a leaked list are still good.
    let password =
        if scene.chance.hit(0.02) { identity.password } else { format!("{}{}", scene.chance.pick(PASSWORDS), scene.chance.below(90)) };
    let body = Json::object(|j| {
        j.str("email", &identity.email).str("password", &password);
    });
    Step::attack(scene.chance.between(low, high), family, Call::post("/v2/auth/login", body).anonymously())
}

/// Many accounts, once each, from one source.
pub(super) fn one_source(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(60, 160) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| {
        let victim = scene.shop.accounts.anybody(scene.chance);
        vec![attempt(family, scene, victim, (200, 2_500))]
    }));
}

/// Many accounts, once or twice each, from many sources that look like anybody's homes; all of it is one group.
pub(super) fn distributed(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let sources = cast.scene.chance.between(40, 80);
    for _ in 0..sources {
        let after = cast.scene.chance.between(0, 3_600_000);
        let client = source(cast.scene.chance);
        let rounds = cast.scene.chance.between(1, 4) as u32;
        cast.enter(
            after,
            client,
            Rounds::new(rounds, move |_, _, scene, _| {
                let victim = scene.shop.accounts.anybody(scene.chance);
                vec![attempt(family, scene, victim, (1_000, 20_000))]
            }),
        );
    }
}

fn source(chance: &mut Chance) -> Client {
    let address = stranger(chance);
    Client::of_stranger(Kind::Web, address, chance)
}

/// One account, many passwords.
pub(super) fn one_account(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let victim = cast.somebody();
    let rounds = cast.scene.chance.between(30, 90) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| vec![attempt(family, scene, victim, (400, 4_000))]));
}

/// Reset mails for many accounts.
pub(super) fn resets(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(40, 90) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| {
        let victim = scene.shop.accounts.anybody(scene.chance);
        let email = scene.shop.accounts.identity(victim).email;
        let call = Call::post(
            "/v2/auth/password-reset",
            Json::object(|j| {
                j.str("email", &email);
            }),
        )
        .anonymously();
        vec![Step::attack(scene.chance.between(200, 1_500), family, call)]
    }));
}
