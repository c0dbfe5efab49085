//! What this scorer does, as its workers tell it, and now and then as a record of `weir.status`.

use crate::settings::{Clock, Settings};
use engine::{ApiName, Label, TopicPartition, Verdict};
use runtime::format;
use runtime::log::{Log, LogError, Output, Producer};
use runtime::status::{PartitionStatus, SCORER, ScorerStatus, VerdictCounts};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Time between two status records, milliseconds.
const EVERY: i64 = 2_000;
/// APIs counted apart; a verdict's API comes from a bounded table, this is the second lock.
const APIS: usize = 1_000;

/// Outcomes of one batch: they count once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    apis: BTreeMap<ApiName, VerdictCounts>,
    pub(crate) dead_letters: u64,
    /// Alerts that feedback muted.
    pub(crate) muted: u64,
}

impl Counts {
    /// Counts a verdict.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        let counts = self.apis.entry(ApiName::new(verdict.api.as_str())).or_default();
        for detector in &verdict.blind {
            *counts.blind.entry(*detector).or_default() += 1;
        }
        match verdict.label {
            Label::Benign => counts.benign += 1,
            Label::Insufficient => counts.insufficient += 1,
            Label::Anomalous => {
                counts.anomalous += 1;
                for family in &verdict.families {
                    *counts.families.entry(*family).or_default() += 1;
                }
            }
        }
    }
}

/// Shared between the workers and the supervising thread.
pub(crate) struct Board {
    state: Mutex<State>,
    topic: Arc<str>,
    producer: Box<dyn Producer>,
    clock: Clock,
}

struct State {
    status: ScorerStatus,
    is_changed: bool,
    published_ms: i64,
}

impl Board {
    pub(crate) fn new(settings: &Settings, log: &dyn Log) -> Result<Self, LogError> {
        let status = ScorerStatus {
            instance: settings.instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            format: format::FORMAT,
            ..ScorerStatus::default()
        };
        Ok(Self {
            state: Mutex::new(State { status, is_changed: true, published_ms: i64::MIN }),
            topic: Arc::clone(&settings.topics.status),
            producer: log.producer(None)?,
            clock: Arc::clone(&settings.clock),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts that a panicking thread left half-changed are still counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a committed batch came to.
    pub(crate) fn count(&self, counts: Counts) {
        let mut state = self.lock();
        state.status.dead_letters += counts.dead_letters;
        state.status.muted += counts.muted;
        for (api, more) in counts.apis {
            let is_known = state.status.apis.contains_key(&api);
            let api = if is_known || state.status.apis.len() < APIS { api } else { ApiName::new(ApiName::OTHER) };
            state.status.apis.entry(api).or_default().add(&more);
        }
        state.is_changed = true;
    }

    /// Says where a partition is.
    pub(crate) fn place(&self, at: &TopicPartition, partition: &PartitionStatus) {
        let mut state = self.lock();
        let before = state.status.partitions.insert(at.partition, partition.clone());
        state.is_changed |= before.as_ref() != Some(partition);
    }

    /// Says that a partition is not ours any more.
    pub(crate) fn leave(&self, at: &TopicPartition) {
        let mut state = self.lock();
        state.is_changed |= state.status.partitions.remove(&at.partition).is_some();
    }

    /// Says which model judges.
    pub(crate) fn model(&self, label: &str) {
        let mut state = self.lock();
        if state.status.model.as_deref() != Some(label) {
            state.status.model = Some(label.to_owned());
            state.is_changed = true;
        }
    }

    /// Publishes if something changed and it is time.
    pub(crate) fn publish_if_due(&self) {
        let due = self.lock().published_ms.saturating_add(EVERY) <= (self.clock)();
        if due {
            self.publish();
        }
    }

    /// Publishes if something changed. A status that cannot be written is no reason to stop.
    pub(crate) fn publish(&self) {
        let status = {
            let mut state = self.lock();
            if !std::mem::take(&mut state.is_changed) {
                return;
            }
            state.published_ms = (self.clock)();
            state.status.clone()
        };
        let key = format!("{SCORER}{}", status.instance);
        let written = serde_json::to_vec(&status).map_err(|e| e.to_string()).and_then(|value| {
            let output = Output {
                topic: Arc::clone(&self.topic),
                partition: Some(0),
                key: Some(key.into()),
                value: Some(value.into()),
                headers: vec![format::header()],
            };
            self.producer.append(vec![output]).map_err(|e| e.to_string())
        });
        if let Err(why) = written {
            tracing::warn!(why, "the scorer's status could not be written");
        }
    }
}
