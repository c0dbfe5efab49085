//! Which model is active, and any version that a state refers to: the reader half of `weir.models`.

use crate::state::ModelRef;
use arc_swap::ArcSwapOption;
use engine::Model;
use engine::neural::HeadError;
use runtime::config::Network;
use runtime::format::{self, UnknownFormat};
use runtime::inference;
use runtime::keys::{Pointer, PointerError, TrustedKeys};
use runtime::log::{Log, Record};
use runtime::model_file::ModelFileError;
use runtime::model_topic::{self, ModelTopicError, POINTER};
use std::sync::{Arc, Mutex, PoisonError};

/// Versions kept ready besides the active one: the one before, and one that a state refers to.
const READY: usize = 3;

/// A model that was verified, and the pointer that named it.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) version: ModelRef,
    pub(crate) model: Arc<Model>,
    /// When it was made, epoch milliseconds.
    pub(crate) created_ms: Option<i64>,
}

/// Why a model is not followed.
#[derive(Debug, thiserror::Error)]
pub enum ModelFeedError {
    /// The pointer is of a format that this version does not know.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
    /// The pointer is not to be trusted.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// The version cannot be had.
    #[error(transparent)]
    Topic(#[from] ModelTopicError),
    /// The version is no model.
    #[error("model version {id}: {why}")]
    Model {
        /// Its id.
        id: String,
        /// What is wrong.
        why: ModelFileError,
    },
    /// The version has networks that cannot be run here.
    #[error("model version {id} has networks: {why}")]
    Network {
        /// Its id.
        id: String,
        /// What is wrong.
        why: HeadError,
    },
}

/// A version that is kept.
#[derive(Clone)]
struct Ready {
    id: String,
    model: Arc<Model>,
    created_ms: Option<i64>,
}

/// What workers read: the active model, and other versions by id.
#[derive(Clone)]
pub(crate) struct Models {
    log: Arc<dyn Log>,
    topic: Arc<str>,
    network: Network,
    active: Arc<ArcSwapOption<Active>>,
    ready: Arc<Mutex<Vec<Ready>>>,
}

impl Models {
    pub(crate) fn new(log: Arc<dyn Log>, topic: Arc<str>, network: Network) -> Self {
        Self { log, topic, network, active: Arc::default(), ready: Arc::default() }
    }

    /// The model that judges from now on.
    pub(crate) fn active(&self) -> Option<Arc<Active>> {
        self.active.load_full()
    }

    /// A version by its id.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Model>, ModelFeedError> {
        self.version(id).map(|version| version.model)
    }

    fn version(&self, id: &str) -> Result<Ready, ModelFeedError> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = ready.iter().find(|version| version.id == id) {
            return Ok(version.clone());
        }
        let unusable = |why| ModelFeedError::Model { id: id.to_owned(), why };
        let file = model_topic::fetch(&*self.log, &self.topic, id)?;
        let created_ms = engine::time::parse(&file.manifest().created);
        let model = Arc::new(file.model().map_err(unusable)?);
        inference::check(&model, &self.network).map_err(|why| ModelFeedError::Network { id: id.to_owned(), why })?;
        let version = Ready { id: id.to_owned(), model, created_ms };
        if ready.len() >= READY {
            ready.remove(0);
        }
        ready.push(version.clone());
        Ok(version)
    }
}

/// What the feed thread writes: follows pointers that are signed, count up and name a whole model; keeps the good one otherwise.
pub(crate) struct ModelFeed {
    models: Models,
    trusted: TrustedKeys,
    newest: Option<u64>,
    /// A pointer that could not be followed because the log was out of reach.
    waiting: Option<Pointer>,
}

impl ModelFeed {
    pub(crate) fn new(models: Models, trusted: TrustedKeys) -> Self {
        Self { models, trusted, newest: None, waiting: None }
    }

    /// Takes the newest pointer of several records of the topic; none at all: one that waits is followed now.
    pub(crate) fn take(&mut self, records: &[Record]) {
        for record in records.iter().filter(|r| r.key.as_deref() == Some(POINTER.as_bytes())) {
            let Some(value) = record.value.as_deref() else { continue };
            let known = format::check(record).map_err(ModelFeedError::from);
            match known.and_then(|()| Ok(self.trusted.verify_pointer(value, self.newest)?)) {
                Ok(pointer) => {
                    self.newest = Some(pointer.counter);
                    self.waiting = Some(pointer);
                }
                Err(error) => tracing::warn!(%error, "a model pointer is not followed"),
            }
        }
        if let Some(pointer) = self.waiting.take() {
            self.follow(pointer);
        }
    }

    fn follow(&mut self, pointer: Pointer) {
        match self.models.version(&pointer.active) {
            Ok(version) => self.activate(version, pointer.counter),
            Err(ModelFeedError::Topic(ModelTopicError::Log(error))) => {
                tracing::warn!(%error, id = pointer.active, "the model that is active on the topic cannot be read now; it will be tried again");
                self.waiting = Some(pointer);
            }
            Err(error) => {
                tracing::error!(%error, "the model that is active on the topic cannot be used; the one before stays");
                // Who has just come knows the one before only from the pointer.
                if self.models.active().is_none()
                    && let Some(previous) = pointer.previous
                    && let Ok(version) = self.models.version(&previous)
                {
                    self.activate(version, pointer.counter);
                }
            }
        }
    }

    fn activate(&self, Ready { id, model, created_ms }: Ready, counter: u64) {
        tracing::info!(model = model.label, id, "a model is active");
        self.models.active.store(Some(Arc::new(Active { version: ModelRef { id, counter }, model, created_ms })));
    }
}
