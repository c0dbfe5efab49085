//! Counts of small p-values beside what was promised, as far down as the data goes.

use crate::terminal::{Paint, count};
use engine::detect::Class;
use engine::fuse::Peers;
use engine::rate::Rate;
use engine::{Label, Verdict};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Levels that p-values are held against.
const LEVELS: [f64; 7] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7];
/// Confidence of intervals.
const CONFIDENCE: f64 = 0.95;
/// Sessions told apart; later ones are not counted as sessions.
const MOST_SESSIONS: usize = 1 << 20;
/// A realised rate within this factor of the nominal one is well.
const TOLERANCE: f64 = 2.0;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// Verdicts without a promise.
    pub(super) insufficient: u64,
    all: Counts,
    known: [Counts; Class::COUNT],
    unknown: Counts,
    sessions: HashMap<u64, Session>,
}

/// p-values of one sort.
#[derive(Debug, Default)]
struct Counts {
    of: u64,
    below: [u64; LEVELS.len()],
    /// Verdicts below their own alpha, and the sum of those levels: as many are expected.
    alerts: u64,
    expected: f64,
}

/// p-values of one session.
#[derive(Debug)]
struct Session {
    requests: u32,
    smallest: f64,
}

impl Counts {
    fn add(&mut self, p: f64) {
        self.of += 1;
        for (below, level) in self.below.iter_mut().zip(LEVELS) {
            *below += u64::from(p <= level);
        }
    }

    fn add_verdict(&mut self, verdict: &Verdict) {
        self.add(verdict.p);
        self.alerts += u64::from(verdict.label == Label::Anomalous);
        self.expected += verdict.alpha;
    }

    fn row(&self, name: &'static str) -> Row {
        let rate = |events| Rate { events, of: self.of };
        let levels = (LEVELS.into_iter().zip(self.below))
            .filter(|(level, _)| rate(0).least_level() <= *level)
            .map(|(nominal, below)| {
                let (low, high) = rate(below).interval(CONFIDENCE);
                Realised { nominal, realised: rate(below).share(), count: below, low, high }
            })
            .collect();
        Row { name, of: self.of, levels, ends_at: rate(0).least_level(), alerts: self.alerts, expected: self.expected }
    }
}

impl Rates {
    /// Counts a verdict.
    pub(super) fn add(&mut self, peers: Peers, verdict: &Verdict) {
        self.all.add_verdict(verdict);
        if peers.is_known { &mut self.known[peers.class as usize] } else { &mut self.unknown }.add_verdict(verdict);
        let Some(session) = &verdict.session else { return };
        let mut hasher = DefaultHasher::new();
        (&verdict.api, session).hash(&mut hasher);
        let key = hasher.finish();
        if self.sessions.len() < MOST_SESSIONS || self.sessions.contains_key(&key) {
            let session = self.sessions.entry(key).or_insert(Session { requests: 0, smallest: 1.0 });
            session.requests += 1;
            session.smallest = session.smallest.min(verdict.p);
        }
    }

    /// What it comes to.
    pub(super) fn report(&self) -> Report {
        let mut sessions = Counts::default();
        for session in self.sessions.values() {
            // Šidák: how likely it is that one of so many requests has so small a p, were each drawn anew.
            sessions.add(-(f64::from(session.requests) * (-session.smallest).ln_1p()).exp_m1());
        }
        let known = Class::ALL.into_iter().map(|class| self.known[class as usize].row(name(class)));
        Report {
            insufficient: self.insufficient,
            requests: [self.all.row("all")].into_iter().chain(known).chain([self.unknown.row("endpoint not known")]).collect(),
            sessions: sessions.row("sessions"),
        }
    }
}

fn name(class: Class) -> &'static str {
    match class {
        Class::Read => "read",
        Class::Write => "write",
        Class::Authentication => "authentication",
    }
}

/// Realised beside nominal rates.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Verdicts that promise nothing.
    insufficient: u64,
    /// By class of request, all of them first.
    requests: Vec<Row>,
    /// Sessions by the smallest p of their requests, for how many those are (Šidák): far below nominal where oddities come together.
    sessions: Row,
}

/// Rates of one sort.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    of: u64,
    levels: Vec<Realised>,
    /// Below this level the data says nothing: 5/n.
    ends_at: f64,
    /// Anomalous verdicts, and how many would be if nothing were wrong; of sessions none are counted.
    alerts: u64,
    expected: f64,
}

/// One level: the share of p-values at or below it, with its interval.
#[derive(Debug, Serialize)]
struct Realised {
    nominal: f64,
    realised: f64,
    count: u64,
    low: f64,
    high: f64,
}

impl Realised {
    /// Whether the interval holds a rate within a factor of two of the nominal one.
    fn is_well(&self) -> bool {
        self.low <= TOLERANCE * self.nominal && self.high >= self.nominal / TOLERANCE
    }
}

impl Report {
    /// For a person.
    pub(super) fn to_text(&self, paint: Paint) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{}", paint.bold("Share of p-values at or below a level, of traffic that was not learned from"));
        let _ = writeln!(text, "  {:<20} {:>9} {:>10} {:>10}   95 % interval", "", "n", "nominal", "realised");
        for row in self.requests.iter().chain([&self.sessions]).filter(|row| row.of > 0) {
            for (n, level) in row.levels.iter().enumerate() {
                let (name, of) = if n == 0 { (row.name, count(row.of)) } else { ("", String::new()) };
                let mark = if level.is_well() { String::new() } else { format!("  {}", paint.yellow("off by more than twice")) };
                let [nominal, realised, low, high] = [level.nominal, level.realised, level.low, level.high].map(percent);
                let _ = writeln!(text, "  {name:<20} {of:>9} {nominal:>10} {realised:>10}   {low} to {high}{mark}");
            }
            let name = if row.levels.is_empty() { row.name } else { "" };
            let end = match row.ends_at {
                ..1.0 => format!("below {} the data says nothing", percent(row.ends_at)),
                _ => "too few to say anything".to_owned(),
            };
            let _ =
                writeln!(text, "  {name:<20} {:>9} {}", if row.levels.is_empty() { count(row.of) } else { String::new() }, paint.dim(&end));
        }
        if let Some(all) = self.requests.first() {
            let _ = writeln!(
                text,
                "At alpha: {} anomalous, {:.1} expected; {} insufficient.",
                count(all.alerts),
                all.expected,
                count(self.insufficient)
            );
        }
        text.push_str(
            "Sessions go by the smallest p of their requests, for how many those are: below nominal where oddities come together.\n",
        );
        text
    }
}

fn percent(share: f64) -> String {
    if share == 0.0 {
        return "0 %".to_owned();
    }
    let digits = (1.0 - (100.0 * share).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{:.digits$} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::{Counts, percent};

    #[test]
    fn levels_end_where_the_data_does_and_uniform_p_values_are_well() {
        let mut counts = Counts::default();
        (0..10_000).for_each(|n| counts.add((f64::from(n) + 0.5) / 10_000.0));
        let row = counts.row("all");
        let nominal: Vec<f64> = row.levels.iter().map(|l| l.nominal).collect();
        assert_eq!(nominal, [1e-1, 1e-2, 1e-3]);
        assert!(row.levels.iter().all(super::Realised::is_well) && row.levels[1].count == 100);
        (0..500).for_each(|_| counts.add(1e-3));
        assert!(!counts.row("all").levels[2].is_well());
    }

    #[test]
    fn shares_keep_two_digits() {
        assert_eq!([0.1, 0.00123, 0.0, 5e-5].map(percent), ["10 %", "0.12 %", "0 %", "0.0050 %"]);
    }
}
