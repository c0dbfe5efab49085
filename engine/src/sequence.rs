//! `sequence`: what comes after what in a session — a variable-order Markov chain (0 to 3, interpolated by Witten–Bell) over
//! (endpoint, status class) with tokens for pauses, and the steps that always come before others.

use crate::detect::{Aspect, Explanation, Level, Seen, Signal};
use crate::features::hash::mix;
use crate::features::{Credential, Features};
use crate::learn::Row;
use crate::partition::Live;
use crate::paths::Paths;
use crate::record::{EndpointId, Family};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt;

/// Steps of context.
const ORDER: usize = 3;
/// Most transitions kept of one order; the rarest go.
const MAX_TRANSITIONS: usize = 200_000;
/// Callers of an endpoint from which on its cases are enough to say how odd a way there is: fewer have not shown all their ways, however
/// often they called.
const CALLERS: usize = 10;
/// Endpoints of a session remembered, to see which steps were skipped.
const MAX_VISITED: usize = 32;
/// Cases that a rule of precedence rests on, at least.
const CASES: f32 = 50.0;
/// Share of cases in which one step must come before another, shortly, to be a rule. What comes long before is not always seen.
const PRECEDES: f32 = 0.97;
/// Shortly, milliseconds.
const SHORTLY: i64 = 600_000;

/// What a session did last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Latest tokens, newest first; immediate repeats stand once.
    context: [u64; ORDER],
    last: i64,
    /// Endpoints that this session reached, see [`is_taken`].
    visited: SmallVec<[u32; 8]>,
    /// Whether it may have begun before anybody took note.
    began_unseen: bool,
}

/// Chain and precedence of one API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sequence {
    /// Per order: hash of (context, next) to weight, sorted.
    transitions: Vec<Vec<(u64, f32)>>,
    /// Per order: hash of context to (weight, distinct next), sorted.
    contexts: Vec<Vec<(u64, (f32, f32))>>,
    tokens: f32,
    /// By endpoint (low bits of its id), sorted: what comes before it, and in how many of how many cases.
    rules: Vec<(u32, Vec<Rule>)>,
    /// Surprisal of a credential that is refused for being out of date, wherever.
    stale: f32,
    /// Endpoints (low bits of their ids) of fewer callers than 10, with how many they have; sorted.
    narrow: Vec<(u32, u8)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Rule {
    before: u32,
    cases: f32,
    kept: f32,
}

/// In how many cases a step came before another.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    ever: f32,
    shortly: f32,
}

/// Low bits of an endpoint's id: enough to tell endpoints of one API apart.
pub(crate) fn short(id: EndpointId) -> u32 {
    id.0 as u32
}

/// Whether a step was taken, be it in vain: a payment that is declined, or that the server could not make, was not skipped, while a door
/// that stays shut was not reached.
fn is_taken(status: u16) -> bool {
    !matches!(status, 401 | 403 | 404 | 405)
}

/// Whether a credential was brought and refused: it expired, or was never one. That happens anywhere, whatever the way there.
fn is_stale(features: &Features) -> bool {
    features.status() == 401 && features.credential != Credential::None
}

/// A step as the chain and the network know it: where, and how it was answered.
pub(crate) fn token(id: EndpointId, status: u16) -> u64 {
    mix(id.0, u64::from(hundreds(status)))
}

/// Class of an answer. What the server failed to do says nothing of its caller, who goes on as if it had been done: else every outage
/// would look like a leap over the step that failed.
pub(crate) fn hundreds(status: u16) -> u8 {
    if status >= 500 { 2 } else { (status / 100) as u8 }
}

/// A token for a pause, if there was one.
fn pause(gap_ms: i64) -> Option<u64> {
    match gap_ms {
        ..=30_000 => None,
        30_001..=300_000 => Some(1),
        300_001..=1_800_000 => Some(2),
        _ => Some(3),
    }
}

impl Trace {
    /// Endpoints that this session reached, by the low bits of their ids, at most 32.
    pub(crate) fn visited(&self) -> &[u32] {
        &self.visited
    }

    /// Notes that the session may have begun before.
    pub(crate) fn begin_unseen(&mut self) {
        self.began_unseen = true;
    }

    /// Whether nobody knows what came before.
    pub(crate) fn is_unknown(&self) -> bool {
        self.began_unseen && self.context[0] == 0
    }

    /// The latest token (0 before the first) and its time, epoch milliseconds.
    pub(crate) fn newest(&self) -> (u64, i64) {
        (self.context[0], self.last)
    }

    /// Whether a step is the same again: how often is for `volume` to judge.
    pub(crate) fn is_at(&self, token: u64, now: i64) -> bool {
        self.context_at(now)[0] == token
    }

    /// The context of the next step at a time.
    fn context_at(&self, now: i64) -> [u64; ORDER] {
        match pause(now - self.last).filter(|_| self.last > 0 && now > 0) {
            Some(gap) => [gap, self.context[0], self.context[1]],
            None => self.context,
        }
    }

    /// Goes on to a token, whatever was reached by it.
    pub(crate) fn follow(&mut self, token: u64, now: i64) {
        let context = self.context_at(now);
        if context[0] != token {
            self.context = [token, context[0], context[1]];
        }
        if now > self.last {
            self.last = now;
        }
    }

    /// Notes that a step was taken, if it was.
    fn visit(&mut self, id: EndpointId, status: u16) {
        if is_taken(status) && !self.visited.contains(&short(id)) && self.visited.len() < MAX_VISITED {
            self.visited.push(short(id));
        }
    }
}

/// Key of the newest `n` tokens of a context.
fn context_key(context: &[u64; ORDER], n: usize) -> u64 {
    context[..n].iter().fold(n as u64, |key, t| mix(key, *t))
}

impl Sequence {
    /// Learns from rows of one API in time order.
    pub(crate) fn learn<'r>(rows: impl Iterator<Item = &'r Row<'r>>) -> Self {
        let mut transitions: Vec<FxHashMap<u64, f32>> = vec![FxHashMap::default(); ORDER + 1];
        let mut contexts: Vec<FxHashMap<u64, (f32, f32)>> = vec![FxHashMap::default(); ORDER + 1];
        let mut tokens = FxHashSet::default();
        let mut sessions: FxHashMap<u64, Trace> = FxHashMap::default();
        let mut cases: BTreeMap<u32, (f32, FxHashMap<u32, Before>)> = BTreeMap::new();
        let mut latest: FxHashMap<(u64, u32), i64> = FxHashMap::default();
        let mut callers: BTreeMap<u32, SmallVec<[u64; CALLERS]>> = BTreeMap::new();
        let (mut steps, mut stale) = (0.0f32, 0.0f32);
        for row in rows {
            let status = row.features.status();
            let Some(session) = row.session.filter(|_| row.endpoint.is_some()) else { continue };
            let trace = sessions.entry(session).or_default();
            let now = row.features.time.unwrap_or(0);
            if is_taken(status) {
                latest.insert((session, short(row.id)), now);
            }
            let next = token(row.id, status);
            tokens.insert(next);
            let units = callers.entry(short(row.id)).or_default();
            if units.len() < CALLERS && !units.contains(&row.unit) {
                units.push(row.unit);
            }
            let context = trace.context_at(now);
            for n in (0..=ORDER).filter(|_| !trace.is_at(next, now)) {
                let key = context_key(&context, n);
                let count = transitions[n].entry(mix(key, next)).or_default();
                let of = contexts[n].entry(key).or_default();
                if *count == 0.0 {
                    of.1 += 1.0;
                }
                *count += row.weight;
                of.0 += row.weight;
            }
            steps += row.weight;
            stale += if is_stale(row.features) { row.weight } else { 0.0 };
            if status < 400 {
                let (n, before) = cases.entry(short(row.id)).or_default();
                *n += row.weight;
                for earlier in trace.visited.iter().filter(|e| **e != short(row.id)) {
                    let before = before.entry(*earlier).or_default();
                    before.ever += row.weight;
                    before.shortly += if latest.get(&(session, *earlier)).is_some_and(|at| now - at <= SHORTLY) { row.weight } else { 0.0 };
                }
            }
            trace.visit(row.id, status);
            trace.follow(next, now);
        }
        let rules = cases
            .into_iter()
            .filter(|(_, (n, _))| *n >= CASES)
            .map(|(endpoint, (n, before))| {
                let mut rules: Vec<Rule> = before
                    .into_iter()
                    .filter(|(_, count)| count.shortly >= PRECEDES * n)
                    .map(|(before, count)| Rule { before, cases: n, kept: count.ever })
                    .collect();
                rules.sort_unstable_by_key(|r| r.before);
                (endpoint, rules)
            })
            .filter(|(_, rules)| !rules.is_empty())
            .collect();
        Self {
            transitions: transitions.into_iter().map(bounded).collect(),
            contexts: contexts.into_iter().map(sorted).collect(),
            tokens: tokens.len() as f32,
            rules,
            stale: -((stale + 0.5) / (steps + 1.0)).ln(),
            narrow: callers.into_iter().filter(|(_, units)| units.len() < CALLERS).map(|(e, units)| (e, units.len() as u8)).collect(),
        }
    }

    /// −ln P(next | context) at the longest context, and −ln P(next) without any.
    fn surprisal(&self, context: &[u64; ORDER], next: u64) -> (f32, f32) {
        let mut p = 1.0 / (self.tokens + 1.0);
        let mut alone = p;
        let mut same = 0.0;
        for n in 0..=ORDER.min(self.contexts.len().saturating_sub(1)) {
            let key = context_key(context, n);
            let Some((total, kinds)) = find(&self.contexts[n], key) else { break };
            // What always went before, before a session's first step above all, makes no other cases: they count once.
            if n > 1 && total == same {
                continue;
            }
            same = total;
            let count = find(&self.transitions[n], mix(key, next)).unwrap_or(0.0);
            p = (count + kinds * p) / (total + kinds);
            if n == 0 {
                alone = p;
            }
        }
        (-p.ln(), -alone.ln())
    }

    /// −ln P of a token after a trace, and how much that is more than without the trace, both nats.
    pub(crate) fn surprise(&self, trace: &Trace, token: u64, now: i64) -> (f32, f32) {
        let (here, alone) = self.surprisal(&trace.context_at(now), token);
        (here, (here - alone).max(0.0))
    }

    /// How much the way here speaks against this step, nats: pointwise mutual information, negated.
    fn against(&self, seen: &Seen<'_>, live: &Live<'_>) -> f32 {
        let trace = &live.session.sequence;
        let (here, alone) = self.surprisal(&trace.context_at(seen.now), token(seen.id, seen.features.status()));
        let most = if is_stale(seen.features) { self.stale } else { f32::INFINITY };
        let few = self.narrow.binary_search_by_key(&short(seen.id), |(e, _)| *e).ok().map(|at| f32::from(self.narrow[at].1));
        // What none of so few callers ever did, the next one does in one of so many cases (Krichevsky and Trofimov).
        let of_few = few.map_or(f32::INFINITY, |callers| (2.0 * callers + 2.0).ln());
        (here - alone).clamp(0.0, most.min(of_few))
    }

    /// What comes before an endpoint that was reached.
    fn rules_of(&self, seen: &Seen<'_>) -> Option<&[Rule]> {
        let at = self.rules.binary_search_by_key(&short(seen.id), |(e, _)| *e).ok()?;
        (seen.features.status() < 400).then_some(self.rules[at].1.as_slice())
    }

    /// The rule of precedence that this step breaks most, with its surprisal.
    fn broken(&self, seen: &Seen<'_>, live: &Live<'_>) -> Option<(&Rule, f32)> {
        let Trace { visited, began_unseen, .. } = &live.session.sequence;
        self.rules_of(seen)
            .filter(|_| visited.len() < MAX_VISITED && !began_unseen)?
            .iter()
            .filter(|r| !visited.contains(&r.before))
            .map(|r| (r, -((r.cases - r.kept + 0.5) / (r.cases + 1.0)).ln()))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Answers [`Aspect::Step`] and [`Aspect::Skipped`].
    pub fn score(&self, seen: &Seen<'_>, live: &Live<'_>, out: &mut Vec<Signal>) {
        let status = seen.features.status();
        if !live.has_session || seen.endpoint.is_none() || self.contexts.is_empty() || live.session.sequence.is_unknown() {
            return;
        }
        let bet = mix(live.session.sequence.context[0], 7);
        if !live.session.sequence.is_at(token(seen.id, status), seen.now) {
            out.push(Signal { aspect: Aspect::Step, score: self.against(seen, live), level: Level::Own, bet });
        }
        if self.rules_of(seen).is_some() {
            let score = self.broken(seen, live).map_or(0.0, |(_, nats)| nats);
            out.push(Signal { aspect: Aspect::Skipped, score, level: Level::Own, bet: seen.id.0 });
        }
    }

    /// Takes note of a step.
    pub fn observe(&self, seen: &Seen<'_>, live: &mut Live<'_>) {
        if seen.endpoint.is_some() {
            live.session.sequence.visit(seen.id, seen.features.status());
            live.session.sequence.follow(token(seen.id, seen.features.status()), seen.now);
        }
    }

    /// Explains one of this room's aspects.
    #[must_use]
    pub fn explain(&self, seen: &Seen<'_>, live: &Live<'_>, paths: &Paths, aspect: Aspect) -> Option<Explanation> {
        if aspect == Aspect::Skipped {
            let (rule, _) = self.broken(seen, live)?;
            let known = paths.endpoints().iter().find(|e| short(e.id) == rule.before);
            let before = known.map_or_else(|| "another step".to_owned(), crate::paths::Endpoint::name);
            return Some(Explanation {
                family: Family::Sequence,
                place: "session".to_owned(),
                observed: format!("reached without {before}"),
                expected: format!("{before} came before in {:.1} % of {:.0} cases", 100.0 * rule.kept / rule.cases, rule.cases),
                support: rule.cases as u64,
            });
        }
        let context = live.session.sequence.context_at(seen.now);
        let next = token(seen.id, seen.features.status());
        let key = context_key(&context, 1);
        let (total, _) = find(self.contexts.get(1)?, key).unwrap_or((0.0, 0.0));
        let count = find(&self.transitions[1], mix(key, next)).unwrap_or(0.0);
        let previous =
            paths.endpoints().iter().find(|e| (1..=5).any(|s| token(e.id, s * 100) == context[0]) || token(e.id, 0) == context[0]);
        let after = match (previous, context[0]) {
            (Some(endpoint), _) => format!("after {}", endpoint.name()),
            (None, 0) => "as the first step of a session".to_owned(),
            (None, 1..=3) => "after a pause".to_owned(),
            (None, _) => "after the step before it".to_owned(),
        };
        Some(Explanation {
            family: Family::Sequence,
            place: "session".to_owned(),
            observed: format!("this step {after}"),
            expected: format!("it came in {count:.0} of {total:.0} cases"),
            support: total as u64,
        })
    }

    /// How large the chain is, of the endpoints that there are.
    #[must_use]
    pub fn size(&self, paths: &Paths) -> ChainSize {
        let contexts = self.contexts.get(1).map_or(&[] as &[_], Vec::as_slice);
        let is_state = |token: u64| find(contexts, context_key(&[token, 0, 0], 1)).is_some();
        let is_kept = |id: EndpointId| (0..=5).any(|class| is_state(token(id, class * 100)));
        ChainSize {
            states: contexts.len(),
            endpoints_kept: paths.endpoints().iter().filter(|e| is_kept(e.id)).count(),
            endpoints_seen: paths.endpoints().len(),
            transitions: self.transitions.get(1).map_or(0, Vec::len),
            possible: contexts.len().pow(2),
            stored: self.transitions.iter().map(Vec::len).sum(),
        }
    }
}

/// How large a Markov chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ChainSize {
    /// States: endpoints by class of status, pauses, and the start of a session.
    pub states: usize,
    /// Endpoints that are states.
    pub endpoints_kept: usize,
    /// Endpoints that were discovered; of those that are not states nobody went on, or too few ever came.
    pub endpoints_seen: usize,
    /// Transitions from one state to the next.
    pub transitions: usize,
    /// Pairs of states.
    pub possible: usize,
    /// Transitions of all orders, from none to three steps of context.
    pub stored: usize,
}

impl fmt::Display for ChainSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, endpoints_kept, endpoints_seen, transitions, possible, stored } = self;
        let share = 100.0 * *transitions as f64 / (*possible).max(1) as f64;
        write!(
            f,
            "{states} states for {endpoints_kept} of {endpoints_seen} endpoints, {transitions} of {possible} transitions ({share:.1} %), \
             {stored} with longer contexts"
        )
    }
}

fn find<T: Copy>(sorted: &[(u64, T)], key: u64) -> Option<T> {
    sorted.binary_search_by_key(&key, |(k, _)| *k).ok().map(|at| sorted[at].1)
}

fn sorted<T>(map: FxHashMap<u64, T>) -> Vec<(u64, T)> {
    let mut all: Vec<(u64, T)> = map.into_iter().collect();
    all.sort_unstable_by_key(|(k, _)| *k);
    all
}

fn bounded(map: FxHashMap<u64, f32>) -> Vec<(u64, f32)> {
    let mut all = sorted(map);
    if all.len() > MAX_TRANSITIONS {
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(MAX_TRANSITIONS);
        all.sort_unstable_by_key(|(k, _)| *k);
    }
    all
}
