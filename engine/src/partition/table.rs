//! A capped table whose changes can be checkpointed: every table that traffic can grow is one of these.

use super::{StateEntry, StateError};
use dashmap::DashMap;
use rustc_hash::{FxBuildHasher, FxHashSet};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

/// Entries by key, at most `cap`; the least recently used goes first, ties by key.
///
/// One owner writes; others may read the map meanwhile (status, console).
#[derive(Debug)]
pub struct Table<K: Eq + Hash, V> {
    tag: u8,
    cap: usize,
    map: DashMap<K, (i64, V), FxBuildHasher>,
    by_age: BTreeSet<(i64, K)>,
    changed: FxHashSet<K>,
    evicted: u64,
}

impl<K, V> Table<K, V>
where
    K: Copy + Ord + Eq + Hash + Debug + Serialize + DeserializeOwned,
    V: Debug + Serialize + DeserializeOwned,
{
    /// An empty table. `tag` sets its checkpoint entries apart from other tables'.
    #[must_use]
    pub fn new(tag: u8, cap: usize) -> Self {
        Self {
            tag,
            cap: cap.max(1),
            map: DashMap::with_capacity_and_hasher_and_shard_amount(0, FxBuildHasher, 4),
            by_age: BTreeSet::new(),
            changed: FxHashSet::default(),
            evicted: 0,
        }
    }

    /// Entries now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }

    /// Entries that went because of the cap.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Reads an entry.
    pub fn read<R>(&self, key: &K, read: impl FnOnce(&V) -> R) -> Option<R> {
        self.map.get(key).map(|entry| read(&entry.1))
    }

    /// Takes an entry out, to be put back by [`Self::put`].
    pub fn take(&mut self, key: &K) -> Option<V> {
        let (_, (at, value)) = self.map.remove(key)?;
        self.by_age.remove(&(at, *key));
        self.changed.insert(*key);
        Some(value)
    }

    /// Puts an entry in as used at `now`; returns one that had to go for it.
    pub fn put(&mut self, key: K, now: i64, value: V) -> Option<(K, V)> {
        self.insert(key, now, value);
        self.changed.insert(key);
        if self.by_age.len() <= self.cap {
            return None;
        }
        self.evicted += 1;
        self.pop_oldest()
    }

    fn insert(&mut self, key: K, now: i64, value: V) {
        if let Some((at, _)) = self.map.insert(key, (now, value)) {
            self.by_age.remove(&(at, key));
        }
        self.by_age.insert((now, key));
    }

    /// Changes an entry (made by `V::default()` if there is none) as used at `now`.
    pub fn update<R>(&mut self, key: K, now: i64, change: impl FnOnce(&mut V) -> R) -> R
    where
        V: Default,
    {
        let mut value = self.take(&key).unwrap_or_default();
        let result = change(&mut value);
        self.put(key, now, value);
        result
    }

    /// Changes an entry, if there is one; it is as old as before.
    pub(crate) fn change(&mut self, key: &K, change: impl FnOnce(&mut V)) {
        if let Some(mut entry) = self.map.get_mut(key) {
            change(&mut entry.1);
            self.changed.insert(*key);
        }
    }

    /// Takes out the oldest entry if it was last used before `before`.
    pub fn expire(&mut self, before: i64) -> Option<(K, V)> {
        if self.by_age.first()?.0 >= before {
            return None;
        }
        self.pop_oldest()
    }

    fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.by_age.pop_first()?;
        self.changed.insert(key);
        self.map.remove(&key).map(|(key, (_, value))| (key, value))
    }

    /// Writes entries that changed since the last call; tombstones for those that went.
    pub(super) fn checkpoint(&mut self, out: &mut Vec<StateEntry>) {
        let mut changed: Vec<K> = self.changed.drain().collect();
        changed.sort_unstable();
        for key in changed {
            let value = self.map.get(&key).and_then(|entry| postcard::to_stdvec(&*entry).ok());
            if let Ok(key) = postcard::to_extend(&key, vec![self.tag]) {
                out.push(StateEntry { key, value });
            }
        }
    }

    /// Takes back an entry that [`Self::checkpoint`] wrote, if it is of this table. The cap does not apply: entries come in any
    /// order, tombstones last perhaps, and all together they are no more than there were.
    pub(super) fn restore(&mut self, entry: &StateEntry) -> Result<bool, StateError> {
        let Some(rest) = entry.key.strip_prefix(&[self.tag]) else { return Ok(false) };
        let wrong = |why: postcard::Error| StateError { key: entry.key.escape_ascii().to_string(), why: why.to_string() };
        let key: K = postcard::from_bytes(rest).map_err(wrong)?;
        match &entry.value {
            Some(bytes) => {
                let (at, value): (i64, V) = postcard::from_bytes(bytes).map_err(wrong)?;
                self.insert(key, at, value);
            }
            None => {
                self.take(&key);
            }
        }
        self.changed.remove(&key);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_cap_holds_and_a_restored_table_is_the_same(steps in prop::collection::vec((0u64..40, 0i64..100, any::<bool>()), 0..200), cut in 0usize..200) {
            let mut table: Table<u64, u32> = Table::new(7, 16);
            let mut log = Vec::new();
            for (at, (key, now, remove)) in steps.iter().enumerate() {
                if *remove { table.take(key); } else { table.update(*key, *now, |v| *v += 1); }
                prop_assert!(table.len() <= 16);
                if at == cut { table.checkpoint(&mut log); }
            }
            table.checkpoint(&mut log);
            let mut again: Table<u64, u32> = Table::new(7, 16);
            for entry in log { again.restore(&entry).expect("own entries"); }
            prop_assert_eq!(&again.by_age, &table.by_age);
            for (_, key) in &again.by_age {
                prop_assert_eq!(again.read(key, |v| *v), table.read(key, |v| *v));
            }
        }
    }
}
