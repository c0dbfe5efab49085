//! The networks' part of judging a batch: the questions that its records will raise are asked together beforehand, round by round (in
//! round n the n-th step of each session). An answer holds only if the question is the same when its record's turn comes; else that
//! record's question is asked alone. Answers do not depend on company, so neither do verdicts.

use super::{Incoming, Partition};
use crate::features::Features;
use crate::model::{ApiModel, Model};
use crate::neural::{Answer, Ask, Carried, Foresight, Heads};
use crate::sequence::{Trace, token};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// By record: what was asked, and what was answered.
pub(super) type Beforehand = Vec<Option<(Ask, Answer)>>;

/// A session as the steps before in this batch leave it.
struct Standing {
    trace: Trace,
    carried: Carried,
    steps: usize,
}

/// A step of the batch.
#[derive(Clone, Copy)]
struct Step<'m> {
    foresight: &'m Foresight,
    session: u64,
    token: u64,
}

/// A step whose turn to be asked about comes in some round.
struct Turn<'m> {
    step: Step<'m>,
    record: usize,
    standing: usize,
    now: i64,
}

/// Key of a session of one API.
pub(super) fn session_key(features: &Features, api: &ApiModel) -> Option<u64> {
    use crate::features::hash::{hash, mix};
    api.session_of(features).map(|session| mix(session, hash(api.name.0.as_bytes())))
}

/// The step that a record is to the network of its API, if both exist.
fn step_of<'m>(model: &'m Model, features: &Features) -> Option<Step<'m>> {
    let api: &ApiModel = model.api(&features.host)?;
    let foresight = api.foresight()?;
    let session = session_key(features, api)?;
    let index = api.paths.route(features).endpoint.filter(|e| api.facts[e.0 as usize].is_known)?;
    Some(Step { foresight, session, token: token(api.paths.endpoint(index).id, features.status()) })
}

impl Partition {
    /// Asks what the records of a batch will raise, as far as the model has networks.
    pub(super) fn ask_beforehand(&mut self, records: &[Incoming<'_>], features: &[Features], heads: &mut dyn Heads) -> Beforehand {
        let mut beforehand: Beforehand = vec![None; records.len()];
        let Some(model) = self.model.clone().filter(|m| m.heads().next().is_some()) else { return beforehand };
        let mut sessions: Vec<Standing> = Vec::new();
        let mut places: FxHashMap<u64, usize> = FxHashMap::default();
        // By round and network: steps that can be asked about together.
        let mut rounds: BTreeMap<(usize, u64), Vec<Turn<'_>>> = BTreeMap::new();
        let mut now = self.meta.clock;
        for (record, (incoming, features)) in records.iter().zip(features).enumerate() {
            now = now.max(incoming.position.time_of(features.time).unwrap_or(now));
            let Some(step) = step_of(&model, features) else { continue };
            let standing = *places.entry(step.session).or_insert_with(|| {
                sessions.push(self.standing(step.session));
                sessions.len() - 1
            });
            sessions[standing].steps += 1;
            let round = (sessions[standing].steps, step.foresight.head.id.0);
            rounds.entry(round).or_default().push(Turn { step, record, standing, now });
        }
        let (mut asks, mut asked, mut answers): (Vec<Ask>, Vec<&Turn<'_>>, Vec<Answer>) = Default::default();
        for turns in rounds.values() {
            for turn in turns {
                let Standing { trace, carried, .. } = &mut sessions[turn.standing];
                if let Some(ask) = turn.step.foresight.ask(turn.step.token, turn.now, trace, carried) {
                    asks.push(ask);
                    asked.push(turn);
                }
                trace.follow(turn.step.token, turn.now);
            }
            let Some(head) = asked.first().map(|turn| &turn.step.foresight.head) else { continue };
            if let Err(error) = heads.foresee(head, &asks, &mut answers) {
                self.failure.get_or_insert(error);
                return beforehand;
            }
            for ((turn, ask), answer) in asked.drain(..).zip(asks.drain(..)).zip(answers.drain(..)) {
                sessions[turn.standing].carried.carry(head.id, &answer.state);
                beforehand[turn.record] = Some((ask, answer));
            }
        }
        beforehand
    }

    fn standing(&self, session: u64) -> Standing {
        let (trace, carried) = self.sessions.read(&session, |s| (s.sequence.clone(), s.carried.clone())).unwrap_or_default();
        Standing { trace, carried, steps: 0 }
    }
}
