//! A training that is going on: a thread owns the history meanwhile and gives it back.

use crate::TrainerError;
use engine::{History, LearnConfig, LearnError, Model, Progress, learn};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A training that is going on.
pub(crate) struct Training {
    thread: JoinHandle<Done>,
    progress: Receiver<Progress>,
}

/// What a training came to.
pub(crate) struct Done {
    pub(crate) history: History,
    pub(crate) model: Result<Model, LearnError>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Training {
    /// Starts to learn.
    pub(crate) fn start(config: LearnConfig, history: History) -> Result<Self, TrainerError> {
        let (tell, progress) = channel();
        let thread = std::thread::Builder::new()
            .name("weir-learn".to_owned())
            .spawn(move || {
                let began = Instant::now();
                let model = learn(&history, &config, &mut |progress| {
                    // Nobody listens any more when the trainer has stopped; learning ends with the process then.
                    let _ = tell.send(progress);
                });
                Done { history, model, took: began.elapsed() }
            })
            .map_err(|e| TrainerError::Thread(format!("starting to learn: {e}")))?;
        Ok(Self { thread, progress })
    }

    /// Whether it is at its end.
    pub(crate) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// The newest progress since the last call.
    pub(crate) fn progress(&mut self) -> Option<Progress> {
        self.progress.try_iter().last()
    }

    /// Waits for the end.
    pub(crate) fn end(self) -> Result<Done, TrainerError> {
        self.thread.join().map_err(|_| TrainerError::Thread("learning ended by a panic".to_owned()))
    }
}
