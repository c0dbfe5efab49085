//! p-values mean what they say on traffic that nobody learned.

use crate::traffic::{SHOP, judging, position};
use engine::Verdict;
use std::sync::LazyLock;

/// Verdicts on the day after the one that was learned.
static VERDICTS: LazyLock<Vec<Verdict>> = LazyLock::new(|| {
    let mut partition = judging(&SHOP.model);
    SHOP.next_day.iter().enumerate().map(|(at, exchange)| partition.judge(position(at), exchange).verdict).collect()
});

/// Share of verdicts below a level.
fn realised<'v>(verdicts: impl Iterator<Item = &'v Verdict>, level: f64) -> (f64, usize) {
    let (mut below, mut all) = (0usize, 0usize);
    for verdict in verdicts {
        all += 1;
        below += usize::from(verdict.p < level);
    }
    (below as f64 / all as f64, all)
}

// Bounds: a session's requests stand or fall together, and a day of this shop has a thousand sessions, so at 0.01 the rate of a faultless
// calibration spreads by √(0.01 · 0.99 / 1000) = 0.3 %: twice the level is three deviations away, and a level that is off by as much as
// would double an operator's alerts is found. A calibration that is too careful misses attacks: a quarter of the level is its bound.
#[test]
fn levels_hold_on_the_next_day() {
    for level in [0.1, 0.03, 0.01] {
        let (rate, all) = realised(VERDICTS.iter(), level);
        eprintln!("{level} {rate} {all}");
        assert!((level / 4.0..=level * 2.0).contains(&rate), "{rate:.4} of {all} at {level}");
    }
}

#[test]
fn x() {
    for class in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        for level in [0.1, 0.03, 0.01] {
            let of_class = VERDICTS.iter().filter(|v| v.endpoint.starts_with(class));
            eprintln!("{class} {level} {:?}", realised(of_class, level));
            let of_class = VERDICTS.iter().filter(|v| v.endpoint.starts_with(class) && !v.path.starts_with("/webhooks/"));
            eprintln!("{class} {level} {:?} no hooks", realised(of_class, level));
        }
    }
    let l = VERDICTS.iter().filter(|v| v.endpoint.contains("auth/"));
    for level in [0.1, 0.03, 0.01] {
        eprintln!("auth {:?}", realised(l.clone(), level));
    }
}
