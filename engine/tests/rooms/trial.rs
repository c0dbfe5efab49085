//! Champion and challenger: a model that was taught that code is normal does not take over.

use super::{Call, learned};
use engine::features::Features;
use engine::neural::NoHeads;
use engine::trial::{Decision, Trial};
use std::time::Duration;

const DAY: i64 = 86_400_000;

/// An order of two visits of its own; every so many are for a quantity that is code.
fn order(n: usize, code_every: usize) -> Vec<Call> {
    let (at, session, ip) = (n as i64 * 30_000, format!("v{n}"), format!("203.0.{}.{}", n % 90, n % 70));
    let code = ["' or '1'='1", "<script>alert(1)</script>", "../../etc/passwd", "; cat /etc/passwd", "${7*7}"][n / 3 % 5];
    let quantity = if n % code_every == 1 { format!("{}{code}", n % 4 + 1) } else { (n % 4 + 1).to_string() };
    let from = |call: Call| call.from(&ip, "shop-app (Android)");
    vec![
        from(Call::new(at, &session, "GET", "/items")),
        from(Call::new(at + 2_000, &session, "POST", "/orders")).sends(&format!(r#"{{"quantity":"{quantity}"}}"#)),
    ]
}

#[test]
fn a_model_that_was_taught_code_is_refused_and_one_that_only_learned_on_is_not() {
    let orders = |code_every: usize| -> Vec<Call> { (0..2_500).flat_map(|n| order(n, code_every)).collect() };
    let (clean, poisoned) = (orders(usize::MAX), orders(3));
    let newest: Vec<Features> = (3_000..4_000).flat_map(|n| order(n, usize::MAX)).map(|call| Features::of(&call.exchange())).collect();
    let newest: Vec<&Features> = newest.iter().collect();
    let trial = |calls: &[Call]| Trial::of(&learned(calls), 0, &newest, &mut NoHeads, &|| Duration::ZERO).expect("no network is needed");
    let champion = trial(&clean);
    assert!(champion.injected > 300 && champion.caught * 10 > champion.injected * 9, "{champion:#?}");
    let later: Vec<Call> = clean.iter().map(|call| Call { at: call.at + DAY, ..call.clone() }).collect();
    assert_eq!(champion.decide(&trial(&later)), Decision::Promote);
    let taught = trial(&poisoned);
    let Decision::Refuse(why) = champion.decide(&taught) else { panic!("{taught:#?}") };
    assert!(why.contains("code in a typed field"), "{why}");
}
