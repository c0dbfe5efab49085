//! The network while it is trained: the same arithmetic as in its file, with gradients.

use super::batch::Batch;
use super::weights::Weights;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::ops::sigmoid;
use engine::neural::STATE;

/// A network on a device.
pub(super) struct Gru {
    slots: usize,
    device: Device,
    vars: Vec<(&'static str, Var)>,
}

impl Gru {
    /// With these weights.
    pub(super) fn new(weights: &Weights, device: &Device) -> Result<Self> {
        let var = |(name, shape, data): (&'static str, Vec<usize>, &[f32])| {
            Ok((name, Var::from_tensor(&Tensor::from_slice(data, shape, device)?)?))
        };
        Ok(Self { slots: weights.slots, device: device.clone(), vars: weights.tensors().map(var).collect::<Result<_>>()? })
    }

    /// What is trained.
    pub(super) fn vars(&self) -> Vec<Var> {
        self.vars.iter().map(|(_, var)| var.clone()).collect()
    }

    /// The weights as they are now; `None` if any is no number any more.
    pub(super) fn weights(&self) -> Result<Option<Weights>> {
        let mut tensors = Vec::with_capacity(self.vars.len());
        for (name, var) in &self.vars {
            tensors.push((*name, var.dims().to_vec(), var.flatten_all()?.to_vec1::<f32>()?));
        }
        Ok(Weights::gather(self.slots, |wanted| {
            tensors.iter().find(|(name, ..)| *name == wanted).map(|(_, dims, data)| (dims.clone(), data.clone()))
        }))
    }

    /// −ln P of each step of a batch, time after time: as long as its steps.
    pub(super) fn nats(&self, batch: &Batch) -> Result<Tensor> {
        let [steps, gaps, w_in, b_in, w_state, b_state, w_out, b_out] = self.tensors()?;
        let cells = batch.times * batch.walks;
        let ids = |ids: &[u32]| Tensor::from_slice(ids, cells, &self.device);
        let seen = (steps.index_select(&ids(&batch.previous)?, 0)? + gaps.index_select(&ids(&batch.gaps)?, 0)?)?;
        let inputs = seen.matmul(w_in)?.broadcast_add(b_in)?.reshape((batch.times, batch.walks, 3 * STATE))?;
        let mut state = Tensor::zeros((batch.walks, STATE), inputs.dtype(), &self.device)?;
        let mut states = Vec::with_capacity(batch.times);
        for time in 0..batch.times {
            let input = inputs.get(time)?;
            let kept = state.matmul(w_state)?.broadcast_add(b_state)?;
            let gates = sigmoid(&(input.narrow(1, 0, 2 * STATE)? + kept.narrow(1, 0, 2 * STATE)?)?)?;
            let (reset, update) = (gates.narrow(1, 0, STATE)?, gates.narrow(1, STATE, STATE)?);
            let new = (input.narrow(1, 2 * STATE, STATE)? + (reset * kept.narrow(1, 2 * STATE, STATE)?)?)?.tanh()?;
            state = (&new + (update * (&state - &new)?)?)?;
            states.push(state.clone());
        }
        let logits = Tensor::cat(&states, 0)?.matmul(w_out)?.broadcast_add(b_out)?;
        let taken = logits.gather(&ids(&batch.next)?.unsqueeze(1)?, 1)?.squeeze(1)?;
        logits.log_sum_exp(1)? - taken
    }

    /// The tensors in their order.
    fn tensors(&self) -> Result<[&Tensor; 8]> {
        let all: Vec<&Tensor> = self.vars.iter().map(|(_, var)| var.as_tensor()).collect();
        all.try_into().map_err(|_| candle_core::Error::Msg("a network has eight tensors".to_owned()))
    }
}
