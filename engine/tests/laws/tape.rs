//! A partition's records and effects as the log holds them, and the ways to play them.

use crate::traffic::{Traffic, partition, position};
use engine::{Effect, Incident, Limits, Offset, Partition, RecordPosition, StateEntry};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a partition holds: records, and effects by the offset of the record that they precede.
pub(crate) struct Tape<'t> {
    pub(crate) records: &'t Traffic,
    pub(crate) effects: BTreeMap<usize, Vec<Effect>>,
    pub(crate) limits: Limits,
}

/// Everything that a partition says, in order: the bytes of verdicts, and what it tells of incidents.
pub(crate) type Said = Vec<String>;

impl Tape<'_> {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    fn position(&self, offset: usize) -> RecordPosition {
        // The log takes a record two seconds after it happened, now and then much later, now and then before its own clock says so.
        let delay = [2_000, 2_000, 1_990, 40_000, -6_000][offset % 5];
        RecordPosition { offset: Offset(offset as u64), appended_ms: self.records[offset].time.map(|t| t + delay) }
    }

    fn apply(&self, partition: &mut Partition, offset: usize) -> Vec<Incident> {
        self.effects.get(&offset).into_iter().flatten().flat_map(|effect| partition.apply(effect.clone())).collect()
    }

    /// Judges a range of records.
    pub(crate) fn judge(&self, partition: &mut Partition, range: Range<usize>, said: &mut Said) {
        for offset in range {
            let ended = self.apply(partition, offset);
            let judged = partition.judge(self.position(offset), &self.records[offset]);
            said.push(String::from_utf8(judged.verdict.to_json().expect("a verdict")).expect("JSON"));
            said.extend(ended.iter().chain(&judged.incidents).map(|incident| format!("{incident:?}")));
        }
    }

    /// All of it without an interruption.
    pub(crate) fn whole(&self) -> Said {
        let mut said = Said::new();
        self.judge(&mut partition(0, self.limits), 0..self.len(), &mut said);
        said
    }
}

/// What `weir.state` keeps of a partition: the newest entry of every key, and where it stands.
#[derive(Default)]
pub(crate) struct State {
    entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    next: usize,
}

impl State {
    /// Takes a checkpoint of the state before the record at `next`.
    pub(crate) fn take(&mut self, checkpoint: Vec<StateEntry>, next: usize) {
        self.entries.extend(checkpoint.into_iter().map(|entry| (entry.key, entry.value)));
        self.next = next;
    }

    /// Keys and values of what is there now.
    pub(crate) fn live(&self) -> Vec<(&[u8], &[u8])> {
        self.entries.iter().filter_map(|(key, value)| Some((key.as_slice(), value.as_deref()?))).collect()
    }

    /// A new owner's partition, up to the committed offset: entries in an order of `shuffle`'s making, the model that judged last, then
    /// silently what came after the checkpoint.
    pub(crate) fn restore(&self, tape: &Tape<'_>, committed: usize, shuffle: u64) -> Partition {
        let mut partition = partition(0, tape.limits);
        let model = tape.effects.range(..self.next).flat_map(|(_, effects)| effects).rfind(|e| matches!(e, Effect::Model(_)));
        if let Some(model) = model {
            partition.apply(model.clone());
        }
        let mut entries: Vec<StateEntry> =
            self.entries.iter().map(|(key, value)| StateEntry { key: key.clone(), value: value.clone() }).collect();
        entries.sort_by_key(|entry| entry.key.iter().fold(shuffle, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3)));
        for entry in &entries {
            partition.restore(entry).expect("an entry of its own");
        }
        for offset in self.next..committed {
            tape.apply(&mut partition, offset);
            partition.fold(tape.position(offset), &tape.records[offset]);
        }
        partition
    }
}

/// Verdict bytes of traffic under one model, without effects.
pub(crate) fn verdicts(mut partition: Partition, traffic: &Traffic) -> Said {
    let judge = |(at, exchange)| partition.judge(position(at), exchange).verdict.to_json();
    traffic.iter().enumerate().map(judge).map(|bytes| String::from_utf8(bytes.expect("a verdict")).expect("JSON")).collect()
}
