//! Networks beside the counted detectors: what they are asked, what they answer, how they are taught, and whether they are worth it.
//!
//! No network runs here. A head is a part of the model (an ONNX file, opaque to the engine); whoever drives a partition brings [`Heads`]
//! that can run it, and whoever learns a model brings a [`Teacher`] that can train one. One step of a session is one question, so that
//! questions of many sessions can be answered together; the state in between stands in the session.

mod foresight;
mod gate;
mod learn;
mod lesson;
pub mod values;
mod vocabulary;

pub use foresight::{Carried, Foresight};
pub use gate::{Caught, Figures, Mutation};
pub use learn::Report;
pub(crate) use learn::{Learned, learn};
pub use lesson::{Epoch, Lesson, NoTeacher, Previous, Step, Taught, TeachError, Teacher, ValueLesson, Walk};
pub use vocabulary::{GAPS, START, UNKNOWN, Vocabulary};

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use values::{Rebuilt, Sketch};

/// Floats of the state that a session carries.
pub const STATE: usize = 64;
/// Next steps named in an answer.
pub const LIKELY: usize = 3;

/// Identity of a network: the first bytes of the BLAKE3 hash of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct HeadId(pub u64);

/// A network as the model file holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    /// Its identity.
    pub id: HeadId,
    /// The ONNX file; a part of the model file of its own.
    #[serde(skip)]
    pub onnx: Arc<[u8]>,
}

impl Head {
    /// A network from its file.
    #[must_use]
    pub fn new(onnx: Vec<u8>) -> Self {
        Self { id: id_of(&onnx), onnx: onnx.into() }
    }

    /// Takes the file that belongs to this identity; `None` if it is another.
    #[must_use]
    pub(crate) fn with_file(&self, onnx: &[u8]) -> Option<Self> {
        (id_of(onnx) == self.id).then(|| Self { id: self.id, onnx: onnx.into() })
    }
}

fn id_of(onnx: &[u8]) -> HeadId {
    let mut first = [0u8; 8];
    first.copy_from_slice(&blake3::hash(onnx).as_bytes()[..8]);
    HeadId(u64::from_le_bytes(first))
}

/// One question: how likely is this step here, and how does the session stand after the one before it?
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Slot of the step before ([`START`] at the beginning).
    pub previous: u16,
    /// Bucket of the time since, below [`GAPS`].
    pub gap: u8,
    /// Slot of the step that was taken.
    pub next: u16,
    /// State before the step before.
    pub state: [f32; STATE],
}

/// An answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// −ln of the probability of the step that was taken.
    pub nats: f32,
    /// State for the next question of this session.
    pub state: [f32; STATE],
    /// Slots of the likeliest steps with their probabilities, likeliest first.
    pub likely: [(u16, f32); LIKELY],
}

/// Why a network gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HeadError {
    /// There is nothing to run networks with.
    #[error("networks cannot be run: {0}")]
    Missing(String),
    /// The network is none that is known here.
    #[error("the network cannot be used: {0}")]
    Unusable(String),
    /// It failed.
    #[error("running the network: {0}")]
    Failed(String),
}

/// Runs networks. The same questions get the same answers, bit for bit, alone or together.
pub trait Heads {
    /// Answers questions to a network that foresees steps: as many answers as questions, in their order, or none at all where networks
    /// are not wanted. `answers` is cleared first.
    ///
    /// # Errors
    /// See [`HeadError`].
    fn foresee(&mut self, head: &Head, asks: &[Ask], answers: &mut Vec<Answer>) -> Result<(), HeadError>;

    /// The same for a network that rebuilds values.
    ///
    /// # Errors
    /// See [`HeadError`].
    fn rebuild(&mut self, head: &Head, sketches: &[Sketch], answers: &mut Vec<Rebuilt>) -> Result<(), HeadError>;
}

/// Runs none: a model is judged by as if it had no networks.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHeads;

impl Heads for NoHeads {
    fn foresee(&mut self, _: &Head, _: &[Ask], answers: &mut Vec<Answer>) -> Result<(), HeadError> {
        answers.clear();
        Ok(())
    }

    fn rebuild(&mut self, _: &Head, _: &[Sketch], answers: &mut Vec<Rebuilt>) -> Result<(), HeadError> {
        answers.clear();
        Ok(())
    }
}
