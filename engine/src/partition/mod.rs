//! All live state of one partition, and the step from one record to its verdict. Scorer, trainer and backtest drive this one type.

use crate::model::Model;
use crate::record::{ApiName, Exchange, Family, Label, Offset, Stage, TopicPartition, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Caps of the tables of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Live sessions.
    pub sessions: usize,
    /// Network sources.
    pub sources: usize,
    /// Object ids with an owner, and issued ids.
    pub objects: usize,
    /// Values that never repeat.
    pub tokens: usize,
    /// Open incidents.
    pub incidents: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: 50_000, sources: 20_000, objects: 200_000, tokens: 100_000, incidents: 5_000 }
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// Offset in its partition.
    pub offset: Offset,
    /// When the log took it, epoch milliseconds; `None` in backtests.
    pub appended_ms: Option<i64>,
}

/// Whatever is not a record of the partition and yet changes what it does. Each takes effect at one offset: before the record there.
#[derive(Debug, Clone)]
pub enum Effect {
    /// From here on this model judges.
    Model(Arc<Model>),
    /// Which hosts belong to which API and at which stage each API is, while no model says so.
    Stages {
        /// Host (lower case) to API.
        hosts: BTreeMap<String, ApiName>,
        /// Stage per API.
        stages: BTreeMap<ApiName, Stage>,
    },
    /// The partition was idle: its clock moves to this time (epoch milliseconds).
    Tick(i64),
}

/// Birth, growth or end of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentLife {
    /// First anomalous verdict of a session and family.
    Created,
    /// More of them.
    Updated,
    /// None for ten minutes.
    Closed,
}

/// Verdicts of one session and family within ten minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable identity: a function of the first verdict's id and the family.
    pub uid: String,
    /// What happens to it now.
    pub life: IncidentLife,
    /// Family.
    pub family: Family,
    /// API.
    pub api: String,
    /// Session, if known.
    pub session: Option<String>,
    /// Subject, if known.
    pub subject: Option<String>,
    /// Client address as privacy settings allow.
    pub client: Option<String>,
    /// First and last verdict, epoch milliseconds of the partition clock.
    pub first_ms: i64,
    /// See `first_ms`.
    pub last_ms: i64,
    /// Anomalous verdicts so far.
    pub verdicts: u64,
    /// Ids of the first verdicts, at most 20.
    pub verdict_ids: Vec<String>,
    /// The verdict with the smallest p so far: score, endpoint, reasons.
    pub worst: Verdict,
}

/// What judging one record gives.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Incidents that were created, grew or ended at this record.
    pub incidents: Vec<Incident>,
}

/// One entry of a checkpoint: a record of `weir.state`. `None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEntry {
    /// Key, unique within the partition.
    pub key: Vec<u8>,
    /// Value.
    pub value: Option<Vec<u8>>,
}

/// Why a checkpoint entry cannot be taken back.
#[derive(Debug, thiserror::Error)]
#[error("state entry `{key}` cannot be read: {why}")]
pub struct StateError {
    /// The entry's key, escaped.
    pub key: String,
    /// What the decoder said.
    pub why: String,
}

/// The live state of one partition.
#[derive(Debug)]
pub struct Partition {
    at: TopicPartition,
    #[allow(dead_code, reason = "used once tables stand")]
    limits: Limits,
    model: Option<Arc<Model>>,
}

impl Partition {
    /// Empty state.
    #[must_use]
    pub fn new(at: TopicPartition, limits: Limits) -> Self {
        Self { at, limits, model: None }
    }

    /// Applies an effect before the next record.
    /// Returns incidents that end by it (a tick moves the clock).
    pub fn apply(&mut self, effect: Effect) -> Vec<Incident> {
        if let Effect::Model(model) = effect {
            self.model = Some(model);
        }
        Vec::new()
    }

    /// Judges the next record and learns its traces.
    pub fn judge(&mut self, position: RecordPosition, exchange: &Exchange<'_>) -> Judged {
        let verdict = Verdict {
            id: format!("{}-{}", self.at, position.offset),
            exchange_id: exchange.id.as_deref().map(str::to_owned),
            time: exchange.time.map(crate::time::rfc3339),
            stage: Stage::Listening,
            model: self.model.as_ref().map(|m| m.label.clone()),
            label: Label::Insufficient,
            score: 0.0,
            p: 1.0,
            alpha: 1e-4,
            api: ApiName::OTHER.to_owned(),
            endpoint: format!("{} {}", &*exchange.method, &*exchange.path),
            path: exchange.path.to_string(),
            status: exchange.response.status,
            session: exchange.session.as_deref().map(str::to_owned),
            subject: exchange.subject.as_deref().map(str::to_owned),
            client: exchange.client.ip.as_deref().map(str::to_owned),
            families: Vec::new(),
            reasons: Vec::new(),
            blind: Vec::new(),
        };
        Judged { verdict, incidents: Vec::new() }
    }

    /// Takes a record in without an outcome: the same change of state as [`Self::judge`].
    pub fn fold(&mut self, position: RecordPosition, exchange: &Exchange<'_>) {
        let _ = self.judge(position, exchange);
    }

    /// Entries that changed since the last checkpoint. Together with all earlier ones they are the whole state.
    pub fn checkpoint(&mut self) -> Vec<StateEntry> {
        Vec::new()
    }

    /// Takes an entry back; all entries, in any order, before the first record.
    ///
    /// # Errors
    /// The entry is damaged or of an unknown format.
    pub fn restore(&mut self, _entry: &StateEntry) -> Result<(), StateError> {
        Ok(())
    }

    /// Counts for status: live sessions, evictions, clock.
    #[must_use]
    pub fn view(&self) -> PartitionView {
        PartitionView::default()
    }
}

/// Counts for status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionView {
    /// Live sessions.
    pub sessions: u64,
    /// Sessions evicted because of the cap.
    pub evicted: u64,
    /// Partition clock, epoch milliseconds.
    pub clock_ms: Option<i64>,
}
