//! Records of several partitions in order of time.
//!
//! Gateways that write without a key spread a caller's requests over the partitions of their topic, and a backlog is read one partition at a
//! time: what a caller did last may come first. So records wait until every partition has shown its next one, and the oldest goes first. A
//! partition that has none for [`HOLD`] holds nothing up.

use engine::{Offset, TopicPartition};
use runtime::log::Output;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How long a partition without records holds the others up.
const HOLD: Duration = Duration::from_millis(300);
/// Records of a partition that wait from which on no more of it are read.
const ENOUGH: usize = 500;

/// What became of a record.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) at: TopicPartition,
    pub(crate) offset: Offset,
    /// When what it tells of happened, epoch milliseconds.
    pub(crate) time: i64,
    pub(crate) outputs: Vec<Output>,
}

/// Records that wait, by partition.
#[derive(Debug, Default)]
pub(crate) struct InTime {
    lanes: BTreeMap<TopicPartition, Lane>,
}

#[derive(Debug)]
struct Lane {
    /// In the order of the partition.
    records: VecDeque<Read>,
    /// Since when there are none.
    dry: Instant,
    is_paused: bool,
}

impl InTime {
    /// A partition is ours, or is read anew.
    pub(crate) fn open(&mut self, at: TopicPartition, now: Instant) {
        self.lanes.insert(at, Lane { records: VecDeque::new(), dry: now, is_paused: false });
    }

    /// A partition is no longer ours: another reads what waits of it.
    pub(crate) fn close(&mut self, at: &TopicPartition) {
        self.lanes.remove(at);
    }

    /// Forgets what waits: it is read again.
    pub(crate) fn clear(&mut self, now: Instant) {
        for lane in self.lanes.values_mut() {
            lane.records.clear();
            lane.dry = now;
        }
    }

    /// Takes a record. `wall`: the time of day, epoch milliseconds; no record is of a later time, whatever it says.
    pub(crate) fn put(&mut self, mut read: Read, wall: i64) {
        if let Some(lane) = self.lanes.get_mut(&read.at) {
            read.time = read.time.min(wall);
            lane.records.push_back(read);
        }
    }

    /// The oldest records, at most `limit`, as far as it is known that none is older.
    pub(crate) fn take(&mut self, limit: usize, now: Instant) -> Vec<Read> {
        let mut out = Vec::new();
        while out.len() < limit {
            let mut oldest: Option<(i64, &mut Lane)> = None;
            for lane in self.lanes.values_mut() {
                match lane.records.front() {
                    Some(read) if oldest.as_ref().is_none_or(|(oldest, _)| read.time < *oldest) => oldest = Some((read.time, lane)),
                    Some(_) => {}
                    None if now.saturating_duration_since(lane.dry) < HOLD => return out,
                    None => {}
                }
            }
            let Some((_, lane)) = oldest else { break };
            out.extend(lane.records.pop_front());
            if lane.records.is_empty() {
                lane.dry = now;
            }
        }
        out
    }

    /// Partitions to read no more of for now, and those to read on.
    pub(crate) fn turns(&mut self) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (at, lane) in &mut self.lanes {
            let is_full = lane.records.len() >= ENOUGH;
            if is_full != lane.is_paused {
                lane.is_paused = is_full;
                if is_full { &mut pause } else { &mut resume }.push(at.clone());
            }
        }
        (pause, resume)
    }
}

#[cfg(test)]
mod tests {
    use super::{ENOUGH, HOLD, InTime, Read};
    use engine::{Offset, TopicPartition};
    use std::time::Instant;

    fn at(partition: u32) -> TopicPartition {
        TopicPartition::new("raw", partition)
    }

    fn put(all: &mut InTime, partition: u32, times: impl IntoIterator<Item = i64>, wall: i64) {
        for (n, time) in times.into_iter().enumerate() {
            all.put(Read { at: at(partition), offset: Offset(n as u64), time, outputs: Vec::new() }, wall);
        }
    }

    fn opened(now: Instant) -> InTime {
        let mut all = InTime::default();
        (0..3).for_each(|n| all.open(at(n), now));
        all
    }

    fn times(read: &[Read]) -> Vec<i64> {
        read.iter().map(|r| r.time).collect()
    }

    #[test]
    fn the_oldest_of_all_partitions_goes_first_as_soon_as_each_has_shown_its_own() {
        let now = Instant::now();
        let mut all = opened(now);
        put(&mut all, 0, [1, 4, 7], 100);
        put(&mut all, 1, [2, 3, 9], 100);
        assert!(all.take(10, now).is_empty());
        put(&mut all, 2, [5, 6], 100);
        assert_eq!(times(&all.take(2, now)), [1, 2]);
        assert_eq!(times(&all.take(10, now)), [3, 4, 5, 6]);
        assert!(all.take(10, now).is_empty());
        // The second one has had no more for a while; the first one is empty only now.
        assert_eq!(times(&all.take(10, now + HOLD)), [7]);
        assert_eq!(times(&all.take(10, now + HOLD * 2)), [9]);
    }

    #[test]
    fn a_partition_keeps_its_order_and_times_to_come_hold_nothing_up() {
        let now = Instant::now();
        let mut all = opened(now);
        put(&mut all, 0, [i64::MAX, 3], 10);
        put(&mut all, 1, [5, 20], 30);
        put(&mut all, 2, [40], 40);
        let offsets: Vec<_> = all.take(10, now).iter().map(|r| (r.at.partition, r.offset.0)).collect();
        assert_eq!(offsets, [(1, 0), (0, 0), (0, 1)]);
        assert_eq!(times(&all.take(10, now + HOLD)), [20]);
        assert_eq!(times(&all.take(10, now + HOLD * 2)), [40]);
    }

    #[test]
    fn what_is_far_ahead_is_read_no_further_and_what_is_read_anew_waits_no_more() {
        let now = Instant::now();
        let mut all = opened(now);
        put(&mut all, 0, 0..ENOUGH as i64, 1);
        assert_eq!(all.turns(), (vec![at(0)], vec![]));
        assert_eq!(all.turns(), (vec![], vec![]));
        put(&mut all, 2, [1], 1);
        all.close(&at(1));
        assert_eq!(all.take(1, now).len(), 1);
        assert_eq!(all.turns(), (vec![], vec![at(0)]));
        all.clear(now);
        assert!(all.take(10, now + HOLD).is_empty());
    }
}
