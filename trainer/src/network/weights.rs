//! The weights of a network as plain numbers: what is trained, exported and gone on from.

use engine::neural::{GAPS, STATE};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Floats that a step is embedded in.
const EMBEDDED: usize = 32;

/// Names of the tensors, in the order of [`Weights::tensors`].
pub(super) const NAMES: [&str; 8] = ["steps", "gaps", "w_in", "b_in", "w_state", "b_state", "w_out", "b_out"];

/// Weights of a network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    /// Slots of its vocabulary.
    pub(super) slots: usize,
    data: Vec<Vec<f32>>,
}

/// Shapes of the tensors.
fn shapes(slots: usize) -> [Vec<usize>; 8] {
    [
        vec![slots, EMBEDDED],
        vec![GAPS, EMBEDDED],
        vec![EMBEDDED, 3 * STATE],
        vec![3 * STATE],
        vec![STATE, 3 * STATE],
        vec![3 * STATE],
        vec![STATE, slots],
        vec![slots],
    ]
}

impl Weights {
    /// Small random weights, the same for the same seed.
    pub(super) fn random(slots: usize, seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let scale = 1.0 / (STATE as f32).sqrt();
        let mut one = || ((dice.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0) * scale;
        let data = shapes(slots).iter().map(|shape| (0..shape.iter().product()).map(|_| one()).collect()).collect();
        Self { slots, data }
    }

    /// Weights from wherever a name leads to, if all have their shapes.
    pub(super) fn gather(slots: usize, mut named: impl FnMut(&str) -> Option<(Vec<usize>, Vec<f32>)>) -> Option<Self> {
        let all = NAMES.iter().zip(shapes(slots)).map(|(name, shape)| {
            let (dims, data) = named(name)?;
            (dims == shape && data.len() == dims.iter().product::<usize>() && data.iter().all(|x| x.is_finite())).then_some(data)
        });
        Some(Self { slots, data: all.collect::<Option<Vec<_>>>()? })
    }

    /// The same weights with more slots; what is new is random.
    pub(super) fn grown(&self, slots: usize, seed: u64) -> Self {
        let mut grown = Self::random(slots, seed);
        for (at, shape) in shapes(self.slots).iter().enumerate() {
            let (old, new) = (&self.data[at], &mut grown.data[at]);
            if NAMES[at] == "w_out" {
                for (old, new) in old.chunks_exact(shape[1]).zip(new.chunks_exact_mut(slots)) {
                    new[..old.len()].copy_from_slice(old);
                }
            } else {
                new[..old.len()].copy_from_slice(old);
            }
        }
        // A step that was never seen is unlikely until it is.
        let least = self.data[7].iter().copied().fold(0.0, f32::min);
        grown.data[7][self.slots..].fill(least);
        grown
    }

    /// Name, shape and numbers of each tensor.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&'static str, Vec<usize>, &[f32])> {
        NAMES.into_iter().zip(shapes(self.slots)).zip(&self.data).map(|((name, shape), data)| (name, shape, data.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_stays_when_slots_are_added() {
        let old = Weights::random(5, 1);
        let new = old.grown(8, 2);
        assert_eq!(new.data[0][..5 * EMBEDDED], old.data[0]);
        assert_eq!(new.data[6][8..13], old.data[6][5..10], "row by row");
        assert_eq!((new.data[4].clone(), new.data[7][..5].to_vec()), (old.data[4].clone(), old.data[7].clone()));
        assert!(new.tensors().all(|(_, shape, data)| data.len() == shape.iter().product::<usize>()));
    }
}
