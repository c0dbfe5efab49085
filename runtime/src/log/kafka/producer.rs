//! Appends outside of any consumer group.

use super::Options;
use super::context::{log_error, log_line, place_of};
use super::convert;
use super::error;
use super::settings::OUTAGE_LIMIT;
use super::transaction::{Ending, Transactions, check_sizes};
use crate::log::{CommitError, LogError, Output, Producer};
use engine::Offset;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext, ThreadedProducer};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Writes records that stand alone, each exactly once, from many threads; the client puts those that come together into one request.
pub(super) struct KafkaProducer {
    producer: ThreadedProducer<Receipts>,
    record_limit: usize,
}

impl KafkaProducer {
    pub(super) fn new(options: &Options) -> Result<Self, LogError> {
        let producer = options.idempotent().create_with_context(Receipts).map_err(|e| error::fatal("creating a producer", &e))?;
        Ok(Self { producer, record_limit: options.record_limit })
    }

    /// Hands records to the client; an error says which one it did not take.
    fn send(&self, outputs: &[Output], order: &Arc<Order>) -> Result<(), (usize, KafkaError)> {
        for (number, output) in outputs.iter().enumerate() {
            let mut record = convert::to_write(output, Box::new(Slip { order: Arc::clone(order), number }));
            while let Err((e, unsent)) = self.producer.send(record) {
                if e.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err((number, e));
                }
                self.producer.poll(Duration::from_millis(1));
                record = unsent;
            }
        }
        Ok(())
    }
}

impl Producer for KafkaProducer {
    fn append(&self, outputs: Vec<Output>) -> Result<Vec<(u32, Offset)>, LogError> {
        check_sizes(&outputs, self.record_limit)?;
        let order = Arc::new(Order::new(outputs.len()));
        if let Err((number, e)) = self.send(&outputs, &order) {
            order.fail(number, e, outputs.len() - number);
        }
        let Some(ended) = order.wait() else {
            return Err(LogError::Retriable { doing: "writing".to_owned(), why: "brokers do not answer".to_owned() });
        };
        match ended.failure {
            None => Ok(ended.places),
            Some((number, e)) => {
                let refused = outputs.get(number).and_then(|output| error::refused(output, &e));
                Err(refused.unwrap_or_else(|| error::sort("writing", &e)))
            }
        }
    }
}

/// Writes appends of several records at once, each append a transaction of one name.
pub(super) struct KafkaTransactionalProducer(Mutex<Transactions>);

impl KafkaTransactionalProducer {
    pub(super) fn new(options: &Options, name: &str) -> Result<Self, LogError> {
        Ok(Self(Mutex::new(Transactions::new(options.transactional(name), options.record_limit)?)))
    }
}

impl Producer for KafkaTransactionalProducer {
    fn append(&self, outputs: Vec<Output>) -> Result<Vec<(u32, Offset)>, LogError> {
        if outputs.is_empty() {
            return Ok(Vec::new());
        }
        let mut transactions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        transactions.write(&outputs, None, Ending::Commit).map_err(|e| match e {
            CommitError::Aborted(why) => LogError::Retriable { doing: "writing in a transaction".to_owned(), why },
            CommitError::Fenced(_) => error::fatal("writing in a transaction", &e),
            CommitError::Fatal(e) => e,
        })
    }
}

/// Delivery reports, told to those who wait for them. They are taken on the client's own thread.
struct Receipts;

/// Goes with a record and comes back with its report.
struct Slip {
    order: Arc<Order>,
    number: usize,
}

/// One append and what became of it.
struct Order {
    state: Mutex<State>,
    done: Condvar,
}

struct State {
    open: usize,
    ended: Ended,
}

/// What became of an append.
struct Ended {
    places: Vec<(u32, Offset)>,
    failure: Option<(usize, KafkaError)>,
}

impl Order {
    fn new(records: usize) -> Self {
        let ended = Ended { places: vec![(0, Offset(0)); records], failure: None };
        Self { state: Mutex::new(State { open: records, ended }), done: Condvar::new() }
    }

    fn settle(&self, records: usize, change: impl FnOnce(&mut Ended)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.ended);
        state.open = state.open.saturating_sub(records);
        if state.open == 0 {
            self.done.notify_all();
        }
    }

    /// Records from number `first` on could not be handed to the client.
    fn fail(&self, first: usize, e: KafkaError, records: usize) {
        self.settle(records, |ended| {
            ended.failure.get_or_insert((first, e));
        });
    }

    /// Waits until all reports are there; `None`: they do not come, though the client should long have given up.
    fn wait(&self) -> Option<Ended> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = OUTAGE_LIMIT + Duration::from_secs(10);
        let waited = self.done.wait_timeout_while(state, limit, |state| state.open > 0);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        let empty = Ended { places: Vec::new(), failure: None };
        (!timeout.timed_out()).then(|| std::mem::replace(&mut state.ended, empty))
    }
}

impl ClientContext for Receipts {
    fn log(&self, level: Level, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext for Receipts {
    type DeliveryOpaque = Box<Slip>;

    fn delivery(&self, result: &DeliveryResult<'_>, slip: Box<Slip>) {
        slip.order.settle(1, |ended| match result {
            Ok(message) => {
                if let Some(place) = ended.places.get_mut(slip.number) {
                    *place = place_of(message);
                }
            }
            Err((e, _)) => {
                ended.failure.get_or_insert_with(|| (slip.number, e.clone()));
            }
        });
    }
}
