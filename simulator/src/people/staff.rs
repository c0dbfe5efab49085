//! Somebody of the shop's staff at work: orders, customers, prices, reviews to take down.

use super::client::Client;
use super::visit::{Outcome, Scene, Script, Step};
use super::{account, browse};
use crate::json::Json;
use crate::wire::Call;

/// A member of staff.
#[derive(Debug, Clone)]
pub(crate) struct Staff {
    tasks: u32,
    begun: bool,
}

impl Staff {
    /// Somebody with so many things to do.
    pub(crate) fn new(tasks: u32) -> Self {
        Self { tasks, begun: false }
    }
}

impl Script for Staff {
    fn next(&mut self, client: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        if !self.begun {
            self.begun = true;
            let mut steps = Vec::new();
            if client.bearer.is_none() {
                steps.push(Step::new(1, account::log_in));
            }
            steps.extend([Step::new(200, stats), Step::new(90, orders)]);
            return steps;
        }
        if self.tasks == 0 {
            return Vec::new();
        }
        self.tasks -= 1;
        let think = scene.chance.think(14_000.0);
        match scene.chance.below(10) {
            0..=3 => vec![Step::new(think, orders), Step::new(scene.chance.think(9_000.0), customer)],
            4 | 5 => vec![Step::new(think, customers), Step::new(scene.chance.think(6_000.0), customer)],
            6 => vec![Step::new(think, orders), Step::new(scene.chance.think(20_000.0), refund)],
            7 => vec![Step::new(think, browse::search), Step::new(scene.chance.think(5_000.0), browse::view), Step::new(12_000, price)],
            8 => vec![Step::new(think, browse::view), Step::new(300, browse::reviews), Step::new(8_000, take_down)],
            _ => vec![Step::new(think, customers), Step::new(4_000, customer), Step::new(7_000, lock)],
        }
    }
}

fn stats(_: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get("/admin/v2/stats/daily"))
}

fn orders(_: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get("/admin/v2/orders").with("status", scene.chance.pick(&["received", "packed", "open"])))
}

fn customers(_: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let pages = scene.shop.accounts.len() as usize / 25;
    Some(Call::get("/admin/v2/users").with("page", &(1 + scene.chance.rank(pages)).to_string()))
}

fn customer(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/admin/v2/users/{}", client.memory.users.any(scene.chance)?.number())))
}

fn lock(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let user = client.memory.users.last()?;
    let reason = scene.chance.pick(&["fraud suspected", "asked for by customer", "chargeback (2nd)"]);
    Some(Call::post(
        format!("/admin/v2/users/{}/lock", user.number()),
        Json::object(|j| {
            j.str("reason", reason);
        }),
    ))
}

fn refund(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let order = client.memory.orders.any(scene.chance)?;
    let chance = &mut *scene.chance;
    let body = Json::object(|j| {
        j.int("amount_cents", chance.between(500, 9_000)).str("reason", chance.pick(&["damaged", "returned", "goodwill"]));
    });
    Some(Call::post(format!("/admin/v2/orders/{order}/refund"), body))
}

fn price(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let product = client.memory.viewed?;
    let cents = scene.chance.lognormal(3_900.0, 0.6) as i64 / 100 * 100 + 99;
    Some(Call::new("PATCH", format!("/admin/v2/products/{}", product.number())).with_body(Json::object(|j| {
        j.int("price_cents", cents);
    })))
}

fn take_down(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::new("DELETE", format!("/admin/v2/reviews/{}", client.memory.reviews.any(scene.chance)?)))
}
