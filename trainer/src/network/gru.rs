//! The network that foresees steps, as it is trained and as its file has it: a gated recurrent unit over embedded steps.

use super::fit::Network;
use super::onnx::{self, Node, along, node};
use super::steps::Batch;
use super::weights::{Layout, Parameters, Size, Weights};
use candle_core::{Device, Result, Tensor};
use candle_nn::ops::sigmoid;
use engine::neural::{GAPS, STATE};
use runtime::inference::{FORESEEING_IN, FORESEEING_OUT};

/// Floats that a step is embedded in.
const EMBEDDED: usize = 32;

/// Its tensors.
pub(super) const LAYOUT: Layout = &[
    ("steps", &[Size::Slots, Size::Of(EMBEDDED)]),
    ("gaps", &[Size::Of(GAPS), Size::Of(EMBEDDED)]),
    ("w_in", &[Size::Of(EMBEDDED), Size::Of(3 * STATE)]),
    ("b_in", &[Size::Of(3 * STATE)]),
    ("w_state", &[Size::Of(STATE), Size::Of(3 * STATE)]),
    ("b_state", &[Size::Of(3 * STATE)]),
    ("w_out", &[Size::Of(STATE), Size::Slots]),
    ("b_out", &[Size::Slots]),
];

/// A network on a device.
pub(super) struct Gru(Parameters);

impl Network for Gru {
    type Batch = Batch;

    fn new(weights: &Weights, device: &Device) -> Result<Self> {
        Ok(Self(Parameters::new(weights, device)?))
    }

    fn parameters(&self) -> &Parameters {
        &self.0
    }

    /// Time after time: as long as the steps.
    fn nats(&self, batch: &Batch) -> Result<Tensor> {
        let [steps, gaps, w_in, b_in, w_state, b_state, w_out, b_out] = self.0.tensors()?;
        let cells = batch.times * batch.walks;
        let ids = |ids: &[u32]| Tensor::from_slice(ids, cells, &self.0.device);
        let seen = (steps.index_select(&ids(&batch.previous)?, 0)? + gaps.index_select(&ids(&batch.gaps)?, 0)?)?;
        let inputs = seen.matmul(w_in)?.broadcast_add(b_in)?.reshape((batch.times, batch.walks, 3 * STATE))?;
        let mut state = Tensor::zeros((batch.walks, STATE), inputs.dtype(), &self.0.device)?;
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
}

/// Its ONNX file.
pub(super) fn file(weights: &Weights) -> Vec<u8> {
    let (slots, width) = (weights.slots as i64, STATE as i64);
    let [previous, gap, state] = FORESEEING_IN;
    let [next, state_after] = FORESEEING_OUT;
    let graph = onnx::Shell {
        name: "foresight",
        nodes: nodes(),
        lists: &[("thirds", &[width; 3])],
        input: &[(previous, onnx::INT32, &[]), (gap, onnx::INT32, &[]), (state, onnx::FLOAT, &[width])],
        output: &[(next, onnx::FLOAT, &[slots]), (state_after, onnx::FLOAT, &[width])],
    };
    onnx::write(weights, graph)
}

fn nodes() -> Vec<Node> {
    let [previous, gap, state] = FORESEEING_IN;
    let [next, state_after] = FORESEEING_OUT;
    vec![
        node("Gather", &["steps", previous], &["step"]),
        node("Gather", &["gaps", gap], &["pause"]),
        node("Add", &["step", "pause"], &["seen"]),
        node("Gemm", &["seen", "w_in", "b_in"], &["in"]),
        node("Gemm", &[state, "w_state", "b_state"], &["kept"]),
        along(node("Split", &["in", "thirds"], &["in_r", "in_z", "in_n"])),
        along(node("Split", &["kept", "thirds"], &["kept_r", "kept_z", "kept_n"])),
        node("Add", &["in_r", "kept_r"], &["sum_r"]),
        node("Sigmoid", &["sum_r"], &["r"]),
        node("Add", &["in_z", "kept_z"], &["sum_z"]),
        node("Sigmoid", &["sum_z"], &["z"]),
        node("Mul", &["r", "kept_n"], &["reset"]),
        node("Add", &["in_n", "reset"], &["sum_n"]),
        node("Tanh", &["sum_n"], &["n"]),
        node("Sub", &[state, "n"], &["change"]),
        node("Mul", &["z", "change"], &["stays"]),
        node("Add", &["n", "stays"], &[state_after]),
        node("Gemm", &[state_after, "w_out", "b_out"], &["logits"]),
        along(node("LogSoftmax", &["logits"], &[next])),
    ]
}
