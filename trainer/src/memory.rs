//! The history and its topic: what is kept is written to `weir.history` in the transaction of the records that it was made of.

use crate::TrainerError;
use crate::apis::Apis;
use crate::erase::Forgotten;
use crate::settings::Settings;
use engine::{Features, History, HistoryLimits, Offset, TopicPartition};
use runtime::format;
use runtime::log::{Log, LogError, Output, Record, Start, read_to_end};
use runtime::model_file::{OffsetRange, TrainingRange};
use runtime::topics::Topics;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Exchanges that wait while a training has the history; further ones are not remembered.
const WAITING: usize = 100_000;
/// Largest kept record, bytes: what is longer is remembered until the process ends.
const LARGEST: usize = 900 << 10;

/// The history, and what of it is still to be written.
pub(crate) struct Memory {
    topic: Arc<str>,
    limits: HistoryLimits,
    /// `None` while a training has it.
    history: Option<History>,
    kept: usize,
    waiting: Vec<Features>,
    unwritten: Vec<Output>,
    /// Records before these offsets have been counted and kept, though their transaction was aborted.
    counted: BTreeMap<TopicPartition, Offset>,
    ranges: BTreeMap<TopicPartition, (Offset, Offset)>,
}

impl Memory {
    /// Reads back what was kept, as far as the limits allow.
    pub(crate) fn open(settings: &Settings, log: &dyn Log, apis: &mut Apis) -> Result<Self, LogError> {
        let topic = Arc::clone(&settings.topics.history);
        let mut history = History::new(settings.history);
        let from: Vec<_> = (0..log.partitions(&topic)?).map(|n| (TopicPartition::new(Arc::clone(&topic), n), Start::Oldest)).collect();
        let mut unreadable = 0u64;
        let mut forgotten = Forgotten::default();
        read_to_end(log, &from, |record| match record.value.as_deref().map(postcard::from_bytes::<Features>) {
            Some(Ok(features)) if format::check(&record).is_ok() => {
                apis.recall(&features);
                history.add(features);
            }
            Some(_) => unreadable += 1,
            None => forgotten.add(&record),
        })?;
        if !forgotten.is_empty() {
            history = without(&forgotten, settings.history, log, &from)?;
        }
        if unreadable > 0 {
            tracing::warn!(records = unreadable, "part of the history is of another format and is left out");
        }
        tracing::info!(exchanges = history.len(), "history read back");
        Ok(Self {
            topic,
            limits: settings.history,
            kept: history.len(),
            history: Some(history),
            waiting: Vec::new(),
            unwritten: Vec::new(),
            counted: BTreeMap::new(),
            ranges: BTreeMap::new(),
        })
    }

    /// Whether a record has been taken before: its transaction was aborted, what it gave is still here.
    pub(crate) fn has(&self, record: &Record) -> bool {
        self.counted.get(&record.at).is_some_and(|upto| record.offset < *upto)
    }

    /// Takes an exchange; if it is kept, it is written with the next transaction.
    pub(crate) fn add(&mut self, record: &Record, features: Features) -> Result<(), TrainerError> {
        let range = self.ranges.entry(record.at.clone()).or_insert((record.offset, record.offset));
        range.1 = record.offset.next();
        let bytes = postcard::to_stdvec(&features)?;
        let is_kept = match &mut self.history {
            Some(history) => history.add(features),
            None if self.waiting.len() < WAITING => {
                self.waiting.push(features);
                true
            }
            None => false,
        };
        if is_kept && bytes.len() <= LARGEST {
            self.unwritten.push(Output {
                topic: Arc::clone(&self.topic),
                partition: Some(record.at.partition),
                key: record.key.clone(),
                value: Some(bytes.into()),
                headers: vec![format::header()],
            });
        }
        Ok(())
    }

    /// What is to be written with this transaction.
    pub(crate) fn outputs(&self) -> Vec<Output> {
        self.unwritten.clone()
    }

    /// It was written.
    pub(crate) fn committed(&mut self) {
        self.unwritten.clear();
        self.counted.clear();
    }

    /// It was not: what these positions cover is here and comes again.
    pub(crate) fn aborted(&mut self, positions: &[(TopicPartition, Offset)]) {
        for (at, next) in positions {
            let upto = self.counted.entry(at.clone()).or_default();
            *upto = (*upto).max(*next);
        }
    }

    /// These partitions are another's now.
    pub(crate) fn forget(&mut self, partitions: &[TopicPartition]) {
        let gone: Vec<u32> = partitions.iter().map(|at| at.partition).collect();
        self.counted.retain(|at, _| !partitions.contains(at));
        self.unwritten.retain(|output| output.partition.is_none_or(|n| !gone.contains(&n)));
    }

    /// Gives the history away for a training.
    pub(crate) fn lend(&mut self) -> History {
        let history = self.history.take().unwrap_or_else(|| History::new(self.limits));
        self.kept = history.len();
        history
    }

    /// Takes it back, with what came meanwhile.
    pub(crate) fn take_back(&mut self, mut history: History) {
        for features in self.waiting.drain(..) {
            history.add(features);
        }
        self.waiting.shrink_to_fit();
        self.kept = history.len();
        self.history = Some(history);
    }

    /// Exchanges kept.
    pub(crate) fn len(&self) -> usize {
        self.history.as_ref().map_or(self.kept, History::len)
    }

    /// What a model was learned from, as far as this process has seen it.
    pub(crate) fn range(&self) -> TrainingRange {
        let times = || self.history.iter().flat_map(History::iter).filter_map(|f| f.time);
        let offsets = self.ranges.iter().map(|(at, (from, until))| OffsetRange {
            topic: at.topic.to_string(),
            partition: at.partition,
            from: from.0,
            until: until.0,
        });
        TrainingRange {
            from: times().min().map(engine::time::rfc3339),
            until: times().max().map(engine::time::rfc3339),
            exchanges: self.len() as u64,
            offsets: offsets.collect(),
        }
    }
}

/// What the trainer of an installation remembers.
///
/// # Errors
/// The history topic cannot be read.
pub fn remembered(log: &dyn Log, topics: &Topics, limits: HistoryLimits) -> Result<History, LogError> {
    let topic = &topics.history;
    let from: Vec<_> = (0..log.partitions(topic)?).map(|n| (TopicPartition::new(Arc::clone(topic), n), Start::Oldest)).collect();
    let mut forgotten = Forgotten::default();
    read_to_end(log, &from, |record| {
        if record.value.is_none() {
            forgotten.add(&record);
        }
    })?;
    without(&forgotten, limits, log, &from)
}

/// The history without what was forgotten.
fn without(forgotten: &Forgotten, limits: HistoryLimits, log: &dyn Log, from: &[(TopicPartition, Start)]) -> Result<History, LogError> {
    let mut history = History::new(limits);
    read_to_end(log, from, |record| {
        if let Some(Ok(features)) = record.value.as_deref().map(postcard::from_bytes::<Features>)
            && format::check(&record).is_ok()
            && !forgotten.holds(&record)
        {
            history.add(features);
        }
    })?;
    Ok(history)
}

/// Next offsets after these records.
pub(crate) fn positions(records: &[Record]) -> Vec<(TopicPartition, Offset)> {
    let mut positions: BTreeMap<&TopicPartition, Offset> = BTreeMap::new();
    for record in records {
        positions.insert(&record.at, record.offset.next());
    }
    positions.into_iter().map(|(at, next)| (at.clone(), next)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Exchange;
    use runtime::config::{Config, Sources};
    use runtime::keys::SigningKey;
    use runtime::log::embedded::EmbeddedLog;

    #[test]
    fn what_was_forgotten_is_not_read_back_and_what_came_later_is() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::resolve(&Sources { host_name: "test".to_owned(), ..Sources::default() }).unwrap();
        let settings = Settings::new(&config, SigningKey::create(&directory.path().join("key.pem")).unwrap());
        let log = EmbeddedLog::options().open(directory.path().join("log")).unwrap();
        log.create_topics(settings.topics.specs()).unwrap();
        let exchange = Exchange::from_json(br#"{"method":"GET","path":"/","host":"a.example","session":"s"}"#).unwrap();
        let features = postcard::to_stdvec(&Features::of(&exchange)).unwrap();
        let record = |session: &str, is_forgotten: bool| Output {
            topic: Arc::clone(&settings.topics.history),
            partition: Some(1),
            key: Some(session.to_owned().into()),
            value: (!is_forgotten).then(|| features.clone().into()),
            headers: vec![format::header()],
        };
        let told = [("a", false), ("b", false), ("a", false), ("a", true), ("b", false), ("a", false)];
        log.producer(None).unwrap().append(told.iter().map(|(session, gone)| record(session, *gone)).collect()).unwrap();
        let mut apis = Apis::open(&settings, &log).unwrap();
        assert_eq!(Memory::open(&settings, &log, &mut apis).unwrap().len(), 3, "two of b, and the last of a");
    }
}
