//! Kiosks in shops of partners: two ways through the same four pages. Which one it was shows only at its beginning and at its end, so that
//! whoever begins like one and ends like the other can be told by a memory of more than four steps alone.

use super::browse::{categories, category, home_feed, recommendations, reviews, search};
use super::client::Client;
use super::visit::{Intent, Outcome, Scene, Script, Step};
use crate::wire::Call;
use engine::record::Family;

/// A visit at a kiosk.
#[derive(Debug, Clone)]
pub(crate) struct Kiosk {
    /// Whether it is the way of those who look for a present.
    presents: bool,
    /// Whether it ends as the other way does.
    crossed: bool,
    begun: bool,
}

impl Kiosk {
    /// One of the two ways.
    pub(crate) fn new(presents: bool) -> Self {
        Self { presents, crossed: false, begun: false }
    }

    /// The same, but ending as the other.
    pub(crate) fn crossed(mut self) -> Self {
        self.crossed = true;
        self
    }
}

impl Script for Kiosk {
    fn next(&mut self, _: &mut Client, scene: &mut Scene<'_>, _: Outcome) -> Vec<Step> {
        if self.begun {
            return Vec::new();
        }
        self.begun = true;
        let first: Intent = if self.presents { categories } else { category };
        let last: Intent = if self.presents != self.crossed { page_by_name } else { home_feed };
        let mut think = || scene.chance.think(4_000.0);
        let mut steps = vec![Step::new(1, first)];
        steps.extend([search, page, reviews, recommendations].map(|intent: Intent| Step::new(think(), intent)));
        steps.push(if self.crossed { Step::attack_intent(think(), Family::Sequence, last) } else { Step::new(think(), last) });
        steps
    }
}

/// The page of a product that was listed.
fn page(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let product = client.memory.products.any(scene.chance).unwrap_or_else(|| scene.shop.catalog.popular(scene.chance));
    client.memory.viewed = Some(product);
    Some(Call::get(format!("/v2/products/{}", product.number())))
}

/// The same by its name.
fn page_by_name(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let slug = &scene.shop.catalog.get(client.memory.viewed?)?.slug;
    Some(Call::get(format!("/v2/products/by-slug/{slug}")))
}
