//! The passes over a lesson, until what was held out gets no likelier.

use super::weights::{Parameters, Weights};
use candle_core::{Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use engine::neural::Epoch;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Passes without a gain after which it ends.
const PATIENCE: u32 = 4;
/// Share of a batch that is left out: what is oddest among the training data may be attacks.
const TRIMMED: f64 = 0.02;

/// A network that can be trained: the same arithmetic as in its file, with gradients.
pub(super) trait Network: Sized {
    /// What it is shown at once.
    type Batch: Lessons;

    /// With these weights.
    fn new(weights: &Weights, device: &Device) -> Result<Self>;
    /// What is trained.
    fn parameters(&self) -> &Parameters;
    /// −ln P of each cell of a batch.
    fn nats(&self, batch: &Self::Batch) -> Result<Tensor>;
}

/// Cells of a batch with what they count for.
pub(super) trait Lessons {
    /// What each cell counts for; 0: there is none.
    fn weights(&self) -> &[f32];
    /// Weights without those of the share that is oddest. `nats`: of each cell.
    fn trimmed(&self, nats: &[f32], share: f64) -> Vec<f32>;
}

/// How long and how fast to learn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    epochs: u32,
    rate: f64,
    /// What the rate is multiplied by after each pass.
    decay: f64,
    /// A gain that counts as one, nats a cell.
    gain: f32,
    is_warm: bool,
    seed: u64,
}

impl Plan {
    /// Afresh, or a little further from where the network before was. `cells`: of one pass, and of all passes at most.
    pub(super) fn of((cells, most): (usize, usize), gain: f32, is_warm: bool, seed: u64) -> Self {
        let affordable = u32::try_from(most / cells.max(1)).unwrap_or(u32::MAX);
        match is_warm {
            true => Self { epochs: affordable.clamp(1, 6), rate: 2e-3, decay: 0.8, gain, is_warm, seed },
            false => Self { epochs: affordable.clamp(2, 40), rate: 8e-3, decay: 0.92, gain, is_warm, seed },
        }
    }
}

/// What fitting came to.
pub(super) struct Fitted {
    /// The weights that made likeliest what was held out.
    pub(super) weights: Weights,
    /// Passes that were made.
    pub(super) epochs: u32,
}

/// Learns from the batches of a lesson; others tell when to stop. The same lesson and start give the same weights.
pub(super) fn fit<N: Network>(
    start: &Weights,
    (mut lessons, tests): (Vec<N::Batch>, Vec<N::Batch>),
    plan: Plan,
    device: &Device,
    progress: &mut dyn FnMut(Epoch),
) -> Result<Fitted> {
    let network = N::new(start, device)?;
    let parameters = ParamsAdamW { lr: plan.rate, weight_decay: 1e-4, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(network.parameters().vars(), parameters)?;
    let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut best = (start.clone(), loss(&network, &tests)?);
    let (mut epochs, mut without_gain) = (0, 0);
    while epochs < plan.epochs && without_gain < PATIENCE {
        shuffle(&mut lessons, &mut dice);
        // At first everything is odd.
        let share = if epochs == 0 && !plan.is_warm { 0.0 } else { TRIMMED };
        for batch in &lessons {
            learn(&network, &mut optimizer, batch, share)?;
        }
        optimizer.set_learning_rate(optimizer.learning_rate() * plan.decay);
        epochs += 1;
        let loss = loss(&network, &tests)?;
        without_gain = if loss < best.1 - plan.gain { 0 } else { without_gain + 1 };
        if loss < best.1
            && let Some(weights) = network.parameters().weights()?
        {
            best = (weights, loss);
        }
        progress(Epoch { number: epochs, done: f64::from(epochs) / f64::from(plan.epochs), loss });
    }
    Ok(Fitted { weights: best.0, epochs })
}

fn shuffle<B>(batches: &mut [B], dice: &mut ChaCha8Rng) {
    for at in (1..batches.len()).rev() {
        batches.swap(at, (dice.next_u64() % (at as u64 + 1)) as usize);
    }
}

fn learn<N: Network>(network: &N, optimizer: &mut AdamW, batch: &N::Batch, share: f64) -> Result<()> {
    let nats = network.nats(batch)?;
    let weights = batch.trimmed(&nats.to_vec1::<f32>()?, share);
    let total: f32 = weights.iter().sum();
    if total > 0.0 {
        let weights = Tensor::from_slice(&weights, weights.len(), nats.device())?;
        let loss = ((nats * weights)?.sum_all()? / f64::from(total))?;
        optimizer.backward_step(&loss)?;
    }
    Ok(())
}

/// Mean −ln P of a cell, nats.
fn loss<N: Network>(network: &N, tests: &[N::Batch]) -> Result<f32> {
    let (mut sum, mut total) = (0.0f64, 0.0f64);
    for batch in tests {
        for (nats, weight) in network.nats(batch)?.to_vec1::<f32>()?.iter().zip(batch.weights()) {
            sum += f64::from(*nats) * f64::from(*weight);
            total += f64::from(*weight);
        }
    }
    Ok((sum / total.max(1e-9)) as f32)
}
