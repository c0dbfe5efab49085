//! One partition with its live state: the step from records to outputs, effects, checkpoints.

use crate::alert;
use crate::board::Counts;
use crate::dead_letter::{self, Unreadable};
use crate::feed::Published;
use crate::settings::Settings;
use crate::state::{EffectKey, Mark, ModelRef, Stages, StateWriter, Taken};
use crate::worker::WorkerError;
use bytes::Bytes;
use engine::neural::{HeadError, Heads};
use engine::{Effect, Exchange, Fact, Incident, Incoming, Judged, Offset, Partition, RecordPosition, TopicPartition, Verdict};
use runtime::format;
use runtime::log::{Output, Record};
use runtime::status::{PartitionStatus, Restored};
use runtime::telemetry::trace::{Handling, handling};
use std::sync::Arc;

/// An idle partition with open incidents is told the time after this, milliseconds.
const IDLE: i64 = 60_000;

/// Records judged together, and bytes of their values, at most: they stand in memory as features meanwhile.
const PIECE: usize = 256;
const PIECE_BYTES: usize = 4 << 20;

/// What one turn of a worker writes, and what it came to.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) outputs: Vec<Output>,
    /// Become alerts, unless they are muted.
    pub(crate) incidents: Vec<Change>,
    pub(crate) touched: Vec<TopicPartition>,
    pub(crate) counts: Counts,
    /// Of records that are traced; they end with the transaction.
    pub(crate) traced: Vec<Handling>,
}

/// An incident that has changed.
pub(crate) struct Change {
    pub(crate) incident: Incident,
    /// Header by which the trace of the exchange that changed it goes on, if that is traced.
    trace: Option<(&'static str, Bytes)>,
}

impl Work {
    /// Notes that incidents have changed, by an exchange with this trace.
    fn change(&mut self, incidents: Vec<Incident>, trace: Option<&(&'static str, Bytes)>) {
        self.incidents.extend(incidents.into_iter().map(|incident| Change { incident, trace: trace.cloned() }));
    }

    /// Notes that a partition's state changed by this turn.
    pub(crate) fn touch(&mut self, at: &TopicPartition) {
        if !self.touched.contains(at) {
            self.touched.push(at.clone());
        }
    }
}

/// A partition that is ours and whose state is whole.
pub(crate) struct Lane {
    pub(crate) at: TopicPartition,
    pub(crate) next: Offset,
    partition: Partition,
    writer: StateWriter,
    model: Option<ModelRef>,
    stages: Option<Stages>,
    /// Next note to be taken.
    notes: Offset,
    /// Effects taken since the mark.
    effects: Vec<EffectKey>,
    /// Keys of the state that go with the next checkpoint.
    buried: Vec<Bytes>,
    /// When the last checkpoint was, by the settings' clock; `None`: there is none yet.
    checkpointed_ms: Option<i64>,
    is_changed: bool,
    active_ms: i64,
    /// What it took to bring it here.
    pub(crate) restored: Option<Restored>,
}

impl Lane {
    /// Empty, at the beginning of a partition.
    pub(crate) fn new(settings: &Settings, at: TopicPartition) -> Self {
        let writer = StateWriter { topic: Arc::clone(&settings.topics.state), partition: at.partition };
        let partition = Partition::new(at.clone(), settings.limits).with_client_ip(settings.client_ip);
        Self {
            at,
            next: Offset(0),
            partition,
            writer,
            model: None,
            stages: None,
            notes: Offset(0),
            effects: Vec::new(),
            buried: Vec::new(),
            checkpointed_ms: None,
            is_changed: false,
            active_ms: (settings.clock)(),
            restored: None,
        }
    }

    /// Stands where a mark stood; the entries come by [`Self::entries`].
    pub(crate) fn stand_at(&mut self, mark: Mark, settings: &Settings) {
        self.next = mark.next;
        self.model = mark.model;
        self.stages = mark.stages;
        self.notes = mark.notes;
        self.checkpointed_ms = Some((settings.clock)());
    }

    /// Lets keys of the state go with the next checkpoint.
    pub(crate) fn bury(&mut self, keys: Vec<Bytes>) {
        self.buried = keys;
    }

    /// The version that the state refers to.
    pub(crate) fn model(&self) -> Option<&ModelRef> {
        self.model.as_ref()
    }

    /// The engine's state, to be restored.
    pub(crate) fn partition(&mut self) -> &mut Partition {
        &mut self.partition
    }

    /// Takes a record in again, without an outcome: its outcome was committed before.
    pub(crate) fn fold(&mut self, record: &Record, heads: &mut dyn Heads) -> Result<(), HeadError> {
        if let Ok(exchange) = read(record) {
            self.partition.judge_all(&[Incoming { position: position(record), exchange: &exchange }], heads)?;
        }
        self.next = record.offset.next();
        self.is_changed = true;
        Ok(())
    }

    /// Takes an effect again that was taken before.
    pub(crate) fn retake(&mut self, key: EffectKey, taken: &Taken, published: &Published) {
        self.remember(taken);
        if let Some(effect) = effect_of(taken, published) {
            self.partition.apply(effect);
        }
        self.effects.push(key);
        self.is_changed = true;
    }

    /// Takes what has been published since as effects before the next record.
    pub(crate) fn catch_up(&mut self, published: &Published, work: &mut Work) -> Result<(), WorkerError> {
        if let Some(active) = published.models.active()
            && self.model.as_ref().is_none_or(|m| m.counter < active.version.counter && m.id != active.version.id)
        {
            self.take(&Taken::Model(active.version.clone()), Effect::Model(Arc::clone(&active.model)), work)?;
        }
        if let Some(stages) = published.stages()
            && self.stages.as_ref() != Some(&*stages)
        {
            let stages = Stages::clone(&stages);
            let effect = Effect::Stages { hosts: stages.hosts.clone(), stages: stages.stages.clone() };
            self.take(&Taken::Stages(stages), effect, work)?;
        }
        for (offset, note) in published.notes.since(self.at.partition, self.notes) {
            self.take(&Taken::Note(offset, note.clone()), Effect::Note(note), work)?;
        }
        Ok(())
    }

    fn take(&mut self, taken: &Taken, effect: Effect, work: &mut Work) -> Result<(), WorkerError> {
        let number = self.effects.last().map_or(0, |last| last.number + 1);
        let key = EffectKey { offset: self.next, number };
        work.outputs.push(self.writer.effect(key, taken)?);
        self.remember(taken);
        work.change(self.partition.apply(effect), None);
        self.effects.push(key);
        self.is_changed = true;
        work.touch(&self.at);
        Ok(())
    }

    fn remember(&mut self, taken: &Taken) {
        match taken {
            Taken::Model(version) => self.model = Some(version.clone()),
            Taken::Stages(stages) => self.stages = Some(stages.clone()),
            Taken::Note(offset, _) => self.notes = offset.next(),
            Taken::Tick(_) => {}
        }
    }

    /// Brings the next records to their end, in pieces that fit in memory.
    pub(crate) fn judge_all(
        &mut self,
        records: &[&Record],
        heads: &mut dyn Heads,
        settings: &Settings,
        work: &mut Work,
    ) -> Result<(), WorkerError> {
        let mut rest = records;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece(rest));
            self.judge(piece, heads, settings, work)?;
            rest = after;
        }
        Ok(())
    }

    /// Brings each record to its end: a verdict and perhaps alerts, or a dead letter.
    fn judge(&mut self, records: &[&Record], heads: &mut dyn Heads, settings: &Settings, work: &mut Work) -> Result<(), WorkerError> {
        let traced: Vec<_> = records.iter().map(|record| handling(record)).collect();
        let exchanges: Vec<Result<Exchange<'_>, Unreadable>> = records.iter().map(|record| read(record)).collect();
        let incoming: Vec<Incoming<'_>> = records
            .iter()
            .zip(&exchanges)
            .filter_map(|(record, exchange)| Some(Incoming { position: position(record), exchange: exchange.as_ref().ok()? }))
            .collect();
        let mut judged = self.partition.judge_all(&incoming, heads)?.into_iter();
        for ((record, exchange), mut traced) in records.iter().zip(&exchanges).zip(traced) {
            match exchange {
                Ok(_) => {
                    if let Some(judged) = judged.next() {
                        work.counts.add(&judged.verdict, record.timestamp_ms);
                        self.tell(judged, traced.as_mut(), settings, work)?;
                    }
                }
                Err(why) => {
                    *work.counts.dead_letters.entry(why.reason()).or_default() += 1;
                    if let Some(span) = &mut traced {
                        span.failed(why.reason());
                    }
                    work.outputs.push(dead_letter::letter(&settings.topics.deadletter, record, why, settings.keep_dead_letters));
                }
            }
            work.traced.extend(traced);
            self.next = record.offset.next();
        }
        self.is_changed = true;
        self.active_ms = (settings.clock)();
        work.touch(&self.at);
        Ok(())
    }

    fn tell(&self, judged: Judged, traced: Option<&mut Handling>, settings: &Settings, work: &mut Work) -> Result<(), WorkerError> {
        let mut verdict = verdict_record(&judged.verdict, self.at.partition, settings)?;
        let trace = traced.as_ref().map(|span| span.header());
        if let Some(span) = traced {
            span.say("weir.verdict.id", judged.verdict.id.clone());
            span.say("weir.label", judged.verdict.label.name());
        }
        verdict.headers.extend(trace.clone());
        work.outputs.push(verdict);
        work.change(judged.incidents, trace.as_ref());
        facts(&judged.facts, settings, work)
    }

    /// Moves the clock of an idle partition on, so that its open incidents can end.
    pub(crate) fn tick(&mut self, settings: &Settings, work: &mut Work) -> Result<(), WorkerError> {
        let now = (settings.clock)();
        let idle = now.saturating_sub(self.active_ms);
        let view = self.partition.view();
        let (true, true, Some(clock)) = (idle >= IDLE, view.incidents > 0, view.clock_ms) else { return Ok(()) };
        self.active_ms = now;
        let to = clock.saturating_add(idle);
        self.take(&Taken::Tick(to), Effect::Tick(to), work)
    }

    /// Whether a checkpoint is due by time.
    pub(crate) fn is_due(&self, settings: &Settings) -> bool {
        let every = i64::try_from(settings.checkpoint.as_millis()).unwrap_or(i64::MAX);
        self.is_changed && self.checkpointed_ms.is_none_or(|last| last.saturating_add(every) <= (settings.clock)())
    }

    /// Writes what changed since the last checkpoint, and the mark, if anything did.
    pub(crate) fn checkpoint(&mut self, settings: &Settings, work: &mut Work) -> Result<(), WorkerError> {
        if !self.is_changed {
            return Ok(());
        }
        // First, for what is written anew may have the same key.
        work.outputs.extend(self.buried.drain(..).map(|key| self.writer.tombstone(key)));
        work.outputs.extend(self.partition.checkpoint().into_iter().map(|entry| self.writer.entry(entry)));
        let mark = Mark { next: self.next, model: self.model.clone(), stages: self.stages.clone(), notes: self.notes };
        work.outputs.push(self.writer.mark(&mark)?);
        work.outputs.extend(self.effects.drain(..).map(|key| self.writer.forget(key)));
        self.checkpointed_ms = Some((settings.clock)());
        self.is_changed = false;
        work.touch(&self.at);
        Ok(())
    }

    /// For status; `end`: the next offset to be written.
    pub(crate) fn status(&self, end: Offset) -> PartitionStatus {
        let view = self.partition.view();
        PartitionStatus {
            position: self.next.0,
            lag: end.0.saturating_sub(self.next.0),
            sessions: view.sessions,
            evicted: view.evicted,
            restoring: false,
            restored: self.restored,
        }
    }
}

/// The engine's effect of one that was written down. A model that cannot be had any more is said and left out.
pub(crate) fn effect_of(taken: &Taken, published: &Published) -> Option<Effect> {
    match taken {
        Taken::Model(version) => match published.models.get(&version.id) {
            Ok(model) => Some(Effect::Model(model)),
            Err(error) => {
                tracing::error!(%error, "a state refers to a model that cannot be had: it is restored without it");
                None
            }
        },
        Taken::Stages(stages) => Some(Effect::Stages { hosts: stages.hosts.clone(), stages: stages.stages.clone() }),
        Taken::Tick(to) => Some(Effect::Tick(*to)),
        Taken::Note(_, note) => Some(Effect::Note(note.clone())),
    }
}

/// How many of the next records are judged together.
fn piece(records: &[&Record]) -> usize {
    let mut bytes = 0;
    let fits = |record: &&&Record| {
        bytes += record.value.as_ref().map_or(0, Bytes::len);
        bytes <= PIECE_BYTES
    };
    records.iter().take(PIECE).take_while(fits).count().max(1)
}

fn read(record: &Record) -> Result<Exchange<'_>, Unreadable> {
    format::check(record)?;
    Ok(Exchange::from_json(record.value.as_deref().ok_or(Unreadable::NoValue)?)?)
}

fn position(record: &Record) -> RecordPosition {
    RecordPosition { offset: record.offset, appended_ms: Some(record.timestamp_ms) }
}

fn verdict_record(verdict: &Verdict, partition: u32, settings: &Settings) -> Result<Output, WorkerError> {
    let mut headers = vec![("label", verdict.label.name().into()), ("score", verdict.score.to_string().into())];
    headers.extend(verdict.model.as_ref().map(|model| ("model", model.clone().into())));
    headers.push(format::header());
    Ok(Output {
        topic: Arc::clone(&settings.topics.verdicts),
        partition: Some(partition),
        key: verdict.session.clone().map(Into::into),
        value: Some(verdict.to_json()?.into()),
        headers,
    })
}

/// The alert of an incident.
pub(crate) fn alert_record(Change { incident, trace }: &Change, settings: &Settings) -> Result<Output, WorkerError> {
    let headers = std::iter::once(format::header()).chain(trace.clone()).collect();
    Ok(Output {
        topic: Arc::clone(&settings.topics.alerts),
        partition: None,
        key: Some(incident.uid.clone().into()),
        value: Some(serde_json::to_vec(&alert::finding(incident))?.into()),
        headers,
    })
}

fn facts(facts: &[Fact], settings: &Settings, work: &mut Work) -> Result<(), WorkerError> {
    for fact in facts {
        work.outputs.push(Output {
            topic: Arc::clone(&settings.topics.facts),
            partition: None,
            key: Some(fact.key().to_vec().into()),
            value: Some(fact.to_bytes()?.into()),
            headers: vec![format::header()],
        });
    }
    Ok(())
}
