//! All live state of one partition, and the step from one record to its verdict. Scorer, trainer and backtest drive this one type.

mod appraise;
mod beforehand;
mod breadth;
mod incidents;
mod judge;
mod session;
mod table;

pub use breadth::Breadth;
pub use session::{Live, Session, Shared, Source};
pub use table::Table;

use crate::content::Scratch;
use crate::facts::{Fact, Note};
use crate::features::{Extractor, Features};
use crate::model::Model;
use crate::neural::{HeadError, Heads, NoHeads};
use crate::record::{ApiName, Exchange, Family, Offset, Stage, TopicPartition, Verdict};
use incidents::Incidents;
use judge::Turn;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Caps of the tables of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Live sessions.
    pub sessions: usize,
    /// Network sources.
    pub sources: usize,
    /// Object ids with an owner, and issued ids.
    pub objects: usize,
    /// Values that never repeat.
    pub tokens: usize,
    /// Open incidents.
    pub incidents: usize,
    /// Endpoints with a crowd.
    pub endpoints: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: 50_000, sources: 20_000, objects: 200_000, tokens: 100_000, incidents: 5_000, endpoints: 5_000 }
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// Offset in its partition.
    pub offset: Offset,
    /// When the log took it, epoch milliseconds; `None` in backtests.
    pub appended_ms: Option<i64>,
}

impl RecordPosition {
    /// The time that a record moves the partition clock to: event time, but not beyond append time + 5 s.
    fn time_of(self, event: Option<i64>) -> Option<i64> {
        event.map(|event| self.appended_ms.map_or(event, |appended| event.min(appended + AHEAD)))
    }
}

/// A record to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'r> {
    /// Where it stands.
    pub position: RecordPosition,
    /// What it says.
    pub exchange: &'r Exchange<'r>,
}

/// Whatever is not a record of the partition and yet changes what it does. Each takes effect at one offset: before the record there.
#[derive(Debug, Clone)]
pub enum Effect {
    /// From here on this model judges.
    Model(Arc<Model>),
    /// Which hosts belong to which API and at which stage each API is, while no model says so.
    Stages {
        /// Host (lower case) to API.
        hosts: BTreeMap<String, ApiName>,
        /// Stage per API.
        stages: BTreeMap<ApiName, Stage>,
    },
    /// The partition was idle: its clock moves to this time (epoch milliseconds).
    Tick(i64),
    /// What other partitions know of an entity.
    Note(Note),
}

/// Birth, growth or end of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentLife {
    /// First anomalous verdict of a session and family.
    Created,
    /// More of them.
    Updated,
    /// None for ten minutes.
    Closed,
}

/// Verdicts of one session and family within ten minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable identity: a function of the first verdict's id and the family.
    pub uid: String,
    /// What happens to it now.
    pub life: IncidentLife,
    /// Family.
    pub family: Family,
    /// API.
    pub api: String,
    /// Session, if known.
    pub session: Option<String>,
    /// Subject, if known.
    pub subject: Option<String>,
    /// Client address as privacy settings allow.
    pub client: Option<String>,
    /// First and last verdict, epoch milliseconds of the partition clock.
    pub first_ms: i64,
    /// See `first_ms`.
    pub last_ms: i64,
    /// Anomalous verdicts so far.
    pub verdicts: u64,
    /// Ids of the first verdicts, at most 20.
    pub verdict_ids: Vec<String>,
    /// The verdict with the smallest p so far: score, endpoint, reasons.
    #[serde(with = "as_json")]
    pub worst: Verdict,
}

/// A verdict inside a checkpoint: as its JSON, since its record leaves out what is absent, which a format without names cannot read back.
mod as_json {
    use crate::record::Verdict;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(verdict).map_err(ser::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verdict, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What judging one record gives.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Incidents that were created, grew or ended at this record.
    pub incidents: Vec<Incident>,
    /// What it shows that other partitions may want to know.
    pub facts: Vec<Fact>,
}

/// One entry of a checkpoint: a record of `weir.state`. `None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEntry {
    /// Key, unique within the partition.
    pub key: Vec<u8>,
    /// Value.
    pub value: Option<Vec<u8>>,
}

/// Why a checkpoint entry cannot be taken back.
#[derive(Debug, thiserror::Error)]
#[error("state entry `{key}` cannot be read: {why}")]
pub struct StateError {
    /// The entry's key, escaped.
    pub key: String,
    /// What the decoder said.
    pub why: String,
}

/// A session that was quiet for this long is forgotten, milliseconds of the partition clock.
const SESSION_EXPIRES: i64 = 6 * 3_600_000;
/// A record this far behind the partition clock is judged without its time, milliseconds.
const LATE: i64 = 600_000;
/// An event time may be this far ahead of its append time, milliseconds.
const AHEAD: i64 = 5_000;
/// Version of what checkpoints hold: it rises with every change of a type that stands in a table.
pub const STATE_FORMAT: u32 = 3;
/// Key of the checkpoint entry that holds everything that is no table.
const META: &[u8] = b"m";

/// What is no table: the clock, and what effects have set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Meta {
    clock: i64,
    hosts: BTreeMap<String, ApiName>,
    stages: BTreeMap<ApiName, Stage>,
    /// When the latest exchange came of an API that had no model.
    unjudged: BTreeMap<ApiName, i64>,
}

/// How a client's address stands in verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientIp {
    /// As it is.
    #[default]
    Full,
    /// Its network: /24 or /48.
    Prefix,
    /// A hash of it.
    Hash,
}

/// The live state of one partition.
#[derive(Debug)]
pub struct Partition {
    at: TopicPartition,
    client_ip: ClientIp,
    model: Option<Arc<Model>>,
    meta: Meta,
    meta_changed: bool,
    sessions: Table<u64, Session>,
    shared: Shared,
    incidents: Incidents,
    extractor: Extractor,
    scratch: Scratch,
    /// A network failed within the batch that is being judged.
    failure: Option<HeadError>,
}

impl Partition {
    /// Empty state.
    #[must_use]
    pub fn new(at: TopicPartition, limits: Limits) -> Self {
        Self {
            at,
            client_ip: ClientIp::Full,
            model: None,
            meta: Meta::default(),
            meta_changed: false,
            sessions: Table::new(b's', limits.sessions),
            shared: Shared::new(limits),
            incidents: Incidents::new(limits.incidents),
            extractor: Extractor::default(),
            scratch: Scratch::default(),
            failure: None,
        }
    }

    /// The same, with client addresses in verdicts as privacy asks for.
    #[must_use]
    pub fn with_client_ip(mut self, client_ip: ClientIp) -> Self {
        self.client_ip = client_ip;
        self
    }

    /// Applies an effect before the next record.
    /// Returns incidents that end by it (a tick moves the clock).
    pub fn apply(&mut self, effect: Effect) -> Vec<Incident> {
        let mut ended = Vec::new();
        match effect {
            Effect::Model(model) => self.model = Some(model),
            Effect::Stages { hosts, stages } => {
                self.meta.hosts = hosts;
                self.meta.stages = stages;
                self.meta_changed = true;
            }
            Effect::Tick(to) => {
                self.advance(to);
                self.incidents.close(self.meta.clock, &mut ended);
            }
            Effect::Note(note) => note.apply(&mut self.shared, &mut self.sessions),
        }
        ended
    }

    /// Judges the next record and learns its traces, without networks: [`Self::judge_all`] has them.
    pub fn judge(&mut self, position: RecordPosition, exchange: &Exchange<'_>) -> Judged {
        let features = self.extractor.extract(exchange);
        self.judge_digested(Incoming { position, exchange }, &features, Turn { beforehand: None, appraised: &[], heads: &mut NoHeads })
    }

    /// Judges the next records in their order. How records are cut into batches changes no verdict.
    ///
    /// # Errors
    /// A network of the model cannot be run: what was judged and changed is void, as after an aborted transaction.
    pub fn judge_all(&mut self, records: &[Incoming<'_>], heads: &mut dyn Heads) -> Result<Vec<Judged>, HeadError> {
        let features: Vec<Features> = records.iter().map(|r| self.extractor.extract(r.exchange)).collect();
        self.judge_batch(records, &features, heads)
    }

    /// Takes in exchanges from before those that are to be judged, in time order: their sessions go on. Returns what they show that other
    /// partitions may want to know.
    ///
    /// # Errors
    /// See [`Self::judge_all`].
    pub fn recall(&mut self, features: &[Features], heads: &mut dyn Heads) -> Result<Vec<Fact>, HeadError> {
        Ok(self.judge_again(features, heads)?.into_iter().flat_map(|judged| judged.facts).collect())
    }

    /// Judges exchanges that only their features are left of: what is known of them is the same, their verdicts name no one.
    pub(crate) fn judge_again(&mut self, features: &[Features], heads: &mut dyn Heads) -> Result<Vec<Judged>, HeadError> {
        let (nothing, position) = (Exchange::default(), RecordPosition { offset: Offset(0), appended_ms: None });
        self.judge_batch(&vec![Incoming { position, exchange: &nothing }; features.len()], features, heads)
    }

    fn judge_batch(&mut self, records: &[Incoming<'_>], features: &[Features], heads: &mut dyn Heads) -> Result<Vec<Judged>, HeadError> {
        let beforehand = self.ask_beforehand(records, features, heads);
        let appraised = self.appraise(features, heads);
        let mut judged = Vec::with_capacity(records.len());
        for (n, ((record, features), beforehand)) in records.iter().zip(features).zip(beforehand).enumerate() {
            judged.push(self.judge_digested(*record, features, Turn { beforehand, appraised: appraised.of(n), heads }));
        }
        self.failure.take().map_or(Ok(judged), Err)
    }

    fn judge_digested(&mut self, record: Incoming<'_>, features: &Features, turn: Turn<'_>) -> Judged {
        let is_timely = self.tell_time(record.position.time_of(features.time));
        let mut incidents = Vec::new();
        self.incidents.close(self.meta.clock, &mut incidents);
        let verdict = self.judge_features(record, features, is_timely, turn);
        if verdict.label == crate::record::Label::Anomalous {
            self.incidents.add(&verdict, self.meta.clock, &mut incidents);
        }
        for _ in 0..2 {
            if self.sessions.expire(self.meta.clock - SESSION_EXPIRES).is_none() {
                break;
            }
        }
        let mut facts = self.shared.take_facts();
        facts.iter_mut().for_each(|fact| fact.partition = self.at.partition);
        Judged { verdict, incidents, facts }
    }

    /// Takes a record in without an outcome: the same change of state as [`Self::judge`].
    pub fn fold(&mut self, position: RecordPosition, exchange: &Exchange<'_>) {
        let _ = self.judge(position, exchange);
    }

    /// Moves the partition clock by a record. Returns whether the record's time means something.
    fn tell_time(&mut self, at: Option<i64>) -> bool {
        let Some(at) = at else { return false };
        self.advance(at);
        at >= self.meta.clock - LATE
    }

    fn advance(&mut self, to: i64) {
        if to > self.meta.clock {
            self.meta.clock = to;
            self.meta_changed = true;
        }
    }

    /// Entries that changed since the last checkpoint. Together with all earlier ones they are the whole state.
    pub fn checkpoint(&mut self) -> Vec<StateEntry> {
        let mut out = Vec::new();
        if std::mem::take(&mut self.meta_changed) {
            out.push(StateEntry { key: META.to_vec(), value: postcard::to_stdvec(&self.meta).ok() });
        }
        self.sessions.checkpoint(&mut out);
        self.shared.checkpoint(&mut out);
        self.incidents.checkpoint(&mut out);
        out
    }

    /// Takes an entry back; all entries, in any order, before the first record.
    ///
    /// # Errors
    /// The entry is damaged or of an unknown format.
    pub fn restore(&mut self, entry: &StateEntry) -> Result<(), StateError> {
        let unreadable = |why: String| StateError { key: entry.key.escape_ascii().to_string(), why };
        if entry.key == META {
            if let Some(bytes) = &entry.value {
                self.meta = postcard::from_bytes(bytes).map_err(|e| unreadable(e.to_string()))?;
            }
            return Ok(());
        }
        if self.sessions.restore(entry)? || self.shared.restore(entry)? || self.incidents.restore(entry)? {
            return Ok(());
        }
        Err(unreadable("it belongs to no table".to_owned()))
    }

    /// Counts for status: live sessions, evictions, clock.
    #[must_use]
    pub fn view(&self) -> PartitionView {
        PartitionView {
            sessions: self.sessions.len() as u64,
            evicted: self.sessions.evicted(),
            incidents: self.incidents.len() as u64,
            clock_ms: (self.meta.clock != 0).then_some(self.meta.clock),
        }
    }
}

/// Counts for status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionView {
    /// Live sessions.
    pub sessions: u64,
    /// Sessions evicted because of the cap.
    pub evicted: u64,
    /// Open incidents.
    pub incidents: u64,
    /// Partition clock, epoch milliseconds.
    pub clock_ms: Option<i64>,
}
