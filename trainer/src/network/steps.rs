//! Walks cut into pieces of one length and put side by side.

use super::fit::Lessons;
use engine::neural::{Step, Walk};

/// Steps that a gradient goes back through. A piece that is no beginning starts from an empty state, as a session does whose network was
/// exchanged.
const LONGEST: usize = 32;
/// Pieces side by side: fewer where there are few in all, so that a pass is still of many steps.
const WIDE: std::ops::RangeInclusive<usize> = 16..=128;
const BATCHES: usize = 32;

/// Pieces of walks, time after time: the first step of every piece, then the second.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Batch {
    /// Steps of the longest piece.
    pub(super) times: usize,
    /// Pieces.
    pub(super) walks: usize,
    pub(super) previous: Vec<u32>,
    pub(super) gaps: Vec<u32>,
    pub(super) next: Vec<u32>,
    /// What each step counts for; 0: there is none.
    pub(super) weights: Vec<f32>,
}

impl Batch {
    fn of(pieces: &[&[Step]]) -> Self {
        let times = pieces.iter().map(|p| p.len()).max().unwrap_or(0);
        let walks = pieces.len();
        let cells = times * walks;
        let mut batch =
            Self { times, walks, previous: vec![0; cells], gaps: vec![0; cells], next: vec![0; cells], weights: vec![0.0; cells] };
        for (walk, piece) in pieces.iter().enumerate() {
            for (time, step) in piece.iter().enumerate() {
                let cell = time * walks + walk;
                batch.previous[cell] = u32::from(step.previous);
                batch.gaps[cell] = u32::from(step.gap);
                batch.next[cell] = u32::from(step.next);
                batch.weights[cell] = step.weight;
            }
        }
        batch
    }
}

impl Lessons for Batch {
    fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Without the pieces that are oddest on average.
    fn trimmed(&self, nats: &[f32], share: f64) -> Vec<f32> {
        let drop = (self.walks as f64 * share) as usize;
        let mut mean: Vec<(f32, usize)> = (0..self.walks)
            .map(|walk| {
                let (mut sum, mut count) = (0.0, 0.0f32);
                for cell in (walk..self.weights.len()).step_by(self.walks).filter(|cell| self.weights[*cell] > 0.0) {
                    (sum, count) = (sum + nats[cell], count + 1.0);
                }
                (sum / count.max(1.0), walk)
            })
            .collect();
        mean.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut weights = self.weights.clone();
        for (_, walk) in &mean[..drop] {
            weights.iter_mut().skip(*walk).step_by(self.walks).for_each(|w| *w = 0.0);
        }
        weights
    }
}

/// Walks as batches of pieces of about one length.
pub(super) fn batches(walks: &[Walk]) -> Vec<Batch> {
    let mut pieces: Vec<&[Step]> = walks.iter().flat_map(|walk| walk.chunks(LONGEST)).collect();
    // The sort is stable: pieces of one length stand in the order of their walks.
    pieces.sort_by_key(|piece| piece.len());
    let wide = (pieces.len() / BATCHES).clamp(*WIDE.start(), *WIDE.end());
    pieces.chunks(wide).map(Batch::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(steps: u16) -> Walk {
        (0..steps).map(|n| Step { previous: n, gap: 1, next: n + 1, weight: 0.5 }).collect()
    }

    #[test]
    fn every_step_is_in_one_batch() {
        let all = batches(&[walk(3), walk(70), walk(1), Walk::new()]);
        let steps: usize = all.iter().map(|b| b.weights.iter().filter(|w| **w > 0.0).count()).sum();
        assert_eq!(steps, 74);
        assert!(all.iter().all(|b| b.times <= LONGEST && b.next.len() == b.times * b.walks));
    }

    #[test]
    fn the_oddest_pieces_count_for_nothing() {
        let batch = Batch::of(&[&walk(2), &walk(1)]);
        assert_eq!(batch.trimmed(&[1.0, 9.0, 1.0, 0.0], 0.5), [0.5, 0.0, 0.5, 0.0]);
        assert_eq!(batch.trimmed(&[1.0, 9.0, 1.0, 0.0], 0.0), batch.weights);
    }
}
