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

/// A transactional producer, used by one thread at a time.
pub(super) struct Transactions {
    producer: BaseProducer<Deliveries>,
    record_limit: usize,
}

/// Offsets that are committed with a batch, in the name of a member of a group.
pub(super) struct Positions {
    pub(super) offsets: TopicPartitionList,
    pub(super) member: ConsumerGroupMetadata,
}

/// Why a transaction did not end well.
enum Failure {
    /// It has to be aborted.
    Abort(String),
    /// There is nothing to abort any more.
    Final(CommitError),
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
    pub(super) fn new(config: &ClientConfig, record_limit: usize) -> Result<Self, LogError> {
        let doing = "taking the transactional id over";
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(Deliveries::default()).map_err(|e| error::fatal("creating a producer", &e))?;
        let this = Self { producer, record_limit };
        this.persist(|producer| producer.init_transactions(ANSWER_LIMIT)).map_err(|e| match error::remedy(&e) {
            Remedy::Retry => LogError::Retriable { doing: doing.to_owned(), why: e.to_string() },
            _ => error::fatal(doing, &e),
        })?;
        Ok(this)
    }

    /// Writes outputs and positions: all, or after [`CommitError::Aborted`] nothing. Returns where the records stand.
    pub(super) fn write(
        &self,
        outputs: &[Output],
        positions: Option<&Positions>,
        ending: Ending,
    ) -> Result<Vec<(u32, Offset)>, CommitError> {
        check_sizes(outputs, self.record_limit)?;
        let failure = match self.attempt(outputs, positions, ending) {
            Ok(places) => return Ok(places),
            Err(failure) => failure,
        };
        match failure {
            Failure::Final(e) => Err(e),
            Failure::Abort(why) => {
                self.abort()?;
                Err(CommitError::Aborted(why))
            }
        }
    }

    fn attempt(&self, outputs: &[Output], positions: Option<&Positions>, ending: Ending) -> Result<Vec<(u32, Offset)>, Failure> {
        self.persist(Producer::begin_transaction).map_err(|e| failure("beginning a transaction", &e))?;
        let places = self.send(outputs)?;
        if let Some(Positions { offsets, member }) = positions {
            self.persist(|producer| producer.send_offsets_to_transaction(offsets, member, ANSWER_LIMIT))
                .map_err(|e| failure("committing offsets", &e))?;
        }
        if ending == Ending::Abort {
            return Err(Failure::Abort("asked for by a test".to_owned()));
        }
        self.persist(|producer| producer.commit_transaction(ANSWER_LIMIT)).map_err(|e| match error::remedy(&e) {
            // It may have been committed, or not: only a new producer of the same id can find out.
            Remedy::Retry => Failure::Final(CommitError::Fatal(error::fatal("committing a transaction", &e))),
            _ => failure("committing a transaction", &e),
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
                    return Err(failure(&format!("writing to `{}`", output.topic), &e));
                }
                self.serve();
                record = unsent;
            }
        }
        if !self.delivered(TRANSACTION_LIMIT.saturating_sub(began.elapsed())) {
            return Err(Failure::Abort("brokers did not take all records in time".to_owned()));
        }
        let delivered = deliveries.take();
        match delivered.failure {
            None => Ok(delivered.places),
            Some((number, e)) => {
                let topic = outputs.get(number).map_or("", |output| &output.topic);
                Err(failure(&format!("writing to `{topic}`"), &e))
            }
        }
    }

    fn abort(&self) -> Result<(), CommitError> {
        // An abort purges what is under way; the reports of it must be taken before the abort can end.
        self.delivered(Duration::from_secs(1));
        let aborted = self.persist(|producer| producer.abort_transaction(Duration::from_millis(500)));
        self.producer.context().take();
        aborted.map_err(|e| error::give_up("aborting a transaction", &e))
    }

    /// Takes delivery reports until none is missing; false when `limit` is over before that.
    fn delivered(&self, limit: Duration) -> bool {
        let began = Instant::now();
        while self.producer.in_flight_count() > 0 {
            if began.elapsed() > limit {
                return false;
            }
            self.serve();
        }
        true
    }

    /// Takes delivery reports for a millisecond, the shortest time that can be asked for.
    fn serve(&self) {
        self.producer.poll(Duration::from_millis(1));
    }

    /// Calls again as long as that is the remedy.
    fn persist(&self, call: impl Fn(&BaseProducer<Deliveries>) -> KafkaResult<()>) -> KafkaResult<()> {
        let began = Instant::now();
        loop {
            match call(&self.producer) {
                Err(e) if error::remedy(&e) == Remedy::Retry && began.elapsed() < OUTAGE_LIMIT => self.serve(),
                ended => return ended,
            }
        }
    }
}

/// Whether a failed call leaves a transaction to be aborted.
fn failure(doing: &str, e: &KafkaError) -> Failure {
    match error::remedy(e) {
        Remedy::Abort | Remedy::Retry => Failure::Abort(format!("{doing}: {e}")),
        Remedy::Yield | Remedy::Stop => Failure::Final(error::give_up(doing, e)),
    }
}

/// Refuses records that no broker would take, before anything of their batch is written.
pub(super) fn check_sizes(outputs: &[Output], limit: usize) -> Result<(), LogError> {
    match outputs.iter().find(|output| convert::size(output) > limit) {
        None => Ok(()),
        Some(output) => Err(LogError::TooLarge { topic: output.topic.to_string(), size: convert::size(output), limit }),
    }
}
