//! Several inputs as one stream in time order.

use super::{BadLine, Decoded, OpenError, Options, Progress, Reason, Source};
use engine::Headers;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;

/// Records held back to bring them into order.
pub const REORDER_RECORDS: usize = 64 << 10;

/// Bytes of records held back, about: large ones are held back in smaller number.
const REORDER_BYTES: usize = 256 << 20;

/// Bad lines that a [`Tally`] keeps to show.
const SHOWN: usize = 20;

/// What a read has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records read.
    pub read: u64,
    /// Records that came so late that newer ones had already gone out; they went out all the same.
    pub late: u64,
    /// Things that could not be read, by reason.
    pub bad: BTreeMap<Reason, u64>,
    /// The first twenty of them.
    pub first_bad: Vec<BadLine>,
}

impl Tally {
    /// Number of things that could not be read.
    #[must_use]
    pub fn bad_lines(&self) -> u64 {
        self.bad.values().sum()
    }

    /// Whether there was something and none of it could be read: the one case that is fatal.
    #[must_use]
    pub fn nothing_readable(&self) -> bool {
        self.read == 0 && !self.bad.is_empty()
    }

    fn count_bad(&mut self, bad: BadLine) {
        *self.bad.entry(bad.fault.reason).or_default() += 1;
        if self.first_bad.len() < SHOWN {
            self.first_bad.push(bad);
        }
    }
}

/// Merges inputs in time order: always reads on where time is least advanced, and holds back up to [`REORDER_RECORDS`] records (fewer if they
/// are large) to bring an input that is itself out of order into order.
///
/// A record without time stands directly behind the one before it in its input; an input without any time is read before all others, in order.
#[derive(Debug)]
pub struct ReorderBuffer {
    inputs: Vec<Head>,
    held: BinaryHeap<Held>,
    held_bytes: usize,
    capacity: usize,
    sequence: u64,
    released: i64,
    tally: Tally,
}

impl ReorderBuffer {
    /// Opens files and merges them.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn open(paths: &[impl AsRef<Path>], options: &Options) -> Result<Self, OpenError> {
        Ok(Self::new(paths.iter().map(|path| Source::open(path.as_ref(), options)).collect::<Result<_, _>>()?))
    }

    /// Merges inputs.
    #[must_use]
    pub fn new(sources: Vec<Source>) -> Self {
        Self::with_capacity(sources, REORDER_RECORDS)
    }

    /// Merges inputs, holding back at most `capacity` records.
    #[must_use]
    pub fn with_capacity(sources: Vec<Source>, capacity: usize) -> Self {
        let inputs = sources.into_iter().map(|source| Head { source, next: None, time: i64::MIN, started: false }).collect();
        Self { inputs, held: BinaryHeap::new(), held_bytes: 0, capacity, sequence: 0, released: i64::MIN, tally: Tally::default() }
    }

    /// What it has come to so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How far each input has been read.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        self.inputs.iter().map(|head| head.source.progress()).collect()
    }

    /// Takes the next record of the input that is least advanced; `None` when all are at their end.
    fn read(&mut self) -> Option<(i64, Decoded)> {
        for head in self.inputs.iter_mut().filter(|head| !head.started) {
            head.started = true;
            head.advance(&mut self.tally);
        }
        let least = self.inputs.iter_mut().filter(|head| head.next.is_some()).min_by_key(|head| head.time)?;
        let time = least.time;
        let record = least.next.take()?;
        least.advance(&mut self.tally);
        Some((time, record))
    }

    fn release(&mut self) -> Option<Decoded> {
        let held = self.held.pop()?;
        self.held_bytes -= held.bytes;
        if held.time < self.released {
            self.tally.late += 1;
        }
        self.released = self.released.max(held.time);
        Some(held.record)
    }
}

impl Iterator for ReorderBuffer {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        while self.held.len() < self.capacity.max(1) && self.held_bytes < REORDER_BYTES {
            let Some((time, record)) = self.read() else { break };
            self.tally.read += 1;
            let bytes = size(&record);
            self.held_bytes += bytes;
            self.held.push(Held { time, sequence: self.sequence, bytes, record });
            self.sequence += 1;
        }
        self.release()
    }
}

/// An input and its next record.
#[derive(Debug)]
struct Head {
    source: Source,
    next: Option<Decoded>,
    /// Time of `next`, or of the last record that had one.
    time: i64,
    started: bool,
}

impl Head {
    fn advance(&mut self, tally: &mut Tally) {
        for record in self.source.by_ref() {
            match record {
                Ok(record) => {
                    self.time = record.exchange.time.unwrap_or(self.time);
                    self.next = Some(record);
                    return;
                }
                Err(bad) => tally.count_bad(bad),
            }
        }
    }
}

/// Memory that a record takes, about.
fn size(record: &Decoded) -> usize {
    let exchange = &record.exchange;
    let headers = [&exchange.request.headers, &exchange.response.headers].into_iter().flatten();
    let headers: usize = headers.flat_map(Headers::iter).map(|(name, value)| name.len() + value.len() + 64).sum();
    let bodies: usize = [&exchange.request.body, &exchange.response.body].into_iter().flatten().map(|body| body.len()).sum();
    size_of::<Held>() + headers + bodies + exchange.path.len() + exchange.query.as_deref().map_or(0, str::len)
}

/// A record held back; ordered so that a max-heap gives the oldest first, equal times in the order in which they were read.
#[derive(Debug)]
struct Held {
    time: i64,
    sequence: u64,
    bytes: usize,
    record: Decoded,
}

impl Held {
    fn key(&self) -> std::cmp::Reverse<(i64, u64)> {
        std::cmp::Reverse((self.time, self.sequence))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(name: &str, times: &[Option<i64>]) -> Source {
        let lines: String = times
            .iter()
            .enumerate()
            .map(|(i, time)| match time {
                Some(time) => format!("{{\"id\":\"{name}{i}\",\"time\":{time},\"method\":\"GET\",\"path\":\"/\"}}\n"),
                None => format!("{{\"id\":\"{name}{i}\",\"method\":\"GET\",\"path\":\"/\"}}\n"),
            })
            .collect();
        Source::from_reader(name, std::io::Cursor::new(lines.into_bytes()), &Options::default()).unwrap()
    }

    fn ids(buffer: &mut ReorderBuffer) -> Vec<String> {
        buffer.by_ref().map(|d| d.exchange.id.unwrap().to_string()).collect()
    }

    #[test]
    fn files_of_the_same_day_interleave_and_untimed_records_stay_behind_their_predecessor() {
        let a = source("a", &[Some(1), Some(5), None, Some(9)]);
        let b = source("b", &[Some(2), Some(6), Some(7)]);
        let mut buffer = ReorderBuffer::with_capacity(vec![a, b], 1);
        assert_eq!(ids(&mut buffer), ["a0", "b0", "a1", "a2", "b1", "b2", "a3"]);
        assert_eq!(buffer.tally().late, 0);
    }

    #[test]
    fn what_comes_later_than_the_buffer_reaches_is_counted() {
        let mut buffer = ReorderBuffer::with_capacity(vec![source("a", &[Some(10), Some(20), Some(30), Some(1)])], 2);
        assert_eq!(ids(&mut buffer), ["a0", "a1", "a3", "a2"]);
        assert_eq!((buffer.tally().read, buffer.tally().late), (4, 1));
    }

    #[test]
    fn nothing_readable_is_the_fatal_case() {
        let bad = Source::from_reader("x", &b"{\"version\":6}\n{\"version\":7}\n"[..], &Options::default()).unwrap();
        let mut buffer = ReorderBuffer::new(vec![bad]);
        assert!(buffer.next().is_none());
        assert!(buffer.tally().nothing_readable());
        assert_eq!(buffer.tally().first_bad[1].to_string(), "x:2: not-a-request: no field names a method");
        assert!(!Tally::default().nothing_readable());
    }

    proptest! {
        #[test]
        fn every_record_comes_out_once_and_in_order_when_the_buffer_reaches(files in proptest::collection::vec(proptest::collection::vec(proptest::option::of(0i64..50), 0..20), 0..4)) {
            let names = ["a", "b", "c", "d"];
            let sources = files.iter().zip(names).map(|(times, name)| source(name, times)).collect();
            let mut buffer = ReorderBuffer::new(sources);
            let out: Vec<Decoded> = buffer.by_ref().collect();
            prop_assert_eq!(out.len(), files.iter().map(Vec::len).sum::<usize>());
            prop_assert_eq!(buffer.tally().late, 0);
            let times: Vec<i64> = out.iter().filter_map(|d| d.exchange.time).collect();
            prop_assert!(times.is_sorted());
        }
    }
}
