//! Reads partitions outside of any group, committed records only, and knows when it has read everything.

use super::context::{Asking, limits};
use super::convert::{self, Names};
use super::error;
use super::settings::ANSWER_LIMIT;
use super::{Inner, Options};
use crate::log::{LogError, Reader, Record, Start};
use engine::{Offset, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one topic is waited for while others may have records.
const TURN: Duration = Duration::from_millis(5);

/// Reads partitions of one or several topics.
pub(super) struct KafkaReader {
    topics: Vec<TopicReader>,
    turn: usize,
}

/// Reads partitions of one topic: the end-of-partition events of rust-rdkafka say the number of the partition, not its topic.
struct TopicReader {
    consumer: BaseConsumer<Asking>,
    /// Asks for the ends that count open transactions in.
    all: Arc<Inner>,
    names: Names,
    topic: Arc<str>,
    partitions: BTreeMap<u32, Progress>,
}

/// How far a partition has been read.
struct Progress {
    /// Next offset to be handed out.
    next: Offset,
    /// There is nothing committed between `next` and here.
    empty_to: Offset,
    /// The end of the partition was asked for when it was here, and is to be reported.
    probed: Option<Offset>,
}

impl KafkaReader {
    pub(super) fn new(inner: &Arc<Inner>, from: &[(TopicPartition, Start)]) -> Result<Self, LogError> {
        let mut by_topic: BTreeMap<&Arc<str>, Vec<(&TopicPartition, Start)>> = BTreeMap::new();
        for (at, start) in from {
            by_topic.entry(&at.topic).or_default().push((at, *start));
        }
        let topics = by_topic.into_iter().map(|(topic, starts)| TopicReader::new(inner, topic, &starts)).collect::<Result<_, _>>()?;
        Ok(Self { topics, turn: 0 })
    }
}

impl Reader for KafkaReader {
    fn read(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let began = Instant::now();
        let mut records = Vec::new();
        while records.is_empty() {
            let left = wait.saturating_sub(began.elapsed());
            let slice = if self.topics.len() > 1 { left.min(TURN) } else { left };
            self.turn += 1;
            let count = self.topics.len().max(1);
            if let Some(topic) = self.topics.get_mut(self.turn % count) {
                topic.read(limit, slice, &mut records)?;
            }
            if left.is_zero() {
                break;
            }
        }
        Ok(records)
    }

    fn at_end(&mut self) -> Result<bool, LogError> {
        let mut at_end = true;
        for topic in &mut self.topics {
            at_end &= topic.at_end()?;
        }
        Ok(at_end)
    }
}

impl TopicReader {
    fn new(inner: &Arc<Inner>, topic: &Arc<str>, starts: &[(&TopicPartition, Start)]) -> Result<Self, LogError> {
        inner.check_partitions(starts.iter().map(|(at, _)| *at))?;
        let options: &Options = &inner.options;
        let consumer: BaseConsumer<Asking> =
            options.reader().create_with_context(Asking::default()).map_err(|e| error::fatal("creating a consumer", &e))?;
        let names = Names::new([topic]);
        let partitions: Vec<_> = starts.iter().map(|(at, _)| (*at).clone()).collect();
        let oldest = bounds(&consumer, &partitions, rdkafka::Offset::Beginning, &names)?;
        let ends = bounds(&consumer, &partitions, rdkafka::Offset::End, &names)?;
        let mut progress = BTreeMap::new();
        for (at, start) in starts {
            let of = |bounds: &BTreeMap<u32, Offset>| bounds.get(&at.partition).copied().unwrap_or_default();
            let next = match *start {
                Start::Oldest => of(&oldest),
                Start::End => of(&ends),
                Start::At(wanted) if wanted < of(&oldest) => {
                    return Err(LogError::OffsetGone { at: (*at).clone(), wanted, oldest: of(&oldest) });
                }
                Start::At(wanted) => wanted,
            };
            progress.insert(at.partition, Progress { next, empty_to: next, probed: None });
        }
        let this = Self { consumer, all: Arc::clone(inner), names, topic: Arc::clone(topic), partitions: progress };
        let assigned = this.list(|_| true).and_then(|list| this.consumer.assign(&list));
        assigned.map_err(|e| error::fatal("starting to read", &e))?;
        Ok(this)
    }

    /// Partitions with their next offsets.
    fn list(&self, which: impl Fn(&Progress) -> bool) -> Result<rdkafka::TopicPartitionList, KafkaError> {
        let mut list = rdkafka::TopicPartitionList::new();
        for (partition, progress) in self.partitions.iter().filter(|(_, progress)| which(progress)) {
            list.add_partition_offset(&self.topic, convert::to_kafka(*partition), convert::to_raw(progress.next))?;
        }
        Ok(list)
    }

    fn read(&mut self, limit: usize, wait: Duration, records: &mut Vec<Record>) -> Result<(), LogError> {
        let began = Instant::now();
        while records.len() < limit {
            let left = if records.is_empty() { wait.saturating_sub(began.elapsed()) } else { Duration::ZERO };
            match self.consumer.poll(convert::whole_millis(left)).map(|message| message.map(|m| convert::record(&m, &self.names))) {
                Some(Ok(record)) => self.accept(record, records),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(progress) = self.partitions.get_mut(&convert::partition_of(partition))
                        && let Some(end) = progress.probed.take()
                    {
                        progress.empty_to = end;
                    }
                }
                Some(Err(e)) => return self.weigh(&e),
                None if records.is_empty() && began.elapsed() < wait => {}
                None => break,
            }
        }
        Ok(())
    }

    fn accept(&mut self, record: Record, records: &mut Vec<Record>) {
        if let Some(progress) = self.partitions.get_mut(&record.at.partition)
            && record.offset >= progress.next
        {
            progress.next = record.offset.next();
            records.push(record);
        }
    }

    fn weigh(&self, e: &KafkaError) -> Result<(), LogError> {
        match e.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => Err(self.gone()),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition) => {
                Err(LogError::NoTopic(self.topic.to_string()))
            }
            _ => match error::sort(format!("reading `{}`", self.topic), e) {
                LogError::Retriable { .. } => Ok(()), // The client gets over it by itself.
                e => Err(e),
            },
        }
    }

    fn gone(&self) -> LogError {
        let partitions: Vec<_> = self.partitions.keys().map(|n| TopicPartition::new(Arc::clone(&self.topic), *n)).collect();
        match bounds(&self.consumer, &partitions, rdkafka::Offset::Beginning, &self.names) {
            Err(e) => e,
            Ok(oldest) => partitions
                .into_iter()
                .find_map(|at| {
                    let (wanted, oldest) = (self.partitions.get(&at.partition)?.next, *oldest.get(&at.partition)?);
                    (wanted < oldest).then_some(LogError::OffsetGone { at, wanted, oldest })
                })
                .unwrap_or_else(|| error::fatal("reading", &format!("an offset is behind the end of `{}`", self.topic))),
        }
    }

    /// Everything is read when nothing committed is left before the end that counts open transactions in: what is committed after an
    /// open transaction began is hidden until that one ends. Offsets of records do not tell, for the last ones may be markers of
    /// transactions, or aborted, or compacted away; the position passes over markers, and a fresh end-of-partition event over the rest.
    fn at_end(&mut self) -> Result<bool, LogError> {
        let partitions: Vec<_> = self.partitions.keys().map(|n| TopicPartition::new(Arc::clone(&self.topic), *n)).collect();
        let ends = bounds(&self.all.inquirer, &partitions, rdkafka::Offset::End, &self.names)?;
        let positions = self.consumer.position().map_err(|e| error::sort("asking for positions", &e))?;
        for (at, offset) in convert::elements(&positions, &self.names) {
            if let (Some(progress), Some(offset)) = (self.partitions.get_mut(&at.partition), offset) {
                progress.empty_to = progress.empty_to.max(offset);
            }
        }
        let behind = |progress: &Progress, end: &Offset| progress.next.max(progress.empty_to) < *end;
        if !ends.iter().any(|(n, end)| self.partitions.get(n).is_some_and(|progress| behind(progress, end))) {
            return Ok(true);
        }
        let committed = bounds(&self.consumer, &partitions, rdkafka::Offset::End, &self.names)?;
        let mut fresh = Vec::new();
        for (n, end) in &ends {
            if let Some(progress) = self.partitions.get_mut(n)
                && behind(progress, end)
                && progress.probed.is_none()
                && committed.get(n).is_some_and(|committed| committed >= end)
            {
                progress.probed = Some(*end);
                fresh.push(*n);
            }
        }
        self.probe(&fresh)?;
        Ok(false)
    }

    /// Has the ends of partitions reported anew: a seek to where we are throws away what was reported before.
    fn probe(&mut self, partitions: &[u32]) -> Result<(), LogError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let mut list = rdkafka::TopicPartitionList::new();
        for n in partitions {
            if let Some(progress) = self.partitions.get(n) {
                let added = list.add_partition_offset(&self.topic, convert::to_kafka(*n), convert::to_raw(progress.next));
                added.map_err(|e| error::fatal("asking for the end of a partition", &e))?;
            }
        }
        let sought = self.consumer.seek_partitions(list, ANSWER_LIMIT).map_err(|e| error::sort("asking for the end of a partition", &e))?;
        for element in sought.elements() {
            if element.error().is_err()
                && let Some(progress) = self.partitions.get_mut(&convert::partition_of(element.partition()))
            {
                progress.probed = None; // It is not being fetched yet; the next time, then.
            }
        }
        Ok(())
    }
}

fn bounds(
    consumer: &BaseConsumer<Asking>,
    partitions: &[TopicPartition],
    which: rdkafka::Offset,
    names: &Names,
) -> Result<BTreeMap<u32, Offset>, LogError> {
    Ok(limits(consumer, partitions, which, names)?.into_iter().map(|(at, offset)| (at.partition, offset)).collect())
}
