//! Looking around: lists, search, products, reviews.

use super::client::{Client, Kind};
use super::visit::Scene;
use crate::ids::ProductId;
use crate::json::Json;
use crate::text::{self, CATEGORIES};
use crate::wire::Call;

const HOME_FEED: &str =
    "query HomeFeed($first: Int!) { feed(first: $first) { id slug name price currency image rating } banner { title href } }";
const PRODUCT_CARD: &str =
    "query ProductCard($id: Int!) { product(id: $id) { id name price description images { url } variants { size sku stock } } }";
const ORDER_STATUS: &str = "query OrderStatus { orders(last: 2) { id number state total placedAt } }";

/// A GraphQL call with one numeric variable.
pub(crate) fn graphql(operation: &str, query: &str, variable: (&str, u32)) -> Call {
    Call::post(
        "/v2/graphql",
        Json::object(|j| {
            j.str("operationName", operation).str("query", query);
            j.nested("variables", |j| {
                j.int(variable.0, variable.1);
            });
        }),
    )
}

/// The front page.
pub(crate) fn home_feed(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    Some(graphql("HomeFeed", HOME_FEED, ("first", if client.kind == Kind::Web { 12 } else { 8 })))
}

/// The state of one's latest orders, as the front page shows it.
pub(crate) fn order_status(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    client.bearer.as_ref()?;
    Some(graphql("OrderStatus", ORDER_STATUS, ("last", 2)))
}

/// The list of categories.
pub(crate) fn categories(_: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get("/v2/categories"))
}

/// A category, mostly its first page.
pub(crate) fn category(_: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let (slug, _, _) = CATEGORIES[scene.chance.rank(CATEGORIES.len())];
    let slip = scene.chance.hit(0.01);
    let slug = if slip { slug.trim_end_matches('s').to_owned() + "-" } else { slug.to_owned() };
    let call = Call::get(format!("/v2/categories/{slug}")).slipped(slip);
    Some(match scene.chance.below(6) {
        0 => call.with("page", &scene.chance.between(2, 4).to_string()),
        1 => call.with("page", "1").with("limit", "40"),
        _ => call,
    })
}

/// A search as somebody types it.
pub(crate) fn search(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let words = text::search(scene.chance);
    client.memory.search = Some((words.clone(), 1));
    Some(search_with(client, scene, &words))
}

/// A search for given words.
pub(crate) fn search_with(client: &Client, scene: &mut Scene<'_>, words: &str) -> Call {
    let mut call = Call::get("/v2/products").with("q", words);
    if scene.chance.hit(0.3) {
        let sort = scene.chance.pick(&["price", "-price", "rating", "newest", "relevance"]);
        call = call.with("sort", sort);
    }
    if client.kind.is_app() {
        call = call.with("page", "1").with("limit", "20");
    }
    call
}

/// The next page of a search.
pub(crate) fn next_page(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    let (words, page) = client.memory.search.as_mut()?;
    *page += 1;
    Some(Call::get("/v2/products").with("q", words).with("page", &page.to_string()).with("limit", "20"))
}

/// The page of a product that was listed before.
pub(crate) fn view(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let product = client.memory.products.any(scene.chance)?;
    client.memory.viewed = Some(product);
    Some(view_product(client, scene, product))
}

/// The page of a product, in the way in which the client asks for it.
pub(crate) fn view_product(client: &Client, scene: &mut Scene<'_>, product: ProductId) -> Call {
    if client.kind == Kind::Web && scene.chance.hit(0.45) {
        let slug = scene.shop.catalog.get(product).map_or("", |p| p.slug.as_str());
        return Call::get(format!("/v2/products/by-slug/{slug}"));
    }
    if client.kind == Kind::Ios && scene.chance.hit(0.3) {
        return graphql("ProductCard", PRODUCT_CARD, ("id", product.number()));
    }
    let slip = scene.chance.hit(0.008);
    let number = if slip { product.number() + 1 } else { product.number() };
    let call = Call::get(format!("/v2/products/{number}")).slipped(slip);
    match &client.memory.etag {
        Some((known, etag)) if *known == product => call.header("if-none-match", etag.clone()),
        _ => call,
    }
}

/// Looks once more at the product that was looked at before.
pub(crate) fn view_again(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let product = client.memory.viewed?;
    Some(view_product(client, scene, product))
}

/// Reviews of the product being looked at.
pub(crate) fn reviews(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    let call = Call::get(format!("/v2/products/{}/reviews", client.memory.viewed?.number()));
    Some(if scene.chance.hit(0.12) { call.with("page", "2") } else { call })
}

/// What goes with the product being looked at.
pub(crate) fn recommendations(client: &mut Client, _: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/v2/products/{}/recommendations", client.memory.viewed?.number())))
}

/// The public profile of somebody who wrote a review.
pub(crate) fn profile_of_other(client: &mut Client, scene: &mut Scene<'_>) -> Option<Call> {
    Some(Call::get(format!("/v2/users/{}", client.memory.users.any(scene.chance)?.number())))
}
