//! What analysts said to be nothing is normal from the next model on: there, and nowhere else.

use crate::traffic::{SMALL_SHOP, history, judging, position};
use engine::record::{Exchange, Verdict};
use engine::{Admission, LearnConfig, Model, learn};
use std::sync::Arc;

fn learned(admitted: Vec<Admission>) -> Arc<Model> {
    let config = LearnConfig { label: "v1".to_owned(), admitted, ..LearnConfig::default() };
    Arc::new(learn(&history(&SMALL_SHOP.learned_day), &config, &mut |_| {}).expect("a history that is not empty"))
}

fn judged(model: &Arc<Model>, exchange: &Exchange<'static>) -> Verdict {
    judging(model).judge(position(0), exchange).verdict
}

/// A search like those of every day, and the same with an injection in it.
fn injected(path: &str) -> Exchange<'static> {
    let usual = SMALL_SHOP.next_day.iter().find(|e| &*e.path == path && e.query.as_deref().is_some_and(|q| q.contains("q=")));
    let mut exchange = usual.expect("somebody searches").clone();
    exchange.query = Some("q=x%27%20UNION%20SELECT%20card%2Ccvv%20FROM%20payments%20--%20%3Cscript%3E".into());
    exchange
}

#[test]
fn a_finding_that_is_nothing_counts_as_normal_at_its_place_alone() {
    let search = injected("/v2/products");
    let before = judged(&learned(Vec::new()), &search);
    assert!(before.p < 0.01 && !before.reasons.is_empty(), "{before:#?}");
    let admission = |reason: &engine::record::Reason, place: Option<String>| Admission {
        endpoint: before.endpoint.clone(),
        family: reason.family,
        place,
    };

    // All that was odd there is said to be nothing: nothing is odd any more, by a model that went through its parts.
    let here: Vec<_> = before.reasons.iter().map(|reason| admission(reason, Some(reason.place.clone()))).collect();
    let model = learned(here.clone());
    let model = Arc::new(Model::from_parts(&model.to_parts().unwrap()).unwrap());
    let after = judged(&model, &search);
    assert!(after.p > 0.05 && after.reasons.is_empty(), "{after:#?}");
    assert_eq!(model.admissions().len(), here.len());

    // Elsewhere nothing changes: at another part of the exchange, or at another endpoint.
    let elsewhere = before.reasons.iter().map(|reason| admission(reason, Some("request.body.other".to_owned())));
    let other = here.iter().map(|own| Admission { endpoint: "GET api.shop.example/other".to_owned(), ..own.clone() });
    let model = learned(elsewhere.chain(other).collect());
    assert_eq!(judged(&model, &search), before);
}
