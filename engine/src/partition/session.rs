//! What live state is made of: sessions, and the tables that sessions share.

use super::breadth::Breadth;
use super::table::Table;
use super::{Limits, StateEntry, StateError};
use crate::access::{Footprint, Owner};
use crate::facts::{Entity, Fact, Saw};
use crate::fuse::Wealth;
use crate::links::{Issue, Linked};
use crate::neural::values::Appraisal;
use crate::neural::{Answer, Ask, Carried};
use crate::newcomer::Newcomer;
use crate::probe::Tried;
use crate::replay::{Beginnings, Sighting};
use crate::response::{Recent, Taken};
use crate::sequence::Trace;
use crate::source::Refused;
use crate::suspicion::Peers;
use crate::volume::{Counters, Crowd};
use serde::{Deserialize, Serialize};

/// Facts of one exchange, at most: so many about objects, so many with those about what is new, and all. Log-ins and credentials find room,
/// whatever a sender invents beside them.
const MOST_OBJECTS: usize = 8;
const MOST_NEWS: usize = 16;
const MOST_FACTS: usize = 24;

/// One live session of one API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Requests so far.
    pub requests: u32,
    /// Evidence against it.
    pub wealth: Wealth,
    /// What it did last.
    pub sequence: Trace,
    /// How often it called what.
    pub volume: Counters,
    /// Who its caller is.
    pub linked: Linked,
    /// Where it began.
    pub beginnings: Beginnings,
    /// What it was shown and asked for.
    pub footprint: Footprint,
    /// What it got in all.
    pub taken: Taken,
    /// What it tried out in vain.
    pub tried: Tried,
    /// Log-ins refused to it, where its source is not known.
    pub refused: Refused,
    /// How many different things were wrong with it.
    pub breadth: Breadth,
    /// What its network remembers of it.
    pub carried: Carried,
    /// How often other partitions were told what it brought.
    pub told: u8,
}

/// One network source, over all its sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// What it tried out in vain.
    pub tried: Tried,
    /// Log-ins refused to it.
    pub refused: Refused,
    /// How many different things were wrong with it.
    pub breadth: Breadth,
}

impl Source {
    fn is_nothing(&self) -> bool {
        self.tried.is_nothing() && self.refused.is_nothing() && self.breadth.is_nothing()
    }
}

/// Tables that all sessions of a partition share.
#[derive(Debug)]
pub struct Shared {
    /// Who calls an endpoint now.
    pub crowds: Table<u64, Crowd>,
    /// Credentials issued in the last day.
    pub credentials: Table<u64, Issue>,
    /// Values that never repeat.
    pub tokens: Table<u64, Sighting>,
    /// Objects and whose they are.
    pub objects: Table<u64, Owner>,
    /// What requests bring that training never saw.
    pub newcomers: Table<u64, Newcomer>,
    /// What endpoints give now.
    pub answers: Table<u64, Recent>,
    /// Network sources that something speaks against.
    pub sources: Table<u64, Source>,
    /// Accounts that log-ins were refused on.
    pub accounts: Table<u64, Refused>,
    /// How callers fare this minute, by place.
    pub peers: Table<u64, Peers>,
    /// What the exchange at hand shows that others may want to know.
    facts: Vec<Fact>,
}

impl Shared {
    /// Empty tables.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            crowds: Table::new(b'c', limits.endpoints),
            credentials: Table::new(b'l', limits.tokens),
            tokens: Table::new(b'n', limits.tokens),
            objects: Table::new(b'o', limits.objects),
            newcomers: Table::new(b'f', limits.endpoints),
            answers: Table::new(b'r', limits.endpoints),
            sources: Table::new(b'w', limits.sources),
            accounts: Table::new(b'k', limits.sources),
            peers: Table::new(b'e', limits.endpoints),
            facts: Vec::new(),
        }
    }

    /// Reports what was seen of an entity.
    pub(crate) fn report(&mut self, entity: Entity, at: i64, saw: Saw) {
        if self.facts.len() < MOST_FACTS {
            self.facts.push(Fact { entity, partition: 0, at, saw });
        }
    }

    /// Reports who reached an object, if there is room for it.
    pub(crate) fn report_object(&mut self, entity: Entity, at: i64, saw: impl FnOnce() -> Saw) {
        if self.facts.len() < MOST_OBJECTS {
            self.report(entity, at, saw());
        }
    }

    /// Reports what is new to training; whether there was room for it.
    pub(crate) fn report_news(&mut self, entity: Entity, at: i64, saw: Saw) -> bool {
        let has_room = self.facts.len() < MOST_NEWS;
        if has_room {
            self.report(entity, at, saw);
        }
        has_room
    }

    /// What was reported since the last call.
    pub(crate) fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    pub(super) fn checkpoint(&mut self, out: &mut Vec<StateEntry>) {
        self.crowds.checkpoint(out);
        self.credentials.checkpoint(out);
        self.tokens.checkpoint(out);
        self.sources.checkpoint(out);
        self.accounts.checkpoint(out);
        self.peers.checkpoint(out);
        self.newcomers.checkpoint(out);
        self.objects.checkpoint(out);
        self.answers.checkpoint(out);
    }

    pub(super) fn restore(&mut self, entry: &StateEntry) -> Result<bool, StateError> {
        Ok(self.crowds.restore(entry)?
            || self.credentials.restore(entry)?
            || self.tokens.restore(entry)?
            || self.sources.restore(entry)?
            || self.accounts.restore(entry)?
            || self.peers.restore(entry)?
            || self.newcomers.restore(entry)?
            || self.objects.restore(entry)?
            || self.answers.restore(entry)?)
    }

    /// Takes a source's state out, to be put back by [`Self::put_source`].
    pub(crate) fn take_source(&mut self, key: Option<u64>) -> Source {
        key.and_then(|key| self.sources.take(&key)).unwrap_or_default()
    }

    /// Puts a source's state back, if there is anything in it: most sources never need any.
    pub(crate) fn put_source(&mut self, key: Option<u64>, now: i64, source: Source) {
        if let Some(key) = key.filter(|_| !source.is_nothing()) {
            self.sources.put(key, now, source);
        }
    }
}

/// What a room may look at and change: the session of the exchange, and what sessions share.
#[derive(Debug)]
pub struct Live<'l> {
    /// Key of the session.
    pub key: u64,
    /// Whether the exchange belongs to a session at all.
    pub has_session: bool,
    /// The session.
    pub session: &'l mut Session,
    /// Key of the network source, where it is known.
    pub source_key: Option<u64>,
    /// The network source.
    pub source: &'l mut Source,
    /// What sessions share.
    pub shared: &'l mut Shared,
    /// What the network was asked of this step, and what it answered.
    pub foreseen: Option<(Ask, Answer)>,
    /// What the network said of its values.
    pub appraised: &'l [Appraisal],
}

impl Live<'_> {
    /// Who calls: the source, else the session; 0 when neither is known.
    #[must_use]
    pub fn caller(&self) -> u64 {
        self.source_key.unwrap_or(self.key)
    }

    /// Refused log-ins of the caller.
    #[must_use]
    pub fn refused(&self) -> &Refused {
        if self.source_key.is_some() { &self.source.refused } else { &self.session.refused }
    }

    /// The same, to be changed.
    pub fn refused_mut(&mut self) -> &mut Refused {
        if self.source_key.is_some() { &mut self.source.refused } else { &mut self.session.refused }
    }

    /// Notes how the caller fared at a place this minute.
    pub fn note_peer(&mut self, place: u64, is_bad: bool, now: i64) {
        let caller = self.caller();
        if !self.shared.peers.read(&place, |peers| peers.knows(caller, is_bad, now)).unwrap_or(false) {
            self.shared.peers.update(place, now, |peers| peers.note(caller, is_bad, now));
        }
    }
}
