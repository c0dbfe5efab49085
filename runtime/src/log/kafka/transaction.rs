//! Writes batches, each in one transaction, and tells how it ended.

use super::context::Deliveries;
use super::convert;
use super::error::{self, Remedy};
use super::settings::{ANSWER_LIMIT, OUTAGE_LIMIT, TRANSACTION_LIMIT};
use crate::log::{CommitError, LogError, Output};
use engine::Offset;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, TopicPartitionList};
use std::time::{Duration, Instant};

/// Time between two looks for delivery reports.
const PAUSE: Duration = Duration::from_micros(200);

/// A transactional producer, used by one thread at a time.
pub(super) struct Transactions {
    config: ClientConfig,
    producer: BaseProducer<Deliveries>,
    record_limit: usize,
}

/// Offsets that are committed with a batch, in the name of a member of a group.
pub(super) struct Positions {
    pub(super) offsets: TopicPartitionList,
    pub(super) member: ConsumerGroupMetadata,
}

/// Why a transaction did not end well, by what is left to do.
enum Failure {
    /// It has to be aborted.
    Abort(String),
    /// It has to be aborted, and will never end well.
    Refused(LogError),
    /// How it ended is not known, or the producer is of no more use: a new one of the same name settles it.
    Renew(String),
    /// Another has our name.
    Yield(String),
}

/// What to do when everything has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// What one wants.
    Commit,
    /// As if something had gone wrong at the last moment, for tests.
    Abort,
}

impl Transactions {
    /// Takes the transactional id of `config` over: a former owner is fenced, its open transaction aborted.
    pub(super) fn new(config: ClientConfig, record_limit: usize) -> Result<Self, LogError> {
        let producer = begin(&config)?;
        Ok(Self { config, producer, record_limit })
    }

    /// Writes outputs and positions: all, or nothing. [`CommitError::Aborted`] means nothing; in the rare case that an answer got lost it
    /// may also mean all: where reading goes on is the committed offset in either case. Returns where the records stand.
    pub(super) fn write(
        &mut self,
        outputs: &[Output],
        positions: Option<&Positions>,
        ending: Ending,
    ) -> Result<Vec<(u32, Offset)>, CommitError> {
        check_sizes(outputs, self.record_limit)?;
        let began = Instant::now();
        match self.attempt(outputs, positions, ending) {
            Ok(places) => Ok(places),
            Err(Failure::Abort(why)) => Err(self.abort(why, began)),
            Err(Failure::Refused(e)) => Err(match self.abort(String::new(), began) {
                CommitError::Aborted(_) => CommitError::Fatal(e),
                worse => worse,
            }),
            Err(Failure::Renew(why)) => Err(self.renew(why)),
            Err(Failure::Yield(why)) => Err(self.fenced(why, began)),
        }
    }

    fn attempt(&self, outputs: &[Output], positions: Option<&Positions>, ending: Ending) -> Result<Vec<(u32, Offset)>, Failure> {
        persist(&self.producer, Producer::begin_transaction).map_err(|e| failure("beginning a transaction", &e))?;
        let places = self.send(outputs)?;
        if let Some(Positions { offsets, member }) = positions {
            let committed = persist(&self.producer, |producer| producer.send_offsets_to_transaction(offsets, member, ANSWER_LIMIT));
            committed.map_err(|e| failure("committing offsets", &e))?;
        }
        if ending == Ending::Abort {
            return Err(Failure::Abort("asked for by a test".to_owned()));
        }
        let doing = "committing a transaction";
        persist(&self.producer, |producer| producer.commit_transaction(ANSWER_LIMIT)).map_err(|e| match error::remedy(&e) {
            Remedy::Retry => Failure::Renew(format!("{doing}: {e}")), // For too long.
            _ => failure(doing, &e),
        })?;
        Ok(places)
    }

    /// Sends records and waits until all are delivered: a commit of what is still under way would wait in steps of 100 ms.
    fn send(&self, outputs: &[Output]) -> Result<Vec<(u32, Offset)>, Failure> {
        let began = Instant::now();
        let deliveries = self.producer.context();
        deliveries.expect(outputs.len());
        for (number, output) in outputs.iter().enumerate() {
            let mut record = convert::to_write(output, number);
            while let Err((e, unsent)) = self.producer.send(record) {
                if e.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) || began.elapsed() > TRANSACTION_LIMIT {
                    return Err(undelivered(output, &e));
                }
                serve(&self.producer);
                record = unsent;
            }
        }
        if !self.delivered(TRANSACTION_LIMIT.saturating_sub(began.elapsed())) {
            return Err(Failure::Abort("brokers did not take all records in time".to_owned()));
        }
        let delivered = deliveries.take();
        match delivered.failure {
            None => Ok(delivered.places),
            Some((number, e)) => Err(outputs.get(number).map_or_else(|| failure("writing", &e), |output| undelivered(output, &e))),
        }
    }

    /// Ends the open transaction, which was begun at `began`, because of `why`.
    fn abort(&mut self, why: String, began: Instant) -> CommitError {
        // An abort purges what is under way; the reports of it must be taken before the abort can end.
        self.delivered(Duration::from_secs(1));
        let aborted = persist(&self.producer, |producer| producer.abort_transaction(Duration::from_millis(500)));
        self.producer.context().take();
        match aborted.map_err(|e| failure("aborting a transaction", &e)) {
            Ok(()) => CommitError::Aborted(why),
            Err(Failure::Yield(why)) => self.fenced(why, began),
            Err(_) => self.renew(why),
        }
    }

    /// Brokers say that our name is not ours any more. They say the same to whoever let a transaction stand for longer than it may, which
    /// they end themselves: an outage is enough. Then the name is taken back. If another has it after all, that one is fenced, finds that
    /// its transaction was young, and ends: one of the two remains.
    fn fenced(&mut self, why: String, began: Instant) -> CommitError {
        if began.elapsed() < TRANSACTION_LIMIT { CommitError::Fenced(why) } else { self.renew(why) }
    }

    /// Begins anew with the same name, which ends what was open.
    fn renew(&mut self, why: String) -> CommitError {
        tracing::warn!(why, "the transactional producer is made anew");
        match begin(&self.config) {
            Ok(producer) => {
                self.producer = producer;
                CommitError::Aborted(why)
            }
            Err(e) => CommitError::Fatal(e),
        }
    }

    /// Takes delivery reports until none is missing; false when `limit` is over before that.
    fn delivered(&self, limit: Duration) -> bool {
        let began = Instant::now();
        while self.producer.in_flight_count() > 0 {
            if began.elapsed() > limit {
                return false;
            }
            serve(&self.producer);
        }
        true
    }
}

/// Creates a producer and takes its transactional id over.
fn begin(config: &ClientConfig) -> Result<BaseProducer<Deliveries>, LogError> {
    let producer: BaseProducer<Deliveries> =
        config.create_with_context(Deliveries::default()).map_err(|e| error::fatal("creating a producer", &e))?;
    let doing = "taking the transactional id over";
    persist(&producer, |producer| producer.init_transactions(ANSWER_LIMIT)).map_err(|e| match error::remedy(&e) {
        Remedy::Retry => LogError::Retriable { doing: doing.to_owned(), why: e.to_string() },
        _ => error::fatal(doing, &e),
    })?;
    Ok(producer)
}

/// Calls again as long as that is the remedy.
fn persist(producer: &BaseProducer<Deliveries>, call: impl Fn(&BaseProducer<Deliveries>) -> KafkaResult<()>) -> KafkaResult<()> {
    let began = Instant::now();
    loop {
        match call(producer) {
            Err(e) if error::remedy(&e) == Remedy::Retry && began.elapsed() < OUTAGE_LIMIT => serve(producer),
            ended => return ended,
        }
    }
}

/// Takes delivery reports; waits a little where there are none. A poll that waits would spin: see [`convert::whole_millis`].
fn serve(producer: &BaseProducer<Deliveries>) {
    let open = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == open {
        std::thread::sleep(PAUSE);
    }
}

/// What a failed call leaves to be done.
fn failure(doing: &str, e: &KafkaError) -> Failure {
    let why = format!("{doing}: {e}");
    match error::remedy(e) {
        Remedy::Abort | Remedy::Retry => Failure::Abort(why),
        Remedy::Renew => Failure::Renew(why),
        Remedy::Yield => Failure::Yield(why),
    }
}

/// What a record that was not delivered leaves to be done.
fn undelivered(output: &Output, e: &KafkaError) -> Failure {
    match error::refused(output, e) {
        Some(refused) => Failure::Refused(refused),
        None => failure(&format!("writing to `{}`", output.topic), e),
    }
}

/// Refuses records that no broker would take, before anything of their batch is written.
pub(super) fn check_sizes(outputs: &[Output], limit: usize) -> Result<(), LogError> {
    match outputs.iter().find(|output| convert::size(output) > limit) {
        None => Ok(()),
        Some(output) => Err(LogError::TooLarge { topic: output.topic.to_string(), size: convert::size(output), limit }),
    }
}
