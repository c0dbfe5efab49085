//! A path can be followed through what was learned, and each turn says why.

use crate::traffic::{SMALL_SHOP, history};
use engine::paths::{Clue, Paths, Taken, Walk};
use engine::{LearnConfig, Model, learn};

const HOST: &str = "api.shop.example";
const ORDER: &str = "/v2/products/0f8fad5b-d9cb-469f-a165-70867728950e";

fn paths(model: &Model) -> &Paths {
    &model.api(HOST).expect("the shop's API").paths
}

fn taken(walk: &Walk<'_>) -> Vec<Taken> {
    walk.turns.iter().map(|turn| turn.taken).collect()
}

#[test]
fn each_turn_says_what_it_is_and_on_what_grounds() {
    let walk = paths(&SMALL_SHOP.model).walk(HOST, ORDER).expect("a host of the shop");
    assert_eq!(taken(&walk), [Taken::Name, Taken::Name, Taken::Value]);
    let place = walk.turns[2].place.expect("a reason");
    let values = place.values.as_ref().expect("what was merged");
    assert!(values.distinct > 10 && values.requests >= values.distinct && place.typed > 0);
    let beside = place.names.iter().find(|name| name.word == "by-slug").expect("a name beside the variable");
    assert!(beside.odds() <= 0.0 && beside.requests > 0);
    assert!(walk.endpoints.iter().any(|e| &*e.method == "GET" && &*e.template == "/v2/products/{id}"));
}

#[test]
fn a_path_that_leads_nowhere_ends_where_it_leaves_the_tree() {
    let paths = paths(&SMALL_SHOP.model);
    let walk = paths.walk(HOST, "/v2/nothing/here").expect("a host of the shop");
    assert_eq!(taken(&walk), [Taken::Name, Taken::Nowhere]);
    assert!(walk.endpoints.is_empty());
    assert!(paths.walk(HOST, "/v2").expect("a host of the shop").endpoints.is_empty());
    assert!(paths.walk("elsewhere.example", "/v2").is_none());
}

#[test]
fn a_model_file_keeps_the_grounds() {
    let read = Model::from_parts(&SMALL_SHOP.model.to_parts().expect("parts")).expect("a model");
    assert_eq!(paths(&read).walk(HOST, ORDER), paths(&SMALL_SHOP.model).walk(HOST, ORDER));
}

#[test]
fn pinned_templates_win() {
    let pins = vec!["/v2/products/{id}".to_owned(), "/v2/categories/womens-shoes".to_owned()];
    let history = history(&SMALL_SHOP.learned_day);
    let model = learn(&history, &LearnConfig { pins, ..LearnConfig::default() }, &mut |_| {}).expect("a history");
    let third = |model: &Model, path: &str| paths(model).walk(HOST, path).expect("a host of the shop").turns[2].taken;
    let both = |model: &Model| [third(model, "/v2/products/by-slug/x"), third(model, "/v2/categories/womens-shoes")];
    assert_eq!(both(&SMALL_SHOP.model), [Taken::Name, Taken::Value]);
    assert_eq!(both(&model), [Taken::Value, Taken::Name]);
    let walk = paths(&model).walk(HOST, "/v2/products/by-slug/x").expect("a host of the shop");
    let clues = &walk.turns[2].place.expect("a reason").clues;
    assert!(clues.iter().any(|(clue, _)| *clue == Clue::Pinned), "{clues:?}");
}
