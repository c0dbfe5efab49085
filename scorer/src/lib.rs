//! Exchanges of `weir.traffic` become verdicts, alerts and dead letters, each exactly once; the state of every partition stands in `weir.state`.
//!
//! It *never* commits an offset before the outcome of every earlier record of that partition, and never guesses state: what was lost is
//! restored from checkpoints, and the records since are taken in again.
//!
//! Reading order: [`run`] starts threads; each is a worker: poll, restore, judge, tick, checkpoint, commit. A lane is one partition with its
//! live state, a restore is how a lane comes back. [`run_fact_stage`] gathers what lanes report and writes the notes that they take.

pub mod alert;
mod board;
mod dead_letter;
mod erase;
mod facts;
mod feed;
mod lane;
mod metrics;
mod models;
mod notes;
mod restore;
mod settings;
mod state;
mod worker;

pub use erase::erase;
pub use facts::{FactStageError, run_fact_stage};
pub use models::ModelFeedError;
pub use settings::Settings;
pub use state::BadState;
pub use worker::WorkerError;

use board::Board;
use feed::Feed;
use runtime::log::{Log, LogError, WorkerSpec};
use runtime::shutdown::Shutdown;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// Longest wait before the supervising thread looks again.
const LOOK: Duration = Duration::from_millis(100);

/// Why the scorer ended.
#[derive(Debug, thiserror::Error)]
pub enum ScorerError {
    /// The log cannot be used.
    #[error("scorer: {0}")]
    Log(#[from] LogError),
    /// A worker failed.
    #[error("scorer, worker {number}: {why}")]
    Worker {
        /// Its number.
        number: usize,
        /// What went wrong.
        why: WorkerError,
    },
    /// A thread could not be started, or ended in a way that no thread should.
    #[error("scorer: {0}")]
    Thread(String),
}

/// Scores until asked to stop, then checkpoints, commits and returns. Blocks; starts `settings.workers` threads and one that follows models.
///
/// # Errors
/// The log fails for good, another process has taken over our name, or a state cannot be read.
pub fn run(settings: &Settings, log: &Arc<dyn Log>, shutdown: &Shutdown) -> Result<(), ScorerError> {
    let feed = Feed::open(log, settings)?;
    let published = feed.published();
    let board = Board::new(settings, &**log)?;
    let workers = settings.workers.max(1);
    let outcome = std::thread::scope(|scope| {
        let following = scope.spawn(|| feed.follow(shutdown).map_err(ScorerError::from));
        let mut threads = vec![following];
        for number in 0..workers {
            let spec = WorkerSpec {
                group: settings.topics.groups.scorer.clone(),
                topics: vec![Arc::clone(&settings.topics.traffic)],
                instance: settings.instance.clone(),
                number,
                of: workers,
            };
            let (published, board) = (published.clone(), &board);
            threads.push(scope.spawn(move || {
                let failed = |why| ScorerError::Worker { number, why };
                worker::Worker::join(settings, log, &spec, published, board).and_then(|w| w.run(shutdown)).map_err(failed)
            }));
        }
        supervise(&threads, &board, shutdown);
        threads.into_iter().map(end).fold(Ok(()), Result::and)
    });
    if outcome.is_ok() {
        board.end();
    }
    outcome
}

/// Publishes status until all threads are gone; one that ends early stops the others.
fn supervise(threads: &[ScopedJoinHandle<'_, Result<(), ScorerError>>], board: &Board, shutdown: &Shutdown) {
    while !threads.iter().all(ScopedJoinHandle::is_finished) {
        if threads.iter().any(ScopedJoinHandle::is_finished) {
            shutdown.cancel();
        }
        board.publish_if_due();
        std::thread::sleep(LOOK);
    }
}

fn end(thread: ScopedJoinHandle<'_, Result<(), ScorerError>>) -> Result<(), ScorerError> {
    thread.join().unwrap_or_else(|_| Err(ScorerError::Thread("a thread ended by a panic".to_owned())))
}
