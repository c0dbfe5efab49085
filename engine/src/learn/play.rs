//! Rows played through live state, as a partition would play records.

use super::{Row, source_of};
use crate::detect::Seen;
use crate::partition::{Limits, Live, Session, Shared};
use rustc_hash::FxHashMap;

/// The live state of one pass over the rows of one API.
#[derive(Debug)]
pub(crate) struct Play {
    sessions: FxHashMap<u64, Session>,
    shared: Shared,
}

impl Default for Play {
    fn default() -> Self {
        Self { sessions: FxHashMap::default(), shared: Shared::new(Limits::default()) }
    }
}

impl Play {
    /// Shows a row, with the live state as it stands then.
    pub(crate) fn step<R>(&mut self, row: &Row<'_>, act: impl FnOnce(&Seen<'_>, &mut Live<'_>) -> R) -> R {
        let seen = row.seen();
        let mut nobody = Session::default();
        let session = match row.session {
            Some(key) => self.sessions.entry(key).or_default(),
            None => &mut nobody,
        };
        let source_key = source_of(row.features);
        let mut source = self.shared.take_source(source_key);
        let mut live = Live {
            key: row.session.unwrap_or(0),
            has_session: row.session.is_some(),
            session,
            source_key,
            source: &mut source,
            shared: &mut self.shared,
            foreseen: None,
            appraised: &[],
        };
        let result = act(&seen, &mut live);
        self.shared.put_source(source_key, seen.now, source);
        self.shared.take_facts();
        result
    }
}
