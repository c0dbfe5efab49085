//! When people come: the course of a day and of a week.

/// Whose days are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// Customers: little at night, most in the evening, more at the weekend.
    Customers,
    /// Staff: office hours on weekdays.
    Office,
}

const CUSTOMERS: [f64; 24] =
    [0.35, 0.22, 0.15, 0.12, 0.13, 0.2, 0.42, 0.75, 0.95, 1.0, 1.05, 1.12, 1.25, 1.2, 1.05, 1.05, 1.12, 1.3, 1.55, 1.8, 1.9, 1.7, 1.2, 0.7];
const OFFICE: [f64; 24] =
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 1.2, 2.6, 3.0, 2.9, 2.5, 1.6, 2.4, 2.8, 2.6, 2.0, 0.8, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0];
const HOUR_MS: i64 = 3_600_000;

/// How much goes on at a moment, as a multiple of the day's mean (near 1 on average over a week).
pub(crate) fn level(rhythm: Rhythm, at: i64) -> f64 {
    let hours = at.div_euclid(HOUR_MS);
    let (hour, part) = (hours.rem_euclid(24) as usize, at.rem_euclid(HOUR_MS) as f64 / HOUR_MS as f64);
    // 1970-01-01 was a Thursday.
    let weekend = matches!((hours.div_euclid(24) + 4).rem_euclid(7), 0 | 6);
    let (curve, week) = match rhythm {
        Rhythm::Customers => (&CUSTOMERS, if weekend { 1.2 } else { 0.95 }),
        Rhythm::Office => (&OFFICE, if weekend { 0.05 } else { 1.3 }),
    };
    (curve[hour] * (1.0 - part) + curve[(hour + 1) % 24] * part) * week
}

/// Above every level.
pub(crate) const PEAK: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_average_to_one_and_stay_below_the_peak() {
        for rhythm in [Rhythm::Customers, Rhythm::Office] {
            let levels: Vec<f64> = (0..7 * 24 * 4).map(|quarter| level(rhythm, quarter * HOUR_MS / 4)).collect();
            let mean = levels.iter().sum::<f64>() / levels.len() as f64;
            assert!((0.8..1.2).contains(&mean), "{rhythm:?} {mean}");
            assert!(levels.iter().all(|l| (0.0..PEAK).contains(l)));
        }
    }
}
