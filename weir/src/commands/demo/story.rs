//! Verdicts of the demonstration as they come, next to what is true, and the summary at the end.

use super::feed::Truth;
use super::say;
use crate::terminal::{Paint, count};
use anyhow::bail;
use engine::{Family, Label, TopicPartition, Verdict};
use runtime::log::{Log, LogError, Reader, Record, Start};
use runtime::shutdown::Shutdown;
use runtime::topics::Topics;
use simulator::TrueLabel;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Verdicts shown with their reasons; further ones are counted.
const SHOWN: usize = 25;
/// Verdicts shown of one family.
const SHOWN_OF_FAMILY: usize = 3;
/// Longest wait for a verdict that is due.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has been seen so far.
pub(super) struct Story {
    reader: Box<dyn Reader>,
    paint: Paint,
    truths: HashMap<String, TrueLabel>,
    verdicts: u64,
    insufficient: u64,
    anomalous: u64,
    /// Harmless requests called anomalous, by group: attackers send some between the others.
    false_alarms: BTreeMap<String, u64>,
    benign: u64,
    families: BTreeMap<Family, u64>,
    shown: BTreeMap<Family, usize>,
    sessions: BTreeSet<(Option<String>, Family)>,
    attacks: BTreeMap<String, Attack>,
}

/// One launch of an attack.
#[derive(Default)]
struct Attack {
    family: &'static str,
    requests: u64,
    caught: u64,
}

impl Story {
    /// Reads verdicts from now on.
    pub(super) fn new(log: &dyn Log, topics: &Topics, paint: Paint) -> Result<Self, LogError> {
        let partitions = log.partitions(&topics.verdicts)?;
        let from: Vec<_> = (0..partitions).map(|n| (TopicPartition::new(topics.verdicts.clone(), n), Start::End)).collect();
        Ok(Self {
            reader: log.reader(&from)?,
            paint,
            truths: HashMap::new(),
            verdicts: 0,
            insufficient: 0,
            anomalous: 0,
            false_alarms: BTreeMap::new(),
            benign: 0,
            families: BTreeMap::new(),
            shown: BTreeMap::new(),
            sessions: BTreeSet::new(),
            attacks: BTreeMap::new(),
        })
    }

    /// Takes what was sent, and the verdicts that have come meanwhile.
    pub(super) fn follow(&mut self, sent: Vec<Truth>) -> anyhow::Result<()> {
        for (id, truth) in sent {
            if truth.label == simulator::Label::Attack {
                let attack = self.attacks.entry(truth.group.clone()).or_default();
                attack.family = truth.family;
                attack.requests += 1;
            } else {
                self.benign += 1;
            }
            self.truths.insert(id, truth);
        }
        let records = self.reader.read(2_000, Duration::ZERO)?;
        self.take(&records)
    }

    /// Waits for the verdicts of everything that was sent.
    pub(super) fn finish(&mut self, sent: u64, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut waiting = Instant::now();
        while self.verdicts < sent && !shutdown.is_cancelled() {
            let records = self.reader.read(2_000, Duration::from_millis(100))?;
            if !records.is_empty() {
                waiting = Instant::now();
            } else if waiting.elapsed() > PATIENCE {
                bail!("{} of {} verdicts came", count(self.verdicts), count(sent));
            }
            self.take(&records)?;
        }
        Ok(())
    }

    fn take(&mut self, records: &[Record]) -> anyhow::Result<()> {
        for record in records {
            let verdict: Verdict = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
            // Verdicts of the learning day may still come.
            let Some(truth) = verdict.exchange_id.as_ref().and_then(|id| self.truths.remove(id)) else { continue };
            self.verdicts += 1;
            match verdict.label {
                Label::Benign => {}
                Label::Insufficient => self.insufficient += 1,
                Label::Anomalous => self.anomaly(&verdict, &truth)?,
            }
        }
        Ok(())
    }

    fn anomaly(&mut self, verdict: &Verdict, truth: &TrueLabel) -> anyhow::Result<()> {
        self.anomalous += 1;
        verdict.families.iter().for_each(|family| *self.families.entry(*family).or_default() += 1);
        match self.attacks.get_mut(&truth.group) {
            Some(attack) if truth.label == simulator::Label::Attack => attack.caught += 1,
            _ => *self.false_alarms.entry(truth.group.clone()).or_default() += 1,
        }
        let Some(family) = verdict.families.first().copied() else { return Ok(()) };
        let is_first = self.sessions.len() < 100_000 && self.sessions.insert((verdict.session.clone(), family));
        let of_family = self.shown.entry(family).or_default();
        let has_room = *of_family < SHOWN_OF_FAMILY;
        if is_first && has_room && self.shown.values().sum::<usize>() < SHOWN {
            *self.shown.entry(family).or_default() += 1;
            let truth = match truth.label {
                simulator::Label::Attack => format!("    in truth: {} ({})\n", truth.family, truth.group),
                simulator::Label::Benign => "    in truth: harmless\n".to_owned(),
            };
            say(&format!("{}\n{}{}\n", self.paint.verdict_line(verdict), self.paint.reasons(verdict), self.paint.dim(&truth)))?;
        }
        Ok(())
    }

    /// What it came to, where things are, what to try next.
    pub(super) fn closing(&self, paint: Paint, data: &Path, took: Duration) -> String {
        let mut text = format!("{}\n", paint.bold("What came of it"));
        let caught = self.attacks.values().filter(|attack| attack.caught > 0).count();
        let _ = writeln!(text, "  {} verdicts in {} s overall", count(self.verdicts), took.as_secs());
        let _ = writeln!(text, "  {} anomalous, {} with too little support to say", count(self.anomalous), count(self.insufficient));
        let _ = writeln!(text, "  {caught} of {} attacks caught at least once", self.attacks.len());
        let called = |is_attacker| {
            let groups = self.false_alarms.iter().filter(|(group, _)| self.attacks.contains_key(*group) == is_attacker);
            count(groups.map(|(_, n)| n).sum())
        };
        let _ = writeln!(text, "  {} of {} harmless requests called anomalous", called(false), count(self.benign));
        let _ = writeln!(text, "  and {} harmless ones that attackers sent between the others", called(true));
        let mut by_family: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for attack in self.attacks.values() {
            let entry = by_family.entry(attack.family).or_default();
            entry.0 += usize::from(attack.caught > 0);
            entry.1 += 1;
        }
        let _ = writeln!(text, "\n{}", paint.bold("Attacks caught, by what they are in truth"));
        for (family, (caught, all)) in by_family {
            let _ = writeln!(text, "  {family:<18} {caught} of {all}");
        }
        let _ = writeln!(text, "\n{}", paint.bold("Anomalous verdicts, by the family that they name"));
        for (family, n) in &self.families {
            let _ = writeln!(text, "  {:<18} {}", family.name(), count(*n));
        }
        let data = data.display();
        let _ = write!(
            text,
            "\n{}\n  everything is in {data}; it can be deleted\n\n{}\n  weir verdicts --data {data} --label anomalous\n  weir status --data {data}\n  \
             weir up --data {data}        and send it your own traffic\n  weir backtest --help        learn from your own logs and judge them\n",
            paint.bold("Where things are"),
            paint.bold("What to try next")
        );
        text
    }
}
