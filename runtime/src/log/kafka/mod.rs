//! The log on Apache Kafka, by librdkafka.
//!
//! What holds beyond the interface's own promises:
//! - A [`Worker`] is one consumer and one transactional producer on one thread. Partitions move by cooperative-sticky assignment, and only
//!   inside [`Worker::poll`]: between two polls nothing changes.
//! - Unless opened for at-least-once delivery, a commit is one transaction.
//! - A transactional id is made from the group, the instance and the worker's number. Who starts with a name that another still uses
//!   fences it; after kill -9 a successor of the same name goes on within seconds, any other ten seconds after the transaction began.
//! - No offset is committed for a partition that another member may have: a member that was thrown out aborts.
//! - Records are stamped with the time of their append by the broker.

mod context;
mod convert;
mod error;
mod producer;
mod reader;
mod settings;
mod topics;
mod transaction;
mod worker;

pub use settings::refusal;
pub use topics::Difference;

use super::{Log, LogError, Producer, Reader, Start, TopicSpec, Worker, WorkerSpec};
use context::{Asking, committed_offsets, limits};
use convert::Names;
use engine::{Offset, TopicPartition};
use producer::{KafkaProducer, KafkaTransactionalProducer};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use reader::KafkaReader;
use settings::{ANSWER_LIMIT, Isolation};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use topics::Layout;
use worker::KafkaWorker;

/// A log on Apache Kafka. Clones share it.
#[derive(Clone)]
pub struct KafkaLog(Arc<Inner>);

/// How a log on Kafka is opened; made by [`KafkaLog::options`].
#[derive(Clone)]
pub struct Options {
    brokers: String,
    properties: Vec<(String, String)>,
    replication: u16,
    record_limit: usize,
    at_least_once: bool,
    abort_every: u64,
}

struct Inner {
    options: Options,
    /// Asks brokers on behalf of everybody; sees open transactions.
    inquirer: BaseConsumer<Asking>,
    /// Partitions of topics that were asked for before: they stay the same for a topic's life.
    known: Mutex<HashMap<Arc<str>, u32>>,
}

impl KafkaLog {
    /// Defaults for these bootstrap servers (`host:port`, several with commas), to be changed and opened.
    #[must_use]
    pub fn options(brokers: impl Into<String>) -> Options {
        let brokers = brokers.into();
        Options { brokers, properties: Vec::new(), replication: 1, record_limit: 4 << 20, at_least_once: false, abort_every: 0 }
    }

    fn new(options: Options) -> Result<Self, LogError> {
        let config = options.inquirer(None, Isolation::Uncommitted);
        let inquirer = config.create_with_context(Asking::default()).map_err(|e| error::fatal("reading `kafka.properties`", &e))?;
        Ok(Self(Arc::new(Inner { options, inquirer, known: Mutex::default() })))
    }

    /// In which ways topics are not as they are wanted, missing ones included. Changes nothing.
    ///
    /// # Errors
    /// The brokers cannot be reached.
    pub fn check_topics(&self, topics: &[TopicSpec]) -> Result<Vec<Difference>, LogError> {
        topics::differences(&self.0, topics)
    }

    /// Creates the topics that are missing, and returns their names once the brokers know them; those that are there stay as they are.
    ///
    /// # Errors
    /// A topic cannot be created, or the brokers cannot be reached.
    pub fn create_missing(&self, topics: &[TopicSpec]) -> Result<Vec<Arc<str>>, LogError> {
        let created = topics::create(&self.0, topics)?;
        for topic in &created {
            self.0.await_topic(topic)?;
        }
        Ok(created)
    }

    /// Removes topics with all that stands in them; for topics that were made to measure or to try something.
    ///
    /// # Errors
    /// A topic cannot be removed, or the brokers cannot be reached.
    pub fn delete_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        topics::delete(&self.0, topics)
    }
}

impl Log for KafkaLog {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.create_missing(topics)?;
        match self.check_topics(topics)?.into_iter().find(|difference| difference.breaks) {
            None => Ok(()),
            Some(Difference { topic, what, .. }) => Err(LogError::WrongTopic { topic: topic.to_string(), what }),
        }
    }

    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.0.partitions(topic)
    }

    fn producer(&self, transactional: Option<&str>) -> Result<Box<dyn Producer>, LogError> {
        Ok(match transactional {
            None => Box::new(KafkaProducer::new(&self.0.options)?),
            Some(name) => Box::new(KafkaTransactionalProducer::new(&self.0.options, name)?),
        })
    }

    fn worker(&self, spec: &WorkerSpec) -> Result<Box<dyn Worker>, LogError> {
        for topic in &spec.topics {
            self.0.partitions(topic)?;
        }
        Ok(Box::new(KafkaWorker::new(&self.0.options, spec)?))
    }

    fn reader(&self, from: &[(TopicPartition, Start)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(KafkaReader::new(&self.0, from)?))
    }

    fn committed(&self, group: &str, at: &TopicPartition) -> Result<Option<Offset>, LogError> {
        self.0.check_partitions([at])?;
        let config = self.0.options.inquirer(Some(group), Isolation::Committed);
        let doing = || format!("reading the committed offset of {at}");
        let client: BaseConsumer<Asking> = config.create_with_context(Asking::default()).map_err(|e| error::sort(doing(), &e))?;
        let list = convert::list([(at, rdkafka::Offset::Invalid)]).map_err(|e| error::sort(doing(), &e))?;
        let found = committed_offsets(&client, &list).map_err(|e| error::sort(doing(), &e))?;
        let names = Names::new([&at.topic]);
        Ok(convert::elements(&found, &names).into_iter().find_map(|(_, offset)| offset))
    }

    fn bounds(&self, at: &TopicPartition) -> Result<(Offset, Offset), LogError> {
        self.0.check_partitions([at])?;
        let names = Names::new([&at.topic]);
        let bound = |which| {
            let found = limits(&self.0.inquirer, std::slice::from_ref(at), which, &names)?;
            found.first().map(|(_, offset)| *offset).ok_or_else(|| error::fatal("asking for the bounds of a partition", at))
        };
        Ok((bound(rdkafka::Offset::Beginning)?, bound(rdkafka::Offset::End)?))
    }
}

impl Inner {
    fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        Ok(self.layout(topic)?.partitions)
    }

    fn layout(&self, topic: &str) -> Result<Layout, LogError> {
        let doing = || format!("asking {} about topic `{topic}`", self.options.brokers);
        let answer = self.inquirer.fetch_metadata(Some(topic), ANSWER_LIMIT);
        // Nobody else polls this client, and what it has to say (that brokers come and go) must not pile up.
        while self.inquirer.poll(Duration::from_millis(2)).is_some() {}
        let metadata = answer.map_err(|e| match self.inquirer.context().kept_out() {
            Some(why) => error::fatal(&doing(), &why),
            None => error::sort(doing(), &e),
        })?;
        self.inquirer.context().admitted();
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Err(LogError::NoTopic(topic.to_owned()));
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None if found.partitions().is_empty() => Err(LogError::NoTopic(topic.to_owned())),
            None => Ok(Layout {
                partitions: u32::try_from(found.partitions().len()).unwrap_or(u32::MAX),
                replicas: found.partitions().iter().map(|p| p.replicas().len()).min().unwrap_or(0),
            }),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Err(LogError::NoTopic(topic.to_owned())),
            Some(code) => Err(error::sort(doing(), &KafkaError::MetadataFetch(code))),
        }
    }

    /// Waits until brokers know a topic that was just created.
    fn await_topic(&self, topic: &str) -> Result<(), LogError> {
        let began = Instant::now();
        loop {
            match self.partitions(topic) {
                Err(LogError::NoTopic(_) | LogError::Retriable { .. }) if began.elapsed() < ANSWER_LIMIT => {}
                found => return found.map(drop),
            }
        }
    }

    fn check_partitions<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Result<(), LogError> {
        for at in partitions {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&at.topic).copied();
            let count = known.map_or_else(|| self.partitions(&at.topic), Ok)?;
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(&at.topic), count);
            if at.partition >= count {
                return Err(LogError::NoTopic(at.to_string()));
            }
        }
        Ok(())
    }
}
