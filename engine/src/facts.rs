//! What no partition sees alone: an account that is tried from sessions of several partitions, an address whose sessions are spread over
//! them, a credential that one partition issues and another is shown, a field that the next version of a client brings, an object whose owner
//! is at home elsewhere.
//!
//! Partitions report small facts about such entities. A [`FactStage`] gathers them, and where an entity concerns partitions that cannot know
//! it, it writes them a [`Note`], which takes effect there at an offset, like a model. Facts come from exchanges alone, never from notes, so
//! there is no loop; a note says how things stand in all, so that taking it twice, or late, does no harm.

use crate::access::{Owner, Reach, Sight, Visit};
use crate::links::Issue;
use crate::newcomer::Newcomer;
use crate::partition::{Limits, Session, Shared, Table};
use crate::source::{Refused, SPARE, Trial, Whose};
use serde::{Deserialize, Serialize};

/// Partitions that one entity is told to, at most.
const MOST_PARTITIONS: usize = 256;
/// A note about log-ins is written anew when they weigh this much more, nats.
const GAIN: f32 = 1.0;

/// Whom a fact is about, by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Entity {
    /// An account that somebody logs in to.
    Account(u64),
    /// A network source.
    Source(u64),
    /// A string that was issued in an answer.
    Credential(u64),
    /// An endpoint, a field or a name that training never saw.
    Newcomer(u64),
    /// What a private parameter names.
    Object(u64),
}

/// What one partition saw of an entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Of whom.
    pub entity: Entity,
    /// Which partition.
    pub partition: u32,
    /// When, epoch milliseconds of its clock.
    pub at: i64,
    /// What.
    pub(crate) saw: Saw,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Saw {
    /// A log-in: on an account by a source, by a source on an account.
    LogIn { trial: Trial, other: u64 },
    /// The credential was issued.
    Issued(Issue),
    /// The credential was presented by a session, and it is not known here how it was issued.
    Presented,
    /// Somebody brought it.
    Brought(Newcomer),
    /// Somebody reached it, which was not known here.
    Reached(Sight),
}

/// Which partitions a note is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// All that there are.
    All,
    /// One.
    One(u32),
}

/// How things stand with an entity, for a partition that cannot know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    entity: Entity,
    at: i64,
    known: Known,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Known {
    LogIns(Refused),
    Issue(Issue),
    Brought(Newcomer),
    /// Whose the object is; and of whoever asked for it, if it is not theirs, by what request.
    Owner(Owner, Option<Visit>),
}

/// A fact or a note that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be read: {why}")]
pub struct BadFact {
    what: &'static str,
    why: postcard::Error,
}

impl Fact {
    /// Facts of one entity have the same key.
    #[must_use]
    pub fn key(&self) -> [u8; 9] {
        let (kind, hash) = match self.entity {
            Entity::Account(hash) => (b'a', hash),
            Entity::Source(hash) => (b's', hash),
            Entity::Credential(hash) => (b'c', hash),
            Entity::Newcomer(hash) => (b'n', hash),
            Entity::Object(hash) => (b'o', hash),
        };
        let mut key = [kind; 9];
        key[1..].copy_from_slice(&hash.to_be_bytes());
        key
    }

    /// As bytes.
    ///
    /// # Errors
    /// None that is known: memory is all it takes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(self)
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are no fact of this format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadFact> {
        postcard::from_bytes(bytes).map_err(|why| BadFact { what: "a fact", why })
    }
}

impl Note {
    /// As bytes.
    ///
    /// # Errors
    /// None that is known: memory is all it takes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(self)
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are no note of this format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadFact> {
        postcard::from_bytes(bytes).map_err(|why| BadFact { what: "a note", why })
    }

    /// Takes effect in a partition's tables. What is known there already, and more of it, stays; whose an object is, all partitions know better.
    pub(crate) fn apply(self, shared: &mut Shared, sessions: &mut Table<u64, Session>) {
        match (self.entity, self.known) {
            (Entity::Account(key), Known::LogIns(refused)) => {
                shared.accounts.update(key, self.at, |here| here.learn(refused, self.at));
            }
            (Entity::Source(key), Known::LogIns(refused)) => {
                shared.sources.update(key, self.at, |here| here.refused.learn(refused, self.at));
            }
            (Entity::Credential(key), Known::Issue(issue)) => {
                shared.credentials.update(key, issue.at, |here| here.learn(issue));
            }
            (Entity::Newcomer(key), Known::Brought(newcomer)) => {
                shared.newcomers.update(key, self.at, |here| here.learn(newcomer));
            }
            (Entity::Object(key), Known::Owner(owner, visit)) => {
                shared.objects.put(key, self.at, owner);
                if let Some(visit) = visit {
                    let session = visit.session;
                    sessions.change(&session, |session| session.footprint.learn_late(key, visit));
                }
            }
            (Entity::Account(_) | Entity::Source(_) | Entity::Credential(_) | Entity::Newcomer(_) | Entity::Object(_), _) => {}
        }
    }
}

/// Gathers facts of the entities that fall to it. Bounded: the entity that was quiet the longest goes first.
#[derive(Debug)]
pub struct FactStage {
    log_ins: Table<Entity, LogIns>,
    credentials: Table<Entity, Credential>,
    newcomers: Table<Entity, Newcomer>,
    objects: Table<Entity, Object>,
}

/// Log-ins on one account, or by one source.
#[derive(Debug, Default, Serialize, Deserialize)]
struct LogIns {
    refused: Refused,
    partitions: Vec<u32>,
    /// What they weighed when they were told last; 0: never yet, or that it is over.
    told: f32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Credential {
    issue: Option<Issue>,
    /// Partitions that know how it was issued.
    knowing: Vec<u32>,
    /// Partitions that were shown it before anybody said how it was issued.
    waiting: Vec<u32>,
}

/// Whose an object is, by all that partitions saw.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Object {
    owner: Owner,
    /// Partitions that take it for somebody's.
    knowing: Vec<u32>,
}

impl FactStage {
    /// Nothing gathered yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            log_ins: Table::new(b'l', limits.sources),
            credentials: Table::new(b'c', limits.tokens),
            newcomers: Table::new(b'n', limits.endpoints),
            objects: Table::new(b'o', limits.objects),
        }
    }

    /// Takes a fact in; returns what is to be told to which partitions.
    pub fn add(&mut self, fact: &Fact) -> Vec<(To, Note)> {
        match &fact.saw {
            Saw::LogIn { trial, other } => self.log_ins.update(fact.entity, fact.at, |log_ins| log_ins.add(fact, trial, *other)),
            Saw::Issued(issue) => self.credentials.update(fact.entity, fact.at, |credential| {
                credential.issue.get_or_insert_default().learn(issue.clone());
                know(&mut credential.knowing, fact.partition);
                credential.waiting.retain(|waiting| *waiting != fact.partition);
                credential.tell(fact)
            }),
            Saw::Presented => self.credentials.update(fact.entity, fact.at, |credential| {
                know(&mut credential.waiting, fact.partition);
                credential.tell(fact)
            }),
            // A partition that has not seen it yet is told, too: there it would be news.
            Saw::Brought(new) => self.newcomers.update(fact.entity, fact.at, |known| {
                let is_told = known.learn(new.clone()) && known.is_telling();
                let note = || (To::All, Note { entity: fact.entity, at: fact.at, known: Known::Brought(known.clone()) });
                is_told.then(note).into_iter().collect()
            }),
            Saw::Reached(sight) => self.objects.update(fact.entity, fact.at, |object| object.add(fact, sight)),
        }
    }
}

impl LogIns {
    fn add(&mut self, fact: &Fact, trial: &Trial, other: u64) -> Vec<(To, Note)> {
        let whose = Whose::of(fact.entity);
        self.refused.add(trial, other, fact.at, whose);
        let is_new = know(&mut self.partitions, fact.partition);
        let weight = self.refused.weight(fact.at, whose);
        let note = || Note { entity: fact.entity, at: fact.at, known: Known::LogIns(self.refused.clone()) };
        // That it is over is told, too: no partition alone sees all who get in.
        let is_over = self.told > SPARE && weight <= SPARE && self.refused.is_quiet(fact.at, whose);
        if is_over || (weight > SPARE && weight >= self.told + GAIN && self.partitions.len() > 1) {
            self.told = if is_over { 0.0 } else { weight };
            return self.partitions.iter().map(|partition| (To::One(*partition), note())).collect();
        }
        let is_told = is_new && weight > SPARE && self.partitions.len() > 1;
        if is_told { vec![(To::One(fact.partition), note())] } else { Vec::new() }
    }
}

impl Credential {
    /// Tells those who wait, if there is anything to tell.
    fn tell(&mut self, fact: &Fact) -> Vec<(To, Note)> {
        let Some(issue) = &self.issue else { return Vec::new() };
        let waiting = std::mem::take(&mut self.waiting);
        let note = || Note { entity: fact.entity, at: fact.at, known: Known::Issue(issue.clone()) };
        waiting.into_iter().filter(|partition| know(&mut self.knowing, *partition)).map(|partition| (To::One(partition), note())).collect()
    }
}

impl Object {
    fn add(&mut self, fact: &Fact, sight: &Sight) -> Vec<(To, Note)> {
        let was_public = self.owner.is_public();
        let is_others = sight.reach == Reach::First && self.owner.is_others(&sight.caller);
        self.owner.note(&sight.caller, sight.reach);
        know(&mut self.knowing, fact.partition);
        let note = |visit| Note { entity: fact.entity, at: fact.at, known: Known::Owner(self.owner.clone(), visit) };
        if self.owner.is_public() && !was_public {
            let visit = |partition: &u32| sight.visit.clone().filter(|_| is_others && *partition == fact.partition);
            return self.knowing.iter().map(|partition| (To::One(*partition), note(visit(partition)))).collect();
        }
        if is_others { vec![(To::One(fact.partition), note(sight.visit.clone()))] } else { Vec::new() }
    }
}

/// Puts a partition on a list; whether it was not there.
fn know(list: &mut Vec<u32>, partition: u32) -> bool {
    let is_new = !list.contains(&partition) && list.len() < MOST_PARTITIONS;
    if is_new {
        list.push(partition);
    }
    is_new
}
