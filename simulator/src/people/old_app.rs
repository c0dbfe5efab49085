//! An app of years ago on a phone that nobody updates: the last users of the first version of the API.

use super::client::Client;
use super::visit::{Outcome, Scene, Script, Step};
use crate::wire::Call;

/// The old app: lists, a product or two, and gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct OldApp {
    begun: bool,
}

impl Script for OldApp {
    fn next(&mut self, _: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        if self.begun {
            return Vec::new();
        }
        self.begun = true;
        let mut steps = vec![Step::new(1, list)];
        for _ in 0..scene.chance.between(1, 4) {
            steps.push(Step::new(scene.chance.think(8_000.0), product));
        }
        steps
    }
}

fn list(_: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get("/v1/products").with("offset", &(scene.chance.rank(30) * 10).to_string()))
}

fn product(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/v1/products/{}", client.memory.products.any(scene.chance)?.number())))
}
