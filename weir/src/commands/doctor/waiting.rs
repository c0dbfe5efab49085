//! Exchanges that no scorer has judged yet, by the positions that scorers have committed: a scorer that is gone says nothing of them.

use super::finding::Finding;
use crate::terminal::count;
use engine::{Offset, TopicPartition};
use runtime::log::{Log, LogError, Record, Start, goes_on_at, read_on};
use runtime::topics::Topics;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait of one read.
const WAIT: Duration = Duration::from_millis(200);
/// An exchange that is older has been waiting too long, milliseconds.
const LONG_MS: i64 = 60_000;

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Partitions in which something waits.
    partitions: u32,
    exchanges: u64,
    /// Append time of the oldest, epoch milliseconds.
    since_ms: i64,
}

/// Looks at the first exchange of each partition that has no verdict; `None`: nothing waits.
pub(super) fn read(log: &dyn Log, topics: &Topics) -> Result<Option<Waiting>, LogError> {
    let mut all: Option<Waiting> = None;
    for n in 0..log.partitions(&topics.traffic)? {
        let at = TopicPartition::new(Arc::clone(&topics.traffic), n);
        let (oldest, end) = log.bounds(&at)?;
        let next = goes_on_at(log, &topics.groups.scorer, &at)?.max(oldest);
        // The end of a transaction stands on the log too, and is no exchange.
        let Some(first) = first(log, at, next)? else { continue };
        let waiting = all.get_or_insert(Waiting { partitions: 0, exchanges: 0, since_ms: first.timestamp_ms });
        waiting.partitions += 1;
        waiting.exchanges += end.0.saturating_sub(next.0);
        waiting.since_ms = waiting.since_ms.min(first.timestamp_ms);
    }
    Ok(all)
}

/// The first record of a partition from an offset on.
fn first(log: &dyn Log, at: TopicPartition, from: Offset) -> Result<Option<Record>, LogError> {
    let mut reader = log.reader(&[(at, Start::At(from))])?;
    loop {
        let first = read_on(&mut *reader, 1, WAIT)?.into_iter().next();
        if first.is_some() || reader.at_end()? {
            return Ok(first);
        }
    }
}

impl Waiting {
    /// What there is to say of it; `None`: that is the way of a log.
    pub(super) fn finding(self, now_ms: i64) -> Option<Finding> {
        let waited_ms = now_ms - self.since_ms;
        let said = format!(
            "{} exchanges of {} partitions wait for a verdict, the oldest for {} s",
            count(self.exchanges),
            self.partitions,
            waited_ms / 1_000
        );
        let todo = "does a scorer run and keep up? start `weir score`, up to one worker a partition; its log says what stops it";
        (waited_ms > LONG_MS).then(|| Finding::wrong("scorer", said, todo))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_waited_for_long_is_wrong() {
        let waiting = Waiting { partitions: 2, exchanges: 7, since_ms: 1_000 };
        assert_eq!(waiting.finding(1_000 + LONG_MS), None);
        assert!(waiting.finding(91_000).unwrap().said.contains("the oldest for 90 s"));
    }
}
