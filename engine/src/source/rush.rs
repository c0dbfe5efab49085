//! Refused log-ins of all callers together: many addresses that each try once or twice stay below every limit of their own.
//!
//! Counted are only callers with few refusals (others stand out by themselves), against how many ten minutes of history had, and
//! against the usual share of this moment's log-ins, so that a rush of customers is none. Where hardly anybody is let in any more, the
//! log-in service is out of order, and nobody is to blame.

use crate::calibrate::Tail;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Length of a window, milliseconds.
const WINDOW: i64 = 600_000;
/// Windows that a distribution rests on, at least, and those looked at, at most.
const LEAST: usize = 20;
const MOST: i64 = 20_000;
/// Share of the usual log-ins that must still be let in.
const ALIVE: f32 = 0.3;
/// Refusals of one caller that count.
pub(super) const FEW: u32 = 2;

/// Log-ins of one endpoint in the latest ten minutes: refused (to callers with few refusals), let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rush {
    bucket: i64,
    current: [u32; 2],
    previous: [u32; 2],
}

impl Rush {
    /// Counts a log-in.
    pub(super) fn add(&mut self, is_refused: bool, now: i64) {
        let bucket = now / WINDOW;
        if bucket != self.bucket {
            self.previous = if bucket == self.bucket + 1 { self.current } else { [0; 2] };
            self.current = [0; 2];
            self.bucket = bucket;
        }
        let count = &mut self.current[usize::from(!is_refused)];
        *count = count.saturating_add(1);
    }

    /// Refused and let in over the ten minutes that end now.
    pub(super) fn counts(&self, now: i64) -> [f32; 2] {
        let rest = 1.0 - now.rem_euclid(WINDOW) as f32 / WINDOW as f32;
        match now / WINDOW - self.bucket {
            0 => [0, 1].map(|i| self.current[i] as f32 + self.previous[i] as f32 * rest),
            1 => [0, 1].map(|i| self.current[i] as f32 * rest),
            _ => [0.0; 2],
        }
    }
}

/// How many log-ins ten minutes bring at one endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Usual {
    /// Of ln(1 + refused).
    refused: Tail,
    /// Refused in the fullest of 100 windows.
    pub(super) most: f32,
    /// Let in, on average.
    granted: f32,
}

impl Usual {
    /// Learns from (window, refused, let in). `None` where there are too few windows to say.
    pub(super) fn learn(windows: &BTreeMap<i64, [u32; 2]>) -> Option<Self> {
        let (first, last) = (*windows.keys().next()?, *windows.keys().next_back()?);
        let all = last.saturating_sub(first).saturating_add(1).min(MOST);
        let mut refused: Vec<f32> = (first..first + all).map(|w| windows.get(&w).map_or(0, |c| c[0]) as f32).collect();
        let granted = windows.values().map(|c| c[1] as f32).sum::<f32>() / all as f32;
        refused.sort_unstable_by(f32::total_cmp);
        let most = refused[(refused.len() - 1) * 99 / 100];
        let refused = Tail::fit(refused.into_iter().map(|n| (1.0 + n).ln()).collect(), LEAST)?;
        Some(Self { refused, most, granted })
    }

    /// Window of a time.
    pub(super) fn window(time: i64) -> i64 {
        time / WINDOW
    }

    /// Surprise at so many refusals, nats: the smaller of that over history's windows and that over the usual share of log-ins now.
    pub(super) fn surprise(&self, [refused, granted]: [f32; 2], share: f32) -> f32 {
        let all = refused + granted;
        if refused <= share * all || granted < ALIVE * self.granted {
            return 0.0;
        }
        let over_share =
            refused * (refused / (share * all)).ln() + if granted > 0.0 { granted * (granted / ((1.0 - share) * all)).ln() } else { 0.0 };
        over_share.min(self.refused.p(f64::from((1.0 + refused).ln())).nats() as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::{Rush, Usual, WINDOW};
    use std::collections::BTreeMap;

    #[test]
    fn many_refusals_beside_the_usual_log_ins_surprise_and_a_rush_or_an_outage_does_not() {
        let windows: BTreeMap<i64, [u32; 2]> = (0..200).map(|w| (w, [(w % 4) as u32, 30 + (w % 7) as u32])).collect();
        let usual = Usual::learn(&windows).expect("enough windows");
        assert!(usual.surprise([40.0, 33.0], 0.05) > 8.0);
        assert!(usual.surprise([8.0, 160.0], 0.05) < 0.5, "five times the customers");
        assert_eq!(usual.surprise([40.0, 2.0], 0.05), 0.0, "nobody is let in");
        assert!(usual.surprise([3.0, 33.0], 0.05) < 2.0);
    }

    #[test]
    fn a_window_slides() {
        let mut rush = Rush::default();
        for i in 0..10 {
            rush.add(true, 5 * WINDOW + i);
        }
        assert_eq!(rush.counts(5 * WINDOW + 20)[0], 10.0);
        assert!((rush.counts(6 * WINDOW + WINDOW / 2)[0] - 5.0).abs() < 0.01);
        assert_eq!(rush.counts(8 * WINDOW)[0], 0.0);
    }
}
