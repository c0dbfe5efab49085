//! Trains the networks of a model: in Rust, on the CPU (or, built so, on a card), from a seed that the data gives, to an ONNX file that
//! is checked against what was trained before anybody gets it.

mod autoencoder;
mod fit;
mod gru;
mod onnx;
mod parity;
mod steps;
mod weights;

use autoencoder::Autoencoder;
use candle_core::Device;
use engine::Model;
use engine::model::ApiModel;
use engine::neural::values::Fields;
use engine::neural::{Epoch, Head, HeadError, Lesson, NoTeacher, Previous, Taught, TeachError, Teacher, ValueLesson, Vocabulary};
use fit::{Fitted, Network as _, Plan};
use gru::Gru;
use runtime::config::Network;
use runtime::inference::{Library, OnnxHeads};
use std::path::PathBuf;
use std::sync::Arc;
use weights::{Layout, Weights};

/// Steps, and values, of all passes together: what bounds the time.
const MOST_STEPS: usize = 6_000_000;
const MOST_VALUES: usize = 1_500_000;
/// A gain that counts as one, nats a step and a value.
const STEP_GAIN: f32 = 1e-3;
const VALUE_GAIN: f32 = 1e-2;

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

    /// What it exports must run before it is published: without a library, nothing is taught for nothing.
    fn look_for_library(&self) -> Result<(), HeadError> {
        Library::load(self.library.as_deref()).map(drop).map_err(|error| HeadError::Missing(error.to_string()))
    }

    fn earlier(&self, api: &str) -> Option<&ApiModel> {
        self.champion.as_ref()?.apis().iter().find(|a| &*a.name.0 == api)
    }
}

impl Teacher for Tutor {
    fn previous(&self, api: &str) -> Option<(Vocabulary, Arc<[u8]>)> {
        let foresight = self.earlier(api)?.foresight()?;
        Some((foresight.vocabulary().clone(), Arc::clone(&foresight.head.onnx)))
    }

    fn teach(&mut self, lesson: &Lesson<'_>, progress: &mut dyn FnMut(Epoch)) -> Result<Taught, TeachError> {
        self.look_for_library()?;
        let (start, is_warm) = start(gru::LAYOUT, lesson.slots, lesson.seed, lesson.previous.as_ref());
        let cells = lesson.walks.iter().map(Vec::len).sum();
        let plan = Plan::of((cells, MOST_STEPS), STEP_GAIN, is_warm, lesson.seed);
        let batches = (steps::batches(lesson.walks), steps::batches(lesson.held_out));
        let Fitted { weights, epochs } = fit::fit::<Gru>(&start, batches, plan, &device()?, progress).map_err(failed)?;
        let (onnx, mut heads) = (gru::file(&weights), OnnxHeads::new(self.library.clone()));
        let network = Gru::new(&weights, &Device::Cpu).map_err(failed)?;
        let parity = parity::of_steps(&network, &Head::new(onnx.clone()), &mut heads, lesson.held_out)?;
        Ok(Taught { onnx, heads: Box::new(heads), epochs, is_warm, parity })
    }

    fn previous_values(&self, api: &str) -> Option<(Fields, Arc<[u8]>)> {
        let likeness = self.earlier(api)?.likeness()?;
        Some((likeness.fields().clone(), Arc::clone(&likeness.head.onnx)))
    }

    fn teach_values(&mut self, lesson: &ValueLesson<'_>, progress: &mut dyn FnMut(Epoch)) -> Result<Taught, TeachError> {
        self.look_for_library()?;
        let (start, is_warm) = start(autoencoder::LAYOUT, lesson.slots, lesson.seed, lesson.previous.as_ref());
        let plan = Plan::of((lesson.values.len(), MOST_VALUES), VALUE_GAIN, is_warm, lesson.seed);
        let batches = (autoencoder::batches(lesson.values), autoencoder::batches(lesson.held_out));
        let Fitted { weights, epochs } = fit::fit::<Autoencoder>(&start, batches, plan, &device()?, progress).map_err(failed)?;
        let (onnx, mut heads) = (autoencoder::file(&weights), OnnxHeads::new(self.library.clone()));
        let network = Autoencoder::new(&weights, &Device::Cpu).map_err(failed)?;
        let parity = parity::of_values(&network, &Head::new(onnx.clone()), &mut heads, lesson.held_out)?;
        Ok(Taught { onnx, heads: Box::new(heads), epochs, is_warm, parity })
    }
}

fn device() -> Result<Device, TeachError> {
    Device::cuda_if_available(0).map_err(failed)
}

#[allow(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn failed(error: candle_core::Error) -> TeachError {
    TeachError::Failed(error.to_string())
}

/// What training starts from: the network before, grown, if there is one that fits; and whether there is.
fn start(layout: Layout, slots: usize, seed: u64, previous: Option<&Previous>) -> (Weights, bool) {
    match previous.and_then(|p| onnx::read(&p.onnx, layout, p.slots)) {
        Some(weights) => (weights.grown(slots, seed), true),
        None => (Weights::random(layout, slots, seed), false),
    }
}
