//! One network in a session of ONNX Runtime, run in batches of a few fixed sizes.

use super::library::Library;
use engine::neural::values::{BINS, KINDS, Rebuilt, Sketch};
use engine::neural::{Answer, Ask, GAPS, Head, HeadError, HeadId, LIKELY, STATE};
use ort::session::{Session, SessionOutputs};
use ort::value::TensorRef;

/// Inputs of a network that foresees: slots and gaps (int32, one a question), states (float, [`STATE`] a question).
pub const FORESEEING_IN: [&str; 3] = ["previous", "gap", "state"];
/// Its outputs: log-probabilities (float, one a slot and question), states.
pub const FORESEEING_OUT: [&str; 2] = ["next", "state_after"];
/// Inputs of a network that rebuilds: slots of fields and kinds (int32, one a value), n-grams (float, 0 or 1, [`BINS`] a value).
pub const REBUILDING_IN: [&str; 3] = ["field", "kind", "grams"];
/// Its output: −ln of the probability of what is and is not there (float, [`BINS`] a value).
pub const REBUILDING_OUT: [&str; 1] = ["nats"];

/// Questions of one run; what is between is filled up.
const SIZES: [usize; 4] = [1, 16, 64, 256];

/// A kind of network: what it is asked, and how that becomes tensors. It holds the buffers of its inputs.
pub(super) trait Kind: Default {
    type Ask;
    type Answer;

    /// A question that any network of this kind can answer; another for each number.
    fn example(n: usize) -> Self::Ask;
    /// Whether two answers are the same to the bit.
    fn is_same(a: &Self::Answer, b: &Self::Answer) -> bool;
    /// Runs questions, filled up to a size.
    fn run<'s>(&mut self, session: &'s mut Session, asks: &[Self::Ask], size: usize) -> ort::Result<SessionOutputs<'s>>;
    /// Reads the answers from what came out.
    fn read(outputs: &SessionOutputs<'_>, asks: &[Self::Ask], size: usize, answers: &mut Vec<Self::Answer>) -> Result<(), HeadError>;
}

/// A network that is ready to run.
#[derive(Debug)]
pub(super) struct Ready<K> {
    pub(super) id: HeadId,
    session: Session,
    /// Those of [`SIZES`] that give the same bits here, ascending.
    sizes: Vec<usize>,
    kind: K,
}

impl<K: Kind> Ready<K> {
    pub(super) fn open(library: &Library, head: &Head) -> Result<Self, HeadError> {
        let unusable = |e: ort::Error| HeadError::Unusable(e.to_string());
        let built = Session::builder(library.environment()).map_err(unusable)?;
        let options = built.with_intra_threads(1).map_err(|e| unusable(e.into()))?;
        let mut options = options.with_inter_threads(1).map_err(|e| unusable(e.into()))?;
        let session = options.commit_from_memory(&head.onnx).map_err(unusable)?;
        let mut ready = Self { id: head.id, session, sizes: SIZES.to_vec(), kind: K::default() };
        ready.sizes = ready.sizes_alike()?;
        Ok(ready)
    }

    /// Most questions of one run.
    pub(super) fn largest(&self) -> usize {
        self.sizes.last().copied().unwrap_or(1)
    }

    /// Which sizes answer the same questions by the same bits as the largest. Whoever wrote the file, a network that passes answers as
    /// many questions as it is asked.
    fn sizes_alike(&mut self) -> Result<Vec<usize>, HeadError> {
        let asks: Vec<K::Ask> = (0..SIZES[SIZES.len() - 1]).map(K::example).collect();
        let mut expected = Vec::new();
        self.run(&asks, &mut expected)?;
        let mut alike = Vec::new();
        for size in SIZES {
            self.sizes = vec![size];
            let mut answers = Vec::new();
            asks.chunks(size).take(4).try_for_each(|asks| self.run(asks, &mut answers))?;
            if answers.iter().zip(&expected).all(|(a, b)| K::is_same(a, b)) {
                alike.push(size);
            }
        }
        Ok(alike)
    }

    /// Answers up to [`Self::largest`] questions.
    pub(super) fn run(&mut self, asks: &[K::Ask], answers: &mut Vec<K::Answer>) -> Result<(), HeadError> {
        let size = self.sizes.iter().copied().find(|s| *s >= asks.len()).unwrap_or(asks.len());
        let outputs = self.kind.run(&mut self.session, asks, size).map_err(|e| HeadError::Failed(e.to_string()))?;
        K::read(&outputs, asks, size, answers)
    }
}

fn output<'o>(outputs: &'o SessionOutputs<'_>, name: &str) -> Result<&'o [f32], HeadError> {
    let value = outputs.get(name).ok_or_else(|| HeadError::Unusable(format!("it has no output `{name}`")))?;
    value.try_extract_tensor::<f32>().map(|(_, data)| data).map_err(|e| HeadError::Unusable(e.to_string()))
}

fn other_shapes() -> HeadError {
    HeadError::Unusable("its outputs have other shapes than a network of Weir".to_owned())
}

/// Fills a buffer with what each question has, up to a size.
fn fill<A, T: Default + Clone>(buffer: &mut Vec<T>, asks: &[A], size: usize, what: impl FnMut(&A) -> T) {
    buffer.clear();
    buffer.extend(asks.iter().map(what));
    buffer.resize(size, T::default());
}

/// Networks that foresee steps.
#[derive(Debug, Default)]
pub(super) struct Foreseeing {
    previous: Vec<i32>,
    gaps: Vec<i32>,
    states: Vec<f32>,
}

impl Kind for Foreseeing {
    type Ask = Ask;
    type Answer = Answer;

    fn example(n: usize) -> Ask {
        let wave = |n: usize| ((n * 37 % 101) as f32 / 50.5) - 1.0;
        Ask { previous: (n % 2) as u16, gap: (n % GAPS) as u8, next: 0, state: std::array::from_fn(|at| wave(n * STATE + at)) }
    }

    fn is_same(a: &Answer, b: &Answer) -> bool {
        let states = a.state.iter().zip(&b.state);
        a.nats.to_bits() == b.nats.to_bits() && states.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()) && a.likely == b.likely
    }

    fn run<'s>(&mut self, session: &'s mut Session, asks: &[Ask], size: usize) -> ort::Result<SessionOutputs<'s>> {
        fill(&mut self.previous, asks, size, |a| i32::from(a.previous));
        fill(&mut self.gaps, asks, size, |a| i32::from(a.gap));
        self.states.clear();
        asks.iter().for_each(|a| self.states.extend_from_slice(&a.state));
        self.states.resize(size * STATE, 0.0);
        let [previous, gap, state] = FORESEEING_IN;
        session.run(ort::inputs![
            previous => TensorRef::from_array_view(([size], self.previous.as_slice()))?,
            gap => TensorRef::from_array_view(([size], self.gaps.as_slice()))?,
            state => TensorRef::from_array_view(([size, STATE], self.states.as_slice()))?,
        ])
    }

    fn read(outputs: &SessionOutputs<'_>, asks: &[Ask], size: usize, answers: &mut Vec<Answer>) -> Result<(), HeadError> {
        let (next, states) = (output(outputs, FORESEEING_OUT[0])?, output(outputs, FORESEEING_OUT[1])?);
        let slots = next.len() / size;
        if slots * size != next.len() || slots < LIKELY || states.len() != size * STATE {
            return Err(other_shapes());
        }
        for ((ask, next), state) in asks.iter().zip(next.chunks_exact(slots)).zip(states.chunks_exact(STATE)) {
            let log_p = next.get(usize::from(ask.next)).copied().unwrap_or(f32::NEG_INFINITY);
            let state = state.try_into().map_err(|_| HeadError::Failed("a state of another length".to_owned()))?;
            answers.push(Answer { nats: -log_p, state, likely: likeliest(next) });
        }
        Ok(())
    }
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

/// Networks that rebuild values.
#[derive(Debug, Default)]
pub(super) struct Rebuilding {
    fields: Vec<i32>,
    kinds: Vec<i32>,
    grams: Vec<f32>,
}

impl Kind for Rebuilding {
    type Ask = Sketch;
    type Answer = Rebuilt;

    fn example(n: usize) -> Sketch {
        Sketch { field: 0, kind: (n % KINDS) as u8, grams: (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) }
    }

    fn is_same(a: &Rebuilt, b: &Rebuilt) -> bool {
        a.nats.to_bits() == b.nats.to_bits() && a.odd == b.odd
    }

    fn run<'s>(&mut self, session: &'s mut Session, asks: &[Sketch], size: usize) -> ort::Result<SessionOutputs<'s>> {
        fill(&mut self.fields, asks, size, |a| i32::from(a.field));
        fill(&mut self.kinds, asks, size, |a| i32::from(a.kind));
        self.grams.clear();
        for ask in asks {
            self.grams.extend(ask.bins().map(|there| f32::from(u8::from(there))));
        }
        self.grams.resize(size * BINS, 0.0);
        let [field, kind, grams] = REBUILDING_IN;
        session.run(ort::inputs![
            field => TensorRef::from_array_view(([size], self.fields.as_slice()))?,
            kind => TensorRef::from_array_view(([size], self.kinds.as_slice()))?,
            grams => TensorRef::from_array_view(([size, BINS], self.grams.as_slice()))?,
        ])
    }

    fn read(outputs: &SessionOutputs<'_>, asks: &[Sketch], size: usize, answers: &mut Vec<Rebuilt>) -> Result<(), HeadError> {
        let nats = output(outputs, REBUILDING_OUT[0])?;
        if nats.len() != size * BINS {
            return Err(other_shapes());
        }
        answers.extend(asks.iter().zip(nats.chunks_exact(BINS)).map(|(ask, nats)| {
            // What is there is what a person can be shown.
            let there = ask.bins().enumerate().filter(|(_, there)| *there).map(|(bin, _)| bin);
            let odd = there.max_by(|a, b| nats[*a].total_cmp(&nats[*b])).unwrap_or(0);
            Rebuilt { nats: nats.iter().sum(), odd: odd as u8 }
        }));
        Ok(())
    }
}
