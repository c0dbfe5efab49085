//! Machines that never leave: load balancers that ask whether the shop is well, providers that tell it what happened.

use super::client::Client;
use super::visit::{Outcome, Scene, Script, Step};
use crate::chance::mix;
use crate::json::Json;
use crate::shop::Event;
use crate::wire::Call;

/// A load balancer: two checks every interval.
#[derive(Debug, Clone)]
pub(crate) struct LoadBalancer {
    /// Milliseconds between rounds.
    pub(crate) every: i64,
}

impl Script for LoadBalancer {
    fn next(&mut self, _: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        let jitter = scene.chance.between(-40, 40);
        vec![Step::call(self.every + jitter, Call::get("/health/live")), Step::call(15, Call::get("/health/ready"))]
    }
}

/// The payment provider: tells of payments a little after they were authorised.
#[derive(Debug, Clone)]
pub(crate) struct PaymentProvider {
    /// Milliseconds between its rounds, on average.
    pub(crate) every: i64,
}

/// The carrier: tells of parcels.
#[derive(Debug, Clone)]
pub(crate) struct Carrier {
    /// Milliseconds between its rounds.
    pub(crate) every: i64,
}

impl Script for PaymentProvider {
    fn next(&mut self, _: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        let mut steps = vec![Step::pause(scene.chance.exponential(self.every as f64) as i64 + 500)];
        while let Some(Event::Paid { intent, cents }) = scene.shop.next_payment() {
            let body = Json::object(|j| {
                j.str("id", &format!("evt_{}", scene.chance.base62(24)))
                    .str("type", "payment_intent.succeeded")
                    .int("created", scene.now / 1000);
                j.nested("data", |j| {
                    j.str("intent", &intent).int("amount", cents).str("currency", "eur").str("status", "succeeded");
                });
            });
            steps.push(Step::call(scene.chance.between(20, 400), signed("/webhooks/payments", body, scene)));
            if steps.len() > 20 {
                break;
            }
        }
        steps
    }
}

impl Script for Carrier {
    fn next(&mut self, _: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        let mut steps = vec![Step::pause(self.every)];
        while let Some(Event::Shipped { order }) = scene.shop.next_parcel() {
            let key = order.key();
            let body = Json::object(|j| {
                j.str("id", &format!("trk-{:012}", key % 1_000_000_000_000))
                    .str("event", scene.chance.pick(&["accepted", "in_transit", "delivered"]));
                j.show("reference", order).str("code", &format!("JD0146{:014}", mix(key, 5) % 100_000_000_000_000));
            });
            steps.push(Step::call(scene.chance.between(80, 900), signed("/webhooks/carrier", body, scene)));
            if steps.len() > 20 {
                break;
            }
        }
        steps
    }
}

fn signed(path: &'static str, body: String, scene: &mut Scene<'_>) -> Call {
    let signature = format!("t={},v1={}", scene.now / 1000, scene.chance.hex(64));
    Call::post(path, body).header("x-webhook-signature", signature)
}
