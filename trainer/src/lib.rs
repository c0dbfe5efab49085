//! Traffic becomes history, and history becomes models: remembers a sample, learns when an API has shown enough, publishes what it learned.
//!
//! It *never* judges, never holds up ingestion while it learns, and never publishes but in one transaction: parts, manifest, signed pointer.
//!
//! Reading order: [`run`] is the loop; an `Apis` knows where each API is in its life, a `Watch` whether its model still fits, a `Memory` is the history and its topic, a `Training` is one
//! that is going on, [`publish`] is the writer half of `weir.models`.

mod apis;
mod erase;
mod memory;
mod metrics;
pub mod network;
pub mod publish;
mod settings;
mod training;
mod watch;

pub use erase::erase;
pub use memory::remembered;
pub use settings::{Settings, history_limits, learn_config};

use apis::Apis;
use engine::trial::{Decision, Trial};
use engine::{Admission, ApiName, Exchange, Features, LearnConfig, Model, Offset, SessionKey, TopicPartition};
use memory::Memory;
use metrics::Metrics;
use publish::{PublishError, Publisher, Role};
use runtime::clock::now_ms;
use runtime::feedback::{Feedback, Said, Scope};
use runtime::log::{
    Batch, CommitError, Event, Log, LogError, Producer, Reader, Record, Start, Worker, WorkerSpec, poll_on, read_on, read_to_end,
};
use runtime::model_file::ModelFileError;
use runtime::model_topic::POINTER;
use runtime::shutdown::Shutdown;
use runtime::status::{TRAINER, TrainerStatus, record};
use std::sync::Arc;
use std::time::Duration;
pub use training::Contest;
use training::{Done, Training};
use watch::Watch;

/// Most records of one batch.
const BATCH: usize = 2_000;
/// Most records of one look at the models topic: parts of models are large.
const PARTS: usize = 64;
/// Name of every trainer in its group, whatever its `instance`: of several the one that came last goes on, the others end.
const THE_ONE: &str = "trainer";
/// Longest wait for a batch.
const WAIT: Duration = Duration::from_millis(100);

/// Why the trainer ended.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The log cannot be used.
    #[error("trainer: {0}")]
    Log(#[from] LogError),
    /// Another trainer has taken over.
    #[error("trainer: another trainer has taken over: {0}")]
    Fenced(String),
    /// A model could not be put into a file.
    #[error("trainer: {0}")]
    Model(#[from] ModelFileError),
    /// A model could not be published.
    #[error("trainer: {0}")]
    Publish(#[from] PublishError),
    /// What is remembered could not be encoded.
    #[error("trainer: encoding what is remembered: {0}")]
    Encode(#[from] postcard::Error),
    /// A status could not be encoded.
    #[error("trainer: encoding a status: {0}")]
    Status(#[from] serde_json::Error),
    /// The learning thread could not be started, or ended in a way that no thread should.
    #[error("trainer: {0}")]
    Thread(String),
}

/// Trains until asked to stop. Blocks; learns on a thread of its own.
///
/// # Errors
/// The log fails for good, or another trainer has taken over.
pub fn run(settings: &Settings, log: &Arc<dyn Log>, shutdown: &Shutdown) -> Result<(), TrainerError> {
    let mut trainer = Trainer::open(settings, log)?;
    while !shutdown.is_cancelled() {
        trainer.turn()?;
    }
    trainer.status.life.ended = true;
    trainer.tell()
}

/// The loop: poll, remember, commit, train, tell.
struct Trainer<'a> {
    settings: &'a Settings,
    log: &'a dyn Log,
    consumer: Box<dyn Worker>,
    producer: Box<dyn Producer>,
    publisher: Publisher,
    memory: Memory,
    apis: Apis,
    watch: Watch,
    /// What stands on the models topic from now on; and whether there may be a pointer that was not followed yet.
    pointers: Box<dyn Reader>,
    is_moved: bool,
    /// Id of the version that was followed last.
    followed: Option<String>,
    /// The model that judges.
    champion: Option<Arc<Model>>,
    training: Option<Training>,
    metrics: Metrics,
    /// Append time of the newest request when networks were learned afresh for the last time.
    full_ms: Option<i64>,
    /// What was told of the trainer itself last.
    status: TrainerStatus,
}

impl<'a> Trainer<'a> {
    fn open(settings: &'a Settings, log: &'a Arc<dyn Log>) -> Result<Self, TrainerError> {
        let topics = &settings.topics;
        let pointers = log.reader(&[(TopicPartition::new(Arc::clone(&topics.models), 0), Start::End)])?;
        // Names are taken over before anything is read: what a trainer before us still wants to write is refused from here on.
        let publisher = Publisher::open(log, topics, settings.sign_key.clone(), Role::Trainer)?;
        let spec = WorkerSpec {
            group: topics.groups.trainer.clone(),
            topics: vec![Arc::clone(&topics.traffic)],
            instance: THE_ONE.to_owned(),
            number: 0,
            of: 1,
        };
        let consumer = log.worker(&spec)?;
        let mut apis = Apis::open(settings, &**log)?;
        let memory = Memory::open(settings, &**log, &mut apis)?;
        apis.recalled();
        let (producer, metrics) = (log.producer(None)?, Metrics::new());
        let status = TrainerStatus { version: env!("CARGO_PKG_VERSION").to_owned(), ..TrainerStatus::default() };
        let mut trainer = Self {
            settings,
            log: &**log,
            consumer,
            producer,
            publisher,
            memory,
            apis,
            watch: Watch::new(settings.limits),
            pointers,
            is_moved: false,
            followed: None,
            champion: None,
            training: None,
            metrics,
            full_ms: None,
            status,
        };
        trainer.catch_up()?;
        Ok(trainer)
    }

    fn turn(&mut self) -> Result<(), TrainerError> {
        let records = self.poll()?;
        self.remember(&records)?;
        self.commit(&records)?;
        self.follow()?;
        self.train()?;
        self.tell()
    }

    fn poll(&mut self) -> Result<Vec<Record>, TrainerError> {
        let mut read = Vec::new();
        for event in poll_on(&mut *self.consumer, BATCH, WAIT)?.events {
            match event {
                Event::Records(records) => read.extend(records),
                Event::Assigned(_) => {}
                Event::Revoked(partitions) => self.memory.forget(&partitions),
            }
        }
        Ok(read)
    }

    /// What can be read is counted and perhaps kept; what cannot be read is the scorer's to report.
    fn remember(&mut self, records: &[Record]) -> Result<(), TrainerError> {
        for record in records {
            if self.memory.has(record) {
                continue;
            }
            if let Some(Ok(exchange)) = record.value.as_deref().map(Exchange::from_json) {
                let features = Features::of(&exchange);
                self.apis.count(&features, record.timestamp_ms);
                self.watch.see(record, &exchange, &features);
                self.memory.add(record, features)?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, records: &[Record]) -> Result<(), TrainerError> {
        let positions = memory::positions(records);
        if positions.is_empty() {
            return Ok(());
        }
        match self.consumer.commit(Batch { outputs: self.memory.outputs(), positions: positions.clone() }) {
            Ok(()) => {
                self.memory.committed();
                self.metrics.remembers(self.memory.len());
                Ok(())
            }
            Err(CommitError::Aborted(_)) if self.is_past(&positions)? => {
                self.memory.committed();
                Ok(())
            }
            Err(CommitError::Aborted(why)) => {
                tracing::warn!(why, "a transaction was aborted: its records are read again, and written with the next");
                self.memory.aborted(&positions);
                Ok(())
            }
            Err(CommitError::Fenced(why)) => Err(TrainerError::Fenced(why)),
            Err(CommitError::Fatal(error)) => Err(error.into()),
        }
    }

    /// Whether these positions are committed: the answer to a commit can get lost.
    fn is_past(&self, positions: &[(TopicPartition, Offset)]) -> Result<bool, LogError> {
        for (at, next) in positions {
            if self.log.committed(&self.settings.topics.groups.trainer, at)?.is_none_or(|committed| committed < *next) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Follows the pointer to the model that judges, whoever moves it: a person promotes and rolls back beside us.
    fn follow(&mut self) -> Result<(), TrainerError> {
        let records = read_on(&mut *self.pointers, PARTS, Duration::ZERO)?;
        self.is_moved |= records.iter().any(|record| record.key.as_deref() == Some(POINTER.as_bytes()));
        if !self.is_moved {
            return Ok(());
        }
        match self.catch_up() {
            Err(LogError::Retriable { doing, why }) => {
                tracing::warn!(doing, why, "the model that is active cannot be read now; it will be tried again");
                Ok(())
            }
            done => {
                self.is_moved = false;
                Ok(done?)
            }
        }
    }

    fn catch_up(&mut self) -> Result<(), LogError> {
        self.publisher.look()?;
        let Some(pointer) = self.publisher.pointer().filter(|pointer| self.followed.as_ref() != Some(&pointer.active)) else {
            return Ok(());
        };
        let mut model = self.publisher.model(&pointer.active)?;
        // Who has just come knows the one before only from the pointer; so do scorers.
        if let (None, None, Some(previous)) = (&model, &self.champion, &pointer.previous) {
            model = self.publisher.model(previous)?;
        }
        self.followed = Some(pointer.active.clone());
        if let Some(model) = model.map(Arc::new) {
            self.apis.modelled(&model);
            self.watch.mount(Arc::clone(&model));
            self.champion = Some(model);
        }
        Ok(())
    }

    /// Starts a training when one is due, and ends one that is done.
    fn train(&mut self) -> Result<(), TrainerError> {
        match self.training.take() {
            None => {
                let due = self.apis.due(&self.watch.drifted());
                if !due.is_empty() {
                    self.start(&due)?;
                }
            }
            Some(training) if training.is_done() => {
                let done = training.end()?;
                self.finish(done)?;
            }
            Some(mut training) => {
                if let Some(progress) = training.progress() {
                    self.apis.progress(&progress, training.took());
                }
                self.training = Some(training);
            }
        }
        Ok(())
    }

    fn start(&mut self, due: &[ApiName]) -> Result<(), TrainerError> {
        let label = self.publisher.next_label();
        let apis = self.apis.start_training(due);
        tracing::info!(label, apis = apis.len(), exchanges = self.memory.len(), "training begins");
        let mut history = self.memory.lend();
        let said = self.said()?;
        history.forget(&said.attackers().into_iter().map(SessionKey::of).collect());
        let champion = self.champion.clone();
        let now = self.apis.newest_ms();
        let admitted = admissions(&said, now);
        let full_every = i64::try_from(self.settings.full_every.as_millis()).unwrap_or(i64::MAX);
        // A trainer that has just started does not know when that was: it goes on from what there is.
        let is_full = champion.is_none() || self.full_ms.is_some_and(|last| now.saturating_sub(last) >= full_every);
        if is_full || self.full_ms.is_none() {
            self.full_ms = Some(now);
        }
        let network = self.settings.network.clone();
        let config = LearnConfig { before: champion.clone(), ..self.settings.learn_config(apis, label, admitted) };
        let start = training::Start { config, network, champion, follows: self.followed.clone(), is_full };
        self.training = Some(Training::start(start, history)?);
        Ok(())
    }

    /// What people have said of verdicts.
    fn said(&self) -> Result<Said, LogError> {
        let mut said = Said::default();
        let from = [(TopicPartition::new(Arc::clone(&self.settings.topics.feedback), 0), Start::Oldest)];
        read_to_end(self.log, &from, |record| {
            if let Some(Err(error)) = record.value.as_deref().map(|value| said.take(value)) {
                tracing::warn!(%error, "a feedback record cannot be read");
            }
        })?;
        Ok(said)
    }

    fn finish(&mut self, done: Done) -> Result<(), TrainerError> {
        let until = self.apis.newest_ms();
        self.memory.take_back(done.history);
        self.is_moved = true;
        self.follow()?;
        match (done.model, done.contest) {
            (Ok(model), _) if done.follows.as_deref() != self.publisher.active() => self.overtaken(&model, done.took),
            (Ok(model), Some(Ok(Contest { decision: Decision::Refuse(why), champion, .. }))) => {
                tracing::warn!(label = model.label, champion = champion.model, why, "the challenger is refused; the champion stays");
                self.metrics.trained("refused", done.took);
                self.apis.refused(&model.label, &why);
            }
            (Ok(model), Some(Err(why))) => {
                tracing::error!(label = model.label, why, "champion and challenger cannot be compared; the champion stays");
                self.metrics.trained("failed", done.took);
                self.apis.failed();
            }
            (Ok(model), contest) => {
                let contest = contest.and_then(Result::ok);
                let file = self.publisher.file(&model, until, self.memory.range(), contest.as_ref())?;
                let id = match self.publisher.succeed(&file) {
                    Err(PublishError::Overtaken) => {
                        self.overtaken(&model, done.took);
                        return Ok(());
                    }
                    id => id?,
                };
                tracing::info!(label = model.label, id, "a model is published");
                match done.first {
                    Some(Ok(trial)) => tell_first(&trial),
                    Some(Err(why)) => tracing::warn!(label = model.label, why, "the first model is published without a trial"),
                    None => {}
                }
                self.metrics.trained("published", done.took);
                self.apis.succeeded();
                self.is_moved = true;
                self.follow()?;
            }
            (Err(error), _) => {
                tracing::error!(%error, "training made no model; the one before stays");
                self.metrics.trained("failed", done.took);
                self.apis.failed();
            }
        }
        Ok(())
    }

    /// What was learned was not compared with what judges now, so it cannot take over.
    fn overtaken(&mut self, model: &Model, took: Duration) {
        tracing::warn!(
            label = model.label,
            "another model has become active meanwhile: what was learned is dropped, and the next training starts from that one"
        );
        self.metrics.trained("overtaken", took);
        self.apis.overtaken();
    }

    /// Writes the statuses that changed, and now and then that the trainer lives.
    fn tell(&mut self) -> Result<(), TrainerError> {
        let mut changed = self.apis.changed(&self.settings.topics.status)?;
        let now = now_ms();
        if self.status.life.ended || self.status.life.is_due(now) {
            (self.status.life.said_ms, self.status.remembered) = (now, self.memory.len() as u64);
            changed.push(record(&self.settings.topics.status, TRAINER.to_owned(), &self.status)?);
        }
        if changed.is_empty() {
            return Ok(());
        }
        match self.producer.append(changed) {
            Ok(_) => Ok(()),
            Err(LogError::Retriable { doing, why }) => {
                tracing::warn!(doing, why, "telling the stages of APIs");
                self.apis.tell_again();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What holds now of what people have said to be nothing, as a model is to have it. What was said of one incident alone teaches nothing.
fn admissions(said: &Said, now_ms: i64) -> Vec<Admission> {
    let admission = |feedback: &Feedback| {
        let place = match feedback.scope {
            Scope::Once => return None,
            Scope::EndpointField => Some(feedback.place.clone()),
            Scope::Endpoint => None,
        };
        Some(Admission { endpoint: feedback.endpoint.clone(), family: feedback.family?, place })
    };
    said.benign(now_ms).filter_map(admission).collect()
}

/// Tells what a first model found in its trial; there is no other that it could be held to.
fn tell_first(trial: &Trial) {
    let Trial { model: label, exchanges, anomalous, injected, caught, .. } = trial;
    tracing::info!(label, exchanges, anomalous, injected, caught, "the first model judged what it learned from, and code in typed fields");
    if let Some(why) = trial.shortfall() {
        tracing::warn!(label, why, "the first model is weak; it judges all the same, since there is no other");
    }
}
