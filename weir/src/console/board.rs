//! The newest record of each key of `weir.status`, and how it is shown.

use crate::terminal::{Paint, clean, count};
use engine::{ApiName, Stage, TopicPartition};
use runtime::log::{Log, LogError, Record, Start, read_on, read_to_end};
use runtime::shutdown::Shutdown;
use runtime::status::{
    API, ApiStatus, INGEST, IngestStatus, Life, OUTPUT, OutputStatus, SCORER, ScorerStatus, TRAINER, TrainerStatus, VerdictCounts,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait of one read.
const WAIT: Duration = Duration::from_millis(200);

/// Everything that is known of an installation: the answer to `GET /v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Overview {
    /// APIs, by name.
    pub(crate) apis: Vec<ApiOverview>,
    /// Scorers, by instance.
    pub(crate) scorers: Vec<ScorerStatus>,
    /// Outputs, by instance and name.
    #[serde(default)]
    pub(crate) outputs: Vec<OutputStatus>,
    /// Ingest, by instance.
    #[serde(default)]
    pub(crate) ingest: Vec<IngestStatus>,
    /// The trainer.
    #[serde(default)]
    pub(crate) trainer: Option<TrainerStatus>,
}

/// An API with what the scorers said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ApiOverview {
    /// Its stage and what goes with it.
    #[serde(flatten)]
    pub(crate) status: ApiStatus,
    /// Verdicts since the scorers started.
    pub(crate) verdicts: VerdictCounts,
}

impl Overview {
    /// Reads the topic to its end.
    pub(crate) fn read(log: &dyn Log, topic: &Arc<str>) -> Result<Self, LogError> {
        let mut records = Records::default();
        read_to_end(log, &[whole(topic)], |record| records.take(&record))?;
        Ok(records.overview())
    }

    /// Whether every scorer has its partitions and their state.
    pub(crate) fn is_ready(&self) -> bool {
        let is_ready = |scorer: &ScorerStatus| !scorer.partitions.is_empty() && scorer.partitions.values().all(|p| !p.restoring);
        let mut here = self.scorers.iter().filter(|scorer| !scorer.life.ended).peekable();
        here.peek().is_some() && here.all(is_ready)
    }

    /// For a person, at this time (epoch milliseconds).
    pub(crate) fn to_text(&self, paint: Paint, now_ms: i64) -> String {
        let mut text = String::new();
        if self.apis.is_empty() {
            text.push_str("No traffic yet.\n");
        }
        for api in &self.apis {
            api.write(&mut text, paint);
        }
        self.ingest.iter().for_each(|ingest| write_ingest(&mut text, ingest, paint, now_ms));
        for scorer in &self.scorers {
            let lag: u64 = scorer.partitions.values().map(|p| p.lag).sum();
            let sessions: u64 = scorer.partitions.values().map(|p| p.sessions).sum();
            let restoring = scorer.partitions.values().filter(|p| p.restoring).count();
            let _ = write!(
                text,
                "scorer {}: {} partitions, {} records behind, {} live sessions",
                paint.bold(&clean(&scorer.instance)),
                scorer.partitions.len(),
                count(lag),
                count(sessions)
            );
            if let Some(latency) = &scorer.latency {
                let _ = write!(text, ", verdicts after {} ms (99 %: {} ms)", count(latency.p50_ms), count(latency.p99_ms));
            }
            write_life(&mut text, scorer.life, now_ms);
            if restoring > 0 {
                let _ = write!(text, ", {restoring} being restored");
            }
            if scorer.dead_letters > 0 {
                let _ = write!(text, ", {} dead letters", count(scorer.dead_letters));
            }
            if scorer.muted > 0 {
                let _ = write!(text, ", {} alerts muted", count(scorer.muted));
            }
            text.push('\n');
        }
        if let Some(trainer) = &self.trainer {
            let _ = write!(text, "trainer: {} exchanges remembered", count(trainer.remembered));
            write_life(&mut text, trainer.life, now_ms);
            text.push('\n');
        }
        self.outputs.iter().for_each(|output| write_output(&mut text, output, paint, now_ms));
        text
    }
}

impl ApiOverview {
    fn write(&self, text: &mut String, paint: Paint) {
        let status = &self.status;
        let stage = match status.stage {
            Stage::Evaluating => paint.green(status.stage.name()),
            Stage::Listening | Stage::Training => paint.yellow(status.stage.name()),
        };
        let _ = write!(text, "{}  {stage}", paint.bold(&clean(&status.api.0)));
        if status.seen > 0 {
            let _ = write!(text, "  {} requests seen", count(status.seen));
        }
        if status.needed > 0 {
            let _ = write!(text, ", {} still needed", count(status.needed));
        }
        if let (Some(model), Some(alpha)) = (&status.model, status.alpha) {
            let _ = write!(text, ", model {}, alpha {alpha:.1e}", clean(model));
        }
        if status.admitted > 0 {
            let _ = write!(text, ", {} kinds of findings taken for normal", count(status.admitted));
        }
        if let Some(training) = &status.training {
            let _ = write!(text, ", {} {:.0} %", training.phase, training.done * 100.0);
            if let Some(left) = training.left_s {
                let _ = write!(text, ", {left} s left");
            }
        }
        if let Some(why) = &status.refused {
            let _ = write!(text, ", refused {}", clean(why));
        }
        text.push('\n');
        let verdicts = &self.verdicts;
        if verdicts.benign + verdicts.anomalous + verdicts.insufficient > 0 {
            let counts = [count(verdicts.benign), count(verdicts.anomalous), count(verdicts.insufficient)];
            let _ = writeln!(
                text,
                "    verdicts  {} benign, {} anomalous, {} insufficient, since the scorers started",
                counts[0], counts[1], counts[2]
            );
        }
        if !verdicts.families.is_empty() {
            let families: Vec<String> = verdicts.families.iter().map(|(family, n)| format!("{} {}", family.name(), count(*n))).collect();
            let _ = writeln!(text, "    families  {}", families.join(", "));
        }
        // Without a model none can look.
        if status.model.is_some() && !verdicts.blind.is_empty() {
            let blind: Vec<String> = verdicts.blind.iter().map(|(detector, n)| format!("{} {}", detector.name(), count(*n))).collect();
            let _ = writeln!(text, "    blind     {}", blind.join(", "));
        }
    }
}

fn write_ingest(text: &mut String, ingest: &IngestStatus, paint: Paint, now_ms: i64) {
    let name = paint.bold(&clean(&ingest.instance));
    let _ = write!(text, "ingest {name}: {} exchanges taken since it started", count(ingest.accepted));
    if ingest.dead_letters > 0 {
        let _ = write!(text, ", {} dead letters", count(ingest.dead_letters));
    }
    write_life(text, ingest.life, now_ms);
    for unread in &ingest.unread {
        let _ = write!(text, ", {}: {}", paint.yellow("cannot be read at present"), clean(unread));
    }
    text.push('\n');
}

/// Whether a process has ended, or says nothing.
fn write_life(text: &mut String, life: Life, now_ms: i64) {
    if life.ended {
        text.push_str(", ended");
    }
    if let Some(silent) = life.silent_s(now_ms) {
        let _ = write!(text, ", silent for {} s", count(silent.unsigned_abs()));
    }
}

fn write_output(text: &mut String, output: &OutputStatus, paint: Paint, now_ms: i64) {
    let name = paint.bold(&clean(&output.output));
    let _ = write!(text, "output {name}: {} taken, {} behind", count(output.delivered), count(output.lag));
    if output.refused > 0 {
        let _ = write!(text, ", {} refused", count(output.refused));
    }
    if output.lost > 0 {
        let _ = write!(text, ", {} lost to retention", count(output.lost));
    }
    if let Some(why) = &output.failing {
        let _ = write!(text, ", {}: {}", paint.yellow("takes none at present"), clean(why));
    }
    write_life(text, output.life, now_ms);
    text.push('\n');
}

/// Follows the topic; clones share what it has read.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Records>>);

impl Board {
    /// Everything so far.
    pub(crate) fn overview(&self) -> Overview {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).overview()
    }

    /// Reads on until asked to stop. Blocks.
    pub(crate) fn follow(&self, log: &dyn Log, topic: &Arc<str>, shutdown: &Shutdown) -> Result<(), LogError> {
        let mut reader = log.reader(&[whole(topic)])?;
        while !shutdown.is_cancelled() {
            let read = read_on(&mut *reader, 1_000, WAIT)?;
            let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            read.iter().for_each(|record| records.take(record));
        }
        Ok(())
    }
}

#[derive(Default)]
struct Records {
    apis: BTreeMap<ApiName, ApiStatus>,
    scorers: BTreeMap<String, ScorerStatus>,
    outputs: BTreeMap<String, OutputStatus>,
    ingest: BTreeMap<String, IngestStatus>,
    trainer: Option<TrainerStatus>,
}

impl Records {
    fn take(&mut self, record: &Record) {
        let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { return };
        let value = record.value.as_deref();
        if let Some(name) = key.strip_prefix(API) {
            keep(&mut self.apis, ApiName::new(name), value);
        } else if let Some(name) = key.strip_prefix(SCORER) {
            keep(&mut self.scorers, name.to_owned(), value);
        } else if let Some(name) = key.strip_prefix(OUTPUT) {
            keep(&mut self.outputs, name.to_owned(), value);
        } else if let Some(name) = key.strip_prefix(INGEST) {
            keep(&mut self.ingest, name.to_owned(), value);
        } else if key == TRAINER
            && let Some(Ok(status)) = value.map(serde_json::from_slice)
        {
            self.trainer = Some(status);
        }
    }

    fn overview(&self) -> Overview {
        let verdicts = |api: &ApiName| {
            let mut sum = VerdictCounts::default();
            self.scorers.values().filter_map(|s| s.apis.get(api)).for_each(|counts| sum.add(counts));
            sum
        };
        let is_judged = |api: &ApiName| verdicts(api) != VerdictCounts::default();
        let is_shown = |status: &&ApiStatus| status.seen > 0 || status.model.is_some() || is_judged(&status.api);
        Overview {
            apis: self.apis.values().filter(is_shown).map(|s| ApiOverview { status: s.clone(), verdicts: verdicts(&s.api) }).collect(),
            scorers: self.scorers.values().cloned().collect(),
            outputs: self.outputs.values().cloned().collect(),
            ingest: self.ingest.values().cloned().collect(),
            trainer: self.trainer.clone(),
        }
    }
}

/// The newest value of a key; a tombstone takes it out, and what cannot be read changes nothing.
fn keep<K: Ord, S: DeserializeOwned>(known: &mut BTreeMap<K, S>, key: K, value: Option<&[u8]>) {
    match value.map(serde_json::from_slice) {
        Some(Ok(status)) => drop(known.insert(key, status)),
        Some(Err(_)) => {}
        None => drop(known.remove(&key)),
    }
}

fn whole(topic: &Arc<str>) -> (TopicPartition, Start) {
    (TopicPartition::new(Arc::clone(topic), 0), Start::Oldest)
}
