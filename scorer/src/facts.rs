//! The fact stage: gathers facts from `weir.facts` by entity and writes notes to `weir.notes`, into the partitions that they concern.
//!
//! What it gathered is rebuilt from the topic when a partition is assigned, so it needs no state of its own; a note tells how things stand
//! in all, so one that is written twice does no harm.

use crate::settings::Settings;
use engine::{Fact, FactStage, Note, Offset, To, TopicPartition};
use runtime::format;
use runtime::log::{Batch, CommitError, Event, Log, LogError, Output, Record, Start, Worker, WorkerSpec, goes_on_at, poll_on, read_on};
use runtime::shutdown::Shutdown;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Most facts of one batch.
const BATCH: usize = 2_000;
/// Longest wait for a batch.
const WAIT: Duration = Duration::from_millis(50);
/// Facts of a partition that its stage is rebuilt from, at most: the newest.
const REBUILT_FROM: u64 = 200_000;

/// Why the fact stage ended.
#[derive(Debug, thiserror::Error)]
pub enum FactStageError {
    /// The log cannot be used.
    #[error("fact stage: {0}")]
    Log(#[from] LogError),
    /// Another process has our name.
    #[error("fact stage: another process has taken over: {0}")]
    Fenced(String),
    /// A note could not be written.
    #[error("fact stage: encoding a note: {0}")]
    Encode(#[from] postcard::Error),
}

/// Gathers facts until asked to stop. Blocks. Each process takes its share of the topic's partitions.
///
/// # Errors
/// The log fails for good, or another process has taken over our name.
pub fn run_fact_stage(settings: &Settings, log: &Arc<dyn Log>, shutdown: &Shutdown) -> Result<(), FactStageError> {
    let spec = WorkerSpec {
        group: settings.topics.groups.facts.clone(),
        topics: vec![Arc::clone(&settings.topics.facts)],
        instance: settings.instance.clone(),
        number: 0,
        of: 1,
    };
    let partitions = log.partitions(&settings.topics.notes)?;
    let mut desk = Desk { settings, log: &**log, consumer: log.worker(&spec)?, partitions, stages: BTreeMap::new() };
    while !shutdown.is_cancelled() {
        desk.turn()?;
    }
    Ok(())
}

/// The stages of the partitions that are ours.
struct Desk<'a> {
    settings: &'a Settings,
    log: &'a dyn Log,
    consumer: Box<dyn Worker>,
    /// Partitions of the traffic, and so of notes.
    partitions: u32,
    stages: BTreeMap<TopicPartition, FactStage>,
}

impl Desk<'_> {
    fn turn(&mut self) -> Result<(), FactStageError> {
        let records = self.poll()?;
        let mut outputs = Vec::new();
        let mut positions: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
        for record in &records {
            let Some(stage) = self.stages.get_mut(&record.at) else { continue };
            for (to, note) in gather(stage, record) {
                for partition in self.meant(to) {
                    outputs.push(self.note(partition, &note)?);
                }
            }
            positions.insert(record.at.clone(), record.offset.next());
        }
        if positions.is_empty() {
            return Ok(());
        }
        let touched: Vec<TopicPartition> = positions.keys().cloned().collect();
        match self.consumer.commit(Batch { outputs, positions: positions.into_iter().collect() }) {
            Ok(()) => Ok(()),
            Err(CommitError::Aborted(why)) => {
                tracing::warn!(why, "a transaction of the fact stage was aborted: its facts are read again");
                for at in touched {
                    let to = goes_on_at(self.log, &self.settings.topics.groups.facts, &at)?;
                    self.rebuild(at, to)?;
                }
                Ok(())
            }
            Err(CommitError::Fenced(why)) => Err(FactStageError::Fenced(why)),
            Err(CommitError::Fatal(error)) => Err(error.into()),
        }
    }

    /// Partitions that a note is for. One alone knows all there is to know.
    fn meant(&self, to: To) -> std::ops::Range<u32> {
        match to {
            To::One(partition) => partition..partition + 1,
            To::All if self.partitions > 1 => 0..self.partitions,
            To::All => 0..0,
        }
    }

    fn note(&self, partition: u32, note: &Note) -> Result<Output, postcard::Error> {
        Ok(Output {
            topic: Arc::clone(&self.settings.topics.notes),
            partition: Some(partition),
            key: None,
            value: Some(note.to_bytes()?.into()),
            headers: vec![format::header()],
        })
    }

    fn poll(&mut self) -> Result<Vec<Record>, FactStageError> {
        let mut read = Vec::new();
        for event in poll_on(&mut *self.consumer, BATCH, WAIT)?.events {
            match event {
                Event::Assigned(partitions) => {
                    for (at, to) in partitions {
                        self.rebuild(at, to)?;
                    }
                }
                Event::Revoked(partitions) => partitions.iter().for_each(|at| drop(self.stages.remove(at))),
                Event::Records(records) => read.extend(records),
            }
        }
        Ok(read)
    }

    /// Gathers once more what was gathered before an offset.
    fn rebuild(&mut self, at: TopicPartition, to: Offset) -> Result<(), FactStageError> {
        let mut stage = FactStage::new(self.settings.limits);
        let (oldest, _) = self.log.bounds(&at)?;
        let from = oldest.max(Offset(to.0.saturating_sub(REBUILT_FROM)));
        if from < to {
            let mut reader = self.log.reader(&[(at.clone(), Start::At(from))])?;
            loop {
                let records = read_on(&mut *reader, BATCH, WAIT)?;
                for record in records.iter().filter(|record| record.offset < to) {
                    gather(&mut stage, record);
                }
                let is_past = records.last().is_some_and(|record| record.offset.next() >= to);
                if is_past || (records.is_empty() && reader.at_end()?) {
                    break;
                }
            }
        }
        self.stages.insert(at, stage);
        Ok(())
    }
}

/// What a record of the topic gives to tell.
fn gather(stage: &mut FactStage, record: &Record) -> Vec<(To, Note)> {
    let refused = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, at = %record.at, offset = record.offset.0, "a fact is not taken");
        Vec::new()
    };
    if let Err(error) = format::check(record) {
        return refused(&error);
    }
    match record.value.as_deref().map(Fact::from_bytes) {
        Some(Ok(fact)) => stage.add(&fact),
        Some(Err(error)) => refused(&error),
        None => Vec::new(),
    }
}
