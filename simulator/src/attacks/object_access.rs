//! Other people's objects: counted through, guessed, or known from somewhere.

use super::disguise::{Cast, Rounds, by_hand, by_script};
use crate::people::Step;
use crate::shop::invoice_number;
use crate::wire::Call;

/// Invoices by their numbers, one after the other.
pub(super) fn invoices(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let latest = cast.scene.shop.orders.latest_invoice();
    let mut number = latest.saturating_sub(cast.scene.chance.between(40, 900) as u32);
    let rounds = cast.scene.chance.between(6, 60) as u32;
    let scripted = cast.scene.chance.hit(0.6);
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        number += if scripted { 1 } else { scene.chance.between(1, 7) as u32 };
        let call = Call::get(format!("/v2/invoices/{}", invoice_number(number)));
        vec![if scripted { by_script(family, scene, call) } else { by_hand(family, scene, call) }]
    }));
}

/// Addresses around one's own.
pub(super) fn addresses(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(6, 40) as u32;
    cast.logged_in(Rounds::new(rounds, move |round, client, scene, _| {
        let own = client.user.and_then(|u| scene.shop.accounts.get(u)).and_then(|u| u.addresses().first()).map_or(50_900, |a| a.id);
        let call = Call::get(format!("/v2/users/me/addresses/{}", own + 1 + round));
        vec![by_script(family, scene, call)]
    }));
}

/// Orders and parcels whose ids became known from somewhere.
pub(super) fn orders(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let rounds = cast.scene.chance.between(3, 12) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        let back = scene.chance.below(scene.shop.orders.len());
        let Some(id) = scene.shop.orders.recent(back) else { return Vec::new() };
        let path = if scene.chance.hit(0.7) { format!("/v2/orders/{id}/tracking") } else { format!("/v2/orders/{id}") };
        vec![by_hand(family, scene, Call::get(path))]
    }));
}

/// Invoices again, one every few minutes: below any rate that could be fixed.
pub(super) fn slowly(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let latest = cast.scene.shop.orders.latest_invoice();
    let mut number = latest.saturating_sub(cast.scene.chance.between(40, 900) as u32);
    let rounds = cast.scene.chance.between(20, 50) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, _, scene, _| {
        number += scene.chance.between(1, 3) as u32;
        let call = Call::get(format!("/v2/invoices/{}", invoice_number(number)));
        vec![Step::attack(scene.chance.between(40_000, 200_000), family, call)]
    }));
}
