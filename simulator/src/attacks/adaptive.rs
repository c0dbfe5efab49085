//! Attackers who adapt: one sees only the answers and goes on from what worked, one does what everybody does at everybody's pace.

use super::disguise::{Cast, Rounds};
use crate::chance::Chance;
use crate::people::{Goal, Step, steps_of};
use crate::shop::invoice_number;
use crate::text;
use crate::wire::Call;

/// Ways to write the same probe, from hardly noticeable to plain.
const PROBES: &[&str] = &[
    "price'",
    "price''",
    "price,1",
    "price)--",
    "price AND 1=1",
    "(CASE WHEN 1=1 THEN price END)",
    "price;SELECT 1",
    "price UNION SELECT email FROM users",
];

/// Injection by trial: the next probe goes further when the last one was answered, less far when it was refused, and waits when it is told to.
pub(super) fn injection(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let mut level = 0usize;
    let rounds = cast.scene.chance.between(8, 18) as u32;
    cast.logged_in(Rounds::new(rounds, move |round, _, scene, last| {
        if round > 0 {
            match last.status {
                200..=399 | 500 => level = (level + 1).min(PROBES.len() - 1),
                _ => level = level.saturating_sub(1),
            }
        }
        let pause = if last.status == 429 { 60_000 } else { scene.chance.think(9_000.0) };
        let words = text::search(scene.chance);
        let probe = soften(scene.chance, PROBES[level]);
        vec![
            Step::call(scene.chance.think(6_000.0), Call::get("/v2/products").with("q", &words)),
            Step::attack(pause, family, Call::get("/v2/products").with("q", &words).with("sort", &probe)),
        ]
    }));
}

fn soften(chance: &mut Chance, probe: &str) -> String {
    match chance.below(3) {
        0 => probe.replace(' ', "\t"),
        1 => probe.replace("SELECT", "SeLeCt").replace("UNION", "UnIoN"),
        _ => probe.to_owned(),
    }
}

/// Other people's invoices, one in each round of everyday steps: where a customer would open the own invoice, somebody else's is opened.
pub(super) fn mimic(cast: &mut Cast<'_, '_>) {
    let family = cast.family();
    let latest = cast.scene.shop.orders.latest_invoice();
    let rounds = cast.scene.chance.between(6, 14) as u32;
    cast.logged_in(Rounds::new(rounds, move |_, client, scene, _| {
        let goal = scene.chance.pick(&[Goal::Browse, Goal::Search, Goal::Wishes, Goal::News]);
        let mut steps = steps_of(goal, client, scene);
        steps.extend(steps_of(Goal::Orders, client, scene).into_iter().take(2));
        let number = latest.saturating_sub(scene.chance.below(900) as u32);
        steps.push(Step::attack(scene.chance.think(7_000.0), family, Call::get(format!("/v2/invoices/{}", invoice_number(number)))));
        steps
    }));
}
