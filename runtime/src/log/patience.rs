//! How every service reads on: trouble that passes is told and waited out, and what retention took is told, counted and passed over.

use super::{Event, LogError, Reader, Record, Worker};
use std::time::Duration;

/// What one poll of a group brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// In the order in which it happened.
    pub events: Vec<Event>,
    /// Records that retention deleted before the group read them; it goes on at the oldest that is kept.
    pub lost: u64,
}

/// Polls; `limit` and `wait` as in [`Worker::poll`].
///
/// # Errors
/// The log is of no more use.
pub fn poll_on(worker: &mut dyn Worker, limit: usize, wait: Duration) -> Result<Polled, LogError> {
    match worker.poll(limit, wait) {
        Ok(events) => Ok(Polled { events, lost: 0 }),
        Err(LogError::OffsetGone { at, wanted, oldest }) => {
            let lost = oldest.0.saturating_sub(wanted.0);
            tracing::error!(partition = %at, records = lost, "retention has deleted records before they were read");
            worker.seek(&at, oldest)?;
            Ok(Polled { events: Vec::new(), lost })
        }
        Err(error) => pass(error, wait).map(|()| Polled::default()),
    }
}

/// Reads; `limit` and `wait` as in [`Reader::read`].
///
/// # Errors
/// The log is of no more use, or the reader's offset is gone.
pub fn read_on(reader: &mut dyn Reader, limit: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
    match reader.read(limit, wait) {
        Ok(records) => Ok(records),
        Err(error) => pass(error, wait).map(|()| Vec::new()),
    }
}

/// Waits out trouble that passes.
fn pass(error: LogError, wait: Duration) -> Result<(), LogError> {
    let LogError::Retriable { doing, why } = error else { return Err(error) };
    tracing::warn!(doing, why, "the log has trouble; reading goes on");
    std::thread::sleep(wait);
    Ok(())
}
