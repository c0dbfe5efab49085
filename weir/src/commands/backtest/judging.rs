//! The judging side of commands that need no service: files in, a verdict for each exchange.

use super::input;
use super::learning::bytes_bar;
use engine::neural::Heads;
use engine::{
    Effect, Exchange, Fact, FactStage, Features, Incoming, Model, Note, Offset, Partition, RecordPosition, SessionKey, To, TopicPartition,
    Verdict,
};
use ingest::decode::Tally as Reading;
use runtime::config::Config;
use runtime::inference;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Records judged together: networks answer faster in company.
const BATCH: usize = 64;
/// What one partition shows, others know this much later, milliseconds: two transactions and what waits for them.
const HEARD_AFTER: i64 = 500;

/// How files are judged.
pub(crate) struct Judging<'a> {
    pub(crate) files: &'a [PathBuf],
    pub(crate) config: &'a Config,
    pub(crate) model: &'a Arc<Model>,
    /// Exchanges in time order whose sessions go on in the files, unless these begin earlier.
    pub(crate) before: &'a [Features],
    /// Partitions that sessions are spread over, at least 1.
    pub(crate) partitions: u32,
}

impl Judging<'_> {
    /// Judges every exchange of the files in time order and hands it on with its verdict.
    pub(crate) fn run(&self, mut take: impl FnMut(&Exchange<'_>, Verdict) -> anyhow::Result<()>) -> anyhow::Result<Reading> {
        let bar = bytes_bar("judging", self.files)?;
        let mut bench = Bench::new(self);
        let batch = bench.batch();
        let mut before = Some(self.before);
        let mut judge = |exchanges: &mut Vec<Exchange<'static>>| {
            let goes_on = |before: &&[Features]| before.last().is_some_and(|last| exchanges.first().is_some_and(|e| e.time >= last.time));
            for features in before.take().filter(goes_on).unwrap_or_default().chunks(batch) {
                bench.recall(features)?;
            }
            let verdicts = bench.judge(exchanges)?;
            exchanges.drain(..).zip(verdicts).try_for_each(|(exchange, verdict)| take(&exchange, verdict))
        };
        let mut waiting = Vec::with_capacity(batch);
        let reading = input::read(self.files, self.config, &bar, |exchange| {
            waiting.push(exchange);
            if waiting.len() < batch { Ok(()) } else { judge(&mut waiting) }
        })?;
        judge(&mut waiting)?;
        bar.finish_and_clear();
        Ok(reading)
    }
}

/// The partitions, and between several of them what a service has there: a fact stage, and notes that take their time.
struct Bench {
    partitions: Vec<(Partition, Offset)>,
    stage: FactStage,
    /// With when they are heard, epoch milliseconds.
    notes: VecDeque<(i64, To, Note)>,
    heads: Box<dyn Heads>,
}

impl Bench {
    fn new(judging: &Judging<'_>) -> Self {
        let Judging { config, model, partitions, .. } = judging;
        let partition = |number| {
            let at = TopicPartition::new(format!("{}traffic", config.topics.prefix), number);
            let mut partition = Partition::new(at, config.state.limits).with_client_ip(config.privacy.client_ip);
            partition.apply(Effect::Model(Arc::clone(model)));
            (partition, Offset(0))
        };
        Self {
            partitions: (0..*partitions).map(partition).collect(),
            stage: FactStage::new(config.state.limits),
            notes: VecDeque::new(),
            heads: inference::heads(&config.network),
        }
    }

    /// Records that are judged together: between several partitions one, for the next may be judged by what it shows.
    fn batch(&self) -> usize {
        if self.partitions.len() > 1 { 1 } else { BATCH }
    }

    /// The partition of a session.
    fn of(&self, session: Option<SessionKey>) -> usize {
        session.map_or(0, |session| (session.0 % self.partitions.len() as u128) as usize)
    }

    fn recall(&mut self, features: &[Features]) -> anyhow::Result<()> {
        let (Some(first), at) = (features.first(), self.of(features.first().and_then(|f| f.session))) else { return Ok(()) };
        self.hear(first.time);
        let facts = self.partitions[at].0.recall(features, &mut *self.heads)?;
        self.gather(&facts);
        Ok(())
    }

    fn judge(&mut self, exchanges: &[Exchange<'_>]) -> anyhow::Result<Vec<Verdict>> {
        let Some(first) = exchanges.first() else { return Ok(Vec::new()) };
        self.hear(first.time);
        let at = self.of(first.session.as_deref().map(SessionKey::of));
        let (partition, next) = &mut self.partitions[at];
        let place = |(n, exchange)| {
            let position = RecordPosition { offset: Offset(next.0 + n as u64), appended_ms: None };
            Incoming { position, exchange }
        };
        let records: Vec<Incoming<'_>> = exchanges.iter().enumerate().map(place).collect();
        let judged = partition.judge_all(&records, &mut *self.heads)?;
        *next = Offset(next.0 + exchanges.len() as u64);
        judged.iter().for_each(|judged| self.gather(&judged.facts));
        Ok(judged.into_iter().map(|judged| judged.verdict).collect())
    }

    fn gather(&mut self, facts: &[Fact]) {
        if self.partitions.len() > 1 {
            for fact in facts {
                self.notes.extend(self.stage.add(fact).into_iter().map(|(to, note)| (fact.at + HEARD_AFTER, to, note)));
            }
        }
    }

    /// Lets partitions hear what was told by a time.
    fn hear(&mut self, now: Option<i64>) {
        let heard = self.notes.iter().take_while(|(at, ..)| now.is_none_or(|now| *at <= now)).count();
        for (_, to, note) in self.notes.drain(..heard) {
            let meant = match to {
                To::One(partition) => partition as usize..partition as usize + 1,
                To::All => 0..self.partitions.len(),
            };
            for (partition, _) in self.partitions.get_mut(meant).unwrap_or_default() {
                partition.apply(Effect::Note(note.clone()));
            }
        }
    }
}
