//! A training that is going on: a thread owns the history meanwhile and gives it back.

use crate::TrainerError;
use crate::network::teacher;
use engine::neural::HeadError;
use engine::trial::{Decision, Trial};
use engine::{Features, History, LearnConfig, LearnError, Model, Progress, learn_with};
use runtime::config::Network;
use runtime::inference;
use runtime::model_file::{self, About, ModelFile};
use serde::Serialize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the log says how a network comes along; the status says it at any time.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// A training that is going on.
pub(crate) struct Training {
    thread: JoinHandle<Done>,
    progress: Receiver<Progress>,
    began: Instant,
    /// The phase that was logged last, and when.
    logged: Option<(&'static str, Instant)>,
}

/// What a training came to.
pub(crate) struct Done {
    pub(crate) history: History,
    pub(crate) model: Result<Arc<Model>, LearnError>,
    /// Id of the version that was active when it began.
    pub(crate) follows: Option<String>,
    /// Where there was a champion: what both are like, or why that could not be said.
    pub(crate) contest: Option<Result<Contest, String>>,
    /// Where there was none: what the first model is like, or why that could not be said.
    pub(crate) first: Option<Result<Trial, String>>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Champion and challenger on the same history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contest {
    /// The model before.
    pub champion: Trial,
    /// The one that was learned.
    pub challenger: Trial,
    /// What comes of it.
    pub decision: Decision,
}

impl Contest {
    /// Lets both judge the newest part of what the champion knows.
    ///
    /// # Errors
    /// A network cannot be run.
    pub fn hold(champion: &Arc<Model>, challenger: &Arc<Model>, history: &History, network: &Network) -> Result<Self, HeadError> {
        let known = known_to(champion, history);
        let (champion, challenger) = (try_out(champion, &known, network)?, try_out(challenger, &known, network)?);
        let decision = champion.decide(&challenger);
        Ok(Self { champion, challenger, decision })
    }
}

/// The part of a history that is of APIs which a model has learned: it says nothing on the others.
fn known_to<'a>(model: &Model, history: &'a History) -> Vec<&'a Features> {
    history.iter().filter(|features| model.api(&features.host).is_some()).collect()
}

/// Lets a model judge the newest part of a history.
fn try_out(model: &Arc<Model>, history: &[&Features], network: &Network) -> Result<Trial, HeadError> {
    let began = Instant::now();
    Trial::of(model, bytes(model), history, &mut *inference::heads(network), &|| began.elapsed())
}

/// Size of the file of a model; 0 where it cannot be written, which publishing says.
fn bytes(model: &Model) -> u64 {
    let file = ModelFile::of(model, About::default()).and_then(|file| model_file::write(&file));
    file.map_or(0, |file| file.len() as u64)
}

/// What a training starts from besides the history.
pub(crate) struct Start {
    pub(crate) config: LearnConfig,
    pub(crate) network: Network,
    /// The active model.
    pub(crate) champion: Option<Arc<Model>>,
    /// Id of the version that was active.
    pub(crate) follows: Option<String>,
    /// Whether networks are learned afresh.
    pub(crate) is_full: bool,
}

impl Training {
    /// Starts to learn.
    pub(crate) fn start(start: Start, history: History) -> Result<Self, TrainerError> {
        let (tell, progress) = channel();
        let thread = std::thread::Builder::new()
            .name("weir-learn".to_owned())
            .spawn(move || {
                let began = Instant::now();
                let Start { config, network, champion, follows, is_full } = start;
                let earlier = champion.clone().filter(|_| !is_full);
                let learned = learn_with(&history, &config, &mut *teacher(&network, earlier), &mut |progress| {
                    // Nobody listens any more when the trainer has stopped; learning ends with the process then.
                    let _ = tell.send(progress);
                });
                let model = learned.map(Arc::new);
                let (contest, first) = match (&champion, &model) {
                    (Some(champion), Ok(challenger)) => (Some(Contest::hold(champion, challenger, &history, &network)), None),
                    (None, Ok(first)) => (None, Some(try_out(first, &known_to(first, &history), &network))),
                    (_, Err(_)) => (None, None),
                };
                let (contest, first) = (contest.map(|c| c.map_err(|e| e.to_string())), first.map(|f| f.map_err(|e| e.to_string())));
                Done { history, model, follows, contest, first, took: began.elapsed() }
            })
            .map_err(|e| TrainerError::Thread(format!("starting to learn: {e}")))?;
        Ok(Self { thread, progress, began: Instant::now(), logged: None })
    }

    /// How long it took so far.
    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether it is at its end.
    pub(crate) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// The newest progress since the last call.
    pub(crate) fn progress(&mut self) -> Option<Progress> {
        let progress = self.progress.try_iter().last()?;
        if let Some(epoch) = progress.epoch
            && self.logged.is_none_or(|(phase, at)| phase != progress.phase || at.elapsed() >= LOG_EVERY)
        {
            self.logged = Some((progress.phase, Instant::now()));
            let left_s = left_s(&progress, self.took());
            tracing::info!(phase = progress.phase, pass = epoch.number, nats = epoch.loss, left_s);
        }
        Some(progress)
    }

    /// Waits for the end.
    pub(crate) fn end(self) -> Result<Done, TrainerError> {
        self.thread.join().map_err(|_| TrainerError::Thread("learning ended by a panic".to_owned()))
    }
}

/// Seconds that a training will still take, in steps that a person can follow; unknown at the beginning.
pub(crate) fn left_s(progress: &Progress, took: Duration) -> Option<u64> {
    let left = took.as_secs_f64() * (1.0 - progress.done) / progress.done;
    (progress.done >= 0.05 && left.is_finite()).then(|| (left / 5.0).ceil() as u64 * 5)
}
