//! The loop: poll, restore, judge, tick, checkpoint, commit.

use crate::board::{Board, Counts};
use crate::feed::Published;
use crate::lane::{Change, Lane, Work, alert_record};
use crate::models::ModelFeedError;
use crate::restore::{Means, Restore, Step};
use crate::settings::Settings;
use crate::state::BadState;
use engine::neural::{HeadError, Heads};
use engine::{IncidentLife, Offset, StateError, TopicPartition};
use runtime::inference;
use runtime::log::{Batch, CommitError, Event, Log, LogError, Output, Record, WorkerSpec, goes_on_at, poll_on};
use runtime::shutdown::Shutdown;
use runtime::status::PartitionStatus;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Most records of one batch.
const BATCH: usize = 2_000;
/// Longest wait for a batch.
const WAIT: Duration = Duration::from_millis(20);
/// Most partitions that are checkpointed with one batch: those that came together are due together, and would hold verdicts up.
const CHECKPOINTS: usize = 2;
/// Time between two looks at the lag, milliseconds.
const LAG_EVERY: i64 = 1_000;

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Another process has our name.
    #[error("another process has taken over: {0}")]
    Fenced(String),
    /// The saved state cannot be read.
    #[error("restoring state: {0}")]
    State(#[from] BadState),
    /// A saved entry cannot be taken back.
    #[error("restoring state: {0}")]
    Entry(#[from] StateError),
    /// A model cannot be had.
    #[error(transparent)]
    Model(#[from] ModelFeedError),
    /// A network of a model failed.
    #[error(transparent)]
    Network(#[from] HeadError),
    /// A state record could not be written.
    #[error("encoding state: {0}")]
    Encode(#[from] postcard::Error),
    /// A verdict or alert could not be written.
    #[error("encoding a verdict: {0}")]
    Json(#[from] serde_json::Error),
}

/// A partition that is ours.
enum Owned {
    Restoring(Restore),
    Live(Box<Lane>),
}

/// One worker thread.
pub(crate) struct Worker<'a> {
    settings: &'a Settings,
    log: &'a dyn Log,
    consumer: Box<dyn runtime::log::Worker>,
    published: Published,
    board: &'a Board,
    lanes: BTreeMap<TopicPartition, Owned>,
    /// Networks run on this thread, one after the other.
    heads: Box<dyn Heads>,
    lag_ms: i64,
}

impl<'a> Worker<'a> {
    /// Joins the group.
    pub(crate) fn join(
        settings: &'a Settings,
        log: &'a Arc<dyn Log>,
        spec: &WorkerSpec,
        published: Published,
        board: &'a Board,
    ) -> Result<Self, WorkerError> {
        let consumer = log.worker(spec)?;
        let heads = inference::heads(&settings.network);
        Ok(Self { settings, log: &**log, consumer, published, board, lanes: BTreeMap::new(), heads, lag_ms: i64::MIN })
    }

    /// Works until asked to stop, then checkpoints what changed.
    pub(crate) fn run(mut self, shutdown: &Shutdown) -> Result<(), WorkerError> {
        while !shutdown.is_cancelled() {
            self.turn()?;
        }
        self.leave()
    }

    fn turn(&mut self) -> Result<(), WorkerError> {
        let records = self.poll()?;
        self.restore()?;
        let mut work = Work::default();
        self.judge(&records, &mut work)?;
        self.tick(&mut work)?;
        self.checkpoint(&mut work)?;
        self.commit(work)?;
        // Also while there is nothing to judge: it judges what comes next.
        if let Some(active) = self.published.models.active() {
            self.board.model(&active);
        }
        self.tell_lag()
    }

    /// Takes partitions over, lets partitions go; returns the records of those that are whole.
    fn poll(&mut self) -> Result<Vec<Record>, WorkerError> {
        let is_restoring = self.lanes.values().any(|owned| matches!(owned, Owned::Restoring(_)));
        let wait = if is_restoring { Duration::ZERO } else { WAIT };
        let mut read = Vec::new();
        for event in poll_on(&mut *self.consumer, BATCH, wait)?.events {
            match event {
                Event::Assigned(partitions) => {
                    for (at, offset) in partitions {
                        self.begin_restore(at, offset)?;
                    }
                }
                Event::Revoked(partitions) => partitions.iter().for_each(|at| self.drop_lane(at)),
                Event::Records(records) => read.extend(records),
            }
        }
        // What came for a partition that is not whole yet is read again: its lane seeks to where it goes on.
        read.retain(|r: &Record| matches!(self.lanes.get(&r.at), Some(Owned::Live(lane)) if lane.next <= r.offset));
        Ok(read)
    }

    fn begin_restore(&mut self, at: TopicPartition, to: Offset) -> Result<(), WorkerError> {
        if let Err(error) = self.consumer.pause(std::slice::from_ref(&at)) {
            tracing::warn!(partition = %at, %error, "the partition has gone before its state was restored");
            self.drop_lane(&at);
            return Ok(());
        }
        self.board.place(&at, &PartitionStatus { position: to.0, restoring: true, ..PartitionStatus::default() });
        let restore = Restore::begin(self.log, self.settings, at.clone(), to)?;
        self.lanes.insert(at, Owned::Restoring(restore));
        Ok(())
    }

    fn drop_lane(&mut self, at: &TopicPartition) {
        self.lanes.remove(at);
        self.board.leave(at);
    }

    /// Does one step of every restore.
    fn restore(&mut self) -> Result<(), WorkerError> {
        let restoring: Vec<TopicPartition> =
            self.lanes.iter().filter(|(_, owned)| matches!(owned, Owned::Restoring(_))).map(|(at, _)| at.clone()).collect();
        for at in restoring {
            let Some(Owned::Restoring(restore)) = self.lanes.remove(&at) else { continue };
            let means = Means { published: &self.published, heads: &mut *self.heads };
            let owned = match restore.step(self.log, self.settings, means)? {
                Step::More(restore) => Owned::Restoring(restore),
                Step::Done(lane) => {
                    self.consumer.seek(&at, lane.next)?;
                    self.consumer.resume(std::slice::from_ref(&at))?;
                    self.board.restored(&at, &lane.status(lane.next));
                    Owned::Live(lane)
                }
            };
            self.lanes.insert(at, owned);
        }
        Ok(())
    }

    /// Brings each record to its end, partition by partition. What has been published since the last batch takes effect before a
    /// partition's first record.
    fn judge(&mut self, records: &[Record], work: &mut Work) -> Result<(), WorkerError> {
        let mut by_partition: BTreeMap<&TopicPartition, Vec<&Record>> = BTreeMap::new();
        for record in records {
            by_partition.entry(&record.at).or_default().push(record);
        }
        for (at, records) in by_partition {
            let Some(Owned::Live(lane)) = self.lanes.get_mut(at) else { continue };
            lane.catch_up(&self.published, work)?;
            lane.judge_all(&records, &mut *self.heads, self.settings, work)?;
        }
        Ok(())
    }

    fn live(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.lanes.values_mut().filter_map(|owned| match owned {
            Owned::Live(lane) => Some(&mut **lane),
            Owned::Restoring(_) => None,
        })
    }

    fn tick(&mut self, work: &mut Work) -> Result<(), WorkerError> {
        let settings = self.settings;
        self.live().try_for_each(|lane| lane.tick(settings, work))
    }

    fn checkpoint(&mut self, work: &mut Work) -> Result<(), WorkerError> {
        let settings = self.settings;
        self.live().filter(|lane| lane.is_due(settings)).take(CHECKPOINTS).try_for_each(|lane| lane.checkpoint(settings, work))
    }

    /// Commits a turn's work. An abort voids the state of the partitions that it touched.
    fn commit(&mut self, work: Work) -> Result<(), WorkerError> {
        let Work { mut outputs, incidents, touched, mut counts, mut traced } = work;
        self.alert(&incidents, &mut outputs, &mut counts)?;
        if touched.is_empty() {
            return Ok(());
        }
        let positions = self.live().filter(|lane| touched.contains(&lane.at)).map(|lane| (lane.at.clone(), lane.next)).collect();
        match self.consumer.commit(Batch { outputs, positions }) {
            Ok(()) => {
                self.board.count(counts);
                Ok(())
            }
            Err(CommitError::Aborted(why)) => {
                tracing::warn!(why, partitions = touched.len(), "a transaction was aborted: what it touched is restored");
                self.board.aborted();
                traced.iter_mut().for_each(|span| span.failed("transaction aborted"));
                for at in touched {
                    let to = goes_on_at(self.log, &self.settings.topics.groups.scorer, &at)?;
                    self.begin_restore(at, to)?;
                }
                Ok(())
            }
            Err(CommitError::Fenced(why)) => Err(WorkerError::Fenced(why)),
            Err(CommitError::Fatal(error)) => Err(error.into()),
        }
    }

    /// Alerts of incidents; those that people have said are nothing are left out, and counted.
    fn alert(&self, changes: &[Change], outputs: &mut Vec<Output>, counts: &mut Counts) -> Result<(), WorkerError> {
        let (said, now) = (self.published.said.load(), (self.settings.clock)());
        for change in changes {
            let incident = &change.incident;
            if said.mutes(incident, now) {
                counts.muted += 1;
                continue;
            }
            if incident.life == IncidentLife::Created {
                *counts.alerts.entry(incident.family).or_default() += 1;
            }
            outputs.push(alert_record(change, self.settings)?);
        }
        Ok(())
    }

    fn tell_lag(&mut self) -> Result<(), WorkerError> {
        let now = (self.settings.clock)();
        if now.saturating_sub(self.lag_ms) < LAG_EVERY {
            return Ok(());
        }
        self.lag_ms = now;
        let ends = match self.consumer.ends() {
            Err(LogError::Retriable { doing, why }) => {
                tracing::warn!(doing, why, "looking at the lag");
                return Ok(());
            }
            ends => ends?,
        };
        for (at, end) in ends {
            if let Some(Owned::Live(lane)) = self.lanes.get(&at) {
                self.board.place(&at, &lane.status(end));
            }
        }
        Ok(())
    }

    /// Checkpoints what changed, so that the next owner has nothing to take in again.
    fn leave(mut self) -> Result<(), WorkerError> {
        let settings = self.settings;
        let mut work = Work::default();
        self.live().try_for_each(|lane| lane.checkpoint(settings, &mut work))?;
        self.commit(work)?;
        self.lag_ms = i64::MIN;
        self.tell_lag()
    }
}
