//! Whether the network is worth its place: values that were tampered with must come out worse than held-out ones, and requests with
//! them must be caught more often with it than by `content` without it.

use super::learn::answer;
use super::likeness::{Likeness, questions};
use super::sketch::{Fields, Sketch};
use super::{Appraisal, MOST};
use crate::calibrate::{Shape, Tail, bar};
use crate::content::{CODE, Content, Scratch};
use crate::detect::{Aspect, Signal};
use crate::features::Features;
use crate::features::hash::mix;
use crate::fuse::together;
use crate::learn::Row;
use crate::neural::learn::HELD_OUT;
use crate::neural::{Head, HeadError, Heads};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Requests that are tampered with, at most.
const MOST_REQUESTS: usize = 2_000;
/// Share that must be found on top: one more voice costs the others weight and brings false alarms of its own. Where it was one point, it
/// was paid for by more than twice as many benign sessions with an alert.
const GAIN: f64 = 0.05;
/// How a value of a held-out request is tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mutation {
    /// It is the value of another field.
    Foreign,
    /// Its characters in another order.
    Shuffled,
    /// Begins as it does and ends as another value of the same field: what only fits in parts.
    Spliced,
    /// Has a piece of code somewhere.
    Injected,
}

impl Mutation {
    const ALL: [Self; 4] = [Self::Foreign, Self::Shuffled, Self::Spliced, Self::Injected];

    /// As manifests name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Shuffled => "shuffled",
            Self::Spliced => "spliced",
            Self::Injected => "injected",
        }
    }
}

/// How many requests with a value that was tampered with in one way are over the bar that 1 % of benign requests are over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The way.
    pub mutation: Mutation,
    /// Requests.
    pub requests: u64,
    /// Share found by the fields' profiles alone, 0 to 1.
    pub profiles: f64,
    /// Share found by profiles and network.
    pub both: f64,
}

/// What a network was measured by.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Slots of its fields.
    pub slots: u64,
    /// Distinct values learned from.
    pub values: u64,
    /// Held-out requests.
    pub held_out: u64,
    /// How often a request that was tampered with is odder to the network than one that was not, 0.5 to 1 (AUC).
    pub separates: f64,
    /// By way of tampering.
    pub found: Vec<Found>,
    /// Passes over the lesson.
    pub epochs: u32,
    /// Whether it went on from the network before.
    pub is_warm: bool,
    /// Largest difference between trained and exported network.
    pub parity: f32,
}

impl Figures {
    /// Why the network is not to judge, if there is a reason.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        let mean = |share: fn(&Found) -> f64| self.found.iter().map(share).sum::<f64>() / self.found.len().max(1) as f64;
        let (profiles, both) = (mean(|f| f.profiles), mean(|f| f.both));
        if self.separates.is_nan() || self.separates <= 0.5 {
            return Some(format!("values that were tampered with come out no worse than others (AUC {:.2})", self.separates));
        }
        (both < profiles + GAIN).then(|| {
            format!("of requests with a tampered value {:.1} % are found with it, {:.1} % without", 100.0 * both, 100.0 * profiles)
        })
    }

    /// For the manifest.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let rounded = |x: f64| (x * 1e4).round() / 1e4;
        let found: serde_json::Map<String, serde_json::Value> = self
            .found
            .iter()
            .map(|f| {
                let figures = serde_json::json!({ "requests": f.requests, "profiles": rounded(f.profiles), "both": rounded(f.both) });
                (f.mutation.name().to_owned(), figures)
            })
            .collect();
        serde_json::json!({
            "slots": self.slots,
            "values": self.values,
            "held_out_requests": self.held_out,
            "separates": rounded(self.separates),
            "found_at_1_percent": found,
            "epochs": self.epochs,
            "warm_start": self.is_warm,
            "parity": self.parity,
        })
    }
}

/// Held-out rows with what the network says of them.
pub(super) struct Panel<'r> {
    pub(super) likeness: Likeness,
    rows: Vec<(usize, &'r Row<'r>)>,
    asked: Vec<SmallVec<[Appraisal; MOST]>>,
}

impl<'r> Panel<'r> {
    /// Asks the network of all held-out rows, and learns from its answers how badly benign values come out.
    pub(super) fn of(rows: &'r [Row<'r>], fields: &Fields, head: Head, heads: &mut dyn Heads) -> Result<Self, HeadError> {
        let rows: Vec<_> = rows.iter().enumerate().filter(|(_, r)| r.fold == HELD_OUT && r.endpoint.is_some()).collect();
        let ask = |(_, row): &(usize, &Row<'_>)| questions(fields, row.features, &row.route, row.id);
        let mut asked: Vec<_> = rows.iter().map(ask).collect();
        let mut anywhere = asked.clone();
        anywhere.iter_mut().flatten().for_each(|a| a.sketch = a.sketch.anywhere());
        answer(&head, heads, &mut asked)?;
        answer(&head, heads, &mut anywhere)?;
        let benign = rows.iter().zip(asked.iter().zip(&anywhere)).filter(|((_, row), _)| row.counts && row.features.status() < 400);
        let is_known = |a: &&Appraisal| a.sketch != a.sketch.anywhere();
        let answers: Vec<(Sketch, f32)> = benign
            .flat_map(|(_, (own, anywhere))| own.iter().filter(is_known).chain(anywhere))
            .map(|a| (a.sketch, a.rebuilt.nats))
            .collect();
        let likeness = Likeness::new(head, fields.clone(), &answers);
        let mut asked: Vec<_> = rows.iter().map(|(_, row)| likeness.ask(row.features, &row.route, row.id)).collect();
        answer(&likeness.head, heads, &mut asked)?;
        Ok(Self { likeness, rows, asked })
    }

    /// Its signals, by row.
    pub(super) fn signals(&self) -> Vec<(usize, Signal)> {
        self.rows.iter().zip(&self.asked).filter_map(|((at, _), asked)| Some((*at, self.likeness.signal(asked)?))).collect()
    }
}

/// What profiles and network say of one request.
#[derive(Clone, Copy)]
struct Scores {
    profiles: f32,
    network: f32,
}

/// Compares the network with profiles that never saw the panel's rows. Size of the lesson, passes, warmth and parity are the caller's.
pub(super) fn compare(panel: &Panel<'_>, heads: &mut dyn Heads, profiles: &Content, seed: u64) -> Result<Figures, HeadError> {
    let mut judge = Judge { panel, profiles, scratch: Scratch::default(), signals: Vec::new() };
    let mut chosen: Vec<usize> = (0..panel.rows.len()).filter(|n| is_open(panel.rows[*n].1)).collect();
    let share = chosen.len().div_ceil(MOST_REQUESTS).max(1);
    chosen = chosen.into_iter().step_by(share).collect();
    let mut figures = Figures { slots: panel.likeness.fields().len() as u64, held_out: chosen.len() as u64, ..Figures::default() };
    let benign: Vec<Scores> = chosen.iter().map(|n| judge.scores(panel.rows[*n].1, panel.rows[*n].1.features, &panel.asked[*n])).collect();
    let tail = |score: fn(&Scores) -> f32| Tail::fit_as(benign.iter().map(score).collect(), 1, Shape::LIKELIHOODS);
    let (Some(of_profiles), Some(of_network)) = (tail(|s| s.profiles), tail(|s| s.network)) else { return Ok(figures) };
    let alone = |s: &Scores| of_profiles.p(f64::from(s.profiles)).nats();
    let both = |s: &Scores| together([(Aspect::Values, s.profiles, &of_profiles), (Aspect::Likeness, s.network, &of_network)]);
    let (bar_alone, bar_both) = (bar(benign.iter().map(alone)), bar(benign.iter().map(both)));
    let mut tampered_all = Vec::new();
    for mutation in Mutation::ALL {
        let tampered: Vec<(usize, Features)> = tamper(mutation, &panel.rows, &chosen, seed);
        let mut asked: Vec<_> =
            tampered.iter().map(|(n, features)| panel.likeness.ask(features, &panel.rows[*n].1.route, panel.rows[*n].1.id)).collect();
        answer(&panel.likeness.head, heads, &mut asked)?;
        let scores: Vec<Scores> =
            tampered.iter().zip(&asked).map(|((n, features), asked)| judge.scores(panel.rows[*n].1, features, asked)).collect();
        let share = |is_over: &dyn Fn(&Scores) -> bool| scores.iter().filter(|s| is_over(s)).count() as f64 / scores.len().max(1) as f64;
        figures.found.push(Found {
            mutation,
            requests: scores.len() as u64,
            profiles: share(&|s| alone(s) > bar_alone),
            both: share(&|s| both(s) > bar_both),
        });
        tampered_all.extend(scores);
    }
    let of_network = |scores: &[Scores]| scores.iter().map(|s| s.network).collect::<Vec<f32>>();
    figures.separates = auc(&mut of_network(&benign), &of_network(&tampered_all));
    Ok(figures)
}

struct Judge<'p> {
    panel: &'p Panel<'p>,
    profiles: &'p Content,
    scratch: Scratch,
    signals: Vec<Signal>,
}

impl Judge<'_> {
    fn scores(&mut self, row: &Row<'_>, features: &Features, asked: &[Appraisal]) -> Scores {
        self.signals.clear();
        self.profiles.score(&crate::detect::Seen { features, ..row.seen() }, None, &mut self.scratch, &mut self.signals);
        let values = self.signals.iter().find(|s| s.aspect == Aspect::Values);
        Scores { profiles: values.map_or(0.0, |s| s.score), network: self.panel.likeness.signal(asked).map_or(0.0, |s| s.score) }
    }
}

/// Whether a request has a value that can be tampered with.
fn is_open(row: &Row<'_>) -> bool {
    row.counts && row.features.status() < 400 && openings(row.features).next().is_some()
}

/// Places of values that can be tampered with.
fn openings(features: &Features) -> impl Iterator<Item = usize> + '_ {
    features.fields.iter().enumerate().filter(|(_, f)| f.place.is_of_endpoint() && f.length > 0).map(|(at, _)| at)
}

/// The chosen requests, each with one value tampered with; those that cannot be are left out.
fn tamper(mutation: Mutation, rows: &[(usize, &Row<'_>)], chosen: &[usize], seed: u64) -> Vec<(usize, Features)> {
    let tampered = chosen.iter().filter_map(|n| {
        let features = rows[*n].1.features;
        let dice = |sides: usize, salt: u64| (mix(mix(seed, *n as u64), salt) >> 8) as usize % sides.max(1);
        let pick = |features: &Features, salt: u64| {
            let open: SmallVec<[usize; 16]> = openings(features).collect();
            open.get(dice(open.len(), salt)).copied()
        };
        let at = pick(features, 1)?;
        let value = features.value(&features.fields[at]);
        let new = match mutation {
            Mutation::Foreign => {
                let other = rows[chosen[dice(chosen.len(), 2)]].1.features;
                let from = &other.fields[pick(other, 3)?];
                if from.id == features.fields[at].id {
                    return None;
                }
                other.value(from).to_owned()
            }
            Mutation::Shuffled => {
                let mut letters: Vec<char> = value.chars().collect();
                (1..letters.len()).rev().for_each(|at| letters.swap(at, dice(at + 1, 4 + at as u64)));
                letters.into_iter().collect()
            }
            Mutation::Spliced => {
                let other = rows[chosen[dice(chosen.len(), 2)]].1;
                let id = features.fields[at].id;
                let field = other.features.fields.iter().find(|f| f.id == id && other.id == rows[*n].1.id)?;
                let end = other.features.value(field);
                let half = |value: &str| value.floor_char_boundary(value.len() / 2);
                format!("{}{}", &value[..half(value)], &end[half(end)..])
            }
            Mutation::Injected => {
                let (before, after) = value.split_at(value.floor_char_boundary(dice(value.len() + 1, 5)));
                format!("{before}{}{after}", CODE[dice(CODE.len(), 6)])
            }
        };
        (new != value).then(|| (*n, features.with_value(at, &new)))
    });
    tampered.collect()
}

/// How often one of the second is larger than one of the first; ties count half.
fn auc(first: &mut [f32], second: &[f32]) -> f64 {
    first.sort_unstable_by(f32::total_cmp);
    let pairs = (first.len() * second.len()).max(1) as f64;
    let below = |x: f32| first.partition_point(|y| *y < x) + first.partition_point(|y| *y <= x);
    second.iter().map(|x| below(*x) as f64 / 2.0).sum::<f64>() / pairs
}
