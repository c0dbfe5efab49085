//! More than anybody does: floods, scraping, guessing of codes.

use super::disguise::{Cast, Rounds};
use crate::ids::ProductId;
use crate::json::Json;
use crate::people::{Step, search_with};
use crate::text;
use crate::wire::Call;

/// Hundreds of searches within minutes.
pub(super) fn flood(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(250, 500) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, client, scene, _| {
        let words = text::search(scene.chance);
        let call = search_with(client, scene, &words);
        vec![Step::attack(scene.chance.between(15, 250), family, call)]
    }));
}

/// The catalogue, product by product.
pub(super) fn scrape(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let from = cast.scene.chance.below(400) as u32;
    let rounds = cast.scene.chance.between(150, 400) as u32;
    cast.passing_by(Rounds::new(rounds, move |round, _, scene, _| {
        let number = ProductId((from + round) % scene.shop.catalog.len() as u32).number();
        let mut steps = vec![Step::attack(scene.chance.between(150, 600), family, Call::get(format!("/v2/products/{number}")))];
        if round % 3 == 0 {
            steps.push(Step::attack(40, family, Call::get(format!("/v2/products/{number}/reviews"))));
        }
        steps
    }));
}

/// The catalogue again, a product a minute for hours, in no order.
pub(super) fn slowly(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(80, 160) as u32;
    cast.passing_by(Rounds::new(rounds, move |_, _, scene, _| {
        let number = ProductId(scene.chance.below(scene.shop.catalog.len()) as u32).number();
        vec![Step::attack(scene.chance.between(15_000, 60_000), family, Call::get(format!("/v2/products/{number}")))]
    }));
}

/// Coupon codes, guessed.
pub(super) fn coupons(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(60, 150) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let code = format!("{}{}", scene.chance.pick(&["WELCOME", "SPRING", "FRIEND", "VIP", "STAFF"]), scene.chance.between(1, 99));
        let call = Call::post(
            "/v2/cart/coupon",
            Json::object(|j| {
                j.str("code", &code);
            }),
        );
        vec![Step::attack(scene.chance.between(100, 900), family, call)]
    }));
}
