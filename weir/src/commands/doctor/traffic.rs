//! The newest exchanges: whether one key has too large a share of them, and whether clocks agree.

use super::finding::Finding;
use engine::{Exchange, Offset, TopicPartition};
use runtime::log::{Log, LogError, Record, Start, read_to_end};
use std::collections::HashMap;
use std::sync::Arc;

/// Exchanges of each partition that are looked at.
const NEWEST: u64 = 2_000;
/// Fewest exchanges from which a share says anything.
const FEWEST: u64 = 200;
/// Share of one key, in a hundred, from which its partition is a bottleneck.
const HOT: u64 = 20;
/// Furthest that two clocks may be apart, milliseconds.
const APART_MS: i64 = 5_000;
/// Exchanges that come this much later than others of their partition are judged without their time, milliseconds.
const LATE_MS: i64 = 600_000;

/// What the newest exchanges show.
#[derive(Debug, Default)]
pub(super) struct Sample {
    exchanges: u64,
    keys: HashMap<Vec<u8>, u64>,
    /// Event time less append time of each, milliseconds.
    skews_ms: Vec<i64>,
    newest_ms: Option<i64>,
}

impl Sample {
    /// Reads the newest exchanges of every partition.
    pub(super) fn read(log: &dyn Log, topic: &Arc<str>) -> Result<Self, LogError> {
        let mut from = Vec::new();
        for n in 0..log.partitions(topic)? {
            let at = TopicPartition::new(Arc::clone(topic), n);
            let (oldest, end) = log.bounds(&at)?;
            let start = oldest.max(Offset(end.0.saturating_sub(NEWEST)));
            from.push((at, Start::At(start)));
        }
        let mut sample = Self::default();
        read_to_end(log, &from, |record| sample.take(&record))?;
        Ok(sample)
    }

    fn take(&mut self, record: &Record) {
        self.exchanges += 1;
        *self.keys.entry(record.key.as_deref().unwrap_or_default().to_vec()).or_default() += 1;
        self.newest_ms = self.newest_ms.max(Some(record.timestamp_ms));
        let time = record.value.as_deref().and_then(|value| Exchange::from_json(value).ok()?.time);
        self.skews_ms.extend(time.map(|time| time - record.timestamp_ms));
    }

    /// How large a share the key with the most exchanges has.
    pub(super) fn hottest(&self) -> Finding {
        let most = self.keys.iter().filter(|(key, _)| !key.is_empty()).map(|(_, n)| *n).max().unwrap_or(0);
        let share = most * 100 / self.exchanges.max(1);
        let said = format!("the busiest session has {share} % of the newest {} exchanges", self.exchanges);
        if self.exchanges >= FEWEST && share >= HOT {
            let todo = "one scorer has all of it: let `session.extractors` tell the callers behind it apart (a load balancer's address is no session)";
            return Finding::warning("sessions", said, todo);
        }
        let without = self.keys.get(&Vec::new()).copied().unwrap_or(0);
        if self.exchanges >= FEWEST && without * 2 > self.exchanges {
            let said = format!("{} % of the newest exchanges have no session", without * 100 / self.exchanges);
            return Finding::warning("sessions", said, "`weir ingest check` says what the sources tell; set `session.extractors`");
        }
        Finding::well("sessions", said)
    }

    /// Whether the clocks of this machine, of the log and of the gateways agree. `now_ms`: by this machine's clock.
    pub(super) fn clocks(&mut self, now_ms: i64) -> Finding {
        let Some(newest) = self.newest_ms else { return Finding::well("clock", "nothing to compare with yet") };
        let todo = "let all machines keep time by NTP";
        if newest > now_ms + APART_MS {
            return Finding::wrong("clock", format!("the log is {} s ahead of this machine", (newest - now_ms) / 1_000), todo);
        }
        self.skews_ms.sort_unstable();
        match self.skews_ms.get(self.skews_ms.len() / 2).copied() {
            Some(skew) if skew > APART_MS => Finding::wrong("clock", format!("gateways are {} s ahead of the log", skew / 1_000), todo),
            Some(skew) if skew < -LATE_MS => {
                let said = format!(
                    "exchanges arrive {} s after they happened: `volume` is blind for them where others come sooner",
                    -skew / 1_000
                );
                Finding::warning("clock", said, "send sooner; for a replay of old traffic use `weir backtest`")
            }
            _ => Finding::well("clock", "this machine, the log and the gateways agree"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Health;
    use super::*;

    fn sample(records: &[(&str, i64, i64)]) -> Sample {
        let mut sample = Sample::default();
        for (key, time, appended) in records {
            sample.take(&Record {
                at: TopicPartition::new("t", 0),
                offset: Offset(0),
                timestamp_ms: *appended,
                key: (!key.is_empty()).then(|| key.as_bytes().to_vec().into()),
                value: Some(format!(r#"{{"method":"GET","path":"/","time":{time}}}"#).into()),
                headers: Vec::new(),
            });
        }
        sample
    }

    #[test]
    fn one_session_with_everything_is_told() {
        let names: Vec<String> = (0..300).map(|n| format!("s{n}")).collect();
        let even: Vec<_> = names.iter().map(|name| (name.as_str(), 0, 0)).collect();
        assert_eq!(sample(&even).hottest().health, Health::Well);
        let hot: Vec<_> = (0..300).map(|n| (if n % 4 == 0 { "hot" } else { names[n].as_str() }, 0, 0)).collect();
        assert!(sample(&hot).hottest().said.contains("25 %"));
        assert_eq!(sample(&hot).hottest().health, Health::Warning);
        assert_eq!(sample(&[("one", 0, 0)]).hottest().health, Health::Well);
        assert!(sample(&vec![("", 0, 0); 300]).hottest().said.contains("no session"));
    }

    #[test]
    fn clocks_that_differ_are_told() {
        let now = 1_800_000_000_000;
        assert_eq!(Sample::default().clocks(now).health, Health::Well);
        assert_eq!(sample(&[("a", now - 900, now - 500)]).clocks(now).health, Health::Well);
        assert!(sample(&[("a", now, now + 60_000)]).clocks(now).said.contains("60 s ahead of this machine"));
        assert!(sample(&[("a", now + 30_000, now)]).clocks(now).said.contains("gateways are 30 s ahead"));
        assert_eq!(sample(&[("a", now - 3_600_000, now)]).clocks(now).health, Health::Warning);
    }
}
