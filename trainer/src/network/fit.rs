//! The passes over a lesson, until the held-out walks get no likelier.

use super::batch::{Batch, batches};
use super::gru::Gru;
use super::weights::Weights;
use candle_core::{Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use engine::neural::{Epoch, Lesson};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Passes without a gain after which it ends.
const PATIENCE: u32 = 4;
/// A gain that counts as one, nats.
const GAIN: f32 = 1e-3;
/// Share of the pieces of a batch that is left out: those among the training data that are oddest may be attacks.
const TRIMMED: f64 = 0.02;
/// Steps of all passes together: what bounds the time.
const MOST_STEPS: usize = 6_000_000;

/// How long and how fast to learn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    epochs: u32,
    rate: f64,
    /// What the rate is multiplied by after each pass.
    decay: f64,
}

impl Plan {
    /// Afresh, or a little further from where the network before was.
    pub(super) fn of(lesson: &Lesson<'_>, is_warm: bool) -> Self {
        let steps: usize = lesson.walks.iter().map(Vec::len).sum();
        let affordable = u32::try_from(MOST_STEPS / steps.max(1)).unwrap_or(u32::MAX);
        match is_warm {
            true => Self { epochs: affordable.clamp(1, 6), rate: 2e-3, decay: 0.8 },
            false => Self { epochs: affordable.clamp(2, 40), rate: 8e-3, decay: 0.92 },
        }
    }
}

/// What fitting came to.
pub(super) struct Fitted {
    /// The weights that made the held-out walks likeliest.
    pub(super) weights: Weights,
    /// Passes that were made.
    pub(super) epochs: u32,
}

/// Learns from the walks of a lesson. The same lesson and start give the same weights.
pub(super) fn fit(start: &Weights, lesson: &Lesson<'_>, plan: &Plan, device: &Device, progress: &mut dyn FnMut(Epoch)) -> Result<Fitted> {
    let gru = Gru::new(start, device)?;
    let parameters = ParamsAdamW { lr: plan.rate, weight_decay: 1e-4, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(gru.vars(), parameters)?;
    let mut dice = ChaCha8Rng::seed_from_u64(lesson.seed);
    let (mut lessons, tests) = (batches(lesson.walks), batches(lesson.held_out));
    let mut best = (start.clone(), loss(&gru, &tests)?);
    let (mut epochs, mut without_gain) = (0, 0);
    while epochs < plan.epochs && without_gain < PATIENCE {
        shuffle(&mut lessons, &mut dice);
        // At first everything is odd.
        let share = if epochs == 0 && lesson.previous.is_none() { 0.0 } else { TRIMMED };
        for batch in &lessons {
            learn(&gru, &mut optimizer, batch, share)?;
        }
        optimizer.set_learning_rate(optimizer.learning_rate() * plan.decay);
        epochs += 1;
        let loss = loss(&gru, &tests)?;
        without_gain = if loss < best.1 - GAIN { 0 } else { without_gain + 1 };
        if loss < best.1
            && let Some(weights) = gru.weights()?
        {
            best = (weights, loss);
        }
        progress(Epoch { number: epochs, done: f64::from(epochs) / f64::from(plan.epochs), loss });
    }
    Ok(Fitted { weights: best.0, epochs })
}

fn shuffle(batches: &mut [Batch], dice: &mut ChaCha8Rng) {
    for at in (1..batches.len()).rev() {
        batches.swap(at, (dice.next_u64() % (at as u64 + 1)) as usize);
    }
}

fn learn(gru: &Gru, optimizer: &mut AdamW, batch: &Batch, share: f64) -> Result<()> {
    let nats = gru.nats(batch)?;
    let weights = batch.trimmed(&nats.to_vec1::<f32>()?, share);
    let total: f32 = weights.iter().sum();
    if total > 0.0 {
        let weights = Tensor::from_slice(&weights, weights.len(), nats.device())?;
        let loss = ((nats * weights)?.sum_all()? / f64::from(total))?;
        optimizer.backward_step(&loss)?;
    }
    Ok(())
}

/// Mean −ln P of a step, nats.
fn loss(gru: &Gru, tests: &[Batch]) -> Result<f32> {
    let (mut sum, mut total) = (0.0f64, 0.0f64);
    for batch in tests {
        for (nats, weight) in gru.nats(batch)?.to_vec1::<f32>()?.iter().zip(&batch.weights) {
            sum += f64::from(*nats) * f64::from(*weight);
            total += f64::from(*weight);
        }
    }
    Ok((sum / total.max(1e-9)) as f32)
}
