//! The thread that follows what does not stand on the traffic topic: model versions, the stages of APIs, notes, and feedback.

use crate::models::{ModelFeed, Models};
use crate::notes::Notes;
use crate::settings::Settings;
use crate::state::Stages;
use arc_swap::{ArcSwap, ArcSwapOption};
use runtime::clock::Clock;
use runtime::feedback::Said;
use runtime::log::{Log, LogError, Reader, Record, Start, read_on};
use runtime::shutdown::Shutdown;
use runtime::status::{API, ApiStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Records of one read.
const READ: usize = 512;
/// Longest wait of one read, and so the longest wait for the end.
const WAIT: Duration = Duration::from_millis(100);

/// What workers read of it.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) models: Models,
    pub(crate) notes: Notes,
    /// What people said of verdicts.
    pub(crate) said: Arc<ArcSwap<Said>>,
    stages: Arc<ArcSwapOption<Stages>>,
}

impl Published {
    /// The stages of APIs, once the trainer has said any.
    pub(crate) fn stages(&self) -> Option<Arc<Stages>> {
        self.stages.load_full()
    }
}

/// Reads the topics; made by [`Feed::open`], which returns once all that stood there has been read.
pub(crate) struct Feed {
    reader: Box<dyn Reader>,
    status: Arc<str>,
    feedback: Arc<str>,
    clock: Clock,
    models: ModelFeed,
    apis: BTreeMap<Vec<u8>, ApiStatus>,
    published: Published,
}

impl Feed {
    /// Opens the feed and reads it to its present end.
    pub(crate) fn open(log: &Arc<dyn Log>, settings: &Settings) -> Result<Self, LogError> {
        let (topics, trusted) = (&settings.topics, settings.trusted.clone());
        let whole = |topic: &Arc<str>| (engine::TopicPartition::new(Arc::clone(topic), 0), Start::Oldest);
        let mut from = vec![whole(&topics.models), whole(&topics.status), whole(&topics.feedback)];
        let partitions = log.partitions(&topics.notes)?;
        from.extend((0..partitions).map(|n| (engine::TopicPartition::new(Arc::clone(&topics.notes), n), Start::Oldest)));
        let reader = log.reader(&from)?;
        let models = Models::new(Arc::clone(log), Arc::clone(&topics.models), settings.network.clone());
        let published =
            Published { models: models.clone(), notes: Notes::new(&topics.notes), said: Arc::default(), stages: Arc::default() };
        let models = ModelFeed::new(models, trusted);
        let (status, feedback) = (Arc::clone(&topics.status), Arc::clone(&topics.feedback));
        let mut feed = Self { reader, status, feedback, clock: Arc::clone(&settings.clock), models, apis: BTreeMap::new(), published };
        let mut waiting = Vec::new();
        loop {
            let records = feed.read()?;
            let may_be_all = records.len() < READ;
            feed.published.notes.take(&records);
            // Parts of models are large, and of no use here.
            waiting.extend(records.into_iter().filter(|r| feed.is_small(r)));
            if may_be_all && feed.reader.at_end()? {
                break;
            }
        }
        feed.take(&waiting);
        Ok(feed)
    }

    /// What it has read, for workers.
    pub(crate) fn published(&self) -> Published {
        self.published.clone()
    }

    /// Follows the topics until the end.
    pub(crate) fn follow(mut self, shutdown: &Shutdown) -> Result<(), LogError> {
        while !shutdown.is_cancelled() {
            let records = self.read()?;
            self.published.notes.take(&records);
            self.take(&records);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Vec<Record>, LogError> {
        read_on(&mut *self.reader, READ, WAIT)
    }

    fn is_small(&self, record: &Record) -> bool {
        record.at.topic == self.status || record.at.topic == self.feedback || record.key.as_deref().is_some_and(|k| k == b"pointer")
    }

    fn take(&mut self, records: &[Record]) {
        self.models.take(records);
        self.take_feedback(records);
        let mut is_new = false;
        for record in records.iter().filter(|r| r.at.topic == self.status) {
            let Some(key) = record.key.as_deref().filter(|k| k.starts_with(API.as_bytes())) else { continue };
            match record.value.as_deref().map(serde_json::from_slice) {
                Some(Ok(status)) => drop(self.apis.insert(key.to_vec(), status)),
                Some(Err(error)) => tracing::warn!(%error, key = %key.escape_ascii(), "a status record cannot be read"),
                None => drop(self.apis.remove(key)),
            }
            is_new = true;
        }
        if is_new {
            self.publish_stages();
        }
    }

    fn take_feedback(&self, records: &[Record]) {
        let records: Vec<&Record> = records.iter().filter(|r| r.at.topic == self.feedback).collect();
        let Some(newest) = records.last() else { return };
        let mut said = Said::clone(&self.published.said.load());
        for value in records.iter().filter_map(|r| r.value.as_deref()) {
            if let Err(error) = said.take(value) {
                tracing::warn!(%error, "a feedback record cannot be read");
            }
        }
        self.published.said.store(Arc::new(said));
        let after_ms = (self.clock)().saturating_sub(newest.timestamp_ms);
        tracing::info!(records = records.len(), newest_after_ms = after_ms, "feedback is in force");
    }

    fn publish_stages(&self) {
        let mut stages = Stages::default();
        for status in self.apis.values() {
            stages.stages.insert(status.api.clone(), status.stage);
            stages.hosts.extend(status.hosts.iter().map(|host| (host.clone(), status.api.clone())));
        }
        if self.published.stages.load().as_deref() != Some(&stages) {
            self.published.stages.store(Some(Arc::new(stages)));
        }
    }
}
