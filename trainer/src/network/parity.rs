//! Whether a file does what was trained: both answer what was held out.

use super::autoencoder::{self, Autoencoder};
use super::fit::Network;
use super::gru::Gru;
use super::{failed, steps};
use engine::neural::values::{Rebuilt, Sketch};
use engine::neural::{Answer, Ask, Head, Heads, STATE, TeachError, Walk};

/// Largest difference of a log-probability that is allowed.
const PARITY: f32 = 1e-4;
/// Held-out walks and values that it is measured on, at most.
const WALKS: usize = 256;
const LONGEST: usize = 32;
const VALUES: usize = 2_048;

/// Largest difference of −ln P of a step.
pub(super) fn of_steps(network: &Gru, head: &Head, heads: &mut dyn Heads, held_out: &[Walk]) -> Result<f32, TeachError> {
    let walks: Vec<Walk> = held_out.iter().take(WALKS).map(|walk| walk.iter().take(LONGEST).copied().collect()).collect();
    let mut largest = Largest(0.0);
    for batch in steps::batches(&walks) {
        let trained = network.nats(&batch).and_then(|nats| nats.to_vec1::<f32>()).map_err(failed)?;
        let mut states = vec![[0.0f32; STATE]; batch.walks];
        let mut answers: Vec<Answer> = Vec::new();
        for time in 0..batch.times {
            let cells = time * batch.walks..(time + 1) * batch.walks;
            let asks: Vec<Ask> = cells
                .clone()
                .zip(&states)
                .map(|(cell, state)| Ask {
                    previous: batch.previous[cell] as u16,
                    gap: batch.gaps[cell] as u8,
                    next: batch.next[cell] as u16,
                    state: *state,
                })
                .collect();
            heads.foresee(head, &asks, &mut answers)?;
            for ((cell, answer), state) in cells.zip(&answers).zip(&mut states) {
                *state = answer.state;
                if batch.weights[cell] > 0.0 {
                    largest.take(answer.nats - trained[cell]);
                }
            }
        }
    }
    largest.allowed()
}

/// Largest difference of −ln P of a value.
pub(super) fn of_values(network: &Autoencoder, head: &Head, heads: &mut dyn Heads, held_out: &[(Sketch, f32)]) -> Result<f32, TeachError> {
    let share = held_out.len().div_ceil(VALUES).max(1);
    let values: Vec<(Sketch, f32)> = held_out.iter().copied().step_by(share).collect();
    let mut largest = Largest(0.0);
    let mut answers: Vec<Rebuilt> = Vec::new();
    let count = autoencoder::batches(&values).len();
    for (first, batch) in autoencoder::batches(&values).iter().enumerate() {
        let trained = network.nats(batch).and_then(|nats| nats.to_vec1::<f32>()).map_err(failed)?;
        let sketches: Vec<Sketch> = values.iter().skip(first).step_by(count).map(|(sketch, _)| *sketch).collect();
        heads.rebuild(head, &sketches, &mut answers)?;
        for (answer, trained) in answers.iter().zip(&trained) {
            largest.take(answer.nats - trained);
        }
    }
    largest.allowed()
}

/// The largest of differences; what is no number is larger than all.
struct Largest(f32);

impl Largest {
    fn take(&mut self, difference: f32) {
        let apart = difference.abs();
        self.0 = if apart.is_nan() || self.0.is_nan() { f32::NAN } else { self.0.max(apart) };
    }

    fn allowed(self) -> Result<f32, TeachError> {
        let difference = self.0;
        if difference.is_nan() || difference > PARITY { Err(TeachError::Parity { difference, allowed: PARITY }) } else { Ok(difference) }
    }
}
