//! A member of a consumer group with its own transactions, after Kafka Streams' thread model: one thread polls, and between two polls a
//! batch is judged and committed whole. So nothing is under way when partitions move, and there is nothing to drain.

use super::Options;
use super::context::{Change, Membership, limits, limits_now, start_offsets};
use super::convert::{self, Names};
use super::error::{self, Remedy};
use super::producer::KafkaProducer;
use super::settings::ANSWER_LIMIT;
use super::transaction::{Ending, Positions, Transactions};
use crate::log::{Batch, CommitError, Event, LogError, Output, Producer, Record, Worker, WorkerSpec};
use engine::{Offset, TopicPartition};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a partition that cannot be sought yet is given to become so.
const SEEK_PATIENCE: Duration = Duration::from_millis(500);

/// A member of a consumer group.
pub(super) struct KafkaWorker {
    consumer: BaseConsumer<Membership>,
    delivery: Delivery,
    names: Names,
    /// Partitions that are ours, with the next offset to be handed out.
    owned: BTreeMap<TopicPartition, Offset>,
    paused: BTreeSet<TopicPartition>,
    /// An error that came after records: they are handed out before it.
    deferred: Option<LogError>,
    commits: u64,
    abort_every: u64,
}

/// How batches are written.
enum Delivery {
    /// Each in one transaction, positions included.
    ExactlyOnce(Transactions),
    /// Outputs, then positions.
    AtLeastOnce(Box<dyn Producer>),
}

/// What one poll brings: records, then what changed after them.
#[derive(Default)]
struct Polled {
    records: Vec<Record>,
    changes: Vec<Event>,
}

impl KafkaWorker {
    pub(super) fn new(options: &Options, spec: &WorkerSpec) -> Result<Self, LogError> {
        let names = || Names::new(&spec.topics);
        // The transactional id is taken over before the group is joined: offsets of a former self's open transaction are settled then.
        let delivery = if options.at_least_once {
            Delivery::AtLeastOnce(Box::new(KafkaProducer::new(options)?))
        } else {
            Delivery::ExactlyOnce(Transactions::new(options.member_producer(spec), options.record_limit)?)
        };
        let context = Membership::new(names());
        let consumer: BaseConsumer<Membership> =
            options.member(spec).create_with_context(context).map_err(|e| error::fatal("creating a consumer", &e))?;
        let topics: Vec<&str> = spec.topics.iter().map(|topic| &**topic).collect();
        consumer.subscribe(&topics).map_err(|e| error::fatal("joining the group", &e))?;
        let abort_every = options.abort_every;
        Ok(Self {
            consumer,
            delivery,
            names: names(),
            owned: BTreeMap::new(),
            paused: BTreeSet::new(),
            deferred: None,
            commits: 0,
            abort_every,
        })
    }

    /// Collects what a poll brings, as far as there is no error.
    fn collect(&mut self, limit: usize, wait: Duration, polled: &mut Polled) -> Result<(), LogError> {
        let began = Instant::now();
        while polled.records.len() < limit {
            // Waits for the first record only: what comes while a batch is judged is the next batch.
            let left = if polled.records.is_empty() { wait.saturating_sub(began.elapsed()) } else { Duration::ZERO };
            let message = self.consumer.poll(convert::whole_millis(left)).map(|message| message.map(|m| convert::record(&m, &self.names)));
            let is_idle = message.is_none();
            match message {
                Some(Ok(record)) => self.accept(record, &mut polled.records),
                Some(Err(e)) => self.weigh(&e)?,
                None => {}
            }
            let changes = self.consumer.context().take();
            if !changes.is_empty() {
                return self.note(changes, polled);
            }
            if is_idle && (!polled.records.is_empty() || began.elapsed() >= wait) {
                break;
            }
        }
        Ok(())
    }

    /// Keeps book of what changed, and turns it into events.
    fn note(&mut self, changes: Vec<Change>, polled: &mut Polled) -> Result<(), LogError> {
        for change in changes {
            match change {
                Change::Assigned(starts) => {
                    self.owned.extend(starts.iter().cloned());
                    polled.changes.push(Event::Assigned(starts));
                }
                Change::Revoked(gone) => {
                    for at in &gone {
                        self.owned.remove(at);
                        self.paused.remove(at);
                    }
                    // What was read of them and is not committed will be read by another.
                    polled.records.retain(|record| !gone.contains(&record.at));
                    polled.changes.push(Event::Revoked(gone));
                }
                Change::Failed(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// A record that a poll brought: ours and new, or left over from before a seek or a rebalance.
    fn accept(&mut self, record: Record, records: &mut Vec<Record>) {
        if let Some(next) = self.owned.get_mut(&record.at)
            && record.offset >= *next
        {
            *next = record.offset.next();
            records.push(record);
        }
    }

    /// What an error between records means for the reader of them; `Ok`: librdkafka gets over it by itself.
    fn weigh(&mut self, e: &KafkaError) -> Result<(), LogError> {
        use RDKafkaErrorCode as Code;
        match (e, e.rdkafka_error_code()) {
            (KafkaError::MessageConsumptionFatal(_), _) => Err(error::fatal("reading", &e)),
            (_, Some(Code::AutoOffsetReset | Code::OffsetOutOfRange)) => self.stand_in_range(),
            (_, Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)) => {
                let topics: Vec<_> = self.names.iter().map(|name| &**name).collect();
                Err(LogError::NoTopic(topics.join("`, `")))
            }
            (
                _,
                Some(
                    Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::Authentication
                    | Code::UnsupportedSASLMechanism,
                ),
            ) => Err(error::fatal("reading", &e)),
            _ => {
                tracing::debug!(error = %e, "kafka client: reading goes on");
                Ok(())
            }
        }
    }

    /// Looks whose records are gone before we read them, once the broker has said that an offset is out of range. Where none is any
    /// more, what it spoke of was sought away from meanwhile, and reading goes on.
    fn stand_in_range(&mut self) -> Result<(), LogError> {
        let positions: Vec<_> = self.owned.iter().map(|(at, next)| (at.clone(), *next)).collect();
        let partitions: Vec<_> = self.owned.keys().cloned().collect();
        for (at, oldest) in limits(&self.consumer, &partitions, rdkafka::Offset::Beginning, &self.names)? {
            if let Some(wanted) = self.owned.get(&at).copied().filter(|wanted| *wanted < oldest) {
                return Err(LogError::OffsetGone { at, wanted, oldest });
            }
        }
        for (at, end) in limits(&self.consumer, &partitions, rdkafka::Offset::End, &self.names)? {
            if let Some(wanted) = self.owned.get(&at).filter(|wanted| **wanted > end) {
                return Err(error::fatal("reading", &format!("{at}: offset {wanted} is behind the end: was the topic made anew?")));
            }
        }
        // The client reads no partition on that it has reported.
        self.seek_all(&positions)
    }

    /// Brings all positions back to the committed ones.
    fn rewind(&mut self) -> Result<(), LogError> {
        if self.consumer.assignment_lost() {
            return Ok(()); // The next poll says so, and gives them all up.
        }
        let mine = convert::list(self.owned.keys().map(|at| (at, rdkafka::Offset::Invalid))).map_err(|e| error::fatal("rewinding", &e))?;
        let starts = start_offsets(&self.consumer, &mine, &self.names)?;
        self.seek_all(&starts)
    }

    fn seek_all(&mut self, targets: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        let began = Instant::now();
        let mut open = targets.to_vec();
        while !open.is_empty() && began.elapsed() < SEEK_PATIENCE {
            let list = convert::list(open.iter().map(|(at, offset)| (at, convert::to_raw(*offset))));
            let sought = list.and_then(|list| self.consumer.seek_partitions(list, ANSWER_LIMIT)).map_err(|e| error::sort("seeking", &e))?;
            for element in sought.elements().iter().filter(|element| element.error().is_ok()) {
                open.retain(|(at, _)| *at.topic != *element.topic() || convert::to_kafka(at.partition) != element.partition());
            }
        }
        self.take_anew(&open).map_err(|e| error::fatal("seeking", &e))?;
        self.owned.extend(targets.iter().cloned());
        Ok(())
    }

    /// Begins anew with partitions that cannot be sought, because they were assigned a moment ago or what was wanted of them is gone.
    fn take_anew(&self, targets: &[(TopicPartition, Offset)]) -> KafkaResult<()> {
        if targets.is_empty() {
            return Ok(());
        }
        let list = convert::list(targets.iter().map(|(at, offset)| (at, convert::to_raw(*offset))))?;
        self.consumer.incremental_unassign(&list)?;
        self.consumer.incremental_assign(&list)?;
        let paused = targets.iter().filter(|(at, _)| self.paused.contains(at));
        self.consumer.pause(&convert::list(paused.map(|(at, offset)| (at, convert::to_raw(*offset))))?)
    }

    fn list_of(&self, partitions: &[TopicPartition]) -> Result<TopicPartitionList, LogError> {
        if let Some(foreign) = partitions.iter().find(|at| !self.owned.contains_key(at)) {
            return Err(not_ours(foreign));
        }
        convert::list(partitions.iter().map(|at| (at, rdkafka::Offset::Invalid))).map_err(|e| error::fatal("listing partitions", &e))
    }

    fn write(&mut self, batch: Batch) -> Result<(), CommitError> {
        let offsets = convert::list(batch.positions.iter().map(|(at, offset)| (at, convert::to_raw(*offset))))
            .map_err(|e| error::fatal("listing positions", &e))?;
        let member = self.consumer.group_metadata().ok_or_else(|| error::fatal("committing", "the consumer has left its group"))?;
        // In this order: a member that lost its partitions before its metadata was taken has metadata that says nothing, and brokers
        // would take offsets that come with it.
        if self.consumer.assignment_lost() {
            return Err(CommitError::Aborted("the group gave our partitions to others".to_owned()));
        }
        self.commits += 1;
        let ending = if self.abort_every > 0 && self.commits.is_multiple_of(self.abort_every) { Ending::Abort } else { Ending::Commit };
        match &mut self.delivery {
            Delivery::ExactlyOnce(transactions) => {
                let positions = (!batch.positions.is_empty()).then_some(Positions { offsets, member });
                transactions.write(&batch.outputs, positions.as_ref(), ending).map(drop)
            }
            Delivery::AtLeastOnce(producer) => write_apart(&**producer, &self.consumer, batch.outputs, &offsets, ending),
        }
    }
}

impl Worker for KafkaWorker {
    fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Event>, LogError> {
        if let Some(e) = self.deferred.take() {
            return Err(e);
        }
        let mut polled = Polled::default();
        let collected = self.collect(limit, wait, &mut polled);
        let mut events = Vec::new();
        if !polled.records.is_empty() {
            events.push(Event::Records(polled.records));
        }
        events.append(&mut polled.changes);
        match collected {
            Err(e) if events.is_empty() => return Err(e),
            Err(e) => self.deferred = Some(e),
            Ok(()) => {}
        }
        Ok(events)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), CommitError> {
        if batch.outputs.is_empty() && batch.positions.is_empty() {
            return Ok(());
        }
        let written = self.write(batch);
        if let Err(CommitError::Aborted(why)) = &written {
            tracing::warn!(why, "transaction aborted");
            self.rewind()?;
        }
        written
    }

    fn seek(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        if !self.owned.contains_key(at) {
            return Err(not_ours(at));
        }
        self.seek_all(&[(at.clone(), offset)])
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let list = self.list_of(partitions)?;
        self.paused.extend(partitions.iter().cloned());
        self.consumer.pause(&list).map_err(|e| error::fatal("pausing partitions", &e))
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let list = self.list_of(partitions)?;
        self.paused.retain(|at| !partitions.contains(at));
        self.consumer.resume(&list).map_err(|e| error::fatal("resuming partitions", &e))
    }

    fn ends(&mut self) -> Result<Vec<(TopicPartition, Offset)>, LogError> {
        let partitions: Vec<_> = self.owned.keys().cloned().collect();
        let mut ends = limits_now(&self.consumer, &partitions, rdkafka::Offset::End, &self.names)?;
        let positions = self.consumer.position().map_err(|e| error::sort("asking for positions", &e))?;
        let positions: BTreeMap<_, _> = convert::elements(&positions, &self.names).into_iter().collect();
        for (at, end) in &mut ends {
            // Whatever lies between the last record and the position is marks of transactions, which the position passes over.
            let is_all_read = positions.get(at).copied().flatten().is_some_and(|position| position >= *end);
            if let Some(next) = self.owned.get(at).filter(|_| is_all_read) {
                *end = *next;
            }
        }
        Ok(ends)
    }
}

impl Drop for KafkaWorker {
    fn drop(&mut self) {
        self.consumer.context().leave();
    }
}

/// Outputs, then positions. Whatever fails in between, or in doubt, is done again.
fn write_apart(
    producer: &dyn Producer,
    consumer: &BaseConsumer<Membership>,
    outputs: Vec<Output>,
    offsets: &TopicPartitionList,
    ending: Ending,
) -> Result<(), CommitError> {
    let aborted = |why: String| Err(CommitError::Aborted(why));
    match producer.append(outputs) {
        Ok(_) if ending == Ending::Abort => return aborted("asked for by a test".to_owned()),
        Err(e @ LogError::Retriable { .. }) => return aborted(e.to_string()),
        written => written?,
    };
    if offsets.count() == 0 {
        return Ok(());
    }
    match consumer.commit(offsets, CommitMode::Sync) {
        Err(e) if error::remedy(&e) == Remedy::Yield => Err(CommitError::Fenced(format!("committing offsets: {e}"))),
        Err(e) => aborted(format!("committing offsets: {e}")),
        Ok(()) => Ok(()),
    }
}

fn not_ours(at: &TopicPartition) -> LogError {
    error::fatal("steering the reading", &format!("{at} is not assigned to this worker"))
}
