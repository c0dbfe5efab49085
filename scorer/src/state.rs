//! The records of `weir.state`, and what they mean.
//!
//! Partition n of the topic belongs to partition n of the traffic. It is compacted; the newest record of each key counts:
//!
//! | key | value |
//! | --- | --- |
//! | `e` + key of an engine entry | the entry, as of the mark |
//! | `m` | the [`Mark`]: everything before `next` is in the entries |
//! | `x` + offset + number | an effect that was taken after the mark, before the record at that offset |
//!
//! A checkpoint writes the entries that changed, the mark, and tombstones for the effects that it now contains, in one transaction. So the
//! entries always fit the mark, and an effect that is there is one that the mark does not contain.
//!
//! What an entry holds changes from version to version. Each record says in which format it is; where another version has left the mark,
//! its state is given up, and the partition begins anew where it was committed.

use bytes::Bytes;
use engine::{ApiName, Note, Offset, STATE_FORMAT, Stage, StateEntry};
use runtime::format::{self, UnknownFormat};
use runtime::log::{Output, Record};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ENTRY: u8 = b'e';
const MARK: &[u8] = b"m";
const EFFECT: u8 = b'x';
/// Header that says in which format a record of the state is.
const HEADER: &str = "weir-state";

/// A model version, and the pointer that made it active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelRef {
    /// Content hash.
    pub(crate) id: String,
    /// Counter of the pointer: only a later one may follow.
    pub(crate) counter: u64,
}

/// Which hosts belong where, and at which stage each API is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stages {
    pub(crate) hosts: BTreeMap<String, ApiName>,
    pub(crate) stages: BTreeMap<ApiName, Stage>,
}

/// How far the entries go, and what else was in force there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Next offset.
    pub(crate) next: Offset,
    /// The model that judges.
    pub(crate) model: Option<ModelRef>,
    /// The stages in force.
    pub(crate) stages: Option<Stages>,
    /// Next note of the partition that is to be taken.
    pub(crate) notes: Offset,
}

/// An effect, by reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Taken {
    /// From here on this model judges.
    Model(ModelRef),
    /// From here on these are the stages.
    Stages(Stages),
    /// The clock moved to this time, epoch milliseconds.
    Tick(i64),
    /// A note of the fact stage, which stands at this offset.
    Note(Offset, Note),
}

/// Where an effect was taken: before the record at `offset`, as number `number` of those since the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EffectKey {
    pub(crate) offset: Offset,
    pub(crate) number: u32,
}

impl EffectKey {
    fn to_bytes(self) -> Vec<u8> {
        let mut key = vec![EFFECT];
        key.extend(self.offset.0.to_be_bytes());
        key.extend(self.number.to_be_bytes());
        key
    }

    fn from_bytes(key: &[u8]) -> Option<Self> {
        let (offset, number) = key.split_at_checked(8)?;
        Some(Self { offset: Offset(u64::from_be_bytes(offset.try_into().ok()?)), number: u32::from_be_bytes(number.try_into().ok()?) })
    }
}

/// Why a state partition cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadState {
    /// A record is not one of ours, or damaged.
    #[error("record `{key}` of the state cannot be read: {why}")]
    Record {
        /// Its key, escaped.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// A newer version has written it.
    #[error("the state is not ours to read: {0}")]
    Format(#[from] UnknownFormat),
    /// An entry cannot be taken back.
    #[error(transparent)]
    Entry(#[from] engine::StateError),
}

/// Writes state records of one partition.
#[derive(Debug, Clone)]
pub(crate) struct StateWriter {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
}

impl StateWriter {
    /// An entry of the engine.
    pub(crate) fn entry(&self, entry: StateEntry) -> Output {
        let mut key = Vec::with_capacity(entry.key.len() + 1);
        key.push(ENTRY);
        key.extend(entry.key);
        self.record(key, entry.value)
    }

    /// The mark.
    pub(crate) fn mark(&self, mark: &Mark) -> Result<Output, postcard::Error> {
        Ok(self.record(MARK.to_vec(), Some(postcard::to_stdvec(mark)?)))
    }

    /// An effect.
    pub(crate) fn effect(&self, key: EffectKey, taken: &Taken) -> Result<Output, postcard::Error> {
        Ok(self.record(key.to_bytes(), Some(postcard::to_stdvec(taken)?)))
    }

    /// The end of an effect that a mark contains.
    pub(crate) fn forget(&self, key: EffectKey) -> Output {
        self.record(key.to_bytes(), None)
    }

    /// The end of whatever stands under a key.
    pub(crate) fn tombstone(&self, key: Bytes) -> Output {
        self.record(key, None)
    }

    fn record(&self, key: impl Into<Bytes>, value: Option<Vec<u8>>) -> Output {
        Output {
            topic: Arc::clone(&self.topic),
            partition: Some(self.partition),
            key: Some(key.into()),
            value: value.map(Bytes::from),
            headers: vec![format::header(), (HEADER, STATE_FORMAT.to_string().into())],
        }
    }
}

/// Whether a key is that of an entry of the engine.
pub(crate) fn is_entry(key: &[u8]) -> bool {
    key.first() == Some(&ENTRY)
}

/// A state partition as read.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub(crate) mark: Option<Mark>,
    pub(crate) effects: BTreeMap<EffectKey, Taken>,
    entries: BTreeMap<Bytes, Bytes>,
    /// Keys of what another version wrote, of all sorts.
    foreign: BTreeSet<Bytes>,
}

/// Whether a record is in the format of this version.
fn is_ours(record: &Record) -> bool {
    let format = record.header(HEADER).and_then(|value| std::str::from_utf8(value).ok());
    format.and_then(|text| text.parse().ok()) == Some(STATE_FORMAT)
}

impl Saved {
    /// Takes the next record of the partition.
    pub(crate) fn take(&mut self, record: Record) -> Result<(), BadState> {
        format::check(&record)?;
        let is_ours = is_ours(&record);
        let Some(key) = record.key else { return Ok(()) };
        let bad = |why: String| BadState::Record { key: key.escape_ascii().to_string(), why };
        self.foreign.remove(&key);
        match (key.first(), record.value) {
            (first, Some(_)) if !is_ours => {
                match first {
                    Some(&ENTRY) => drop(self.entries.remove(&key[1..])),
                    Some(&EFFECT) => drop(EffectKey::from_bytes(&key[1..]).and_then(|at| self.effects.remove(&at))),
                    _ if key == MARK => self.mark = None,
                    _ => {}
                }
                self.foreign.insert(key);
            }
            (Some(&ENTRY), Some(value)) => drop(self.entries.insert(key.slice(1..), value)),
            (Some(&ENTRY), None) => drop(self.entries.remove(&key[1..])),
            (Some(&EFFECT), value) => {
                let at = EffectKey::from_bytes(&key[1..]).ok_or_else(|| bad("its key is no offset".to_owned()))?;
                match value {
                    Some(value) => drop(self.effects.insert(at, postcard::from_bytes(&value).map_err(|e| bad(e.to_string()))?)),
                    None => drop(self.effects.remove(&at)),
                }
            }
            (_, Some(value)) if key == MARK => self.mark = Some(postcard::from_bytes(&value).map_err(|e| bad(e.to_string()))?),
            (_, _) => return Err(bad("its key says nothing known".to_owned())),
        }
        Ok(())
    }

    /// Gives up what this version cannot take back: what others wrote, and all of it where another version has left the mark. Returns whether
    /// that is so, and the keys that are to go.
    pub(crate) fn give_up(&mut self) -> (bool, Vec<Bytes>) {
        let is_others = self.foreign.contains(MARK);
        let mut keys: Vec<Bytes> = std::mem::take(&mut self.foreign).into_iter().collect();
        if is_others {
            let entries = std::mem::take(&mut self.entries).into_keys();
            keys.extend(entries.map(|key| [&[ENTRY], &key[..]].concat().into()));
            keys.extend(std::mem::take(&mut self.effects).into_keys().map(|key| key.to_bytes().into()));
        }
        (is_others, keys)
    }

    /// The engine's entries, leaving none behind.
    pub(crate) fn entries(&mut self) -> impl Iterator<Item = StateEntry> {
        std::mem::take(&mut self.entries).into_iter().map(|(key, value)| StateEntry { key: key.to_vec(), value: Some(value.to_vec()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::TopicPartition;

    fn read(outputs: Vec<Output>) -> Saved {
        let mut saved = Saved::default();
        for (offset, output) in outputs.into_iter().enumerate() {
            let record = Record {
                at: TopicPartition { topic: output.topic, partition: 3 },
                offset: Offset(offset as u64),
                timestamp_ms: 0,
                key: output.key,
                value: output.value,
                headers: output.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            };
            saved.take(record).unwrap();
        }
        saved
    }

    fn writer() -> StateWriter {
        StateWriter { topic: "weir.state".into(), partition: 3 }
    }

    #[test]
    fn the_newest_record_of_each_key_counts() {
        let w = writer();
        let entry = |key: &[u8], value: Option<&[u8]>| w.entry(StateEntry { key: key.to_vec(), value: value.map(<[u8]>::to_vec) });
        let effect = EffectKey { offset: Offset(9), number: 0 };
        let later = EffectKey { offset: Offset(300), number: 1 };
        let model = ModelRef { id: "ab".to_owned(), counter: 4 };
        let mark = Mark { next: Offset(12), model: Some(model.clone()), stages: None, notes: Offset(3) };
        let mut saved = read(vec![
            entry(b"a", Some(b"old")),
            w.effect(effect, &Taken::Tick(5)).unwrap(),
            entry(b"b", Some(b"gone")),
            entry(b"a", Some(b"new")),
            entry(b"b", None),
            w.mark(&mark).unwrap(),
            w.forget(effect),
            w.effect(later, &Taken::Model(model)).unwrap(),
        ]);
        assert_eq!(saved.mark, Some(mark));
        assert_eq!(saved.effects.keys().collect::<Vec<_>>(), [&later]);
        assert_eq!(saved.entries().collect::<Vec<_>>(), [StateEntry { key: b"a".to_vec(), value: Some(b"new".to_vec()) }]);
    }

    #[test]
    fn what_the_version_before_wrote_is_read_and_what_a_later_one_wrote_is_refused() {
        let mark = |format: &'static [u8]| Record {
            at: TopicPartition::new("weir.state", 3),
            offset: Offset(0),
            timestamp_ms: 0,
            key: Some(MARK.into()),
            value: Some(postcard::to_stdvec(&Mark::default()).unwrap().into()),
            headers: vec![
                ("weir-format".to_owned(), format.into()),
                ("weir-state".to_owned(), STATE_FORMAT.to_string().into_bytes().into()),
            ],
        };
        let mut saved = Saved::default();
        saved.take(mark(b"0")).unwrap();
        saved.take(mark(b"1")).unwrap();
        assert!(saved.mark.is_some());
        assert!(matches!(saved.take(mark(b"2")), Err(BadState::Format(_))));
    }

    /// The same as another version would have written it.
    fn of_another(mut output: Output) -> Output {
        output.headers.retain(|(name, _)| *name != HEADER);
        output
    }

    #[test]
    fn the_state_of_another_version_is_given_up_and_what_is_left_of_one_besides() {
        let w = writer();
        let entry = |key: &[u8]| w.entry(StateEntry { key: key.to_vec(), value: Some(b"v".to_vec()) });
        let effect = EffectKey { offset: Offset(9), number: 0 };
        let mark = || w.mark(&Mark { next: Offset(12), ..Mark::default() }).unwrap();
        let keys = |saved: &mut Saved| {
            let (is_others, mut keys) = saved.give_up();
            keys.sort();
            (is_others, keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>())
        };

        let mut theirs =
            read(vec![mark(), entry(b"a"), w.effect(effect, &Taken::Tick(5)).unwrap(), of_another(entry(b"b")), of_another(mark())]);
        assert_eq!(keys(&mut theirs), (true, vec![b"ea".to_vec(), b"eb".to_vec(), b"m".to_vec(), effect.to_bytes()]));
        assert!(theirs.mark.is_none() && theirs.effects.is_empty() && theirs.entries().next().is_none());

        let mut ours = read(vec![of_another(mark()), of_another(entry(b"a")), of_another(entry(b"b")), mark(), entry(b"a")]);
        assert_eq!(keys(&mut ours), (false, vec![b"eb".to_vec()]));
        assert!(ours.mark.is_some());
        assert_eq!(ours.entries().count(), 1);

        let gone = w.tombstone(Bytes::from_static(b"eb"));
        assert_eq!(keys(&mut read(vec![of_another(entry(b"b")), gone])), (false, Vec::new()));
    }

    #[test]
    fn effects_come_back_in_the_order_in_which_they_were_taken() {
        let w = writer();
        let key = |offset, number| EffectKey { offset: Offset(offset), number };
        let keys = [key(256, 2), key(2, 0), key(256, 1)];
        let saved = read(keys.iter().map(|k| w.effect(*k, &Taken::Tick(0)).unwrap()).collect());
        assert_eq!(saved.effects.into_keys().collect::<Vec<_>>(), [key(2, 0), key(256, 1), key(256, 2)]);
    }
}
