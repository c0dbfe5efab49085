//! Trains the networks of a model: in Rust, on the CPU (or, built so, on a card), from a seed that the data gives, to an ONNX file that
//! is checked against what was trained before anybody gets it.

mod batch;
mod fit;
mod gru;
mod onnx;
mod weights;

use candle_core::Device;
use engine::Model;
use engine::neural::{Answer, Ask, Epoch, Head, Heads, Lesson, NoTeacher, STATE, Taught, TeachError, Teacher, Vocabulary, Walk};
use fit::{Fitted, Plan};
use gru::Gru;
use runtime::config::Network;
use runtime::inference::OnnxHeads;
use std::path::PathBuf;
use std::sync::Arc;
use weights::Weights;

/// Largest difference of a log-probability between the trained and the exported network.
const PARITY: f32 = 1e-4;
/// Held-out walks that parity is measured on, at most.
const PARITY_WALKS: usize = 256;

/// Who teaches networks, as configured; they go on from those of `earlier` where they can.
#[must_use]
pub fn teacher(network: &Network, earlier: Option<Arc<Model>>) -> Box<dyn Teacher> {
    if network.enabled { Box::new(Tutor::new(network.library.clone()).after(earlier)) } else { Box::new(NoTeacher) }
}

/// Trains networks with `candle`.
#[derive(Debug, Default)]
pub struct Tutor {
    library: Option<PathBuf>,
    champion: Option<Arc<Model>>,
}

impl Tutor {
    /// Who runs what it exports with this library of ONNX Runtime, or the usual one.
    #[must_use]
    pub fn new(library: Option<PathBuf>) -> Self {
        Self { library, champion: None }
    }

    /// Goes on from the networks of a model where it can.
    #[must_use]
    pub fn after(mut self, champion: Option<Arc<Model>>) -> Self {
        self.champion = champion;
        self
    }
}

impl Teacher for Tutor {
    fn previous(&self, api: &str) -> Option<(Vocabulary, Arc<[u8]>)> {
        let api = self.champion.as_ref()?.apis().iter().find(|a| &*a.name.0 == api)?;
        let foresight = api.foresight()?;
        Some((foresight.vocabulary().clone(), Arc::clone(&foresight.head.onnx)))
    }

    fn teach(&mut self, lesson: &Lesson<'_>, progress: &mut dyn FnMut(Epoch)) -> Result<Taught, TeachError> {
        let failed = |e: candle_core::Error| TeachError::Failed(e.to_string());
        let device = Device::cuda_if_available(0).map_err(failed)?;
        let earlier = lesson.previous.as_ref().and_then(|p| onnx::read(&p.onnx, p.slots));
        let is_warm = earlier.is_some();
        let start = match earlier {
            Some(weights) => weights.grown(lesson.slots, lesson.seed),
            None => Weights::random(lesson.slots, lesson.seed),
        };
        let plan = Plan::of(lesson, is_warm);
        let Fitted { weights, epochs } = fit::fit(&start, lesson, &plan, &device, progress).map_err(failed)?;
        let file = onnx::write(&weights);
        let mut heads = OnnxHeads::new(self.library.clone());
        let head = Head::new(file.clone());
        let gru = Gru::new(&weights, &Device::Cpu).map_err(failed)?;
        let sample: Vec<Walk> = lesson.held_out.iter().take(PARITY_WALKS).map(|w| w.iter().take(32).copied().collect()).collect();
        let difference = difference(&gru, &head, &mut heads, &sample)?;
        if difference.is_nan() || difference > PARITY {
            return Err(TeachError::Parity { difference, allowed: PARITY });
        }
        Ok(Taught { onnx: file, heads: Box::new(heads), epochs, is_warm, parity: difference })
    }
}

/// Largest difference of −ln P of a step, over walks.
fn difference(gru: &Gru, head: &Head, heads: &mut dyn Heads, walks: &[Walk]) -> Result<f32, TeachError> {
    let failed = |e: candle_core::Error| TeachError::Failed(e.to_string());
    let mut largest = 0.0f32;
    for batch in batch::batches(walks) {
        let trained = gru.nats(&batch).and_then(|nats| nats.to_vec1::<f32>()).map_err(failed)?;
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
                    let apart = (answer.nats - trained[cell]).abs();
                    largest = if apart.is_nan() { apart } else { largest.max(apart) };
                }
            }
        }
    }
    Ok(largest)
}
