//! p-values mean what they say on traffic that nobody learned.

use crate::traffic::{SHOP, judging, position};

#[test]
fn timing() {
    let t = std::time::Instant::now();
    let shop = &*SHOP;
    eprintln!("shop {} {} {:?}", shop.monday.len(), shop.tuesday.len(), t.elapsed());
    let mut p = judging(&shop.model);
    let t = std::time::Instant::now();
    let mut ps: Vec<f64> = shop.tuesday.iter().enumerate().map(|(i, e)| p.judge(position(i), e).verdict.p).collect();
    eprintln!("judge {:?}", t.elapsed());
    ps.sort_by(f64::total_cmp);
    for a in [0.5, 0.1, 0.03, 0.01, 0.003, 0.001, 1e-4] {
        eprintln!("{a}: {}", ps.partition_point(|p| *p <= a) as f64 / ps.len() as f64);
    }
}
