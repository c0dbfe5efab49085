//! Where each API is in its life: how much was seen of it, when its training is due, what `weir.status` says of it.

use crate::settings::Settings;
use crate::training::left_s;
use engine::api::Directory;
use engine::{ApiName, Features, Model, Progress, Stage};
use runtime::config::Learning;
use runtime::log::{Log, LogError, Output, Start, read_to_end};
use runtime::status::{API, ApiStatus, Trained, TrainingStatus, record};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A status that differs by requests alone is written anew when this many more were seen, or after [`TELL_WITHIN`].
const TELL_EVERY: u64 = 250;
/// See [`TELL_EVERY`].
const TELL_WITHIN: Duration = Duration::from_secs(2);

/// A model that no longer fits is replaced after this part of the usual time.
const DRIFT_SHARE: i64 = 4;

/// All APIs.
pub(crate) struct Apis {
    directory: Directory,
    known: BTreeMap<ApiName, Api>,
    learning: Learning,
    every_ms: i64,
    newest_ms: i64,
}

/// One API.
struct Api {
    status: ApiStatus,
    /// What was told last, and when.
    told: Option<ApiStatus>,
    told_at: Instant,
    /// What the training that is going on had seen.
    training_on: Option<Trained>,
    /// Requests of it that the history does not hold any more: the directory counts the others.
    base: u64,
}

impl Apis {
    /// As `weir.status` has them.
    pub(crate) fn open(settings: &Settings, log: &dyn Log) -> Result<Self, LogError> {
        let mut known: BTreeMap<ApiName, Api> = BTreeMap::new();
        let from = [(engine::TopicPartition::new(Arc::clone(&settings.topics.status), 0), Start::Oldest)];
        read_to_end(log, &from, |record| {
            let is_api = record.key.as_deref().is_some_and(|key| key.starts_with(API.as_bytes()));
            let Some(status) = record.value.as_deref().filter(|_| is_api).and_then(|v| serde_json::from_slice::<ApiStatus>(v).ok()) else {
                return;
            };
            // A training that was going on went with its process.
            let status =
                ApiStatus { stage: if status.model.is_some() { status.stage } else { Stage::Listening }, training: None, ..status };
            known.insert(status.api.clone(), Api { training_on: None, base: 0, told: None, told_at: Instant::now(), status });
        })?;
        let newest_ms = known.values().filter_map(|api| api.status.trained).map(|trained| trained.until_ms).max().unwrap_or(0);
        let every_ms = i64::try_from(settings.every.as_millis()).unwrap_or(i64::MAX);
        let directory = Directory::new(settings.groups.clone());
        Ok(Self { directory, known, learning: settings.learning, every_ms, newest_ms })
    }

    /// Takes in an exchange that was remembered before this process started.
    pub(crate) fn recall(&mut self, features: &Features) {
        self.directory.add(features);
    }

    /// All has been taken in that was remembered: what was seen and is not among it counts on its own.
    pub(crate) fn recalled(&mut self) {
        for (name, count) in self.directory.counts().clone() {
            let api = self.known.entry(name.clone()).or_insert_with(|| Api::new(name, 0));
            api.base = api.status.seen.saturating_sub(count);
            api.see(count, self.learning);
        }
    }

    /// Counts a request; `at_ms`: its append time.
    pub(crate) fn count(&mut self, features: &Features, at_ms: i64) {
        self.newest_ms = self.newest_ms.max(at_ms);
        let name = self.directory.add(features);
        self.known.entry(name.clone()).or_insert_with(|| Api::new(name.clone(), at_ms));
        // A host that earns an API of its own takes its requests along from `other`.
        for name in [name, ApiName::new(ApiName::OTHER)] {
            if let (Some(api), Some(count)) = (self.known.get_mut(&name), self.directory.counts().get(&name)) {
                api.see(*count, self.learning);
                if api.status.model.is_some() && api.status.trained.is_none() {
                    // A model from elsewhere: the time until the next training starts with the first request it judges.
                    api.status.trained = Some(Trained { until_ms: at_ms, seen: api.status.seen });
                }
            }
        }
    }

    /// Append time of the newest request.
    pub(crate) fn newest_ms(&self) -> i64 {
        self.newest_ms
    }

    /// APIs whose first training is due; or all that have a model, when there is something new and it is time to learn again, or a model
    /// no longer fits (`drifted`, with why). Whoever writes traffic can make it look different: drift shortens the wait, and no more.
    pub(crate) fn due(&self, drifted: &[(ApiName, String)]) -> Vec<ApiName> {
        let first: Vec<ApiName> = self.known.values().filter(|api| self.is_ripe(api)).map(|api| api.status.api.clone()).collect();
        let last_ms = self.known.values().filter_map(|api| api.status.trained).map(|trained| trained.until_ms).max();
        let since_last = |wait: i64| last_ms.is_some_and(|last| self.newest_ms - last >= wait);
        let has_drifted = !drifted.is_empty() && since_last(self.every_ms / DRIFT_SHARE);
        let is_time = since_last(self.every_ms) || has_drifted;
        let has_news = self.known.values().any(|api| api.status.model.is_some() && api.has_news());
        if !first.is_empty() || !is_time || !has_news {
            return first;
        }
        for (api, why) in drifted {
            tracing::info!(%api, why, "the model no longer fits");
        }
        self.modelled_names()
    }

    fn is_ripe(&self, api: &Api) -> bool {
        let waited = Duration::from_millis(u64::try_from(self.newest_ms - api.status.since_ms).unwrap_or(0));
        let is_patient = waited >= self.learning.max_wait && api.status.seen >= self.learning.min_requests;
        // What came to nothing once would, most likely, with one request more.
        let is_rested = api.status.trained.is_none_or(|last| self.newest_ms - last.until_ms >= self.every_ms / DRIFT_SHARE);
        api.status.model.is_none() && is_rested && api.has_news() && (api.status.seen >= self.learning.requests || is_patient)
    }

    fn modelled_names(&self) -> Vec<ApiName> {
        self.known.values().filter(|api| api.status.model.is_some()).map(|api| api.status.api.clone()).collect()
    }

    /// Begins a training of these and of all that have a model; returns whom it is of.
    pub(crate) fn start_training(&mut self, due: &[ApiName]) -> Vec<ApiName> {
        let mut all = self.modelled_names();
        all.extend(due.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
        for name in &all {
            if let Some(api) = self.known.get_mut(name) {
                api.training_on = Some(Trained { until_ms: self.newest_ms, seen: api.status.seen });
                api.status.training = Some(TrainingStatus { phase: "starting".to_owned(), done: 0.0, left_s: None });
                if api.status.model.is_none() {
                    api.status.stage = Stage::Training;
                }
            }
        }
        all
    }

    /// A training goes on.
    pub(crate) fn progress(&mut self, progress: &Progress, took: Duration) {
        let left_s = left_s(progress, took);
        for api in self.known.values_mut().filter(|api| api.status.training.is_some()) {
            // Whole percents: a status is written for each that changes.
            let done = (progress.done * 100.0).round() / 100.0;
            api.status.training = Some(TrainingStatus { phase: phase(progress), done, left_s });
        }
    }

    /// This model judges now: the APIs that it has learned, and no other.
    pub(crate) fn modelled(&mut self, model: &Model) {
        for api in self.known.values_mut().filter(|api| !model.apis().iter().any(|learned| learned.name == api.status.api)) {
            api.listen(self.learning);
        }
        for learned in model.apis() {
            let since = self.newest_ms;
            let api = self.known.entry(learned.name.clone()).or_insert_with(|| Api::new(learned.name.clone(), since));
            api.status.stage = Stage::Evaluating;
            api.status.model = Some(model.label.clone());
            api.status.alpha = Some(learned.alpha);
            api.status.needed = 0;
            api.status.admitted = model.admissions().len() as u64;
            api.status.refused = None;
        }
    }

    /// A model came of it that took over.
    pub(crate) fn succeeded(&mut self) {
        self.end_training();
    }

    /// A model came of it that may not take over, for a reason.
    pub(crate) fn refused(&mut self, label: &str, why: &str) {
        for api in self.known.values_mut().filter(|api| api.training_on.is_some()) {
            api.status.refused = Some(format!("{label}: {why}"));
        }
        self.failed();
    }

    /// No model came of it, or none that may take over: what has none listens on, and is not trained again before there is something new.
    pub(crate) fn failed(&mut self) {
        for api in self.known.values_mut().filter(|api| api.status.model.is_none()) {
            api.status.stage = Stage::Listening;
        }
        self.end_training();
    }

    /// What came of it is of no use, for it was to follow a model that does not judge any more: it is as if there had been no training.
    pub(crate) fn overtaken(&mut self) {
        self.known.values_mut().for_each(|api| api.training_on = None);
        self.failed();
    }

    fn end_training(&mut self) {
        for api in self.known.values_mut() {
            api.status.training = None;
            api.status.trained = api.training_on.take().or(api.status.trained);
        }
    }

    /// Status records of the APIs that changed by more than a few requests.
    pub(crate) fn changed(&mut self, topic: &Arc<str>) -> Result<Vec<Output>, serde_json::Error> {
        let mut hosts: BTreeMap<ApiName, Vec<String>> = BTreeMap::new();
        for (host, api) in self.directory.hosts() {
            hosts.entry(api).or_default().push(host);
        }
        let mut outputs = Vec::new();
        for (name, api) in &mut self.known {
            api.status.hosts = hosts.remove(name).unwrap_or_default();
            let is_recent = api.told_at.elapsed() < TELL_WITHIN;
            if api.told.as_ref().is_some_and(|told| *told == api.status || (is_recent && is_same(told, &api.status))) {
                continue;
            }
            outputs.push(record(topic, format!("{API}{name}"), &api.status)?);
            api.told = Some(api.status.clone());
            api.told_at = Instant::now();
        }
        Ok(outputs)
    }

    /// What was told last did not arrive.
    pub(crate) fn tell_again(&mut self) {
        self.known.values_mut().for_each(|api| api.told = None);
    }
}

impl Api {
    fn new(name: ApiName, since_ms: i64) -> Self {
        let status = ApiStatus {
            api: name,
            stage: Stage::Listening,
            hosts: Vec::new(),
            seen: 0,
            needed: 0,
            since_ms,
            model: None,
            alpha: None,
            training: None,
            trained: None,
            admitted: 0,
            refused: None,
        };
        Self { status, told: None, told_at: Instant::now(), training_on: None, base: 0 }
    }

    /// No model judges it.
    fn listen(&mut self, learning: Learning) {
        if self.status.model.take().is_some() {
            self.status.stage = if self.training_on.is_some() { Stage::Training } else { Stage::Listening };
            (self.status.alpha, self.status.admitted, self.status.refused) = (None, 0, None);
            self.status.needed = learning.requests.saturating_sub(self.status.seen);
        }
    }

    /// Whether anything came since the last training.
    fn has_news(&self) -> bool {
        self.status.seen > self.status.trained.map_or(0, |trained| trained.seen)
    }

    /// So many requests of it are in the directory.
    fn see(&mut self, count: u64, learning: Learning) {
        self.status.seen = self.base + count;
        self.status.needed = if self.status.model.is_some() { 0 } else { learning.requests.saturating_sub(self.status.seen) };
    }
}

/// What is being done, and how a network comes along.
fn phase(progress: &Progress) -> String {
    match progress.epoch {
        Some(epoch) => format!("{}, pass {}, {:.2} nats", progress.phase, epoch.number, epoch.loss),
        None => progress.phase.to_owned(),
    }
}

/// Whether a status is as good as the one that was told.
fn is_same(told: &ApiStatus, now: &ApiStatus) -> bool {
    let seen = now.seen - now.seen % TELL_EVERY;
    let rounded = |status: &ApiStatus| ApiStatus { seen: 0, needed: 0, ..status.clone() };
    (seen..=now.seen).contains(&told.seen) && rounded(told) == rounded(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::{Exchange, History, HistoryLimits, LearnConfig, learn};
    use runtime::config::{Config, FlagValue, Sources};
    use runtime::keys::SigningKey;
    use runtime::log::embedded::EmbeddedLog;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn drift_shortens_the_wait_and_does_not_end_it() {
        let directory = tempfile::tempdir().unwrap();
        let every = FlagValue { key: "training.every".to_owned(), value: "4h".to_owned() };
        let config = Config::resolve(&Sources { flags: vec![every], host_name: "test".to_owned(), ..Sources::default() }).unwrap();
        let settings = Settings::new(&config, SigningKey::create(&directory.path().join("key.pem")).unwrap());
        let log = EmbeddedLog::options().open(directory.path().join("log")).unwrap();
        log.create_topics(settings.topics.specs()).unwrap();
        let features = Features::of(&Exchange::from_json(br#"{"method":"GET","path":"/","host":"a.example"}"#).unwrap());
        let mut history = History::new(HistoryLimits::default());
        history.add(features.clone());
        let model = learn(&history, &LearnConfig::default(), &mut |_| {}).unwrap();

        let mut apis = Apis::open(&settings, &log).unwrap();
        apis.count(&features, HOUR);
        apis.modelled(&model);
        apis.count(&features, HOUR);
        let drifted = [(ApiName::new(ApiName::OTHER), "it has changed".to_owned())];
        let mut due_after = |hours: f64| {
            apis.count(&features, HOUR + (hours * HOUR as f64) as i64);
            [apis.due(&drifted).len(), apis.due(&[]).len()]
        };
        assert_eq!([due_after(0.5), due_after(1.5), due_after(4.5)], [[0, 0], [1, 0], [1, 1]]);

        // A challenger that is refused is said to be, until another takes over.
        let other = ApiName::new(ApiName::OTHER);
        apis.start_training(std::slice::from_ref(&other));
        apis.progress(&Progress { phase: "calibrating", done: 0.5, epoch: None }, Duration::from_secs(12));
        assert_eq!(apis.known[&other].status.training.as_ref().unwrap().left_s, Some(15));
        apis.refused("v2", "it finds less");
        let status = &apis.known[&other].status;
        assert_eq!((status.refused.as_deref(), status.stage, &status.training), (Some("v2: it finds less"), Stage::Evaluating, &None));
        apis.modelled(&model);
        assert_eq!(apis.known[&other].status.refused, None);

        // What the model that judges has not learned is listened to, whatever another one had.
        let late = ApiName::new("late.example");
        let status = ApiStatus {
            stage: Stage::Evaluating,
            model: Some("v2".to_owned()),
            alpha: Some(1e-4),
            seen: 7,
            ..Api::new(late.clone(), 0).status
        };
        apis.known.insert(late.clone(), Api { status, ..Api::new(late.clone(), 0) });
        apis.modelled(&model);
        let status = &apis.known[&late].status;
        assert_eq!((status.stage, &status.model, status.alpha, status.needed), (Stage::Listening, &None, None, apis.learning.requests - 7));
        assert_eq!(apis.known[&other].status.model.as_deref(), Some(model.label.as_str()));
    }
}
