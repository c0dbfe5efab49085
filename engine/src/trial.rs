//! Champion and challenger on the same recent history: how often each calls it anomalous, endpoint by endpoint, whether its p-values are
//! as small as they say, how many sessions each finds odd once their order is lost, and how many requests with a piece of code where a
//! number or a name should be, and what judging costs. What comes of it is a decision with its reason.

use crate::calibrate::bar;
use crate::content::CODE;
use crate::features::hash::mix;
use crate::features::{Features, Field, ValueKind};
use crate::learn::session_of;
use crate::model::Model;
use crate::neural::{HeadError, Heads};
use crate::partition::{Effect, Limits, Partition};
use crate::rate::Rate;
use crate::record::{Label, TopicPartition, Verdict};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Nanoseconds an exchange and bytes of a model file that no challenger is refused for, and times the champion's beyond them.
const CHEAP_NS: u64 = 100_000;
const SMALL_BYTES: u64 = 64 << 20;
const DEARER: u64 = 3;
/// Exchanges that are judged again, at most: the newest.
const MOST: usize = 20_000;
/// Exchanges of a session that can lose its order, at least.
const STEPS: usize = 5;
/// Times the champion's alert rate that an endpoint may have, and alerts of one endpoint that are too few to say so.
const ALERTS: f64 = 5.0;
const FEW_ALERTS: u64 = 5;
/// Levels that p-values are held to, by how many times they may be passed, and how sure that must be.
const LEVELS: [f64; 2] = [0.01, 0.001];
const TIMES: f64 = 2.0;
const SURE: f64 = 0.95;
/// Standard errors by which fewer disordered sessions may be found before it counts as fewer.
const ERRORS: f64 = 2.0;
/// Requests that get a piece of code, at most; and at least, to hold a model to them.
const MOST_TAMPERED: usize = 600;
const LEAST_TAMPERED: u64 = 50;
/// Share of these that a first model should find.
const FIRST_CAUGHT: f64 = 0.9;
/// Records judged together.
const BATCH: usize = 256;

/// How a model judged the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Label of the model.
    pub model: String,
    /// Exchanges judged.
    pub exchanges: u64,
    /// Of these called anomalous.
    pub anomalous: u64,
    /// Exchanges with p at or below 1 % and 0.1 %.
    #[serde(default)]
    pub below: [u64; 2],
    /// By endpoint: exchanges, and how many were called anomalous.
    pub endpoints: BTreeMap<String, (u64, u64)>,
    /// Sessions that lost their order.
    pub disordered: u64,
    /// Of these over the bar that 1 % of the sessions as they were are over.
    pub found: u64,
    /// Requests that got a piece of code behind the value of a typed field, each on its own.
    pub injected: u64,
    /// Of these called anomalous.
    pub caught: u64,
    /// What it costs to judge with it.
    #[serde(default)]
    pub cost: Cost,
}

/// What it costs to judge with a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Bytes of its file; 0: not known.
    pub bytes: u64,
    /// Nanoseconds that an exchange takes in the quicker batches: a quarter are quicker still. 0: not known.
    pub nanos: u64,
}

/// What is to become of a challenger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Decision {
    /// It takes over.
    Promote,
    /// The champion stays, for this reason.
    Refuse(String),
}

impl Cost {
    /// What a challenger costs too much, and what the champion does.
    fn dearer(self, challenger: Self) -> Option<String> {
        let is_dearer = |before: u64, now: u64, cheap: u64| before > 0 && now > cheap && now / DEARER > before;
        if is_dearer(self.nanos, challenger.nanos, CHEAP_NS) {
            let [before, now] = [self.nanos, challenger.nanos].map(|nanos| nanos / 1_000);
            return Some(format!("an exchange takes {now} \u{b5}s, {before}"));
        }
        if is_dearer(self.bytes, challenger.bytes, SMALL_BYTES) {
            let [before, now] = [self.bytes, challenger.bytes].map(|bytes| bytes as f64 / f64::from(1 << 20));
            return Some(format!("the model file has {now:.1} MiB, {before:.1}"));
        }
        None
    }
}

impl Trial {
    /// Lets a model judge the newest part of a history, as it was and with sessions in disorder. `bytes`: how large its file is.
    /// `clock`: tells the time since some moment.
    ///
    /// # Errors
    /// A network of the model cannot be run.
    pub fn of(
        model: &Arc<Model>,
        bytes: u64,
        history: &[&Features],
        heads: &mut dyn Heads,
        clock: &dyn Fn() -> Duration,
    ) -> Result<Self, HeadError> {
        let mut recent: Vec<&Features> = history.to_vec();
        recent.sort_by_key(|f| f.time.unwrap_or(i64::MIN));
        let recent = &recent[recent.len().saturating_sub(MOST)..];
        let mut trial = Self {
            model: model.label.clone(),
            exchanges: recent.len() as u64,
            anomalous: 0,
            below: [0; 2],
            endpoints: BTreeMap::new(),
            disordered: 0,
            found: 0,
            injected: 0,
            caught: 0,
            cost: Cost { bytes, nanos: 0 },
        };
        let as_it_was: Vec<Features> = recent.iter().map(|f| (*f).clone()).collect();
        let mut judge = Judge { model, heads, clock, nanos: Vec::new() };
        let mut benign = judge.oddest(&as_it_was, &mut |verdict| {
            let is_anomalous = u64::from(verdict.label == Label::Anomalous);
            trial.anomalous += is_anomalous;
            for (below, level) in trial.below.iter_mut().zip(LEVELS) {
                *below += u64::from(verdict.p <= level);
            }
            let counts = trial.endpoints.entry(verdict.endpoint).or_default();
            *counts = (counts.0 + 1, counts.1 + is_anomalous);
        })?;
        let long = long_sessions(recent);
        benign.retain(|session, _| long.contains_key(session));
        let bar = bar(benign.values().copied());
        let disordered = judge.oddest(&disordered(recent, &long), &mut |_| {})?;
        let scores: Vec<f64> = disordered.iter().filter(|(session, _)| long.contains_key(session)).map(|(_, score)| *score).collect();
        trial.disordered = scores.len() as u64;
        trial.found = scores.iter().filter(|score| **score > bar).count() as u64;
        judge.oddest(&injected(recent), &mut |verdict| {
            trial.injected += 1;
            trial.caught += u64::from(verdict.label == Label::Anomalous);
        })?;
        trial.cost.nanos = judge.quick_nanos();
        Ok(trial)
    }

    /// What a first model, which has no champion to be held to, falls short of: code in typed fields that it does not find.
    #[must_use]
    pub fn shortfall(&self) -> Option<String> {
        let share = self.caught as f64 / self.injected.max(1) as f64;
        (self.injected >= LEAST_TAMPERED && share < FIRST_CAUGHT).then(|| {
            let (of, found, least) = (self.injected, 100.0 * share, 100.0 * FIRST_CAUGHT);
            format!("of {of} requests with code in a typed field {found:.1} % are found, less than {least:.0} %")
        })
    }

    /// Whether a challenger takes over from this champion.
    #[must_use]
    pub fn decide(&self, challenger: &Self) -> Decision {
        for (endpoint, (n, anomalous)) in challenger.endpoints.iter().filter(|(_, (_, anomalous))| *anomalous > FEW_ALERTS) {
            let Some((before_n, before)) = self.endpoints.get(endpoint) else { continue };
            let rate = |anomalous: u64, n: u64| anomalous as f64 / n.max(1) as f64;
            let allowed = ALERTS * rate((*before).max(1), *before_n);
            if rate(*anomalous, *n) > allowed {
                return Decision::Refuse(format!(
                    "{endpoint}: {anomalous} of {n} known requests are called anomalous, {before} of {before_n} by {}",
                    self.model
                ));
            }
        }
        for (at, level) in LEVELS.into_iter().enumerate() {
            let [before, now] = [self, challenger].map(|trial| Rate { events: trial.below[at], of: trial.exchanges });
            let surely = now.interval(SURE).0;
            if level >= now.least_level() && surely > TIMES * level && surely > before.high(SURE) {
                let [before, now] = [before, now].map(|rate| 100.0 * rate.share());
                return Decision::Refuse(format!(
                    "{now:.2} % of {} known requests have p at or below {level}, {before:.2} % by {}",
                    challenger.exchanges, self.model
                ));
            }
        }
        if let Some(dearer) = self.cost.dearer(challenger.cost) {
            return Decision::Refuse(format!("{dearer} by {}", self.model));
        }
        let is_fair = self.injected.min(challenger.injected) >= LEAST_TAMPERED;
        let code = is_fair.then(|| less_found((self.caught, self.injected), (challenger.caught, challenger.injected))).flatten();
        let disorder = less_found((self.found, self.disordered), (challenger.found, challenger.disordered));
        let reasons = [(disorder, "sessions in disorder"), (code, "requests with code in a typed field")];
        let reason = reasons.into_iter().find_map(|(less, what)| Some((less?, what)));
        reason.map_or(Decision::Promote, |((of, after, before), what)| {
            Decision::Refuse(format!("of {of} {what} {:.1} % are found, {:.1} % by {}", 100.0 * after, 100.0 * before, self.model))
        })
    }
}

/// How many a challenger was shown, the share that it found and the champion's, if that is less by more than chance.
fn less_found((found, of): (u64, u64), (now_found, now_of): (u64, u64)) -> Option<(u64, f64, f64)> {
    let (before, after) = (found as f64 / of.max(1) as f64, now_found as f64 / now_of.max(1) as f64);
    let n = now_of.max(1) as f64;
    let error = (before * (1.0 - before) / n).sqrt().max(1.0 / n);
    (after < before - ERRORS * error).then_some((now_of, after, before))
}

/// Lets a model judge, and takes the time.
struct Judge<'a> {
    model: &'a Arc<Model>,
    heads: &'a mut dyn Heads,
    clock: &'a dyn Fn() -> Duration,
    /// Nanoseconds of an exchange, by batch.
    nanos: Vec<u128>,
}

impl Judge<'_> {
    /// By session: the largest score. `tell` is told the verdict on each exchange.
    fn oddest(&mut self, history: &[Features], tell: &mut dyn FnMut(Verdict)) -> Result<FxHashMap<u64, f64>, HeadError> {
        let mut partition = Partition::new(TopicPartition::new("trial", 0), Limits::default());
        partition.apply(Effect::Model(Arc::clone(self.model)));
        let mut oddest: FxHashMap<u64, f64> = FxHashMap::default();
        for batch in history.chunks(BATCH) {
            let began = (self.clock)();
            let judged = partition.judge_again(batch, self.heads)?;
            self.nanos.push((self.clock)().saturating_sub(began).as_nanos() / batch.len() as u128);
            for (features, judged) in batch.iter().zip(judged) {
                if let Some(session) = session_of(features) {
                    let most = oddest.entry(session).or_default();
                    *most = most.max(judged.verdict.score);
                }
                tell(judged.verdict);
            }
        }
        Ok(oddest)
    }

    /// Nanoseconds of an exchange in the quicker batches: what else the machine does makes some slow.
    fn quick_nanos(mut self) -> u64 {
        self.nanos.sort_unstable();
        self.nanos.get(self.nanos.len() / 4).map_or(0, |nanos| u64::try_from(*nanos).unwrap_or(u64::MAX))
    }
}

/// Sessions that are long enough to lose their order: where their exchanges stand.
fn long_sessions(history: &[&Features]) -> BTreeMap<u64, Vec<usize>> {
    let mut sessions: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, features) in history.iter().enumerate() {
        if let Some(session) = session_of(features) {
            sessions.entry(session).or_default().push(at);
        }
    }
    sessions.retain(|_, places| places.len() >= STEPS);
    sessions
}

/// The history with what sessions did in another order; times stay where they were.
fn disordered(history: &[&Features], sessions: &BTreeMap<u64, Vec<usize>>) -> Vec<Features> {
    let mut what: Vec<usize> = (0..history.len()).collect();
    for (session, places) in sessions {
        for at in (1..places.len()).rev() {
            let with = (mix(*session, at as u64) % (at as u64 + 1)) as usize;
            what.swap(places[at], places[with]);
        }
    }
    let exchange = |(what, here): (&usize, &&Features)| {
        let mut features = history[*what].clone();
        features.time = here.time;
        features
    };
    what.iter().zip(history).map(exchange).collect()
}

/// An even part of the requests that have typed fields, each with a piece of code behind the value of one, and nobody's: what they are
/// called is for that value alone.
fn injected(history: &[&Features]) -> Vec<Features> {
    let typed = |features: &Features| {
        let is_typed = |field: &Field| field.place.is_of_endpoint() && field.kind != ValueKind::Null && field.kind.has_form();
        let fields: Vec<usize> = (0..features.fields.len()).filter(|at| is_typed(&features.fields[*at])).collect();
        let which = mix(features.fields.len() as u64, features.time.unwrap_or(0).cast_unsigned()) as usize;
        (!fields.is_empty()).then(|| fields[which % fields.len()])
    };
    let all: Vec<(&Features, usize)> = history.iter().filter_map(|features| Some((*features, typed(features)?))).collect();
    let step = all.len().div_ceil(MOST_TAMPERED).max(1);
    let with_code = |(n, (features, field)): (usize, &(&Features, usize))| {
        let value = format!("{}{}", features.value(&features.fields[*field]), CODE[n % CODE.len()]);
        let mut injected = features.with_value(*field, &value);
        (injected.session, injected.subject, injected.source) = (None, None, None);
        injected
    };
    all.iter().step_by(step).enumerate().map(with_code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(anomalous: u64, found: u64) -> Trial {
        let endpoints = BTreeMap::from([("GET /a".to_owned(), (1_000, anomalous))]);
        let below = [10, 1];
        Trial {
            model: "v1".to_owned(),
            exchanges: 1_000,
            anomalous,
            below,
            endpoints,
            disordered: 400,
            found,
            injected: 100,
            caught: 98,
            cost: Cost::default(),
        }
    }

    #[test]
    fn more_alerts_or_less_found_are_reasons_and_a_little_of_either_is_none() {
        let champion = trial(2, 200);
        assert_eq!(champion.decide(&trial(9, 190)), Decision::Promote);
        assert!(matches!(champion.decide(&trial(11, 200)), Decision::Refuse(why) if why.contains("GET /a: 11 of 1000")));
        assert!(matches!(champion.decide(&trial(2, 170)), Decision::Refuse(why) if why.contains("42.5 %")));
        assert_eq!(trial(0, 0).decide(&trial(5, 0)), Decision::Promote, "too few to say so");
        let taught = Trial { caught: 60, ..trial(2, 200) };
        assert!(matches!(champion.decide(&taught), Decision::Refuse(why) if why.contains("code in a typed field 60.0 %")));
        assert_eq!(champion.decide(&Trial { injected: 40, ..taught }), Decision::Promote, "too few to say so");
        let loud = Trial { below: [60, 20], ..trial(2, 200) };
        assert!(
            matches!(champion.decide(&loud), Decision::Refuse(why) if why.contains("6.00 % of 1000 known requests have p at or below 0.01, 1.00 %"))
        );
        assert_eq!(champion.decide(&Trial { below: [25, 20], ..loud.clone() }), Decision::Promote, "not surely, and too few for 0.1 %");
        assert_eq!(loud.decide(&loud), Decision::Promote, "no louder than the champion");
    }

    #[test]
    fn a_first_model_that_finds_little_is_told() {
        assert_eq!(trial(2, 200).shortfall(), None);
        let weak = Trial { caught: 80, ..trial(2, 200) };
        assert_eq!(weak.shortfall().as_deref(), Some("of 100 requests with code in a typed field 80.0 % are found, less than 90 %"));
        assert_eq!(Trial { injected: 40, caught: 0, ..weak }.shortfall(), None, "too few to say so");
    }

    #[test]
    fn a_model_that_costs_several_times_as_much_is_refused_and_a_cheap_one_never() {
        let of = |nanos: u64, bytes: u64| Trial { cost: Cost { bytes, nanos }, ..trial(2, 200) };
        let champion = of(50_000, 30 << 20);
        let refused = |challenger: &Trial| match champion.decide(challenger) {
            Decision::Promote => String::new(),
            Decision::Refuse(why) => why,
        };
        assert_eq!(refused(&of(160_000, 30 << 20)), "an exchange takes 160 \u{b5}s, 50 by v1");
        assert_eq!(refused(&of(50_000, 100 << 20)), "the model file has 100.0 MiB, 30.0 by v1");
        assert_eq!(refused(&of(140_000, 80 << 20)), "", "dearer, but not several times");
        assert_eq!(of(10_000, 1 << 20).decide(&of(90_000, 60 << 20)), Decision::Promote, "cheap all the same");
        assert_eq!(trial(2, 200).decide(&of(1 << 40, 1 << 40)), Decision::Promote, "nothing to compare with");
    }
}
