//! Live state of `response`: what others get now, and what one session got in all.

use super::MEASURES;
use serde::{Deserialize, Serialize};

/// Answers remembered of one endpoint, one a session.
const ANSWERS: usize = 32;
/// Sessions that the present rests on, at least.
const PEERS: usize = 8;
/// Amounts this close count as the same, and the scale of what goes beyond the largest: both in ln(1 + n).
const SAME: f32 = 0.05;
const SCALE: f32 = 0.35;

/// The latest answers of one endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    /// Session (0 when unknown) and measures, at most 32.
    answers: Vec<(u64, [f32; MEASURES])>,
    /// Where the next goes.
    next: u8,
}

impl Recent {
    pub(super) fn note(&mut self, session: Option<u64>, measured: [f32; MEASURES]) {
        let answer = (session.unwrap_or(0), measured);
        let known = session.and_then(|key| self.answers.iter_mut().find(|(s, _)| *s == key));
        if let Some(known) = known {
            *known = answer;
        } else if self.answers.len() < ANSWERS {
            self.answers.push(answer);
        } else {
            self.answers[usize::from(self.next) % ANSWERS] = answer;
            self.next = (self.next + 1) % ANSWERS as u8;
        }
    }

    /// Surprisal of a measure among those of other sessions: its rank, and how far it lies beyond the largest. `None` when there are
    /// too few others.
    pub(super) fn surprisal(&self, session: u64, measure: usize, x: f32) -> Option<f32> {
        let others = || self.answers.iter().filter(|(s, _)| *s == 0 || *s != session).map(|(_, m)| m[measure]);
        let n = others().count();
        if n < PEERS {
            return None;
        }
        let as_large = others().filter(|o| *o >= x - SAME).count();
        let beyond = (x - SAME - others().fold(0.0, f32::max)).max(0.0);
        Some(-((1 + as_large) as f32 / (n + 1) as f32).ln() + beyond / SCALE)
    }
}

/// Records that one session got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    records: f32,
}

impl Taken {
    pub(super) fn add(&mut self, records: u32) {
        self.records += records as f32;
    }

    /// With so many more.
    pub(super) fn with(self, records: u32) -> f32 {
        self.records + records as f32
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWERS, Recent};

    #[test]
    fn what_all_get_does_not_surprise_and_one_session_cannot_raise_the_bar() {
        let mut recent = Recent::default();
        for session in 1..20 {
            recent.note(Some(session), [5.0, 0.0, 0.0]);
        }
        assert!(recent.surprisal(99, 0, 5.01).expect("peers") < 0.1);
        let alone = recent.surprisal(99, 0, 9.0).expect("peers");
        assert!(alone > 10.0);
        for _ in 0..100 {
            recent.note(Some(99), [9.0, 0.0, 0.0]);
        }
        assert_eq!(recent.surprisal(99, 0, 9.0), Some(alone));
        assert_eq!(recent.answers.len(), 20);
        for session in 100..500 {
            recent.note(Some(session), [9.0, 0.0, 0.0]);
        }
        assert_eq!(recent.answers.len(), ANSWERS);
        assert!(recent.surprisal(99, 0, 9.0).expect("peers") < 0.1);
    }
}
