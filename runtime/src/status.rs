//! Records of `weir.status` (compacted): what each API and each scorer is at. Written by trainer and scorers, read by scorers, `weir status` and people.

use crate::format;
use crate::log::Output;
use engine::{ApiName, DetectorKind, Family, Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys of [`ApiStatus`] records begin so.
pub const API: &str = "api/";
/// Keys of [`ScorerStatus`] records begin so.
pub const SCORER: &str = "scorer/";
/// Keys of [`OutputStatus`] records begin so.
pub const OUTPUT: &str = "output/";
/// Keys of [`IngestStatus`] records begin so.
pub const INGEST: &str = "ingest/";
/// Key of the [`TrainerStatus`] record.
pub const TRAINER: &str = "trainer";

/// A record of the status topic.
///
/// # Errors
/// The status cannot be written as JSON.
pub fn record(topic: &Arc<str>, key: String, status: &impl Serialize) -> Result<Output, serde_json::Error> {
    Ok(format::entry(topic, key, Some(serde_json::to_vec(status)?.into())))
}

/// Where an API is in its life; key `api/<name>`, written by the trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiStatus {
    /// The API.
    pub api: ApiName,
    /// Its stage.
    pub stage: Stage,
    /// Hosts that belong to it, lower case.
    pub hosts: Vec<String>,
    /// Requests seen.
    pub seen: u64,
    /// Requests still needed before the first training.
    pub needed: u64,
    /// Append time of the first request, epoch milliseconds.
    pub since_ms: i64,
    /// Label of the model that judges it.
    pub model: Option<String>,
    /// Level below which a verdict is anomalous.
    pub alpha: Option<f64>,
    /// How far a training is that is going on.
    pub training: Option<TrainingStatus>,
    /// The last training, whatever came of it.
    #[serde(default)]
    pub trained: Option<Trained>,
    /// Kinds of findings that the model takes for normal because people said so, in all APIs.
    #[serde(default)]
    pub admitted: u64,
    /// Why the model of the last training may not take over, if it may not.
    #[serde(default)]
    pub refused: Option<String>,
}

/// What a training had seen when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trained {
    /// Append time of the newest request, epoch milliseconds.
    pub until_ms: i64,
    /// Requests of the API.
    pub seen: u64,
}

/// How far a training is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingStatus {
    /// What is being done.
    pub phase: String,
    /// 0 to 1.
    pub done: f64,
    /// Seconds that it will still take, by how long it took so far.
    #[serde(default)]
    pub left_s: Option<u64>,
}

/// What one scorer process does; key `scorer/<instance>`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScorerStatus {
    /// Its stable name.
    pub instance: String,
    /// Version of Weir.
    pub version: String,
    /// Format of the records it writes.
    pub format: u32,
    /// Label of the model in use.
    pub model: Option<String>,
    /// Its partitions.
    pub partitions: BTreeMap<u32, PartitionStatus>,
    /// Verdicts since it started, per API.
    pub apis: BTreeMap<ApiName, VerdictCounts>,
    /// Records that could not be read since it started.
    pub dead_letters: u64,
    /// Alerts that feedback muted since it started.
    #[serde(default)]
    pub muted: u64,
    /// How long verdicts took lately, from the append of an exchange to the commit of its verdict.
    #[serde(default)]
    pub latency: Option<Latency>,
    /// When the process last spoke.
    #[serde(flatten)]
    pub life: Life,
}

/// Longest time for which a process says nothing, milliseconds.
pub const BEAT_MS: i64 = 30_000;

/// When a process last spoke.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// When it said this, by its clock, epoch milliseconds; it says something at least every [`BEAT_MS`].
    #[serde(default)]
    pub said_ms: i64,
    /// Whether these were its last words: it was asked to stop and did.
    #[serde(default)]
    pub ended: bool,
}

impl Life {
    /// Seconds for which the process has said nothing, where that is too long to be well; whoever ended in good order has nothing to say.
    #[must_use]
    pub fn silent_s(self, now_ms: i64) -> Option<i64> {
        let silent = now_ms.saturating_sub(self.said_ms);
        (!self.ended && self.said_ms > 0 && silent > 3 * BEAT_MS).then_some(silent / 1_000)
    }

    /// Whether it has to speak again, lest it seems silent.
    #[must_use]
    pub fn is_due(self, now_ms: i64) -> bool {
        self.said_ms.saturating_add(BEAT_MS) <= now_ms
    }
}

/// What one ingest process does; key `ingest/<instance>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestStatus {
    /// Its stable name.
    pub instance: String,
    /// Version of Weir.
    pub version: String,
    /// Where exchanges come from: `listener ADDRESS`, `topic NAME`, `file PATH`.
    pub inputs: Vec<String>,
    /// Exchanges that it wrote since it started.
    pub accepted: u64,
    /// Records that it could not read since it started.
    pub dead_letters: u64,
    /// Inputs that it cannot read at present, and why.
    #[serde(default)]
    pub unread: Vec<String>,
    /// When the process last spoke.
    #[serde(flatten)]
    pub life: Life,
}

/// How long something took, milliseconds, over the records since the last status with any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half took at most this.
    pub p50_ms: u64,
    /// 99 of 100 took at most this.
    pub p99_ms: u64,
    /// None took longer.
    pub max_ms: u64,
}

/// How forwarding to one receiver goes; key `output/<instance>/<output>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputStatus {
    /// Stable name of the process.
    pub instance: String,
    /// Name of the output in the configuration.
    pub output: String,
    /// Records that the receiver took since the process started.
    pub delivered: u64,
    /// Records that it refused for good, or that could not be read: dead letters.
    pub refused: u64,
    /// Records that retention deleted before it took them.
    pub lost: u64,
    /// Records that wait.
    pub lag: u64,
    /// Why it takes none at present.
    pub failing: Option<String>,
    /// When the process last spoke.
    #[serde(flatten)]
    pub life: Life,
}

/// What the trainer does; key [`TRAINER`]: there is one at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainerStatus {
    /// Version of Weir.
    pub version: String,
    /// Exchanges that it remembers to learn from.
    pub remembered: u64,
    /// When the process last spoke.
    #[serde(flatten)]
    pub life: Life,
}

/// One partition of a scorer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// Next offset to be judged.
    pub position: u64,
    /// Records that wait.
    pub lag: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Sessions evicted because of the cap.
    pub evicted: u64,
    /// Whether its state is being restored.
    pub restoring: bool,
    /// What restoring it took, once it was.
    #[serde(default)]
    pub restored: Option<Restored>,
}

/// What it took to restore a partition: entries of `weir.state`, and the exchanges since the mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// From the assignment (or an abort) to the first record that may be judged, milliseconds.
    pub took_ms: u64,
    /// Entries and exchanges that were read.
    pub records: u64,
    /// Their keys and values, bytes.
    pub bytes: u64,
}

/// Verdicts by label and family.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Label `benign`.
    pub benign: u64,
    /// Label `anomalous`.
    pub anomalous: u64,
    /// Label `insufficient`.
    pub insufficient: u64,
    /// Anomalous verdicts by family; a verdict with two counts in both.
    pub families: BTreeMap<Family, u64>,
    /// Verdicts that are not `insufficient`, by detector that could not look.
    #[serde(default)]
    pub blind: BTreeMap<DetectorKind, u64>,
}

impl VerdictCounts {
    /// Takes the counts of another scorer in.
    pub fn add(&mut self, other: &Self) {
        self.benign += other.benign;
        self.anomalous += other.anomalous;
        self.insufficient += other.insufficient;
        for (family, n) in &other.families {
            *self.families.entry(*family).or_default() += n;
        }
        for (detector, n) in &other.blind {
            *self.blind.entry(*detector).or_default() += n;
        }
    }
}
