//! Forgetting a session or an account: what `weir.state` holds under its name goes. The counters of a live session stand under a hash that
//! does not lead back to it, and go when it has been idle.

use crate::state;
use runtime::erase::{Traces, bury};
use runtime::log::{Log, LogError};
use runtime::topics::Topics;

/// Writes tombstones for every entry of the saved state that names somebody; returns how many. A scorer that runs keeps what it has
/// in memory, and writes it again when it changes: stop scorers before, and start them again after.
///
/// # Errors
/// The log cannot be read or written.
pub fn erase(log: &dyn Log, topics: &Topics, traces: &Traces) -> Result<usize, LogError> {
    bury(log, &topics.state, |record, found| {
        let Some(key) = record.key.as_ref().filter(|key| state::is_entry(key)) else { return };
        if record.value.is_some() && traces.are_in(record) {
            found.insert(key.clone());
        } else {
            found.remove(key);
        }
    })
}
