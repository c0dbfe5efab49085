//! Verdicts as they stand on their topic: the newest ones, or all that come from now on.

use bytes::Bytes;
use engine::{Label, Offset, TopicPartition};
use runtime::log::{Log, LogError, Record, Start, read_on, read_to_end};
use runtime::shutdown::Shutdown;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Verdicts of one partition that are looked through, at most, when finished ones are asked for.
const LOOKED_THROUGH: u64 = 100_000;
/// Most verdicts of one answer.
pub(crate) const MOST: usize = 10_000;
/// Longest wait of one read.
const WAIT: Duration = Duration::from_millis(200);

/// Which verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    /// Those that come from now on, without end.
    pub(crate) follow: bool,
    /// With this label only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<Label>,
    /// At most so many, the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<usize>,
}

impl Query {
    fn wants(&self, record: &Record) -> bool {
        let label = record.header("label");
        self.label.is_none_or(|wanted| label == Some(wanted.name().as_bytes()))
    }
}

/// Hands verdicts to `take` as they stand on the topic, oldest first, until it breaks. Blocks.
pub(crate) fn each(
    log: &dyn Log,
    topic: &Arc<str>,
    query: &Query,
    shutdown: &Shutdown,
    take: impl FnMut(Bytes) -> ControlFlow<()>,
) -> Result<(), LogError> {
    if query.follow {
        return follow(log, topic, query, shutdown, take);
    }
    let limit = query.limit.unwrap_or(MOST).min(MOST);
    let mut newest: BTreeMap<(i64, u32, Offset), Bytes> = BTreeMap::new();
    read_to_end(log, &recent(log, topic)?, |record| {
        if query.wants(&record)
            && let Some(value) = record.value
        {
            newest.insert((record.timestamp_ms, record.at.partition, record.offset), value);
            if newest.len() > limit {
                newest.pop_first();
            }
        }
    })?;
    let mut newest: Vec<Bytes> = newest.into_values().collect();
    // Partitions are read one beside the other; people read by the time of what was judged.
    newest.sort_by_cached_key(|verdict| event_time(verdict));
    let _ = newest.into_iter().try_for_each(take);
    Ok(())
}

/// When the exchange of a verdict happened, as it stands there; verdicts are written with times of one form, which sort as text.
fn event_time(verdict: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Timed {
        time: Option<String>,
    }
    serde_json::from_slice::<Timed>(verdict).ok()?.time
}

fn follow(
    log: &dyn Log,
    topic: &Arc<str>,
    query: &Query,
    shutdown: &Shutdown,
    mut take: impl FnMut(Bytes) -> ControlFlow<()>,
) -> Result<(), LogError> {
    let from: Vec<_> = (0..log.partitions(topic)?).map(|n| (TopicPartition::new(Arc::clone(topic), n), Start::End)).collect();
    let mut reader = log.reader(&from)?;
    let mut left = query.limit.unwrap_or(usize::MAX);
    while left > 0 && !shutdown.is_cancelled() {
        let records = read_on(&mut *reader, 500, WAIT)?;
        // An empty piece tells a reader that has gone from one that only waits.
        if records.is_empty() && take(Bytes::new()).is_break() {
            return Ok(());
        }
        for value in records.into_iter().filter(|r| query.wants(r)).filter_map(|r| r.value).take(left) {
            left -= 1;
            if take(value).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Where to begin to look for the newest ones.
fn recent(log: &dyn Log, topic: &Arc<str>) -> Result<Vec<(TopicPartition, Start)>, LogError> {
    (0..log.partitions(topic)?)
        .map(|n| {
            let at = TopicPartition::new(Arc::clone(topic), n);
            let (oldest, end) = log.bounds(&at)?;
            Ok((at, Start::At(oldest.max(Offset(end.0.saturating_sub(LOOKED_THROUGH))))))
        })
        .collect()
}
