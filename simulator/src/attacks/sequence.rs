//! Steps in an order that does not occur: checkout without paying, without anything, or without ever having looked at a product.

use super::disguise::{Cast, Rounds};
use crate::people::{
    Outcome, Scene, Step, add_to_cart, addresses, choose_address, log_in, open_checkout, order, pay, search, see_cart, view,
};

/// Everything as it should be, but the payment is left out.
pub(super) fn payment(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 3) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let mut think = |median| scene.chance.think(median);
        vec![
            Step::new(think(5_000.0), view),
            Step::new(think(8_000.0), add_to_cart),
            Step::new(think(3_000.0), open_checkout),
            Step::new(200, addresses),
            Step::new(think(6_000.0), choose_address),
            Step::attack_intent(think(5_000.0), family, order),
        ]
    }));
}

/// From the open checkout straight to the order.
pub(super) fn all(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(1, 3) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let mut think = |median| scene.chance.think(median);
        vec![
            Step::new(think(5_000.0), view),
            Step::new(think(8_000.0), add_to_cart),
            Step::new(think(3_000.0), open_checkout),
            Step::attack_intent(think(1_000.0), family, order),
        ]
    }));
}

/// A bot that buys what is scarce: log-in, cart, checkout, payment, order within two seconds, over and over, and never a look at the page.
pub(super) fn scalper(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let client = cast.insider();
    let rounds = cast.scene.chance.between(2, 5) as u32;
    let script = Rounds::new(rounds, move |round, client, scene: &mut Scene<'_>, _: Outcome| {
        let product = scene.shop.catalog.popular(scene.chance);
        client.memory.viewed = Some(product);
        if let Some(address) = client.user.and_then(|u| scene.shop.accounts.get(u)).and_then(|u| u.addresses().first()) {
            client.memory.addresses.push(address.id);
        }
        let mut steps = Vec::new();
        if round == 0 {
            steps.extend([Step::new(1, log_in), Step::new(900, search)]);
        }
        let mut quick = |intent| steps.push(Step::attack_intent(scene.chance.between(40, 180), family, intent));
        quick(add_to_cart);
        quick(open_checkout);
        quick(choose_address);
        quick(pay);
        quick(order);
        steps.push(Step::new(scene.chance.between(5_000, 60_000), see_cart));
        steps
    });
    cast.enter(0, client, script);
}
