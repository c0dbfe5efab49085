//! From rows to a network: sessions become walks, a teacher learns from four fifths of them, the last fifth tells whether it was worth it
//! and gives the scores that calibration rests on.

use super::gate::{self, Figures};
use super::{
    Answer, Ask, Epoch, Foresight, Head, HeadError, Heads, Lesson, Previous, STATE, Step, Taught, TeachError, Teacher, Vocabulary, Walk,
};
use crate::detect::Signal;
use crate::features::hash::mix;
use crate::learn::Row;
use crate::record::EndpointId;
use crate::sequence::{Sequence, Trace, hundreds, token};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The fold that no network learns from.
pub(super) const HELD_OUT: u8 = 0;
/// Steps of one lesson, at most; beyond them whole sessions are left out.
const MOST_STEPS: usize = 400_000;
/// Steps to learn from, and sessions to be held to, at least.
const LEAST_STEPS: usize = 1_000;
const LEAST_SESSIONS: usize = 50;
/// Questions of one round.
const ROUND: usize = 256;

/// What came of teaching a network, with the figures of its kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Report<F> {
    /// Networks are turned off.
    Off,
    /// There is none, or it does not help.
    LeftOut {
        /// Why.
        why: String,
        /// How it compared, where it came to that.
        figures: Option<F>,
    },
    /// It judges.
    Kept(F),
}

impl<F> Report<F> {
    /// For people: whether it judges, and if not why.
    #[must_use]
    pub fn outcome(&self) -> String {
        match self {
            Self::Off => "turned off".to_owned(),
            Self::LeftOut { why, .. } => format!("left out ({why})"),
            Self::Kept(_) => "judges".to_owned(),
        }
    }

    /// For the manifest.
    #[must_use]
    pub fn to_json(&self, to_json: fn(&F) -> serde_json::Value) -> serde_json::Value {
        match self {
            Self::Off => serde_json::json!({ "kept": false, "why": "networks are turned off" }),
            Self::LeftOut { why, figures } => {
                serde_json::json!({ "kept": false, "why": why, "figures": figures.as_ref().map(to_json) })
            }
            Self::Kept(figures) => serde_json::json!({ "kept": true, "figures": to_json(figures) }),
        }
    }
}

/// A network, if it helps, with its answers for rows that it had not seen.
pub(crate) struct Learned {
    pub(crate) foresight: Option<Foresight>,
    pub(crate) report: Report<Figures>,
    /// By row; of held-out sessions only.
    pub(crate) signals: Vec<(usize, Signal)>,
}

/// One step of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) token: u64,
    pub(super) at: i64,
    pub(super) weight: f32,
    pub(super) row: usize,
}

/// Learns a network that foresees steps, and keeps it if it helps.
pub(crate) fn learn(rows: &[Row<'_>], api: &str, teacher: &mut dyn Teacher, progress: &mut dyn FnMut(Epoch)) -> Learned {
    let left_out = |why: String, figures| Learned { foresight: None, report: Report::LeftOut { why, figures }, signals: Vec::new() };
    let (walks, held_out) = sessions(rows);
    let steps: usize = walks.values().map(Vec::len).sum();
    if steps < LEAST_STEPS || held_out.len() < LEAST_SESSIONS {
        return left_out(format!("{steps} steps and {} held-out sessions are too few", held_out.len()), None);
    }
    let before = teacher.previous(api);
    let vocabulary = Vocabulary::of(&breadths(rows), before.as_ref().map(|(vocabulary, _)| vocabulary));
    let previous =
        before.filter(|(earlier, _)| earlier.is_start_of(&vocabulary)).map(|(earlier, onnx)| Previous { onnx, slots: earlier.len() });
    let (lessons, tests) = (bounded(&walks, &vocabulary), bounded(&held_out, &vocabulary));
    let seed = walks.iter().fold(walks.len() as u64, |seed, (session, events)| mix(seed, mix(*session, events.len() as u64)));
    let lesson = Lesson { slots: vocabulary.len(), walks: &lessons, held_out: &tests, seed, previous };
    let taught = match teacher.teach(&lesson, progress) {
        Ok(taught) => taught,
        Err(TeachError::Off) => return Learned { foresight: None, report: Report::Off, signals: Vec::new() },
        Err(error) => return left_out(error.to_string(), None),
    };
    let mut counts = vec![0.0; vocabulary.len()];
    for step in lessons.iter().flatten() {
        counts[usize::from(step.next)] += step.weight;
    }
    let Taught { onnx, mut heads, epochs, is_warm, parity } = taught;
    let foresight = Foresight::new(Head::new(onnx), vocabulary, &counts, lessons.iter().map(|w| w.len() as u64).sum());
    let chain = Sequence::learn(rows.iter().filter(|r| r.session.is_none_or(|s| !held_out.contains_key(&s))));
    let tests: Vec<&[Event]> = held_out.values().map(Vec::as_slice).collect();
    let judged = answers(&foresight, &mut *heads, &tests)
        .and_then(|signals| Ok((gate::compare(&foresight, &mut *heads, &chain, &tests, seed)?, signals)));
    match judged {
        Err(error) => left_out(error.to_string(), None),
        Ok((compared, signals)) => {
            let figures = Figures { epochs, is_warm, parity, ..compared };
            match figures.objection() {
                Some(why) => left_out(why, Some(figures)),
                None => Learned { foresight: Some(foresight), report: Report::Kept(figures), signals },
            }
        }
    }
}

/// Sessions by key with their steps in time order: those to learn from, and those of the fold that is held out.
fn sessions(rows: &[Row<'_>]) -> (BTreeMap<u64, Vec<Event>>, BTreeMap<u64, Vec<Event>>) {
    let mut folds: FxHashMap<u64, u8> = FxHashMap::default();
    let (mut walks, mut held_out): (BTreeMap<u64, Vec<Event>>, BTreeMap<u64, Vec<Event>>) = Default::default();
    for (at, row) in rows.iter().enumerate() {
        let status = row.features.status();
        let Some(session) = row.session.filter(|_| row.endpoint.is_some()) else { continue };
        let of = if *folds.entry(session).or_insert(row.fold) == HELD_OUT { &mut held_out } else { &mut walks };
        let event = Event { token: token(row.id, status), at: row.features.time.unwrap_or(0), weight: row.weight, row: at };
        of.entry(session).or_default().push(event);
    }
    (walks, held_out)
}

/// Breadth of every step.
fn breadths(rows: &[Row<'_>]) -> BTreeMap<(EndpointId, u8), f32> {
    let mut breadths = BTreeMap::new();
    for row in rows.iter().filter(|r| r.session.is_some() && r.endpoint.is_some()) {
        *breadths.entry((row.id, hundreds(row.features.status()))).or_default() += row.weight;
    }
    breadths
}

/// Sessions as steps of a vocabulary; where there are too many steps, an even part of the sessions.
fn bounded(sessions: &BTreeMap<u64, Vec<Event>>, vocabulary: &Vocabulary) -> Vec<Walk> {
    let steps: usize = sessions.values().map(Vec::len).sum();
    let share = steps.div_ceil(MOST_STEPS).max(1) as u64;
    sessions
        .iter()
        .filter(|(session, _)| mix(**session, 0x1e550).is_multiple_of(share))
        .map(|(_, events)| walk(events, vocabulary))
        .collect()
}

fn walk(events: &[Event], vocabulary: &Vocabulary) -> Walk {
    let mut trace = Trace::default();
    let mut walk = Walk::with_capacity(events.len());
    for event in events {
        if !trace.is_at(event.token, event.at) {
            let (newest, last) = trace.newest();
            walk.push(Step {
                previous: vocabulary.slot(newest),
                gap: super::vocabulary::gap(last, event.at),
                next: vocabulary.slot(event.token),
                weight: event.weight,
            });
        }
        trace.follow(event.token, event.at);
    }
    walk
}

/// Where a session stands while it is walked.
#[derive(Clone)]
struct Standing {
    trace: Trace,
    state: [f32; STATE],
}

/// Lets a network walk sessions side by side; tells every step but repeats: number of the session, of the event, question and answer.
pub(super) fn walk_all(
    foresight: &Foresight,
    heads: &mut dyn Heads,
    sessions: &[&[Event]],
    tell: &mut dyn FnMut(usize, usize, &Ask, &Answer),
) -> Result<(), HeadError> {
    let (mut asks, mut asked, mut answers): (Vec<Ask>, Vec<usize>, Vec<_>) = Default::default();
    for (group, sessions) in sessions.chunks(ROUND).enumerate() {
        let mut standing = vec![Standing { trace: Trace::default(), state: [0.0; STATE] }; sessions.len()];
        let longest = sessions.iter().map(|s| s.len()).max().unwrap_or(0);
        for at in 0..longest {
            asks.clear();
            asked.clear();
            for (n, (events, here)) in sessions.iter().zip(&mut standing).enumerate() {
                let Some(event) = events.get(at) else { continue };
                if !here.trace.is_at(event.token, event.at) {
                    asks.push(foresight.ask_of(event.token, event.at, &here.trace, here.state));
                    asked.push(n);
                }
                here.trace.follow(event.token, event.at);
            }
            heads.foresee(&foresight.head, &asks, &mut answers)?;
            for ((n, ask), answer) in asked.iter().zip(&asks).zip(&answers) {
                standing[*n].state = answer.state;
                tell(group * ROUND + n, at, ask, answer);
            }
        }
    }
    Ok(())
}

/// Signals for the rows of held-out sessions.
fn answers(foresight: &Foresight, heads: &mut dyn Heads, sessions: &[&[Event]]) -> Result<Vec<(usize, Signal)>, HeadError> {
    let mut signals = Vec::new();
    walk_all(foresight, heads, sessions, &mut |session, event, ask, answer| {
        let said = [foresight.signal(ask, answer), Foresight::certain(ask, answer)];
        signals.extend(said.map(|signal| (sessions[session][event].row, signal)));
    })?;
    Ok(signals)
}
