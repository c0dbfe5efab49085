//! The end of a backtest, for a person and as JSON.

use super::Reading;
use super::ablate::{Contribution, table};
use super::read_of;
use super::tally::{Distinct, Tally};
use crate::terminal::{Paint, count};
use engine::{ApiName, Model};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// How long each stage took, and on how much.
#[derive(Debug, Default)]
pub(super) struct Stages {
    /// Reading the training files.
    pub(super) read: Duration,
    /// Learning.
    pub(super) learn: Duration,
    /// Reading and judging.
    pub(super) judge: Duration,
    /// The training files, if a model was learned.
    pub(super) learned: Option<Reading>,
}

/// Everything a backtest found.
pub(super) struct Summary<'a> {
    /// What judged.
    pub(super) model: &'a Model,
    /// Counts over the verdicts.
    pub(super) tally: &'a Tally,
    /// The scored files.
    pub(super) read: Reading,
    /// Times.
    pub(super) stages: Stages,
    /// What verdicts are worth: as they are, then with one thing left out in turn where that was asked for.
    pub(super) contributions: Vec<Contribution>,
    /// Peak memory, bytes.
    pub(super) peak_bytes: Option<u64>,
}

impl Summary<'_> {
    /// For a person.
    pub(super) fn to_text(&self, paint: Paint) -> String {
        let tally = self.tally;
        let mut text = String::new();
        let top = tally.top();
        if !top.is_empty() {
            let _ = writeln!(text, "{}", paint.bold("Most surprising"));
            for verdict in top {
                let _ = writeln!(text, "  {}", paint.verdict_line(verdict));
                text.push_str(&paint.reasons(verdict));
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{}", paint.bold("Summary"));
        line(&mut text, "learned from", &self.learned());
        if self.model.set_aside() > 0 {
            line(&mut text, "set aside", &format!("{} of these, too odd to be learned from", count(self.model.set_aside())));
        }
        line(&mut text, "judged", &format!("{} ({}/s)", read_of(&self.read), count(self.rate())));
        line(
            &mut text,
            "endpoints",
            &format!("{} discovered, {} in what was judged", self.model.endpoints().len(), distinct(tally.endpoints())),
        );
        let of = |api: &ApiName| if self.model.apis().len() > 1 { format!(", {api}") } else { String::new() };
        for (api, chain) in self.model.chains() {
            line(&mut text, "Markov chain", &format!("{chain}{}", of(api)));
        }
        for api in self.model.apis() {
            let (steps, values) = (api.network.outcome(), api.value_network.outcome());
            line(&mut text, "networks", &format!("steps: {steps}; values: {values}{}", of(&api.name)));
        }
        line(&mut text, "sessions", &distinct(tally.sessions()));
        line(
            &mut text,
            "verdicts",
            &format!("{} benign, {} anomalous, {} insufficient", count(tally.benign), count(tally.anomalous), count(tally.insufficient)),
        );
        if let Some((low, high)) = tally.alpha {
            let alpha = if low == high { format!("{low:.1e}") } else { format!("{low:.1e} to {high:.1e}") };
            let text_of = format!("alpha {alpha}: {:.1} expected if nothing were wrong, {} found", tally.expected, count(tally.anomalous));
            line(&mut text, "alert budget", &text_of);
        }
        for (family, n) in &tally.families {
            line(&mut text, family.name(), &count(*n));
        }
        let stages = &self.stages;
        line(
            &mut text,
            "time",
            &format!("read {}, learn {}, judge {}", seconds(stages.read), seconds(stages.learn), seconds(stages.judge)),
        );
        if let Some(bytes) = self.peak_bytes {
            line(&mut text, "memory peak", &format!("{} MiB", bytes >> 20));
        }
        if self.contributions.len() > 1 || self.contributions.iter().any(|c| c.quality.is_some()) {
            text.push_str(&table(&self.contributions, paint));
        }
        text
    }

    fn learned(&self) -> String {
        self.stages.learned.as_ref().map_or_else(|| format!("model {}", self.model.label), read_of)
    }

    /// Records judged a second.
    fn rate(&self) -> u64 {
        let seconds = self.stages.judge.as_secs_f64();
        if seconds > 0.0 { (self.read.read as f64 / seconds) as u64 } else { 0 }
    }

    /// For a program.
    pub(super) fn to_json(&self) -> Value {
        let tally = self.tally;
        let learned = self.stages.learned.as_ref();
        let by = |is_alone: bool| self.contributions.iter().filter(|c| c.is_alone == is_alone).collect::<Vec<_>>();
        json!({
            "model": self.model.label,
            "apis": self.model.summary(),
            "trained_on": learned.map_or(0, |reading| reading.read),
            "trained_on_bad_lines": learned.map_or(0, Reading::bad_lines),
            "judged": self.read.read,
            "bad_lines": self.read.bad_lines(),
            "late": self.read.late,
            "endpoints": {"discovered": self.model.endpoints().len(), "judged": tally.endpoints()},
            "sessions": tally.sessions(),
            "verdicts": {"benign": tally.benign, "anomalous": tally.anomalous, "insufficient": tally.insufficient},
            "families": tally.families.iter().map(|(family, n)| (family.name().to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
            "budget": {"expected": tally.expected, "found": tally.anomalous, "alpha": tally.alpha.map(|(low, high)| [low, high])},
            "seconds": {"read": self.stages.read.as_secs_f64(), "learn": self.stages.learn.as_secs_f64(), "judge": self.stages.judge.as_secs_f64()},
            "records_per_second": self.rate(),
            "memory_peak_bytes": self.peak_bytes,
            "left_out": by(false),
            "alone": by(true),
            "most_surprising": tally.top(),
        })
    }
}

fn line(text: &mut String, name: &str, what: &str) {
    let _ = writeln!(text, "  {name:<17} {what}");
}

fn distinct(distinct: Distinct) -> String {
    if distinct.exact { count(distinct.at_least) } else { format!("at least {}", count(distinct.at_least)) }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
