//! The network that rebuilds values, as it is trained and as its file has it: n-grams through a narrow middle and back, told at both
//! ends which field they stand in.

use super::fit::{Lessons, Network};
use super::onnx::{self, Node, node};
use super::weights::{Layout, Parameters, Size, Weights};
use candle_core::{Device, Result, Tensor};
use engine::neural::values::{BINS, KINDS, Sketch};
use runtime::inference::{REBUILDING_IN, REBUILDING_OUT};

/// Floats of the layers beside the middle, which fields and kinds are embedded in.
const WIDE: usize = 48;
/// Floats of the middle.
const NARROW: usize = 12;
/// Values shown at once: fewer where there are few in all, so that a pass is still of many steps.
const TOGETHER: std::ops::RangeInclusive<usize> = 32..=256;
const BATCHES: usize = 128;

/// Its tensors.
pub(super) const LAYOUT: Layout = &[
    ("fields", &[Size::Slots, Size::Of(WIDE)]),
    ("kinds", &[Size::Of(KINDS), Size::Of(WIDE)]),
    ("w_in", &[Size::Of(BINS), Size::Of(WIDE)]),
    ("b_in", &[Size::Of(WIDE)]),
    ("w_narrow", &[Size::Of(WIDE), Size::Of(NARROW)]),
    ("b_narrow", &[Size::Of(NARROW)]),
    ("w_wide", &[Size::Of(NARROW), Size::Of(WIDE)]),
    ("b_wide", &[Size::Of(WIDE)]),
    ("w_out", &[Size::Of(WIDE), Size::Of(BINS)]),
    ("b_out", &[Size::Of(BINS)]),
];

/// Values side by side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Batch {
    fields: Vec<u32>,
    kinds: Vec<u32>,
    /// [`BINS`] a value, 0 or 1.
    grams: Vec<f32>,
    weights: Vec<f32>,
}

impl Batch {
    fn of(values: &[(Sketch, f32)]) -> Self {
        Self {
            fields: values.iter().map(|(sketch, _)| u32::from(sketch.field)).collect(),
            kinds: values.iter().map(|(sketch, _)| u32::from(sketch.kind)).collect(),
            grams: values.iter().flat_map(|(sketch, _)| sketch.bins()).map(|there| f32::from(u8::from(there))).collect(),
            weights: values.iter().map(|(_, weight)| *weight).collect(),
        }
    }
}

impl Lessons for Batch {
    fn weights(&self) -> &[f32] {
        &self.weights
    }

    fn trimmed(&self, nats: &[f32], share: f64) -> Vec<f32> {
        let mut oddest: Vec<usize> = (0..self.weights.len()).collect();
        oddest.sort_by(|a, b| nats[*b].total_cmp(&nats[*a]));
        let mut weights = self.weights.clone();
        let drop = (weights.len() as f64 * share) as usize;
        oddest.into_iter().take(drop).for_each(|at| weights[at] = 0.0);
        weights
    }
}

/// Values as batches. Each has some of all fields: values stand by field, and every batch takes them from far apart.
pub(super) fn batches(values: &[(Sketch, f32)]) -> Vec<Batch> {
    let together = (values.len() / BATCHES).clamp(*TOGETHER.start(), *TOGETHER.end());
    let count = values.len().div_ceil(together);
    let batch = |first| Batch::of(&values.iter().copied().skip(first).step_by(count).collect::<Vec<_>>());
    (0..count).map(batch).collect()
}

/// A network on a device.
pub(super) struct Autoencoder(Parameters);

impl Network for Autoencoder {
    type Batch = Batch;

    fn new(weights: &Weights, device: &Device) -> Result<Self> {
        Ok(Self(Parameters::new(weights, device)?))
    }

    fn parameters(&self) -> &Parameters {
        &self.0
    }

    fn nats(&self, batch: &Batch) -> Result<Tensor> {
        let [fields, kinds, w_in, b_in, w_narrow, b_narrow, w_wide, b_wide, w_out, b_out] = self.0.tensors()?;
        let count = batch.weights.len();
        let ids = |ids: &[u32]| Tensor::from_slice(ids, count, &self.0.device);
        let place = (fields.index_select(&ids(&batch.fields)?, 0)? + kinds.index_select(&ids(&batch.kinds)?, 0)?)?;
        let grams = Tensor::from_slice(&batch.grams, (count, BINS), &self.0.device)?;
        let seen = (grams.matmul(w_in)?.broadcast_add(b_in)? + &place)?.tanh()?;
        let middle = seen.matmul(w_narrow)?.broadcast_add(b_narrow)?.tanh()?;
        let wide = (middle.matmul(w_wide)?.broadcast_add(b_wide)? + &place)?.tanh()?;
        let logits = wide.matmul(w_out)?.broadcast_add(b_out)?;
        // ln(1 + e^x) without overflow.
        let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        (softplus - (grams * logits)?)?.sum(1)
    }
}

/// Its ONNX file.
pub(super) fn file(weights: &Weights) -> Vec<u8> {
    let [field, kind, grams] = REBUILDING_IN;
    let [nats] = REBUILDING_OUT;
    let bins = BINS as i64;
    let graph = onnx::Shell {
        name: "likeness",
        nodes: nodes(),
        lists: &[],
        input: &[(field, onnx::INT32, &[]), (kind, onnx::INT32, &[]), (grams, onnx::FLOAT, &[bins])],
        output: &[(nats, onnx::FLOAT, &[bins])],
    };
    onnx::write(weights, graph)
}

fn nodes() -> Vec<Node> {
    let [field, kind, grams] = REBUILDING_IN;
    let [nats] = REBUILDING_OUT;
    vec![
        node("Gather", &["fields", field], &["of_field"]),
        node("Gather", &["kinds", kind], &["of_kind"]),
        node("Add", &["of_field", "of_kind"], &["place"]),
        node("Gemm", &[grams, "w_in", "b_in"], &["in"]),
        node("Add", &["in", "place"], &["in_place"]),
        node("Tanh", &["in_place"], &["seen"]),
        node("Gemm", &["seen", "w_narrow", "b_narrow"], &["narrow"]),
        node("Tanh", &["narrow"], &["middle"]),
        node("Gemm", &["middle", "w_wide", "b_wide"], &["out"]),
        node("Add", &["out", "place"], &["out_of_place"]),
        node("Tanh", &["out_of_place"], &["wide"]),
        node("Gemm", &["wide", "w_out", "b_out"], &["logits"]),
        node("Softplus", &["logits"], &["all"]),
        node("Mul", &[grams, "logits"], &["there"]),
        node("Sub", &["all", "there"], &[nats]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_batch_and_the_oddest_count_for_nothing() {
        let values: Vec<(Sketch, f32)> = (0..600).map(|n| (Sketch { field: n / 10, kind: 0, grams: u128::from(n) }, 0.5)).collect();
        let all = batches(&values);
        assert_eq!(all.iter().map(|b| b.weights.len()).sum::<usize>(), 600);
        assert!(all.iter().all(|b| b.fields.iter().any(|f| *f < 10) && b.fields.iter().any(|f| *f > 50)));
        let batch = Batch::of(&values[..4]);
        assert_eq!(batch.trimmed(&[1.0, 9.0, 1.0, 2.0], 0.5), [0.5, 0.0, 0.5, 0.0]);
    }
}
