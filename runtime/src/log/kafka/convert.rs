//! Our types and librdkafka's.

use crate::log::{Output, Record};
use bytes::Bytes;
use engine::{Offset, TopicPartition};
use rdkafka::TopicPartitionList;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Topic names, each allocated once.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Arc<str>>);

impl Names {
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a Arc<str>>) -> Self {
        let mut own: Vec<Arc<str>> = names.into_iter().map(Arc::clone).collect();
        own.sort_unstable();
        own.dedup();
        Self(own)
    }

    pub(super) fn get(&self, name: &str) -> Arc<str> {
        self.0.iter().find(|own| &***own == name).map_or_else(|| name.into(), Arc::clone)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter()
    }
}

/// A time to wait in whole milliseconds, rounded up: rust-rdkafka waits for whole ones and spins for the rest.
pub(super) fn whole_millis(wait: Duration) -> Duration {
    Duration::from_millis(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// A partition number as Kafka counts.
pub(super) fn to_kafka(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// A partition number as we count.
pub(super) fn partition_of(partition: i32) -> u32 {
    u32::try_from(partition).unwrap_or(0)
}

/// An offset of a record, or `None` for the special ones.
pub(super) fn offset_of(offset: rdkafka::Offset) -> Option<Offset> {
    match offset {
        rdkafka::Offset::Offset(n) => u64::try_from(n).ok().map(Offset),
        _ => None,
    }
}

/// Our offset as librdkafka's.
pub(super) fn to_raw(offset: Offset) -> rdkafka::Offset {
    rdkafka::Offset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX))
}

/// A list of partitions with offsets.
pub(super) fn list<'a>(
    partitions: impl IntoIterator<Item = (&'a TopicPartition, rdkafka::Offset)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (at, offset) in partitions {
        list.add_partition_offset(&at.topic, to_kafka(at.partition), offset)?;
    }
    Ok(list)
}

/// Partitions of a list, with their offsets where they have some.
pub(super) fn elements(list: &TopicPartitionList, names: &Names) -> Vec<(TopicPartition, Option<Offset>)> {
    let at = |topic: &str, partition| TopicPartition { topic: names.get(topic), partition: partition_of(partition) };
    list.elements().iter().map(|e| (at(e.topic(), e.partition()), offset_of(e.offset()))).collect()
}

/// A record as read.
pub(super) fn record(message: &BorrowedMessage<'_>, names: &Names) -> Record {
    Record {
        at: TopicPartition { topic: names.get(message.topic()), partition: partition_of(message.partition()) },
        offset: Offset(u64::try_from(message.offset()).unwrap_or(0)),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: message.headers().map(headers).unwrap_or_default(),
    }
}

/// Headers of a record. rust-rdkafka panics on a name that is not UTF-8, and anybody who may write to the topic can send one: such a
/// record is read without headers.
fn headers(headers: &impl Headers) -> Vec<(String, Bytes)> {
    let all = || headers.iter().map(|h| (h.key.to_owned(), h.value.map(Bytes::copy_from_slice).unwrap_or_default())).collect();
    catch_unwind(AssertUnwindSafe(all)).unwrap_or_default()
}

/// A record to be written.
pub(super) fn to_write<D: IntoOpaque>(output: &Output, opaque: D) -> BaseRecord<'_, [u8], [u8], D> {
    let mut record = BaseRecord::with_opaque_to(&output.topic, opaque);
    record.partition = output.partition.map(to_kafka);
    record.key = output.key.as_deref();
    record.payload = output.value.as_deref();
    if !output.headers.is_empty() {
        let empty = OwnedHeaders::new_with_capacity(output.headers.len());
        record.headers =
            Some(output.headers.iter().fold(empty, |headers, (key, value)| headers.insert(Header { key, value: Some(&value[..]) })));
    }
    record
}

/// Bytes of a record as its limit counts them.
pub(super) fn size(output: &Output) -> usize {
    let headers: usize = output.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    output.key.as_ref().map_or(0, Bytes::len) + output.value.as_ref().map_or(0, Bytes::len) + headers
}
