//! A model is a function of its history, and its parts are all of it.

use crate::tape::verdicts;
use crate::traffic::{SMALL_SHOP, attacked, history, judging, learned};
use engine::{LearnConfig, Model, learn};
use std::sync::Arc;

#[test]
fn the_same_history_gives_the_same_bytes() {
    let again = learned(&SMALL_SHOP.learned_day, "v1");
    assert!(again.to_parts().expect("parts") == SMALL_SHOP.model.to_parts().expect("parts"));
    let other = learned(&SMALL_SHOP.next_day, "v1");
    assert!(other.to_parts().expect("parts") != SMALL_SHOP.model.to_parts().expect("parts"));
}

#[test]
fn a_model_from_its_parts_says_the_same() {
    let parts = SMALL_SHOP.model.to_parts().expect("parts");
    let again = Arc::new(Model::from_parts(&parts).expect("its own parts"));
    assert!(again.to_parts().expect("parts") == parts);
    let traffic = attacked(14, 0.04, 12_000);
    let (said, expected) = (verdicts(judging(&again), &traffic), verdicts(judging(&SMALL_SHOP.model), &traffic));
    assert_eq!(said, expected);
}

#[test]
fn progress_rises_to_the_end() {
    let mut seen = Vec::new();
    let history = history(SMALL_SHOP.learned_day.iter().take(400));
    learn(&history, &LearnConfig::default(), &mut |p| seen.push(p.done)).expect("a history");
    assert!(seen.is_sorted() && seen.iter().all(|done| (0.0..=1.0).contains(done)), "{seen:?}");
    assert!(seen.last().is_some_and(|done| (done - 1.0).abs() < 1e-9), "{seen:?}");
}
