//! The networks of the models that a worker judges by.

use super::library::Library;
use engine::neural::{Answer, Ask, GAPS, Head, HeadError, HeadId, Heads, LIKELY, STATE};
use ort::session::Session;
use ort::value::TensorRef;
use std::path::PathBuf;

/// Names of a network's inputs: slots and gaps (int32, one a question), states (float, [`STATE`] a question).
pub const INPUTS: [&str; 3] = ["previous", "gap", "state"];
/// Names of its outputs: log-probabilities (float, one a slot and question), states.
pub const OUTPUTS: [&str; 2] = ["next", "state_after"];
/// Questions of one run; what is between is filled up.
const SIZES: [usize; 4] = [1, 16, 64, 256];
/// Networks kept ready: of the model that judges, and of one that a state refers to, for a few APIs each.
const READY: usize = 8;

/// Runs networks with ONNX Runtime: one for each worker.
#[derive(Debug, Default)]
pub struct OnnxHeads {
    /// The library, as configured.
    named: Option<PathBuf>,
    library: Option<Library>,
    /// Newest last.
    ready: Vec<Ready>,
}

impl OnnxHeads {
    /// With a library at a place, or where it usually is. It is loaded with the first network.
    #[must_use]
    pub fn new(named: Option<PathBuf>) -> Self {
        Self { named, ..Self::default() }
    }

    fn ready(&mut self, head: &Head) -> Result<&mut Ready, HeadError> {
        match self.ready.iter().position(|r| r.id == head.id) {
            Some(at) => {
                let last = self.ready.len() - 1;
                self.ready.swap(at, last);
            }
            None => {
                let library = match &self.library {
                    Some(library) => library.clone(),
                    None => {
                        let loaded = Library::load(self.named.as_deref()).map_err(|e| HeadError::Missing(e.to_string()))?;
                        self.library.insert(loaded).clone()
                    }
                };
                let ready = Ready::open(&library, head)?;
                if self.ready.len() >= READY {
                    self.ready.remove(0);
                }
                self.ready.push(ready);
            }
        }
        self.ready.last_mut().ok_or_else(|| HeadError::Failed("no network is ready".to_owned()))
    }
}

impl Heads for OnnxHeads {
    fn foresee(&mut self, head: &Head, asks: &[Ask], answers: &mut Vec<Answer>) -> Result<(), HeadError> {
        answers.clear();
        if asks.is_empty() {
            return Ok(());
        }
        let ready = self.ready(head)?;
        asks.chunks(ready.largest()).try_for_each(|asks| ready.run(asks, answers))
    }
}

/// A network in a session of its own, with the buffers of its inputs.
#[derive(Debug)]
struct Ready {
    id: HeadId,
    session: Session,
    /// Those of [`SIZES`] that give the same bits here, ascending.
    sizes: Vec<usize>,
    slots: usize,
    previous: Vec<i32>,
    gaps: Vec<i32>,
    states: Vec<f32>,
}

impl Ready {
    fn open(library: &Library, head: &Head) -> Result<Self, HeadError> {
        let unusable = |e: ort::Error| HeadError::Unusable(e.to_string());
        let built = Session::builder(library.environment()).map_err(unusable)?;
        let options = built.with_intra_threads(1).map_err(|e| unusable(e.into()))?;
        let mut options = options.with_inter_threads(1).map_err(|e| unusable(e.into()))?;
        let session = options.commit_from_memory(&head.onnx).map_err(unusable)?;
        let (previous, gaps, states) = (Vec::new(), Vec::new(), Vec::new());
        let mut ready = Self { id: head.id, session, sizes: SIZES.to_vec(), slots: 0, previous, gaps, states };
        ready.sizes = ready.sizes_alike()?;
        Ok(ready)
    }

    fn largest(&self) -> usize {
        self.sizes.last().copied().unwrap_or(1)
    }

    /// Which sizes answer the same questions by the same bits as the largest. Whoever wrote the file, a network that passes answers as
    /// many questions as it is asked.
    fn sizes_alike(&mut self) -> Result<Vec<usize>, HeadError> {
        let wave = |n: usize| ((n * 37 % 101) as f32 / 50.5) - 1.0;
        let ask = |n: usize| Ask {
            previous: (n % 2) as u16,
            gap: (n % GAPS) as u8,
            next: 0,
            state: std::array::from_fn(|at| wave(n * STATE + at)),
        };
        let asks: Vec<Ask> = (0..SIZES[SIZES.len() - 1]).map(ask).collect();
        let mut expected = Vec::new();
        self.run(&asks, &mut expected)?;
        let mut alike = Vec::new();
        for size in SIZES {
            self.sizes = vec![size];
            let mut answers = Vec::new();
            asks.chunks(size).take(4).try_for_each(|asks| self.run(asks, &mut answers))?;
            if answers.iter().zip(&expected).all(|(a, b)| has_bits_of(a, b)) {
                alike.push(size);
            }
        }
        Ok(alike)
    }

    /// Answers up to [`Self::largest`] questions.
    fn run(&mut self, asks: &[Ask], answers: &mut Vec<Answer>) -> Result<(), HeadError> {
        let size = self.sizes.iter().copied().find(|s| *s >= asks.len()).unwrap_or(asks.len());
        self.previous.clear();
        self.previous.extend(asks.iter().map(|a| i32::from(a.previous)));
        self.previous.resize(size, 0);
        self.gaps.clear();
        self.gaps.extend(asks.iter().map(|a| i32::from(a.gap)));
        self.gaps.resize(size, 0);
        self.states.clear();
        asks.iter().for_each(|a| self.states.extend_from_slice(&a.state));
        self.states.resize(size * STATE, 0.0);
        let failed = |e: ort::Error| HeadError::Failed(e.to_string());
        let outputs = self
            .session
            .run(ort::inputs![
                INPUTS[0] => TensorRef::from_array_view(([size], self.previous.as_slice())).map_err(failed)?,
                INPUTS[1] => TensorRef::from_array_view(([size], self.gaps.as_slice())).map_err(failed)?,
                INPUTS[2] => TensorRef::from_array_view(([size, STATE], self.states.as_slice())).map_err(failed)?,
            ])
            .map_err(failed)?;
        let tensor = |name: &str| {
            let value = outputs.get(name).ok_or_else(|| HeadError::Unusable(format!("it has no output `{name}`")))?;
            value.try_extract_tensor::<f32>().map(|(_, data)| data).map_err(|e| HeadError::Unusable(e.to_string()))
        };
        let (next, states) = (tensor(OUTPUTS[0])?, tensor(OUTPUTS[1])?);
        self.slots = next.len() / size;
        if self.slots * size != next.len() || self.slots < LIKELY || states.len() != size * STATE {
            return Err(HeadError::Unusable("its outputs have other shapes than a network of Weir".to_owned()));
        }
        for ((ask, next), state) in asks.iter().zip(next.chunks_exact(self.slots)).zip(states.chunks_exact(STATE)) {
            let log_p = next.get(usize::from(ask.next)).copied().unwrap_or(f32::NEG_INFINITY);
            let state = state.try_into().map_err(|_| HeadError::Failed("a state of another length".to_owned()))?;
            answers.push(Answer { nats: -log_p, state, likely: likeliest(next) });
        }
        Ok(())
    }
}

fn has_bits_of(a: &Answer, b: &Answer) -> bool {
    a.nats.to_bits() == b.nats.to_bits() && a.state.iter().zip(&b.state).all(|(a, b)| a.to_bits() == b.to_bits()) && a.likely == b.likely
}

/// The slots of the largest log-probabilities, with the probabilities; ties by slot.
fn likeliest(next: &[f32]) -> [(u16, f32); LIKELY] {
    let mut best = [(0u16, f32::NEG_INFINITY); LIKELY];
    for (slot, log_p) in next.iter().enumerate() {
        if *log_p > best[LIKELY - 1].1 {
            let place = best.iter().position(|(_, other)| log_p > other).unwrap_or(LIKELY - 1);
            best[place..].rotate_right(1);
            best[place] = (slot as u16, *log_p);
        }
    }
    best.map(|(slot, log_p)| (slot, log_p.exp()))
}
