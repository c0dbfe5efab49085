//! What arrives, in plain words: from where, what each source tells, what could not be read, and which detectors are blind for it.

use crate::decode::BadLine;
use engine::rooms::Rooms;
use engine::{Capability, DetectorKind, Exchange};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

/// Sources that are told apart; what comes from others is counted together.
const SOURCES: usize = 50;
/// Hosts of a source that are named.
const HOSTS: usize = 8;
/// Bad records of a reason that are named.
const NAMED: usize = 3;

/// Counts what arrives.
#[derive(Debug, Default)]
pub struct Survey {
    sources: BTreeMap<String, Source>,
    bad: BTreeMap<String, Bad>,
    unread: Vec<String>,
    only_newest: Option<u64>,
}

/// What one source tells.
#[derive(Debug, Default)]
struct Source {
    requests: u64,
    hosts: BTreeSet<String>,
    has_more_hosts: bool,
    times: Option<(i64, i64)>,
    known: BTreeMap<Capability, u64>,
    blind: BTreeMap<DetectorKind, u64>,
}

/// Records that could not be read for one reason.
#[derive(Debug, Default)]
struct Bad {
    records: u64,
    examples: Vec<String>,
}

impl Survey {
    /// Takes a prepared exchange. `source`: where it came from, unless it says so itself.
    pub fn add(&mut self, exchange: &Exchange<'_>, source: &str) {
        let name = exchange.source.as_deref().unwrap_or(source);
        let name = if self.sources.contains_key(name) || self.sources.len() < SOURCES { name } else { "other sources" };
        let source = self.sources.entry(name.to_owned()).or_default();
        source.requests += 1;
        if let Some(host) = exchange.host.as_deref().filter(|host| !source.hosts.contains(*host)) {
            if source.hosts.len() < HOSTS {
                source.hosts.insert(host.to_owned());
            } else {
                source.has_more_hosts = true;
            }
        }
        if let Some(time) = exchange.time {
            source.times = Some(source.times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        }
        let capabilities = exchange.capabilities();
        for capability in capabilities.iter() {
            *source.known.entry(capability).or_default() += 1;
        }
        let hides_body = Rooms::hides_body(&exchange.method, exchange.request.bytes, capabilities);
        for detector in Rooms::blind_without(capabilities, exchange.session.is_some(), exchange.time.is_some(), hides_body) {
            *source.blind.entry(detector).or_default() += 1;
        }
    }

    /// Takes a record that could not be read. `place`: where it stood; `detail` quotes no values.
    pub fn add_bad(&mut self, reason: &str, place: &str, detail: &str) {
        let bad = self.bad.entry(reason.to_owned()).or_default();
        bad.records += 1;
        if bad.examples.len() < NAMED {
            bad.examples.push(format!("{place}: {detail}"));
        }
    }

    /// Takes a line that could not be read.
    pub fn add_bad_line(&mut self, bad: &BadLine) {
        self.add_bad(bad.fault.reason.name(), &bad.at.to_string(), &bad.fault.detail);
    }

    /// Takes an input that cannot be read at present, with why.
    pub fn add_unread(&mut self, input: &str) {
        self.unread.push(input.to_owned());
    }

    /// Says that of some partitions only so many of the newest records were looked at.
    pub fn only_newest(&mut self, records: u64) {
        self.only_newest = Some(records);
    }

    /// Whether nothing came at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.bad.is_empty()
    }

    /// Exchanges that could be read.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.sources.values().map(|source| source.requests).sum()
    }
}

/// For a person. Texts of traffic are in it as they came: whoever shows it on a terminal takes control characters out.
impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            f.write_str("Nothing has arrived.\n")?;
        }
        if let Some(records) = self.only_newest {
            writeln!(f, "Of the newest {records} records of each partition; there are more.")?;
        }
        for input in &self.unread {
            writeln!(f, "cannot be read at present: {input}")?;
        }
        for (name, source) in &self.sources {
            source.write(f, name)?;
        }
        for (reason, bad) in &self.bad {
            writeln!(f, "could not be read: {} records, {reason}", bad.records)?;
            for example in &bad.examples {
                writeln!(f, "  {example}")?;
            }
        }
        Ok(())
    }
}

impl Source {
    fn write(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let hosts = self.hosts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if self.has_more_hosts { " and others" } else { "" };
        let to = if hosts.is_empty() { "an unknown host".to_owned() } else { format!("{hosts}{more}") };
        write!(f, "{name}: {} requests to {to}", self.requests)?;
        if let Some((first, last)) = self.times {
            write!(f, ", {} to {}", engine::time::rfc3339(first), engine::time::rfc3339(last))?;
        }
        f.write_char('\n')?;
        let known = |c: Capability| self.known.get(&c).copied().unwrap_or(0);
        let named = |wanted: &dyn Fn(u64) -> bool| Capability::ALL.into_iter().filter(|c| wanted(known(*c))).collect::<Vec<_>>();
        let always = named(&|n| n == self.requests);
        let sometimes = named(&|n| n > 0 && n < self.requests);
        let never = named(&|n| n == 0);
        let share = |n: u64| (n as f64 / self.requests.max(1) as f64 * 100.0).clamp(1.0, 99.0).round();
        line(f, "always known", always.iter().map(|c| words(c.name())))?;
        line(f, "sometimes known", sometimes.iter().map(|c| format!("{} ({} %)", words(c.name()), share(known(*c)))))?;
        line(f, "never known", never.iter().map(|c| words(c.name())))?;
        let blind = |is_always: bool| self.blind.iter().filter(move |(_, n)| (**n == self.requests) == is_always);
        line(f, "detectors that are blind", blind(true).map(|(d, _)| d.name().to_owned()))?;
        line(f, "detectors that are blind at times", blind(false).map(|(d, n)| format!("{} ({} %)", d.name(), share(*n))))
    }
}

fn line(f: &mut fmt::Formatter<'_>, title: &str, items: impl Iterator<Item = String>) -> fmt::Result {
    let items: Vec<String> = items.collect();
    if items.is_empty() { Ok(()) } else { writeln!(f, "  {title}: {}", items.join(", ")) }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(json: &str) -> Exchange<'_> {
        Exchange::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn an_input_that_cannot_be_read_is_told_though_nothing_came() {
        let mut survey = Survey::default();
        survey.add_unread("file /var/log/typo.log: No such file or directory");
        assert_eq!(
            survey.to_string(),
            "Nothing has arrived.\ncannot be read at present: file /var/log/typo.log: No such file or directory\n"
        );
    }

    #[test]
    fn a_source_is_told_in_plain_words() {
        let mut survey = Survey::default();
        let full = r#"{"method":"GET","path":"/","host":"a.example","time":"2026-01-05T10:00:00Z","session":"s","client":{"ip":"203.0.113.7"},"response":{"status":200}}"#;
        survey.add(&exchange(full), "access.log");
        survey.add(&exchange(r#"{"method":"GET","path":"/","time":"2026-01-05T11:00:00Z","response":{"status":200}}"#), "access.log");
        survey.add_bad("not-json", "access.log:7", "expected value at column 1");
        survey.add(&exchange(r#"{"method":"POST","path":"/","request":{"bytes":41},"response":{"status":200}}"#), "posts.log");
        assert!(survey.to_string().contains("detectors that are blind: sequence, volume, content,"), "{survey}");
        survey.sources.remove("posts.log");
        assert_eq!(
            survey.to_string(),
            "access.log: 2 requests to a.example, 2026-01-05T10:00:00.000Z to 2026-01-05T11:00:00.000Z
  always known: time, response status
  sometimes known: session (50 %), source address (50 %)
  never known: subject, request headers, request body, response headers, response body, sizes, duration
  detectors that are blind: response
  detectors that are blind at times: sequence (50 %), volume (50 %), access (50 %), replay (50 %), probe (50 %), source (50 %)
could not be read: 1 records, not-json
  access.log:7: expected value at column 1
"
        );
    }

    #[test]
    fn a_flood_of_sources_and_hosts_stays_small() {
        let mut survey = Survey::default();
        for n in 0..1_000 {
            let json = format!(r#"{{"method":"GET","path":"/","host":"h{n}","source":"s{}"}}"#, n % 100);
            survey.add(&exchange(&json), "x");
            survey.add_bad("not-json", "x", "y");
        }
        assert_eq!(survey.sources.len(), SOURCES + 1);
        assert!(survey.sources.values().all(|source| source.hosts.len() <= HOSTS));
        assert!(survey.to_string().len() < 50_000);
    }
}
