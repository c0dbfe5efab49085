//! What librdkafka calls us back with: log lines to `tracing`, rebalances to a list that the worker takes between batches, delivery
//! reports to whoever waits for them.

use super::convert::{self, Names};
use super::error;
use super::settings::{ANSWER_LIMIT, OUTAGE_LIMIT};
use crate::log::LogError;
use engine::{Offset, TopicPartition};
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Message, TopicPartitionList};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pause before a question is asked again: some errors come at once.
const PAUSE: Duration = Duration::from_millis(50);

/// Context of clients that only ask and read.
#[derive(Default)]
pub(super) struct Asking {
    /// Why brokers keep us out, if they do.
    kept_out: Mutex<Option<String>>,
}

impl Asking {
    /// Why brokers have kept us out since they last answered: an answer that does not come says nothing of that.
    pub(super) fn kept_out(&self) -> Option<String> {
        self.kept_out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brokers have answered.
    pub(super) fn admitted(&self) {
        *self.kept_out.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ClientContext for Asking {
    fn log(&self, level: Level, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
        if matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)) {
            *self.kept_out.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Asking {}

/// What happened to the partitions of a member.
pub(super) enum Change {
    /// Ours now, read from these offsets on.
    Assigned(Vec<(TopicPartition, Offset)>),
    /// Not ours any more.
    Revoked(Vec<TopicPartition>),
    /// They could not be taken over.
    Failed(LogError),
}

/// Context of a member of a consumer group.
pub(super) struct Membership {
    names: Names,
    changes: Mutex<Vec<Change>>,
    leaving: AtomicBool,
}

impl Membership {
    pub(super) fn new(names: Names) -> Self {
        Self { names, changes: Mutex::default(), leaving: AtomicBool::new(false) }
    }

    /// From now on nothing is taken over.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// What happened since this was asked last, in order.
    pub(super) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        // An assignment must always be answered, with nothing if need be: else the member could not even leave. And who is leaving gets
        // no answers any more.
        let starts = (!self.leaving.load(Ordering::Relaxed)).then(|| start_offsets(consumer, partitions, &self.names));
        let answered = match starts.unwrap_or_else(|| Ok(Vec::new())) {
            Ok(starts) => {
                let list = convert::list(starts.iter().map(|(at, offset)| (at, convert::to_raw(*offset))));
                if !starts.is_empty() {
                    self.add(Change::Assigned(starts));
                }
                list.and_then(|list| consumer.incremental_assign(&list))
            }
            Err(e) => {
                self.add(Change::Failed(e));
                consumer.incremental_assign(&TopicPartitionList::new())
            }
        };
        if let Err(e) = answered {
            self.add(Change::Failed(error::fatal("taking partitions over", &e)));
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let gone: Vec<_> = convert::elements(partitions, &self.names).into_iter().map(|(at, _)| at).collect();
        if !gone.is_empty() {
            self.add(Change::Revoked(gone));
        }
        if let Err(e) = consumer.incremental_unassign(partitions) {
            self.add(Change::Failed(error::fatal("giving partitions up", &e)));
        }
    }
}

impl ClientContext for Membership {
    fn log(&self, level: Level, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            _ => self.revoke(consumer, partitions),
        }
    }
}

/// Where reading begins: at the committed offsets, where there are none at the oldest record.
pub(super) fn start_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
    names: &Names,
) -> Result<Vec<(TopicPartition, Offset)>, LogError> {
    if partitions.count() == 0 {
        return Ok(Vec::new());
    }
    let committed = committed_offsets(consumer, partitions).map_err(|e| error::sort("reading committed offsets", &e))?;
    let mut starts = Vec::new();
    let mut unread = Vec::new();
    for (at, offset) in convert::elements(&committed, names) {
        match offset {
            Some(offset) => starts.push((at, offset)),
            None => unread.push(at),
        }
    }
    starts.extend(oldest(consumer, &unread, names)?);
    Ok(starts)
}

/// Committed offsets of the consumer's group. Waits for those that hang on an open transaction.
pub(super) fn committed_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
) -> KafkaResult<TopicPartitionList> {
    persevere(|| whole(consumer.committed_offsets(partitions.clone(), ANSWER_LIMIT)?))
}

/// Oldest offsets that are kept.
fn oldest<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    names: &Names,
) -> Result<Vec<(TopicPartition, Offset)>, LogError> {
    limits(consumer, partitions, rdkafka::Offset::Beginning, names)
}

/// Oldest ([`rdkafka::Offset::Beginning`]) or next ([`rdkafka::Offset::End`]) offsets, with one request to each broker. A reader of
/// committed records sees the end before the first open transaction.
pub(super) fn limits<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    which: rdkafka::Offset,
    names: &Names,
) -> Result<Vec<(TopicPartition, Offset)>, LogError> {
    bounds(partitions, names, || persevere(|| ask(consumer, partitions, which)))
}

/// The same by one request, however it ends: for who has other work than to wait.
pub(super) fn limits_now<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    which: rdkafka::Offset,
    names: &Names,
) -> Result<Vec<(TopicPartition, Offset)>, LogError> {
    bounds(partitions, names, || ask(consumer, partitions, which))
}

fn bounds(
    partitions: &[TopicPartition],
    names: &Names,
    ask: impl FnOnce() -> KafkaResult<TopicPartitionList>,
) -> Result<Vec<(TopicPartition, Offset)>, LogError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let found = ask().map_err(|e| error::sort("asking for the bounds of partitions", &e))?;
    Ok(convert::elements(&found, names).into_iter().filter_map(|(at, offset)| Some((at, offset?))).collect())
}

fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    which: rdkafka::Offset,
) -> KafkaResult<TopicPartitionList> {
    let list = convert::list(partitions.iter().map(|at| (at, which)))?;
    consumer.offsets_for_times(list, ANSWER_LIMIT).and_then(whole).map_err(|e| match e.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownPartition) => unknown(consumer, partitions, e),
        _ => e,
    })
}

/// Why a client knows a partition not: brokers that stop in good order leave it without a leader, and then without metadata, which passes.
fn unknown<C: ConsumerContext>(consumer: &BaseConsumer<C>, partitions: &[TopicPartition], error: KafkaError) -> KafkaError {
    for of_topic in partitions.chunk_by(|a, b| a.topic == b.topic) {
        let metadata = match consumer.fetch_metadata(Some(&of_topic[0].topic), ANSWER_LIMIT) {
            Ok(metadata) => metadata,
            Err(away) => return away,
        };
        let named: Vec<i32> = metadata.topics().iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
        if of_topic.iter().any(|at| !named.contains(&convert::to_kafka(at.partition))) {
            return error;
        }
    }
    KafkaError::Global(RDKafkaErrorCode::LeaderNotAvailable)
}

/// A list without errors, or the first of them.
fn whole(list: TopicPartitionList) -> KafkaResult<TopicPartitionList> {
    list.elements().iter().try_for_each(TopicPartitionListElem::error)?;
    Ok(list)
}

/// Asks again as long as an error may pass.
fn persevere<T>(ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let began = Instant::now();
    loop {
        match ask() {
            Err(e) if began.elapsed() < OUTAGE_LIMIT && matches!(error::sort("", &e), LogError::Retriable { .. }) => {
                std::thread::sleep(PAUSE);
            }
            answer => return answer,
        }
    }
}

/// Context of a producer whose records are sent in turns, one batch at a time: delivery reports name the record's number in its batch.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<Delivered>);

/// What became of a batch so far.
#[derive(Default)]
pub(super) struct Delivered {
    /// Partition and offset by number of the record.
    pub(super) places: Vec<(u32, Offset)>,
    /// First record that could not be delivered, and why.
    pub(super) failure: Option<(usize, KafkaError)>,
}

impl Deliveries {
    /// What became of the batch so far; what is left there is forgotten.
    pub(super) fn take(&self) -> Delivered {
        std::mem::take(&mut *self.lock())
    }

    /// Gets ready for a batch.
    pub(super) fn expect(&self, records: usize) {
        *self.lock() = Delivered { places: vec![(0, Offset(0)); records], failure: None };
    }

    fn lock(&self) -> MutexGuard<'_, Delivered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: Level, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let mut delivered = self.lock();
        match result {
            Ok(message) => {
                if let Some(place) = delivered.places.get_mut(number) {
                    *place = place_of(message);
                }
            }
            Err((e, _)) => {
                delivered.failure.get_or_insert_with(|| (number, e.clone()));
            }
        }
    }
}

/// Where a delivered record stands.
pub(super) fn place_of(message: &impl Message) -> (u32, Offset) {
    (convert::partition_of(message.partition()), Offset(u64::try_from(message.offset()).unwrap_or(0)))
}

/// librdkafka's own log lines. Connections that come and go are its errors, not ours: it keeps trying.
pub(super) fn log_line(level: Level, facility: &str, message: &str) {
    match level {
        Level::Emerg | Level::Alert | Level::Critical => tracing::error!(facility, "kafka client: {message}"),
        Level::Error | Level::Warning => tracing::warn!(facility, "kafka client: {message}"),
        Level::Notice | Level::Info => tracing::info!(facility, "kafka client: {message}"),
        Level::Debug => tracing::debug!(facility, "kafka client: {message}"),
    }
}

/// Errors of a client as a whole. The end of a partition is none.
pub(super) fn log_error(error: &KafkaError, reason: &str) {
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
        tracing::warn!(%error, "kafka client: {reason}");
    }
}
