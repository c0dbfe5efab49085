//! What a teacher is given and gives back.

use super::values::{Fields, Sketch};
use super::{HeadError, Heads, Vocabulary};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One step of a walk, as a network sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Slot of the step before.
    pub previous: u16,
    /// Bucket of the time since.
    pub gap: u8,
    /// Slot of this step.
    pub next: u16,
    /// What it counts for, in (0, 1]: breadth, not volume.
    pub weight: f32,
}

/// The steps of one session, in order.
pub type Walk = Vec<Step>;

/// What a network is to be taught.
#[derive(Debug)]
pub struct Lesson<'l> {
    /// Slots of steps.
    pub slots: usize,
    /// Sessions to learn from.
    pub walks: &'l [Walk],
    /// Sessions that tell when to stop, never learned from.
    pub held_out: &'l [Walk],
    /// Seed of whatever is random: a function of the data.
    pub seed: u64,
    /// The network before, to go on from.
    pub previous: Option<Previous>,
}

/// What a network that rebuilds values is to be taught.
#[derive(Debug)]
pub struct ValueLesson<'l> {
    /// Slots of fields.
    pub slots: usize,
    /// Distinct values to learn from, with what each counts for, in (0, 1].
    pub values: &'l [(Sketch, f32)],
    /// Values that tell when to stop, never learned from.
    pub held_out: &'l [(Sketch, f32)],
    /// Seed of whatever is random: a function of the data.
    pub seed: u64,
    /// The network before, to go on from.
    pub previous: Option<Previous>,
}

/// A network of the version before, whose slots mean the same in this lesson.
#[derive(Debug, Clone)]
pub struct Previous {
    /// Its file.
    pub onnx: Arc<[u8]>,
    /// How many slots it has.
    pub slots: usize,
}

/// A network that was taught.
pub struct Taught {
    /// Its file.
    pub onnx: Vec<u8>,
    /// Runs it, as scorers will.
    pub heads: Box<dyn Heads>,
    /// Passes over the lesson.
    pub epochs: u32,
    /// Whether it went on from the network before.
    pub is_warm: bool,
    /// Largest difference of log-probabilities between the trainer's arithmetic and the file's, on what was held out.
    pub parity: f32,
}

/// Where teaching stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Passes done.
    pub number: u32,
    /// 0 to 1: how much of the passes that there may be.
    pub done: f64,
    /// Mean −ln P of a held-out step or value, nats.
    pub loss: f32,
}

/// Why nothing was taught.
#[derive(Debug, thiserror::Error)]
pub enum TeachError {
    /// There is nobody to teach.
    #[error("networks are turned off")]
    Off,
    /// The network cannot be run.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The trainer's library failed.
    #[error("training the network: {0}")]
    Failed(String),
    /// The file does not do what was trained.
    #[error("the exported network differs from the trained one by {difference:e} (at most {allowed:e})")]
    Parity {
        /// Largest difference of log-probabilities.
        difference: f32,
        /// The most that is allowed.
        allowed: f32,
    },
}

/// Trains networks. The same lesson gives the same file.
pub trait Teacher {
    /// The vocabulary and file of the network in the model before, by API.
    fn previous(&self, api: &str) -> Option<(Vocabulary, Arc<[u8]>)>;

    /// Trains a network that foresees steps.
    ///
    /// # Errors
    /// See [`TeachError`].
    fn teach(&mut self, lesson: &Lesson<'_>, progress: &mut dyn FnMut(Epoch)) -> Result<Taught, TeachError>;

    /// The fields and file of the network of values in the model before, by API.
    fn previous_values(&self, api: &str) -> Option<(Fields, Arc<[u8]>)>;

    /// Trains a network that rebuilds values.
    ///
    /// # Errors
    /// See [`TeachError`].
    fn teach_values(&mut self, lesson: &ValueLesson<'_>, progress: &mut dyn FnMut(Epoch)) -> Result<Taught, TeachError>;
}

/// Teaches nothing: models come without networks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTeacher;

impl Teacher for NoTeacher {
    fn previous(&self, _: &str) -> Option<(Vocabulary, Arc<[u8]>)> {
        None
    }

    fn teach(&mut self, _: &Lesson<'_>, _: &mut dyn FnMut(Epoch)) -> Result<Taught, TeachError> {
        Err(TeachError::Off)
    }

    fn previous_values(&self, _: &str) -> Option<(Fields, Arc<[u8]>)> {
        None
    }

    fn teach_values(&mut self, _: &ValueLesson<'_>, _: &mut dyn FnMut(Epoch)) -> Result<Taught, TeachError> {
        Err(TeachError::Off)
    }
}
