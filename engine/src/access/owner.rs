//! Live state of `access` that sessions share: who a caller is, and whose an object is. Partitions tell one another by facts who reached what:
//! where the owner of an object is known elsewhere alone, a note says so, after the verdict; see [`crate::facts`].

use super::Habit;
use crate::detect::Seen;
use crate::facts::{Entity, Saw};
use crate::features::hash::mix;
use crate::links::short;
use crate::partition::{Live, Shared};
use crate::record::EndpointId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Names of an owner remembered.
const MAX_TAGS: usize = 8;
/// Other callers after whom an object is everybody's.
const PUBLIC: u8 = 2;

/// Who calls, by every name it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Caller {
    /// Names that log-ins gave it, and last its subject, else its session; 0 when neither is known.
    tags: SmallVec<[u32; 4]>,
    is_subject: bool,
}

impl Caller {
    pub(super) fn of(seen: &Seen<'_>, live: &Live<'_>) -> Self {
        let subject = seen.features.subject.map(|s| s.0 as u64);
        let id = subject.or(live.has_session.then_some(live.key)).map_or(0, |key| short(mix(key, 0x0b)) | 1);
        Self { tags: live.session.linked.names().chain([id]).collect(), is_subject: subject.is_some() }
    }

    /// Names that log-ins gave it.
    pub(super) fn names(&self) -> &[u32] {
        self.tags.split_last().map_or(&[], |(_, names)| names)
    }

    fn id(&self) -> u32 {
        self.tags.last().copied().unwrap_or(0)
    }

    pub(super) fn is_known(&self) -> bool {
        self.id() != 0
    }

    /// One number for the caller: its subject, else the first of its names, else its session.
    pub(super) fn tag(&self) -> u32 {
        if self.is_subject { self.id() } else { self.tags.first().copied().unwrap_or(0) }
    }
}

/// How a caller came to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reach {
    /// With a tie to it: whatever others did, it is the caller's.
    Tied,
    /// Without one, where nothing speaks against it: whoever comes first owns it.
    First,
    /// Against habit: that makes nobody an owner.
    Strange,
}

/// Whose an object is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    tags: SmallVec<[u32; 4]>,
    /// Callers without a tie who reached it, the latest of them by tag.
    others: u8,
    latest_other: u32,
}

impl Owner {
    pub(crate) fn is_of(&self, caller: &Caller) -> bool {
        caller.tags.iter().any(|tag| self.tags.contains(tag))
    }

    pub(crate) fn is_public(&self) -> bool {
        self.others >= PUBLIC
    }

    /// Whether it is known to be somebody's, and of nobody but others than this caller.
    pub(crate) fn is_others(&self, caller: &Caller) -> bool {
        !self.tags.is_empty() && !self.is_public() && !self.is_of(caller)
    }

    /// Takes note of a caller; returns whether that changed anything.
    pub(crate) fn note(&mut self, caller: &Caller, reach: Reach) -> bool {
        let is_his = match reach {
            Reach::Tied => true,
            Reach::First => self.tags.is_empty() || self.is_of(caller),
            Reach::Strange => self.is_of(caller),
        };
        if is_his {
            let before = self.tags.len();
            for tag in &caller.tags {
                if self.tags.len() < MAX_TAGS && !self.tags.contains(tag) {
                    self.tags.push(*tag);
                }
            }
            return self.tags.len() > before;
        }
        if self.tags.is_empty() || self.is_public() || self.latest_other == caller.tag() {
            return false;
        }
        self.latest_other = caller.tag();
        self.others += 1;
        true
    }
}

/// By what request a session reached an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visit {
    /// Key of the session.
    pub(crate) session: u64,
    /// When, epoch milliseconds of the partition clock.
    pub(super) at: i64,
    pub(super) endpoint: EndpointId,
    /// Key of the parameter.
    pub(super) param: u32,
    /// How often callers reach what is their own by it.
    pub(super) habit: Habit,
}

/// That a caller reached an object, as partitions tell one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sight {
    pub(crate) caller: Caller,
    pub(crate) reach: Reach,
    /// Where the caller had no tie to it, and its owner is not known here.
    pub(crate) visit: Option<Visit>,
}

/// A caller that reaches an object, at a time.
pub(super) struct Reached<'c> {
    pub(super) object: u64,
    pub(super) now: i64,
    pub(super) caller: &'c Caller,
    pub(super) reach: Reach,
}

impl Reached<'_> {
    /// Takes note of it, and tells the others what was not known here. `visit`: by what request, if it is the first to reach it.
    pub(super) fn note(&self, shared: &mut Shared, visit: impl FnOnce() -> Option<Visit>) {
        let mut owner = shared.objects.read(&self.object, Owner::clone).unwrap_or_default();
        if !owner.note(self.caller, self.reach) {
            return;
        }
        shared.objects.put(self.object, self.now, owner);
        shared.report_object(Entity::Object(self.object), self.now, || {
            let visit = if self.reach == Reach::First { visit() } else { None };
            Saw::Reached(Sight { caller: self.caller.clone(), reach: self.reach, visit })
        });
    }
}
