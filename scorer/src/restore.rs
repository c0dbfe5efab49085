//! How a lane comes back: the entries of `weir.state`, then the records since the mark, with effects where they were taken.
//!
//! A restore goes in steps between which its worker serves its other partitions.

use crate::feed::Published;
use crate::lane::{Lane, effect_of};
use crate::settings::Settings;
use crate::state::{EffectKey, Saved, Taken};
use crate::worker::WorkerError;
use engine::neural::Heads;
use engine::{Offset, TopicPartition};
use runtime::log::{Log, LogError, Reader, Record, Start, read_on};
use runtime::status::Restored;
use std::collections::BTreeMap;
use std::time::Duration;

/// Records of one step.
const STEP: usize = 2_000;
/// Longest wait of one step.
const WAIT: Duration = Duration::from_millis(5);

/// A lane that is on its way back.
pub(crate) enum Restore {
    /// Reading what was saved.
    State(Box<ReadingState>),
    /// Taking in the records since the mark.
    Traffic(Box<ReadingTraffic>),
}

/// What a worker lends a restore for a step.
pub(crate) struct Means<'w> {
    /// Models and notes.
    pub(crate) published: &'w Published,
    /// Runs their networks.
    pub(crate) heads: &'w mut dyn Heads,
}

/// What a step comes to.
pub(crate) enum Step {
    /// There is more to do.
    More(Restore),
    /// The lane is whole; it goes on at its `next`.
    Done(Box<Lane>),
}

/// The first phase.
pub(crate) struct ReadingState {
    at: TopicPartition,
    /// The committed offset: where the lane goes on.
    to: Offset,
    reader: Box<dyn Reader>,
    saved: Saved,
    cost: Cost,
}

/// The second phase.
pub(crate) struct ReadingTraffic {
    lane: Lane,
    to: Offset,
    effects: BTreeMap<EffectKey, Taken>,
    reader: Box<dyn Reader>,
    cost: Cost,
}

/// What a restore has cost so far.
#[derive(Clone, Copy)]
struct Cost {
    began_ms: i64,
    read: Restored,
}

impl Cost {
    fn add(&mut self, records: &[Record]) {
        let size = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.read.records += records.len() as u64;
        self.read.bytes += records.iter().map(|r| size(&r.key) + size(&r.value)).sum::<u64>();
    }

    fn at(self, now_ms: i64) -> Restored {
        Restored { took_ms: u64::try_from(now_ms.saturating_sub(self.began_ms)).unwrap_or(0), ..self.read }
    }
}

impl Restore {
    /// Begins to restore a partition that goes on at its committed offset `to`.
    pub(crate) fn begin(log: &dyn Log, settings: &Settings, at: TopicPartition, to: Offset) -> Result<Self, LogError> {
        let state = TopicPartition { topic: settings.topics.state.clone(), partition: at.partition };
        let reader = log.reader(&[(state, Start::Oldest)])?;
        let cost = Cost { began_ms: (settings.clock)(), read: Restored::default() };
        Ok(Self::State(Box::new(ReadingState { at, to, reader, saved: Saved::default(), cost })))
    }

    /// Does a bounded part of the work.
    pub(crate) fn step(self, log: &dyn Log, settings: &Settings, by: Means<'_>) -> Result<Step, WorkerError> {
        match self {
            Self::State(state) => state.step(log, settings, by.published),
            Self::Traffic(traffic) => traffic.step(settings, by),
        }
    }
}

impl ReadingState {
    fn step(mut self: Box<Self>, log: &dyn Log, settings: &Settings, published: &Published) -> Result<Step, WorkerError> {
        let records = read_on(&mut *self.reader, STEP, WAIT)?;
        let may_be_all = records.len() < STEP;
        self.cost.add(&records);
        for record in records {
            self.saved.take(record)?;
        }
        if may_be_all && self.reader.at_end()? {
            return self.rebuild(log, settings, published);
        }
        Ok(Step::More(Restore::State(self)))
    }

    /// The lane as of the mark.
    fn rebuild(mut self: Box<Self>, log: &dyn Log, settings: &Settings, published: &Published) -> Result<Step, WorkerError> {
        let oldest = log.bounds(&self.at)?.0;
        let mut lane = Lane::new(settings, self.at.clone());
        let (is_others, keys) = self.saved.give_up();
        lane.next = if is_others { self.to } else { oldest };
        lane.bury(keys);
        if is_others {
            tracing::warn!(partition = %lane.at, next = lane.next.0, "another version of Weir has left the state: sessions begin anew");
        }
        if let Some(mark) = self.saved.mark.take() {
            lane.stand_at(mark, settings);
        }
        // The model first: a detector that starts afresh with another version must not take restored state for its own.
        if let Some(effect) = lane.model().cloned().and_then(|version| effect_of(&Taken::Model(version), published)) {
            lane.partition().apply(effect);
        }
        for entry in self.saved.entries() {
            lane.partition().restore(&entry)?;
        }
        if lane.next < oldest {
            tracing::warn!(partition = %lane.at, missing = oldest.0 - lane.next.0, "traffic since the last checkpoint has expired: it is missing in the state");
            lane.next = oldest;
        }
        let reader = log.reader(&[(lane.at.clone(), Start::At(lane.next))])?;
        let effects = self.saved.effects;
        Ok(Step::More(Restore::Traffic(Box::new(ReadingTraffic { lane, to: self.to, effects, reader, cost: self.cost }))))
    }
}

impl ReadingTraffic {
    fn step(mut self: Box<Self>, settings: &Settings, Means { published, heads }: Means<'_>) -> Result<Step, WorkerError> {
        let records = if self.lane.next < self.to { read_on(&mut *self.reader, STEP, WAIT)? } else { Vec::new() };
        let is_past = records.last().is_none_or(|r| r.offset.next() >= self.to);
        let to = self.to;
        self.cost.add(&records);
        for record in records.iter().filter(|r| r.offset < to) {
            self.retake_upto(record.offset, published);
            self.lane.fold(record, heads)?;
        }
        if self.lane.next >= self.to || (is_past && (!records.is_empty() || self.reader.at_end()?)) {
            return Ok(self.finish(settings, published));
        }
        Ok(Step::More(Restore::Traffic(self)))
    }

    fn retake_upto(&mut self, offset: Offset, published: &Published) {
        while let Some(effect) = self.effects.first_entry().filter(|effect| effect.key().offset <= offset) {
            let (key, taken) = effect.remove_entry();
            self.lane.retake(key, &taken, published);
        }
    }

    /// A lane goes on where its records end: never before what is committed, never before the mark.
    fn finish(mut self: Box<Self>, settings: &Settings, published: &Published) -> Step {
        self.retake_upto(Offset(u64::MAX), published);
        self.lane.next = self.lane.next.max(self.to);
        self.lane.restored = Some(self.cost.at((settings.clock)()));
        Step::Done(Box::new(self.lane))
    }
}
