//! A partner's program: pushes stock, now and then prices, fetches orders, tells of shipments, and reads the whole catalogue at night.

use super::client::Client;
use super::visit::{Outcome, Scene, Script, Step};
use crate::ids::ProductId;
use crate::json::Json;
use crate::shop::{api_key, signature};
use crate::wire::{Call, PARTNERS};

/// A partner's program.
#[derive(Debug, Clone)]
pub(crate) struct Supplier {
    /// Which partner.
    pub(crate) partner: usize,
    /// Milliseconds between its rounds, in median.
    pub(crate) every: i64,
    /// Milliseconds that its clock is wrong by.
    pub(crate) skew: i64,
    /// Whether every round wears another user agent.
    pub(crate) rotating: bool,
    /// Rounds left; none runs for ever.
    pub(crate) rounds: Option<u32>,
    /// Day of the last nightly run.
    pub(crate) last_night: i64,
}

const AGENTS: &[&str] = &[
    "python-requests/2.31.0",
    "python-requests/2.32.3",
    "Python/3.11 aiohttp/3.9.5",
    "curl/8.5.0",
    "Go-http-client/1.1",
    "okhttp/4.9.3",
    "Java/17.0.9",
    "PostmanRuntime/7.42.0",
];

impl Script for Supplier {
    fn next(&mut self, client: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        match &mut self.rounds {
            Some(0) => return Vec::new(),
            Some(rounds) => *rounds -= 1,
            None => {}
        }
        if self.rotating {
            client.agent = format!("{} node/{}", scene.chance.pick(AGENTS), scene.chance.below(40)).into();
        }
        let (hour, day) = (scene.now.div_euclid(3_600_000).rem_euclid(24), scene.now.div_euclid(86_400_000));
        if self.rounds.is_none() && hour == 2 && self.last_night != day {
            self.last_night = day;
            client.memory.cursor = 0;
            let pages = scene.shop.catalog.len() / 100 + 1;
            let mut steps = vec![Step::pause(scene.chance.between(1_000, 3_000_000))];
            steps.extend((0..pages).map(|_| Step::new(scene.chance.between(300, 900), page)));
            return steps;
        }
        let wait = scene.chance.between(self.every * 9 / 10, self.every * 11 / 10);
        let mut steps = vec![Step::pause(wait)];
        match scene.chance.below(10) {
            0..=4 => steps.push(Step::call(50, self.stock(scene))),
            5 => steps.push(Step::call(50, self.prices(scene))),
            _ => {
                steps.push(Step::new(50, orders));
                if scene.chance.hit(0.7) {
                    steps.push(Step::call(900, self.shipment(client, scene)));
                }
            }
        }
        steps
    }
}

impl Supplier {
    /// A program that runs a round every so many milliseconds.
    pub(crate) fn new(partner: usize, every: i64) -> Self {
        Self { partner, every, skew: 0, rotating: false, rounds: None, last_night: -1 }
    }

    fn stock(&self, scene: &mut Scene<'_>) -> Call {
        let count = scene.chance.between(4, 28);
        let body = items(scene, count, |j, scene| {
            j.int("quantity", scene.chance.between(0, 300)).str("warehouse", scene.chance.pick(&["HAM1", "LEJ2", "RTM1"]));
        });
        signed(self.partner, "/stock/v1/updates", body, self.stamp(scene))
    }

    fn prices(&self, scene: &mut Scene<'_>) -> Call {
        let count = scene.chance.between(2, 12);
        let body = items(scene, count, |j, scene| {
            j.money("price", scene.chance.lognormal(3_900.0, 0.6) as i64 / 100 * 100 + 99).str("currency", "EUR");
        });
        signed(self.partner, "/stock/v1/prices", body, self.stamp(scene))
    }

    fn shipment(&self, client: &Client, scene: &mut Scene<'_>) -> Call {
        let order = client.memory.orders.any(scene.chance).unwrap_or_else(|| scene.chance.uuid());
        let body = Json::object(|j| {
            j.str("carrier", scene.chance.pick(&["DHL", "UPS", "GLS"]))
                .str("tracking_code", &format!("JD0146{:014}", scene.chance.bits() % 100_000_000_000_000));
            j.int("parcels", scene.chance.weighted(&[(1, 90), (2, 10)]));
        });
        signed(self.partner, &format!("/stock/v1/orders/{order}/shipments"), body, self.stamp(scene))
    }

    fn stamp(&self, scene: &mut Scene<'_>) -> Stamp {
        Stamp { nonce: scene.chance.hex(32), timestamp: (scene.now + self.skew) / 1000 }
    }
}

/// What makes a partner's call unique.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) nonce: String,
    /// Epoch seconds of the partner's clock.
    pub(crate) timestamp: i64,
}

/// A signed call of a partner.
pub(crate) fn signed(partner: usize, path: &str, body: String, stamp: Stamp) -> Call {
    let signature = signature(partner, &stamp.nonce, stamp.timestamp, &body);
    Call::post(path, body)
        .at(PARTNERS)
        .header("x-api-key", api_key(partner))
        .header("x-nonce", stamp.nonce)
        .header("x-timestamp", stamp.timestamp.to_string())
        .header("x-signature", signature)
}

fn items(scene: &mut Scene<'_>, count: i64, mut fill: impl FnMut(&mut Json, &mut Scene<'_>)) -> String {
    Json::object(|j| {
        j.show("batch_id", scene.chance.uuid());
        j.list("items", 0..count, |j, _| {
            let product = ProductId(scene.chance.below(scene.shop.catalog.len()) as u32);
            j.str("sku", scene.shop.catalog.get(product).map_or("", |p| &p.sku));
            fill(j, scene);
        });
    })
}

fn orders(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let since = scene.now / 1000 - 3_600;
    let call = Call::get("/stock/v1/orders").with("status", "new").with("since", &since.to_string());
    Some(call.at(PARTNERS).header("x-api-key", api_key(client.partner?)))
}

/// The next page of the catalogue.
pub(crate) fn page(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    let call = Call::get("/stock/v1/items").with("cursor", &client.memory.cursor.to_string()).with("limit", "100");
    Some(call.at(PARTNERS).header("x-api-key", api_key(client.partner?)))
}
