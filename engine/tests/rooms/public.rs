//! A public site, where nobody logs in: what its releases bring.

use super::{Call, Judge, learned};
use engine::Model;
use std::sync::Arc;

const PAGES: [&str; 6] = ["/", "/about", "/shop", "/static/app.9f3c1a.js", "/static/site.css", "/contact"];

/// A page for one of 150 visitors.
fn page(at: i64, visitor: usize, path: &str) -> Call {
    Call::new(at, &format!("visitor{visitor}"), "GET", path).from(&format!("203.0.{}.9", visitor % 150), "Mozilla/5.0 (X11; Linux)")
}

/// Traffic with or without credentials.
fn model(is_open: bool) -> Arc<Model> {
    let seen = |n: usize| {
        let call = page(n as i64 * 5_000, n % 150, PAGES[n / 150 % PAGES.len()]);
        if is_open { call } else { call.header("authorization", "Bearer abc") }
    };
    learned(&(0..6_000).map(seen).collect::<Vec<_>>())
}

/// How often the first ten visitors of a new page, each from another network, are told of it.
fn told(model: &Arc<Model>, path: &str) -> usize {
    let mut judge = Judge::new(model);
    let is_told = |n: usize| {
        let verdict = judge.judge(&page(40_000_000 + n as i64 * 1_000, n, path));
        verdict.reasons.iter().any(|reason| reason.observed.starts_with("an endpoint that never succeeded before"))
    };
    (0..10).map(is_told).filter(|told| *told).count()
}

#[test]
fn a_release_of_a_public_site_is_told_until_several_networks_have_found_it() {
    let open = model(true);
    assert_eq!(told(&open, "/shop/summer/sale"), 2);
    assert_eq!(told(&open, "/admin/export"), 10);
    // Where others log in, what is open to anybody is no release.
    assert_eq!(told(&model(false), "/shop/summer/sale"), 10);
}
