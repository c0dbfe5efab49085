//! A day like the one that was learned is no drift; new endpoints, new fields and odd days are.

use crate::traffic::{SHOP, judging, position};
use engine::drift::{Drift, Sign};
use engine::features::Features;
use engine::record::{Exchange, Text};

/// The signs after a day.
fn signs<'e>(day: impl Iterator<Item = Exchange<'e>>) -> Vec<Sign> {
    let (mut partition, mut drift) = (judging(&SHOP.model), Drift::default());
    for (at, exchange) in day.enumerate() {
        let verdict = partition.judge(position(at), &exchange).verdict;
        drift.see(&SHOP.model, &Features::of(&exchange), &verdict);
    }
    drift.signs().into_iter().map(|(_, sign)| sign).collect()
}

/// The next day, with every fifth request changed.
fn changed(change: impl Fn(&mut Exchange<'static>)) -> impl Iterator<Item = Exchange<'static>> {
    SHOP.next_day.iter().take(8_000).cloned().enumerate().map(move |(at, mut exchange)| {
        if at % 5 == 0 {
            change(&mut exchange);
        }
        exchange
    })
}

#[test]
fn the_next_day_is_no_drift() {
    assert_eq!(signs(changed(|_| {})), []);
}

#[test]
fn endpoints_and_fields_of_a_new_release_are() {
    let moved = signs(changed(|exchange| exchange.path = Text::from(format!("/v3{}", exchange.path))));
    assert!(moved.iter().any(|sign| matches!(sign, Sign::Endpoints(_))), "{moved:?}");
    let query = |exchange: &mut Exchange<'static>| exchange.query = Some(Text::from("experiment=7"));
    let grown = signs(changed(query));
    assert!(grown.iter().any(|sign| matches!(sign, Sign::Fields(_))), "{grown:?}");
    assert!(grown.iter().all(|sign| sign.to_string().contains("field that the model does not know")), "{grown:?}");
}
