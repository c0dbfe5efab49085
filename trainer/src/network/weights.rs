//! The weights of a network as plain numbers: what is trained, exported and gone on from.

use candle_core::{Device, Result, Tensor, Var};
use engine::neural::STATE;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One dimension of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Size {
    /// As many as there are slots: it grows between versions.
    Slots,
    /// Always so many.
    Of(usize),
}

/// Names and shapes of a network's tensors, in order.
pub(super) type Layout = &'static [(&'static str, &'static [Size])];

/// Weights of a network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    layout: Layout,
    /// Slots of its vocabulary.
    pub(super) slots: usize,
    data: Vec<Vec<f32>>,
}

fn shape(sizes: &[Size], slots: usize) -> Vec<usize> {
    let size = |size: &Size| match size {
        Size::Slots => slots,
        Size::Of(n) => *n,
    };
    sizes.iter().map(size).collect()
}

impl Weights {
    /// Small random weights, the same for the same seed.
    pub(super) fn random(layout: Layout, slots: usize, seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let scale = 1.0 / (STATE as f32).sqrt();
        let mut one = || ((dice.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0) * scale;
        let data = layout.iter().map(|(_, sizes)| (0..shape(sizes, slots).iter().product()).map(|_| one()).collect()).collect();
        Self { layout, slots, data }
    }

    /// Weights from wherever a name leads to, if all have their shapes.
    pub(super) fn gather(layout: Layout, slots: usize, mut named: impl FnMut(&str) -> Option<(Vec<usize>, Vec<f32>)>) -> Option<Self> {
        let all = layout.iter().map(|(name, sizes)| {
            let (dims, data) = named(name)?;
            let fits = dims == shape(sizes, slots) && data.len() == dims.iter().product::<usize>();
            (fits && data.iter().all(|x| x.is_finite())).then_some(data)
        });
        Some(Self { layout, slots, data: all.collect::<Option<Vec<_>>>()? })
    }

    /// The same weights with more slots; what is new is random.
    pub(super) fn grown(&self, slots: usize, seed: u64) -> Self {
        let mut grown = Self::random(self.layout, slots, seed);
        for ((_, sizes), (old, new)) in self.layout.iter().zip(self.data.iter().zip(&mut grown.data)) {
            match sizes {
                [Size::Of(_), Size::Slots] => {
                    for (old, new) in old.chunks_exact(self.slots).zip(new.chunks_exact_mut(slots)) {
                        new[..old.len()].copy_from_slice(old);
                    }
                }
                _ => new[..old.len()].copy_from_slice(old),
            }
            if *sizes == [Size::Slots] {
                // A step that was never seen is unlikely until it is.
                new[self.slots..].fill(old.iter().copied().fold(0.0, f32::min));
            }
        }
        grown
    }

    /// Name, shape and numbers of each tensor.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&'static str, Vec<usize>, &[f32])> {
        self.layout.iter().zip(&self.data).map(|((name, sizes), data)| (*name, shape(sizes, self.slots), data.as_slice()))
    }
}

/// Weights on a device, to be trained.
pub(super) struct Parameters {
    layout: Layout,
    slots: usize,
    pub(super) device: Device,
    vars: Vec<Var>,
}

impl Parameters {
    pub(super) fn new(weights: &Weights, device: &Device) -> Result<Self> {
        let var = |(_, shape, data): (_, Vec<usize>, &[f32])| Var::from_tensor(&Tensor::from_slice(data, shape, device)?);
        let vars = weights.tensors().map(var).collect::<Result<_>>()?;
        Ok(Self { layout: weights.layout, slots: weights.slots, device: device.clone(), vars })
    }

    /// What is trained.
    pub(super) fn vars(&self) -> Vec<Var> {
        self.vars.clone()
    }

    /// The tensors in the order of the layout, which has so many.
    pub(super) fn tensors<const N: usize>(&self) -> Result<[&Tensor; N]> {
        let all: Vec<&Tensor> = self.vars.iter().map(Var::as_tensor).collect();
        all.try_into().map_err(|_| candle_core::Error::Msg(format!("a network of {} tensors was to have {N}", self.vars.len())))
    }

    /// The weights as they are now; `None` if any is no number any more.
    pub(super) fn weights(&self) -> Result<Option<Weights>> {
        let mut tensors = Vec::with_capacity(self.vars.len());
        for ((name, _), var) in self.layout.iter().zip(&self.vars) {
            tensors.push((*name, var.dims().to_vec(), var.flatten_all()?.to_vec1::<f32>()?));
        }
        Ok(Weights::gather(self.layout, self.slots, |wanted| {
            tensors.iter().find(|(name, ..)| *name == wanted).map(|(_, dims, data)| (dims.clone(), data.clone()))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = &[("rows", &[Size::Slots, Size::Of(3)]), ("columns", &[Size::Of(2), Size::Slots]), ("bias", &[Size::Slots])];

    #[test]
    fn what_was_learned_stays_when_slots_are_added() {
        let old = Weights::random(LAYOUT, 5, 1);
        let new = old.grown(8, 2);
        assert_eq!(new.data[0][..5 * 3], old.data[0]);
        assert_eq!(new.data[1][8..13], old.data[1][5..10], "row by row");
        assert_eq!(new.data[2][..5], old.data[2]);
        assert!(new.data[2][5..].iter().all(|x| old.data[2].iter().all(|y| x <= y)), "what is new is unlikely");
        assert!(new.tensors().all(|(_, shape, data)| data.len() == shape.iter().product::<usize>()));
    }
}
