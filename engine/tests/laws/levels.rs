//! p-values mean what they say on traffic that nobody learned.

use crate::traffic::{SHOP, judging, position};
use engine::record::{Label, Verdict};
use std::collections::BTreeSet;
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

// Bounds. A session's requests stand or fall together, and this day has a thousand sessions: at 0.01 the rate of a faultless calibration
// spreads by √(0.01 · 0.99 / 1000) = 0.3 %, so that twice the level is three deviations away, and a calibration that doubles an operator's
// alerts is found. One that is too careful misses attacks: a quarter of the level is its bound.
fn check<'v>(what: &str, verdicts: &(impl Iterator<Item = &'v Verdict> + Clone), levels: &[f64]) {
    for level in levels {
        let (rate, all) = realised(verdicts.clone(), *level);
        assert!(rate <= level * 2.0, "{what}: {rate:.4} of {all} below {level}");
        assert!(rate >= level / 4.0, "{what}: no more than {rate:.4} of {all} below {level}");
    }
}

#[test]
fn levels_hold_on_the_next_day() {
    check("all", &VERDICTS.iter(), &[0.1, 0.03, 0.01]);
}

#[test]
fn levels_hold_for_reads_and_for_writes() {
    // What only one machine ever calls is not known, and has no class to be level with.
    let of = |method: &'static str| VERDICTS.iter().filter(move |v| v.endpoint.starts_with(method) && !v.path.starts_with("/webhooks/"));
    check("reads", &of("GET "), &[0.1, 0.03, 0.01]);
    check("writes", &of("POST "), &[0.1]);
}

#[test]
fn a_benign_day_gives_few_alerts() {
    let sessions = VERDICTS.iter().filter_map(|v| v.session.as_deref()).collect::<BTreeSet<_>>().len();
    let alerted =
        VERDICTS.iter().filter(|v| v.label == Label::Anomalous).filter_map(|v| v.session.as_deref()).collect::<BTreeSet<_>>().len();
    assert!(alerted * 66 <= sessions, "{alerted} of {sessions} benign sessions alert");
}
