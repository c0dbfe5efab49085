//! The block list: addresses and sessions of alerts, each with an end, as records of `weir.blocklist` that gateways read.
//!
//! A key is `address/<ip>` or `token/<hash>`; its newest record holds until `until`, and a tombstone follows when that has passed. A gateway that
//! reads no tombstones heeds `until`.

use crate::EgressError;
use crate::event::{Event, Kind};
use crate::settings::Settings;
use engine::{IncidentLife, Offset, TopicPartition};
use runtime::clock::Clock;
use runtime::config::Blocklist;
use runtime::format;
use runtime::log::{Batch, CommitError, Event as Polled, Log, LogError, Record, Start, Worker, WorkerSpec, poll_on, read_to_end};
use runtime::shutdown::Shutdown;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Most alerts of one batch.
const BATCH: usize = 500;
/// Longest wait for a batch, and so the longest that an entry outlives its end.
const POLL: Duration = Duration::from_millis(250);

/// What is to be kept out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    /// `address` or `token`.
    kind: String,
    /// The address, or the token's keyed hash, hex.
    value: String,
    /// When it ends, RFC 3339.
    until: String,
    /// The same, epoch milliseconds.
    until_ms: i64,
    /// 0 at the level at which alerts begin, 0.9 where ten times fewer benign requests come, 0.99 a hundred times.
    confidence: f64,
    /// Family of the alert.
    family: String,
    /// The incident.
    incident: String,
}

/// Entries that hold, by key, and the order in which they end.
#[derive(Debug, Default)]
struct Entries {
    ends: BTreeMap<String, i64>,
    by_end: BTreeSet<(i64, String)>,
}

impl Entries {
    /// An entry holds until then; an earlier end of the same key is void.
    fn put(&mut self, key: String, until_ms: i64) {
        self.remove(&key);
        self.by_end.insert((until_ms, key.clone()));
        self.ends.insert(key, until_ms);
    }

    fn remove(&mut self, key: &str) {
        if let Some(end) = self.ends.remove(key) {
            self.by_end.remove(&(end, key.to_owned()));
        }
    }

    /// The key that ends first, if it has ended, or if there are more than `most`.
    fn pop(&mut self, now: i64, most: usize) -> Option<String> {
        let (end, key) = self.by_end.first()?.clone();
        let is_over = end <= now || self.ends.len() > most;
        is_over.then(|| self.remove(&key)).map(|()| key)
    }
}

/// Keeps the list.
pub(crate) struct Keeper {
    rules: Blocklist,
    topic: Arc<str>,
    worker: Box<dyn Worker>,
    entries: Entries,
    clock: Clock,
}

impl Keeper {
    /// Reads what holds, and joins the group.
    pub(crate) fn open(settings: &Settings, log: &dyn Log) -> Result<Self, EgressError> {
        let topics = &settings.topics;
        let entries = read(log, &topics.blocklist)?;
        let spec = WorkerSpec {
            group: topics.groups.blocklist.clone(),
            topics: vec![Arc::clone(&topics.alerts)],
            instance: settings.instance.clone(),
            number: 0,
            of: 1,
        };
        Ok(Self {
            rules: settings.blocklist.clone(),
            topic: Arc::clone(&topics.blocklist),
            worker: log.worker(&spec)?,
            entries,
            clock: Arc::clone(&settings.clock),
        })
    }

    /// Keeps the list until asked to stop.
    pub(crate) fn run(mut self, shutdown: &Shutdown) -> Result<(), EgressError> {
        while !shutdown.is_cancelled() {
            let records = self.poll()?;
            let batch = self.batch(&records)?;
            if batch.outputs.is_empty() && batch.positions.is_empty() {
                continue;
            }
            match self.worker.commit(batch) {
                Ok(()) => {}
                // Entries are put again with the same keys; a tombstone that was lost is only late: readers heed `until`.
                Err(CommitError::Aborted(why)) => {
                    tracing::warn!(why, "a transaction of the block list was aborted: its alerts are read again");
                }
                Err(CommitError::Fenced(why)) => return Err(EgressError::Fenced(why)),
                Err(CommitError::Fatal(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Record>, EgressError> {
        let records = poll_on(&mut *self.worker, BATCH, POLL)?.events.into_iter().filter_map(|event| match event {
            Polled::Records(records) => Some(records),
            Polled::Assigned(_) | Polled::Revoked(_) => None,
        });
        Ok(records.flatten().collect())
    }

    /// Entries of new alerts, and tombstones of entries that have ended.
    fn batch(&mut self, records: &[Record]) -> Result<Batch, EgressError> {
        let mut batch = Batch::default();
        let mut positions: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
        let now = (self.clock)();
        for record in records {
            positions.insert(record.at.clone(), record.offset.next());
            // What is no alert is the forwarders' to report.
            let Some(Ok(event)) = record.value.as_deref().map(Event::of_alert) else { continue };
            for entry in entries_of(&event, &self.rules, now) {
                let key = format!("{}/{}", entry.kind, entry.value);
                batch.outputs.push(format::entry(&self.topic, key.clone(), Some(serde_json::to_vec(&entry)?.into())));
                self.entries.put(key, entry.until_ms);
            }
        }
        while let Some(key) = self.entries.pop(now, self.rules.max_entries) {
            batch.outputs.push(format::entry(&self.topic, key, None));
        }
        batch.positions = positions.into_iter().collect();
        Ok(batch)
    }
}

/// Whom an alert puts on the list.
fn entries_of(event: &Event, rules: &Blocklist, now: i64) -> Vec<Entry> {
    let is_over = matches!(event.kind, Kind::Alert { life: IncidentLife::Closed, .. });
    let family = event.families.first().filter(|family| rules.families.iter().any(|wanted| wanted.name() == family.as_str()));
    let (Some(family), false, true) = (family, is_over, event.score >= rules.min_score) else { return Vec::new() };
    let until_ms = now.saturating_add(i64::try_from(rules.ttl.as_millis()).unwrap_or(i64::MAX));
    let entry = |kind: &str, value: &str| Entry {
        kind: kind.to_owned(),
        value: value.to_owned(),
        until: engine::time::rfc3339(until_ms),
        until_ms,
        confidence: (1.0 - event.p / event.alpha).clamp(0.0, 1.0),
        family: family.clone(),
        incident: event.id.clone(),
    };
    let address = event.client.as_deref().filter(|client| rules.addresses && client.parse::<IpAddr>().is_ok());
    let token = event.session.as_deref().filter(|_| rules.tokens);
    address.map(|address| entry("address", address)).into_iter().chain(token.map(|token| entry("token", token))).collect()
}

fn read(log: &dyn Log, topic: &Arc<str>) -> Result<Entries, LogError> {
    let mut entries = Entries::default();
    read_to_end(log, &[(TopicPartition::new(Arc::clone(topic), 0), Start::Oldest)], |record| {
        let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { return };
        match record.value.as_deref().map(serde_json::from_slice::<Entry>) {
            Some(Ok(entry)) => entries.put(key.to_owned(), entry.until_ms),
            // What cannot be read ends at once: a tombstone follows.
            Some(Err(_)) => entries.put(key.to_owned(), i64::MIN),
            None => entries.remove(key),
        }
    })?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::alert;
    use engine::Family;

    fn rules() -> Blocklist {
        let ttl = Duration::from_secs(3_600);
        Blocklist { addresses: true, tokens: true, min_score: 60.0, families: vec![Family::MassAssignment], ttl, max_entries: 10 }
    }

    #[test]
    fn an_alert_puts_its_address_and_its_session_on_the_list() {
        let event = Event::of_alert(&alert()).unwrap();
        let entries = entries_of(&event, &rules(), 1_767_722_301_879);
        let keys: Vec<_> = entries.iter().map(|entry| (entry.kind.as_str(), entry.value.as_str(), entry.until.as_str())).collect();
        assert_eq!(keys, [("address", "203.0.113.7", "2026-01-06T18:58:21.879Z"), ("token", "ab48", "2026-01-06T18:58:21.879Z")]);
        assert!(entries[0].confidence > 0.999_999 && entries[0].confidence <= 1.0);
    }

    #[test]
    fn only_what_the_rules_name_is_blocked() {
        let mut event = Event::of_alert(&alert()).unwrap();
        let blocked =
            |event: &Event, rules: &Blocklist| entries_of(event, rules, 0).into_iter().map(|entry| entry.kind).collect::<Vec<_>>();
        assert_eq!(blocked(&event, &Blocklist { addresses: false, ..rules() }), ["token"]);
        assert_eq!(blocked(&event, &Blocklist { min_score: 103.0, ..rules() }), [""; 0]);
        assert_eq!(blocked(&event, &Blocklist { families: vec![Family::Volume], ..rules() }), [""; 0]);
        event.client = Some("203.0.113.0/24".to_owned());
        assert_eq!(blocked(&event, &rules()), ["token"]);
        event.kind = Kind::Alert { life: IncidentLife::Closed, verdicts: 1, first_ms: 0, last_ms: 0 };
        assert_eq!(blocked(&event, &rules()), [""; 0]);
    }

    #[test]
    fn entries_end_in_order_and_the_list_has_a_cap() {
        let mut entries = Entries::default();
        for (key, until) in [("a", 10), ("b", 5), ("c", 20), ("a", 30)] {
            entries.put(key.to_owned(), until);
        }
        assert_eq!(entries.pop(4, 3), None);
        assert_eq!(entries.pop(5, 3).as_deref(), Some("b"));
        assert_eq!(entries.pop(10, 3), None, "a was put again");
        assert_eq!(entries.pop(10, 1).as_deref(), Some("c"), "over the cap, the first to end goes");
        assert_eq!(entries.pop(30, 1).as_deref(), Some("a"));
        assert_eq!((entries.ends.len(), entries.by_end.len()), (0, 0));
    }
}
