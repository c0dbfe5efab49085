//! Watches whether models still fit: judges a part of the sessions with the active model, in state of its own, and counts signs of drift.

use engine::drift::Drift;
use engine::{ApiName, Effect, Exchange, Features, Limits, Model, Offset, Partition, RecordPosition, TopicPartition};
use runtime::log::Record;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// One session of so many is judged.
const ONE_OF: u64 = 8;

/// The model that is active and what it makes of new traffic.
pub(crate) struct Watch {
    watched: Option<Watched>,
    limits: Limits,
}

struct Watched {
    model: Arc<Model>,
    partition: Partition,
    next: Offset,
    drift: Drift,
}

impl Watch {
    /// Watches nothing yet. `limits`: of the state for all sessions; a part is enough here.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { watched: None, limits }
    }

    /// Watches a model from now on: what spoke against the one before does not speak against it.
    pub(crate) fn mount(&mut self, model: Arc<Model>) {
        let mut partition = Partition::new(TopicPartition::new("watched", 0), self.limits);
        partition.apply(Effect::Model(Arc::clone(&model)));
        self.watched = Some(Watched { model, partition, next: Offset(0), drift: Drift::default() });
    }

    /// Looks at an exchange, if its session is one of those that are watched.
    pub(crate) fn see(&mut self, record: &Record, exchange: &Exchange<'_>, features: &Features) {
        let Some(watched) = &mut self.watched else { return };
        let mut hasher = DefaultHasher::new();
        match &exchange.session {
            Some(session) => session.hash(&mut hasher),
            None => (record.at.partition, record.offset.0).hash(&mut hasher),
        }
        if hasher.finish().is_multiple_of(ONE_OF) {
            let position = RecordPosition { offset: watched.next, appended_ms: Some(record.timestamp_ms) };
            watched.next = watched.next.next();
            let judged = watched.partition.judge(position, exchange);
            watched.drift.see(&watched.model, features, &judged.verdict);
        }
    }

    /// APIs that the model no longer fits, with why.
    pub(crate) fn drifted(&self) -> Vec<(ApiName, String)> {
        let signs = |watched: &Watched| watched.drift.signs().into_iter().map(|(api, sign)| (api.clone(), sign.to_string())).collect();
        self.watched.as_ref().map_or_else(Vec::new, signs)
    }
}
