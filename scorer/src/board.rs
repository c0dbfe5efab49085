//! What this scorer does, as its workers tell it, and now and then as a record of `weir.status`.

use crate::metrics::Metrics;
use crate::models::Active;
use crate::settings::Settings;
use engine::{ApiName, Family, Label, TopicPartition, Verdict};
use hdrhistogram::Histogram;
use opentelemetry::{KeyValue, global};
use runtime::clock::Clock;
use runtime::format;
use runtime::log::{Log, LogError, Producer};
use runtime::status::{BEAT_MS, Latency, PartitionStatus, Restored, SCORER, ScorerStatus, VerdictCounts, record};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Time between two status records, milliseconds.
const EVERY: i64 = 2_000;
/// APIs counted apart; a verdict's API comes from a bounded table, this is the second lock.
const APIS: usize = 1_000;

/// Longest latency that is told apart, milliseconds.
const LONGEST_MS: u64 = 3_600_000;

/// Outcomes of one batch: they count once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    apis: BTreeMap<ApiName, ApiCounts>,
    /// When the exchanges that have a verdict were appended, epoch milliseconds.
    appended_ms: Vec<i64>,
    /// Records that could not be read, by reason.
    pub(crate) dead_letters: BTreeMap<&'static str, u64>,
    /// New incidents that became alerts.
    pub(crate) alerts: BTreeMap<Family, u64>,
    /// Alerts that feedback muted.
    pub(crate) muted: u64,
}

/// Verdicts of one API.
#[derive(Debug, Default)]
struct ApiCounts {
    verdicts: VerdictCounts,
    /// Of verdicts that are not `insufficient`.
    p_values: Vec<f64>,
}

impl Counts {
    /// Counts a verdict on an exchange that was appended then.
    pub(crate) fn add(&mut self, verdict: &Verdict, appended_ms: i64) {
        self.appended_ms.push(appended_ms);
        let ApiCounts { verdicts: counts, p_values } = self.apis.entry(ApiName::new(verdict.api.as_str())).or_default();
        if verdict.label != Label::Insufficient {
            p_values.push(verdict.p);
            // Without a model nobody looks: that is no want of the source.
            for detector in &verdict.blind {
                *counts.blind.entry(*detector).or_default() += 1;
            }
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
    state: Arc<Mutex<State>>,
    metrics: Metrics,
    topic: Arc<str>,
    producer: Box<dyn Producer>,
    clock: Clock,
}

struct State {
    status: ScorerStatus,
    /// When the model that judges was made, epoch milliseconds.
    model_made_ms: Option<i64>,
    /// Of verdicts since the last status, milliseconds.
    latency: Histogram<u32>,
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
        let mut latency = Histogram::new_with_max(LONGEST_MS, 2)
            .map_err(|e| LogError::Fatal { doing: "counting latencies".to_owned(), why: e.to_string() })?;
        latency.auto(false);
        let state = State { status, model_made_ms: None, latency, is_changed: true, published_ms: i64::MIN };
        let state = Arc::new(Mutex::new(state));
        observe(&state, &settings.clock);
        Ok(Self {
            state,
            metrics: Metrics::new(),
            topic: Arc::clone(&settings.topics.status),
            producer: log.producer(None)?,
            clock: Arc::clone(&settings.clock),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes in what a committed batch came to.
    pub(crate) fn count(&self, counts: Counts) {
        let now = (self.clock)();
        let since = |appended: &i64| u64::try_from(now.saturating_sub(*appended)).unwrap_or(0);
        let latencies: Vec<u64> = counts.appended_ms.iter().map(since).collect();
        self.metrics.batch(&latencies);
        self.metrics.alerts(&counts.alerts, counts.muted);
        self.metrics.dead_letters(&counts.dead_letters);
        let mut state = self.lock();
        latencies.iter().for_each(|ms| state.latency.saturating_record(*ms));
        state.status.dead_letters += counts.dead_letters.values().sum::<u64>();
        state.status.muted += counts.muted;
        for (api, more) in counts.apis {
            let is_known = state.status.apis.contains_key(&api);
            let api = if is_known || state.status.apis.len() < APIS { api } else { ApiName::new(ApiName::OTHER) };
            self.metrics.verdicts(&api.0, &more.verdicts, &more.p_values);
            state.status.apis.entry(api).or_default().add(&more.verdicts);
        }
        state.is_changed = true;
    }

    /// A transaction was aborted: what it did counts for nothing.
    pub(crate) fn aborted(&self) {
        self.metrics.aborted();
    }

    /// Says where a partition is.
    pub(crate) fn place(&self, at: &TopicPartition, partition: &PartitionStatus) {
        let mut state = self.lock();
        let before = state.status.partitions.insert(at.partition, partition.clone());
        state.is_changed |= before.as_ref() != Some(partition);
    }

    /// Says that a partition is whole, and what that took.
    pub(crate) fn restored(&self, at: &TopicPartition, partition: &PartitionStatus) {
        self.place(at, partition);
        if let Some(restored) = partition.restored {
            let Restored { took_ms, records, bytes } = restored;
            tracing::info!(partition = %at, next = partition.position, took_ms, records, bytes, "restored");
            self.metrics.restored(restored);
        }
    }

    /// Says that a partition is not ours any more.
    pub(crate) fn leave(&self, at: &TopicPartition) {
        let mut state = self.lock();
        state.is_changed |= state.status.partitions.remove(&at.partition).is_some();
    }

    /// Says which model judges.
    pub(crate) fn model(&self, active: &Active) {
        let mut state = self.lock();
        let label = active.model.label.as_str();
        state.model_made_ms = active.created_ms;
        if state.status.model.as_deref() != Some(label) {
            state.status.model = Some(label.to_owned());
            state.is_changed = true;
        }
    }

    /// Publishes if something changed and it is time, or if nothing was said for long: who is silent has ended.
    pub(crate) fn publish_if_due(&self) {
        let now = (self.clock)();
        let due = {
            let state = self.lock();
            let after = if state.is_changed { EVERY } else { BEAT_MS };
            state.published_ms.saturating_add(after) <= now
        };
        if due {
            self.publish();
        }
    }

    /// Says that the scorer has ended in good order.
    pub(crate) fn end(&self) {
        self.lock().status.life.ended = true;
        self.publish();
    }

    /// Publishes. A status that cannot be written is no reason to stop.
    fn publish(&self) {
        let status = {
            let mut state = self.lock();
            state.is_changed = false;
            state.published_ms = (self.clock)();
            state.status.life.said_ms = state.published_ms;
            state.tell_latency();
            state.status.clone()
        };
        let key = format!("{SCORER}{}", status.instance);
        let written = record(&self.topic, key, &status).map_err(|e| e.to_string());
        let written = written.and_then(|output| self.producer.append(vec![output]).map_err(|e| e.to_string()));
        if let Err(why) = written {
            tracing::warn!(why, "the scorer's status could not be written");
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Counts that a panicking thread left half-changed are still counts.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Moves what was measured into the status, and begins anew.
    fn tell_latency(&mut self) {
        if !self.latency.is_empty() {
            let at = |quantile| self.latency.value_at_quantile(quantile);
            self.status.latency = Some(Latency { p50_ms: at(0.5), p99_ms: at(0.99), max_ms: self.latency.max() });
            self.latency.reset();
        }
    }
}

/// What is looked at when metrics are sent: where each partition is, which model judges and how old it is.
fn observe(state: &Arc<Mutex<State>>, clock: &Clock) {
    let meter = global::meter("weir.scorer");
    let gauge = |name: &'static str, unit: &'static str, what: &'static str, of: fn(&PartitionStatus) -> u64| {
        let state = Arc::clone(state);
        meter.u64_observable_gauge(name).with_unit(unit).with_description(what).with_callback(move |observer| {
            for (number, partition) in &lock(&state).status.partitions {
                observer.observe(of(partition), &[KeyValue::new("messaging.destination.partition.id", number.to_string())]);
            }
        })
    };
    gauge("weir.partition.lag", "{record}", "Exchanges that wait to be judged", |p| p.lag).build();
    gauge("weir.partition.sessions", "{session}", "Live sessions", |p| p.sessions).build();
    gauge("weir.partition.evicted", "{session}", "Sessions that the cap has evicted since the partition came here", |p| p.evicted).build();
    gauge("weir.partition.restoring", "", "1 while the state of a partition is being restored", |p| p.restoring.into()).build();
    let (state, clock) = (Arc::clone(state), Arc::clone(clock));
    let age = meter.f64_observable_gauge("weir.model.age").with_unit("s").with_description("Age of the model that judges");
    age.with_callback(move |observer| {
        let state = lock(&state);
        if let (Some(made), Some(label)) = (state.model_made_ms, &state.status.model) {
            let age = (clock)().saturating_sub(made).max(0) as f64 / 1e3;
            observer.observe(age, &[KeyValue::new("weir.model", label.clone())]);
        }
    })
    .build();
}

#[cfg(test)]
mod tests {
    use super::Counts;
    use engine::{ApiName, DetectorKind, Verdict};

    #[test]
    fn a_detector_is_blind_where_a_model_judges_and_not_before() {
        let verdict = |label: &str, blind: &str| -> Verdict {
            let text = format!(
                r#"{{"id":"t-0-1","stage":"evaluating","label":"{label}","score":0.0,"p":1.0,"alpha":0.0001,"api":"a","endpoint":"GET /","path":"/",
                "families":[],"reasons":[],"blind":[{blind}]}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let mut counts = Counts::default();
        for (label, blind) in
            [("insufficient", r#""sequence""#), ("insufficient", r#""volume""#), ("benign", r#""volume""#), ("anomalous", "")]
        {
            counts.add(&verdict(label, blind), 0);
        }
        let counted = &counts.apis[&ApiName::new("a")].verdicts;
        assert_eq!(counted.blind, [(DetectorKind::Volume, 1)].into());
        assert_eq!((counted.insufficient, counted.benign, counted.anomalous), (2, 1, 1));
    }
}
