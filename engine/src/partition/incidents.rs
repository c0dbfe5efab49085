//! Incidents: anomalous verdicts of one session and family within ten minutes are one, with a birth, growth and an end.

use super::table::Table;
use super::{Incident, IncidentLife, StateEntry, StateError};
use crate::features::hash::{hash, mix};
use crate::record::Verdict;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// An incident ends when nothing was added to it for this long, milliseconds.
const QUIET: i64 = 600_000;
/// Verdict ids kept of one incident.
const MAX_IDS: usize = 20;

/// Open incidents of a partition.
#[derive(Debug)]
pub(super) struct Incidents {
    open: Table<u64, Open>,
}

/// An incident as checkpoints hold it: as JSON, for the verdict in it leaves out what is unknown, and only JSON tells what is left out.
#[derive(Debug)]
struct Open(Incident);

impl Serialize for Open {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_vec(&self.0).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Open {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Vec::<u8>::deserialize(deserializer)?;
        serde_json::from_slice(&json).map(Self).map_err(de::Error::custom)
    }
}

impl Incidents {
    pub(super) fn new(cap: usize) -> Self {
        Self { open: Table::new(b'i', cap) }
    }

    /// Adds an anomalous verdict; what is told of it goes to `out`.
    pub(super) fn add(&mut self, verdict: &Verdict, now: i64, out: &mut Vec<Incident>) {
        let Some(family) = verdict.families.first().copied() else { return };
        let who = verdict.session.as_deref().or(verdict.client.as_deref()).unwrap_or(&verdict.endpoint);
        let key = mix(hash(who.as_bytes()), mix(hash(verdict.api.as_bytes()), family as u64));
        let mut incident = match self.open.take(&key) {
            Some(Open(mut known)) => {
                known.last_ms = now;
                known.verdicts += 1;
                if known.verdict_ids.len() < MAX_IDS {
                    known.verdict_ids.push(verdict.id.clone());
                }
                let is_worse = verdict.score > known.worst.score;
                if is_worse {
                    known.worst = verdict.clone();
                }
                // Growth is told at 2, 5, 10, 20, 50, … verdicts, and when it gets worse early on.
                if is_milestone(known.verdicts) || (is_worse && known.verdicts < 10) {
                    known.life = IncidentLife::Updated;
                    out.push(known.clone());
                }
                known
            }
            None => {
                let first = Incident {
                    uid: format!("{}-{}", verdict.id, family.name()),
                    life: IncidentLife::Created,
                    family,
                    api: verdict.api.clone(),
                    session: verdict.session.clone(),
                    subject: verdict.subject.clone(),
                    client: verdict.client.clone(),
                    first_ms: now,
                    last_ms: now,
                    verdicts: 1,
                    verdict_ids: vec![verdict.id.clone()],
                    worst: verdict.clone(),
                };
                out.push(first.clone());
                first
            }
        };
        incident.life = IncidentLife::Updated;
        if let Some((_, Open(mut evicted))) = self.open.put(key, now, Open(incident)) {
            evicted.life = IncidentLife::Closed;
            out.push(evicted);
        }
    }

    /// Ends what has been quiet for long enough.
    pub(super) fn close(&mut self, now: i64, out: &mut Vec<Incident>) {
        while let Some((_, Open(mut incident))) = self.open.expire(now - QUIET) {
            incident.life = IncidentLife::Closed;
            out.push(incident);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn checkpoint(&mut self, out: &mut Vec<StateEntry>) {
        self.open.checkpoint(out);
    }

    pub(super) fn restore(&mut self, entry: &StateEntry) -> Result<bool, StateError> {
        self.open.restore(entry)
    }
}

fn is_milestone(n: u64) -> bool {
    let mut step = 1;
    while step * 10 <= n {
        step *= 10;
    }
    n == step || n == 2 * step || n == 5 * step
}
