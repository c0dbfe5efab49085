//! What live state is made of: sessions, and the tables that sessions share.

use super::table::Table;
use super::{Limits, StateEntry, StateError};
use crate::access::{Footprint, Owner};
use crate::fuse::Wealth;
use crate::links::{Issue, Linked};
use crate::replay::{Beginnings, Sighting};
use crate::sequence::Trace;
use crate::volume::{Counters, Crowd};
use serde::{Deserialize, Serialize};

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
        }
    }

    pub(super) fn checkpoint(&mut self, out: &mut Vec<StateEntry>) {
        self.crowds.checkpoint(out);
        self.credentials.checkpoint(out);
        self.tokens.checkpoint(out);
        self.objects.checkpoint(out);
    }

    pub(super) fn restore(&mut self, entry: &StateEntry) -> Result<bool, StateError> {
        Ok(self.crowds.restore(entry)? || self.credentials.restore(entry)? || self.tokens.restore(entry)? || self.objects.restore(entry)?)
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
    /// What sessions share.
    pub shared: &'l mut Shared,
}
