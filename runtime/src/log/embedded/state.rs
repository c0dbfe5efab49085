//! What readers may see: moved forward in one step per transaction, waited for by readers.

use super::topic::Topic;
use crate::log::LogError;
use engine::TopicPartition;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Identity of one worker or named producer object: a later one of the same name fences it.
pub(super) type MemberId = u64;

/// A consumer group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Committed offset by slot.
    pub(super) positions: HashMap<usize, u64>,
    /// Who consumes a slot.
    pub(super) owners: HashMap<usize, MemberId>,
}

/// What readers may see. Everything behind `ends` is committed.
#[derive(Debug, Default)]
pub(super) struct Visible {
    /// Next offset to be written, by slot.
    pub(super) ends: Vec<u64>,
    /// Oldest offset kept, by slot.
    pub(super) floors: Vec<u64>,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    /// The living owner of a name: workers and named producers.
    pub(super) members: HashMap<String, MemberId>,
    newest_member: MemberId,
}

impl Visible {
    /// Committed offset of a group in a slot.
    pub(super) fn committed(&self, group: &str, slot: usize) -> Option<u64> {
        self.groups.get(group).and_then(|g| g.positions.get(&slot)).copied()
    }

    /// Takes over a name from whoever had it.
    pub(super) fn take_name(&mut self, name: &str) -> MemberId {
        self.newest_member += 1;
        self.members.insert(name.to_owned(), self.newest_member);
        self.newest_member
    }

    /// Whether a member still owns its name.
    pub(super) fn is_living(&self, name: &str, id: MemberId) -> bool {
        self.members.get(name) == Some(&id)
    }
}

/// The visible state and the bell that rings when it moves.
#[derive(Debug, Default)]
pub(super) struct Shared {
    visible: Mutex<Visible>,
    moved: Condvar,
}

impl Shared {
    /// Looks at the state. Held for moments only, never while the disk is at work.
    pub(super) fn look(&self) -> MutexGuard<'_, Visible> {
        // A panic cannot leave it half moved: every change is made of assignments.
        self.visible.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes everybody who waits.
    pub(super) fn change(&self, change: impl FnOnce(&mut Visible)) {
        change(&mut self.look());
        self.moved.notify_all();
    }

    /// Waits for at most `wait` until `ready` finds something.
    pub(super) fn wait_for<T>(&self, wait: Duration, mut ready: impl FnMut(&Visible) -> Option<T>) -> Option<T> {
        const LONGEST: Duration = Duration::from_secs(24 * 3600);
        let deadline = Instant::now() + wait.min(LONGEST);
        let mut visible = self.look();
        loop {
            if let Some(found) = ready(&visible) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            visible = self.moved.wait_timeout(visible, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A place in a partition from which is read on.
#[derive(Clone)]
pub(super) struct Cursor {
    pub(super) topic: Arc<Topic>,
    pub(super) at: TopicPartition,
    pub(super) slot: usize,
    /// Next offset to read.
    pub(super) position: u64,
    pub(super) paused: bool,
}

impl Cursor {
    /// End of what can be read now, if there is anything.
    ///
    /// # Errors
    /// [`LogError::OffsetGone`] when retention has passed the position.
    pub(super) fn readable(&self, visible: &Visible) -> Result<Option<u64>, LogError> {
        let (floor, end) = (visible.floors[self.slot], visible.ends[self.slot]);
        if self.paused {
            return Ok(None);
        }
        if self.position < floor {
            return Err(LogError::OffsetGone { at: self.at.clone(), wanted: engine::Offset(self.position), oldest: engine::Offset(floor) });
        }
        Ok((self.position < end).then_some(end))
    }
}
