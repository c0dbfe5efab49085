//! Those who use the log: producers, workers, readers.

use super::commit::{Member, Position};
use super::state::{Cursor, MemberId, Visible};
use super::store::Store;
use super::topic::Room;
use crate::log::{Batch, CommitError, Event, LogError, Output, Producer, Reader, Record, Start, Worker, WorkerSpec};
use engine::{Offset, TopicPartition};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Takes over a name from whoever had it, between two writes.
fn take_name(store: &Store, name: &str) -> Result<MemberId, LogError> {
    let _writer = store.lock_writer()?;
    Ok(store.shared.look().take_name(name))
}

/// Reads what the cursors have, beginning with number `turn` so that all get their share; waits for at most `wait` for the first record.
fn fetch(store: &Store, cursors: &mut [Cursor], turn: &mut usize, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
    let began = Instant::now();
    let mut records = Vec::new();
    while records.is_empty() {
        let left = wait.saturating_sub(began.elapsed());
        let Some(readable) = store.shared.wait_for(left, |visible| readable(cursors, visible)) else { break };
        let mut room = Room::for_records(limit);
        let ends = readable?;
        for step in 0..cursors.len() {
            let n = (*turn + step) % cursors.len();
            let (cursor, Some(end)) = (&mut cursors[n], ends[n]) else { continue };
            cursor.position = cursor.topic.read(&cursor.at, cursor.position, end, &mut room, &mut records)?;
            if room.is_full() {
                *turn = n + 1;
                break;
            }
        }
    }
    Ok(records)
}

/// Ends of what can be read now by cursor; `None` when there is nothing at all.
fn readable(cursors: &[Cursor], visible: &Visible) -> Option<Result<Vec<Option<u64>>, LogError>> {
    match cursors.iter().map(|c| c.readable(visible)).collect::<Result<Vec<_>, _>>() {
        Ok(ends) if ends.iter().all(Option::is_none) => None,
        found => Some(found),
    }
}

/// Appends records.
pub(super) struct EmbeddedProducer {
    store: Arc<Store>,
    owner: Option<(String, MemberId)>,
}

impl EmbeddedProducer {
    pub(super) fn new(store: Arc<Store>, transactional: Option<&str>) -> Result<Self, LogError> {
        let owner = match transactional {
            Some(name) => {
                let name = format!("producer {name}");
                let id = take_name(&store, &name)?;
                Some((name, id))
            }
            None => None,
        };
        Ok(Self { store, owner })
    }
}

impl Producer for EmbeddedProducer {
    fn append(&self, outputs: Vec<Output>) -> Result<Vec<(u32, Offset)>, LogError> {
        if outputs.is_empty() {
            return Ok(Vec::new());
        }
        let records = self.store.prepare(outputs)?;
        let owner = self.owner.as_ref().map(|(name, id)| (name.as_str(), *id));
        let written = self.store.append(owner, records)?;
        self.store.make_durable(written.ticket)?;
        Ok(written.places)
    }
}

/// A member of a consumer group. It owns its partitions from its first poll on, until another member that was given them polls.
pub(super) struct EmbeddedWorker {
    store: Arc<Store>,
    group: Arc<str>,
    name: String,
    id: MemberId,
    cursors: Vec<Cursor>,
    assigned: bool,
    turn: usize,
}

impl EmbeddedWorker {
    pub(super) fn new(store: Arc<Store>, spec: &WorkerSpec) -> Result<Self, LogError> {
        if spec.number >= spec.of {
            let why = format!("worker {} of {} cannot be: numbers count from 0", spec.number, spec.of);
            return Err(LogError::Fatal { doing: format!("joining group `{}`", spec.group), why });
        }
        let mut cursors = Vec::new();
        for name in &spec.topics {
            let topic = store.topic(name)?;
            for partition in (0..topic.partitions).filter(|p| *p as usize % spec.of == spec.number) {
                let at = TopicPartition { topic: Arc::clone(name), partition };
                cursors.push(Cursor { slot: topic.slot(partition), topic: Arc::clone(&topic), at, position: 0, paused: false });
            }
        }
        let name = format!("worker {} of {} in {}", spec.number, spec.instance, spec.group);
        let id = take_name(&store, &name)?;
        Ok(Self { store, group: spec.group.as_str().into(), name, id, cursors, assigned: false, turn: 0 })
    }

    /// Takes the partitions from whoever had them, as of what is committed now.
    fn claim(&mut self) -> Result<Event, LogError> {
        let _writer = self.store.lock_writer()?;
        let (group, id, cursors) = (&self.group, self.id, &mut self.cursors);
        self.store.shared.change(|visible| {
            rewind(cursors, group, visible);
            let owners = &mut visible.groups.entry(Arc::clone(group)).or_default().owners;
            owners.extend(cursors.iter().map(|c| (c.slot, id)));
        });
        self.assigned = true;
        Ok(Event::Assigned(self.cursors.iter().map(|c| (c.at.clone(), Offset(c.position))).collect()))
    }

    /// Lets go of partitions that another member has taken.
    fn let_go(&mut self) -> Result<Vec<TopicPartition>, LogError> {
        let visible = self.store.shared.look();
        if !visible.is_living(&self.name, self.id) {
            let why = "fenced by a later worker of the same name".to_owned();
            return Err(LogError::Fatal { doing: format!("polling as {}", self.name), why });
        }
        let owners = visible.groups.get(&self.group).map(|g| &g.owners);
        let is_ours = |c: &Cursor| owners.and_then(|o| o.get(&c.slot)) == Some(&self.id);
        let lost = self.cursors.iter().filter(|c| !is_ours(c)).map(|c| c.at.clone()).collect();
        self.cursors.retain(is_ours);
        Ok(lost)
    }

    fn cursor(&mut self, doing: &str, at: &TopicPartition) -> Result<&mut Cursor, LogError> {
        let name = &self.name;
        self.cursors
            .iter_mut()
            .find(|c| c.at == *at)
            .ok_or_else(|| LogError::Fatal { doing: format!("{doing} {at} as {name}"), why: "the partition is not ours".to_owned() })
    }
}

/// Back to what is committed; where nothing is, to the oldest record kept.
fn rewind(cursors: &mut [Cursor], group: &str, visible: &Visible) {
    for cursor in cursors {
        cursor.position = visible.committed(group, cursor.slot).unwrap_or(visible.floors[cursor.slot]);
    }
}

impl Worker for EmbeddedWorker {
    fn poll(&mut self, limit: usize, wait: Duration) -> Result<Vec<Event>, LogError> {
        if !self.assigned {
            return Ok(vec![self.claim()?]);
        }
        let lost = self.let_go()?;
        if !lost.is_empty() {
            return Ok(vec![Event::Revoked(lost)]);
        }
        let records = fetch(&self.store, &mut self.cursors, &mut self.turn, limit, wait)?;
        Ok(if records.is_empty() { Vec::new() } else { vec![Event::Records(records)] })
    }

    fn commit(&mut self, batch: Batch) -> Result<(), CommitError> {
        let records = self.store.prepare(batch.outputs)?;
        let mut positions = Vec::with_capacity(batch.positions.len());
        for (at, offset) in &batch.positions {
            let topic = self.store.topic_of(at)?;
            positions.push(Position { topic, partition: at.partition, offset: offset.0 });
        }
        let member = Member { id: self.id, name: &self.name, group: &self.group };
        let result = self.store.commit(member, records, &positions);
        if matches!(result, Err(CommitError::Aborted(_))) {
            rewind(&mut self.cursors, &self.group, &self.store.shared.look());
        }
        result
    }

    fn seek(&mut self, at: &TopicPartition, offset: Offset) -> Result<(), LogError> {
        self.cursor("seeking in", at)?.position = offset.0;
        Ok(())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        for at in partitions {
            self.cursor("pausing", at)?.paused = true;
        }
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        for at in partitions {
            self.cursor("resuming", at)?.paused = false;
        }
        Ok(())
    }

    fn ends(&mut self) -> Result<Vec<(TopicPartition, Offset)>, LogError> {
        let visible = self.store.shared.look();
        Ok(self.cursors.iter().map(|c| (c.at.clone(), Offset(visible.ends[c.slot]))).collect())
    }
}

/// Reads partitions outside of any group.
pub(super) struct EmbeddedReader {
    store: Arc<Store>,
    cursors: Vec<Cursor>,
    turn: usize,
}

impl EmbeddedReader {
    pub(super) fn new(store: Arc<Store>, from: &[(TopicPartition, Start)]) -> Result<Self, LogError> {
        let mut cursors = Vec::with_capacity(from.len());
        for (at, start) in from {
            let topic = store.topic_of(at)?;
            let slot = topic.slot(at.partition);
            let visible = store.shared.look();
            let position = match start {
                Start::Oldest => visible.floors[slot],
                Start::End => visible.ends[slot],
                Start::At(offset) => offset.0,
            };
            drop(visible);
            cursors.push(Cursor { topic, at: at.clone(), slot, position, paused: false });
        }
        Ok(Self { store, cursors, turn: 0 })
    }
}

impl Reader for EmbeddedReader {
    fn read(&mut self, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        fetch(&self.store, &mut self.cursors, &mut self.turn, limit, wait)
    }

    fn at_end(&mut self) -> Result<bool, LogError> {
        let visible = self.store.shared.look();
        Ok(self.cursors.iter().all(|c| c.position >= visible.ends[c.slot]))
    }
}
